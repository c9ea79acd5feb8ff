//! Redis restarted with and without its data, slow, cut off, or gone when an outcome is to be
//! recorded.

use std::time::Duration;

use serde_json::json;
use tokio::sync::watch;

use crate::support::gateway::Reply;
use crate::support::process::Environment;
use crate::support::proxy::Proxy;
use crate::support::scene::{POLICIES, Scene};
use crate::support::services::Service;
use crate::support::{eventually, number};

fn on(redis: &Service) -> Environment {
    Environment::services().with("REDIS_URL", &redis.url)
}

async fn is_down(scene: &Scene) {
    let ready = scene.client.get("/readyz").await;
    assert_eq!((ready.status, &ready.body["down"]), (503, &json!(["store"])), "{ready:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_is_killed_and_comes_back_with_its_data() {
    let redis = Service::redis();
    for policy in POLICIES {
        let mut scene = Scene::start("Redis killed, back with its data", policy, on(&redis)).await;
        // With everysec, the default, a kill may cost what was written in the last two seconds.
        redis.command(&["config", "set", "appendfsync", "always"]);
        scene.ask(0..5).await;
        redis.kill();
        scene.add_worker().await;
        scene.ask(5..10).await;
        is_down(&scene).await;
        redis.start_again();
        for index in 5..10 {
            scene.ask_until_accepted(index).await;
        }
        let books = scene.balance().await;
        assert_eq!(
            (books.accepted, books.delivered, books.doubled, books.dead),
            (10, 10, 0, 0),
            "{books}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_loses_its_data() {
    let redis = Service::redis();
    for policy in POLICIES {
        let mut scene = Scene::start("Redis killed, its data lost", policy, on(&redis)).await;
        scene.ask(0..5).await;
        redis.kill();
        redis.lose_data();
        redis.start_again();
        // Their codes could not be checked any more, so no SMS goes out; and everybody may ask
        // again at once.
        scene.add_worker().await;
        eventually("the jobs are dropped", || async {
            (scene.workers[0].log().matches("dropped:").count() == 5).then_some(())
        })
        .await;
        assert_eq!(scene.gateway.calls().len(), 0);
        for index in 0..5 {
            scene.ask_until_accepted(index).await;
        }
        let books = scene.balance().await;
        assert_eq!((books.dropped, books.delivered, books.doubled), (5, 5, 0), "{books}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_answers_after_two_seconds() {
    for policy in POLICIES {
        let mut scene =
            Scene::start("store answers after 2 s", policy, Environment::services()).await;
        scene.add_worker().await;
        scene.ask([100]).await;
        scene.gateway.got(1).await;
        // The worker asks for leases that it gets too late to know.
        scene.worker_store.delay(Duration::from_secs(2));
        scene.ask(0..5).await;
        scene.workers[0].logs("the store does not answer").await;
        scene.api_store.delay(Duration::from_secs(2));
        scene.ask(5..10).await;
        assert_eq!(
            scene.ledger.accepted.len(),
            6,
            "what the store does not decide in time is refused"
        );
        is_down(&scene).await;
        assert_eq!(
            scene.gateway.calls().len(),
            1,
            "and what it does not allow in time is not sent"
        );
        scene.api_store.pass();
        scene.worker_store.pass();
        for index in 5..10 {
            scene.ask_until_accepted(index).await;
        }
        // What the store carried out too late is taken back: no lease is left that would make a
        // dead letter of a job.
        let books = scene.balance().await;
        assert_eq!(
            (books.accepted, books.delivered, books.doubled, books.dead),
            (11, 11, 0, 0),
            "{books}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_is_gone_when_an_outcome_is_to_be_recorded() {
    for policy in POLICIES {
        let mut scene = Scene::start(
            "store gone between the gateway's answer and its record",
            policy,
            Environment::services(),
        )
        .await;
        let (tell, told) = watch::channel(false);
        scene.gateway.always(Reply::AcceptWhen(told));
        scene.add_worker().await;
        scene.ask(0..5).await;
        scene.gateway.got(5).await;
        scene.worker_store.refuse();
        tell.send(true).expect("the gateway waits");
        scene.workers[0].logs("cannot be recorded yet").await;
        scene.worker_store.pass();
        for id in scene.ledger.accepted.values().flatten() {
            eventually("sent", || async {
                (scene.client.status(id).await.body["delivery"] == "sent").then_some(())
            })
            .await;
        }
        let books = scene.balance().await;
        assert_eq!((books.delivered, books.doubled, books.dead), (5, 0, 0), "{books}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_connections_break() {
    type Break = fn(&Proxy);
    let breaks: [(&str, Break); 4] = [
        ("store connections cut", Proxy::cut),
        ("store connections half-closed", Proxy::half_close),
        ("store connections silent for good", Proxy::forget),
        ("store in a black hole for a while", Proxy::hold),
    ];
    for (fault, breaks) in breaks {
        for policy in POLICIES {
            let mut scene = Scene::start(fault, policy, Environment::services()).await;
            scene.add_worker().await;
            scene.ask(0..3).await;
            breaks(&scene.api_store);
            breaks(&scene.worker_store);
            scene.ask(3..6).await;
            if fault.contains("black hole") {
                is_down(&scene).await;
            }
            scene.api_store.pass();
            scene.worker_store.pass();
            for index in 3..6 {
                scene.ask_until_accepted(index).await;
            }
            let books = scene.balance().await;
            assert_eq!((books.accepted, books.delivered + books.dead), (6, 6), "{books}");
            assert_eq!(books.doubled, 0);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn caller_hangs_up_while_redis_is_slow() {
    let mut scene = Scene::start("caller hangs up", POLICIES[0], Environment::services()).await;
    scene.add_worker().await;
    for index in 0..20 {
        scene.api_store.hold();
        let client = scene.client.clone();
        let asking = tokio::spawn(async move { client.try_ask(number(index).e164()).await });
        scene.api_store.holds_something().await;
        asking.abort();
        // The server notices within milliseconds, and the store has 500. A busy machine may need
        // longer: then the number is usable at once.
        tokio::time::sleep(Duration::from_millis(100)).await;
        scene.api_store.pass();
        let sent = eventually("an SMS, or no cooldown", || async {
            let sent = scene.gateway.calls().iter().any(|call| call.to == number(index).national());
            let usable = !sent && scene.client.ask(number(index).e164()).await.status == 202;
            (sent || usable).then_some(sent)
        });
        if sent.await {
            return;
        }
    }
    panic!("each has asked in vain");
}
