//! Workers and APIs that are killed at every step of a job's way.

use tokio::sync::watch;

use crate::support::eventually;
use crate::support::gateway::Reply;
use crate::support::process::Environment;
use crate::support::raw_queue::RawQueue;
use crate::support::scene::{POLICIES, Scene};

const JOBS: u32 = 5;

async fn scene(fault: &str, policy: &'static str) -> Scene {
    let mut scene = Scene::start(fault, policy, Environment::services()).await;
    scene.has_doors = true;
    scene.ask(0..JOBS).await;
    assert_eq!(scene.ledger.accepted.len(), JOBS as usize);
    scene
}

#[tokio::test(flavor = "multi_thread")]
async fn worker_is_killed_before_the_gateway_has_heard_of_the_job() {
    for policy in POLICIES {
        let mut scene = scene("worker killed before its call reached the gateway", policy).await;
        scene.worker_gateway.hold();
        scene.add_worker().await;
        scene.worker_gateway.holds_something().await;
        scene.kill_workers();
        scene.worker_gateway.cut();
        scene.worker_gateway.pass();
        assert_eq!(scene.gateway.calls().len(), 0);
        scene.add_worker().await;
        let books = scene.balance().await;
        // Nobody can know that the gateway has not heard of it.
        let perhaps_sent = if policy == "at_most_once" { books.dead } else { 0 };
        assert_eq!((books.delivered + perhaps_sent, books.doubled), (JOBS as usize, 0));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn worker_is_killed_after_the_call_and_before_the_record() {
    for policy in POLICIES {
        let mut scene =
            scene("worker killed after the gateway's answer, before recording it", policy).await;
        let (tell, told) = watch::channel(false);
        scene.gateway.always(Reply::AcceptWhen(told));
        scene.add_worker().await;
        scene.gateway.got(JOBS as usize).await;
        scene.worker_store.hold();
        tell.send(true).expect("the gateway waits");
        scene.gateway.has_accepted(JOBS as usize).await;
        scene.worker_store.holds_something().await;
        scene.kill_workers();
        scene.worker_store.cut();
        scene.worker_store.pass();
        scene.add_worker().await;
        let books = scene.balance().await;
        let expected =
            if policy == "at_most_once" { (0, JOBS as usize) } else { (JOBS as usize, 0) };
        assert_eq!(
            (books.delivered, (books.doubled, books.dead)),
            (JOBS as usize, expected),
            "{books}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn worker_is_killed_after_the_record_and_before_the_acknowledgement() {
    for policy in POLICIES {
        let mut scene =
            scene("worker killed after recording it, before the acknowledgement", policy).await;
        let (tell, told) = watch::channel(false);
        scene.gateway.always(Reply::AcceptWhen(told));
        scene.add_worker().await;
        scene.gateway.got(JOBS as usize).await;
        scene.worker_queue.hold();
        tell.send(true).expect("the gateway waits");
        for id in scene.ledger.accepted.values().flatten() {
            eventually("sent", || async {
                (scene.client.status(id).await.body["delivery"] == "sent").then_some(())
            })
            .await;
        }
        scene.kill_workers();
        scene.worker_queue.cut();
        scene.worker_queue.pass();
        scene.add_worker().await;
        let books = scene.balance().await;
        assert_eq!((books.delivered, books.doubled, books.dead), (JOBS as usize, 0, 0));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn worker_is_killed_amid_the_jobs_of_one_message() {
    for policy in POLICIES {
        let fault = "worker killed amid the jobs of one message";
        let mut scene = scene(fault, policy).await;
        let messages = RawQueue::open(scene.services.get("QUEUE_URL")).await;
        messages.merge(JOBS as usize).await;
        let (_tell, told) = watch::channel(false);
        scene.gateway.first(&[Reply::Accept, Reply::Accept], Reply::AcceptWhen(told));
        scene.add_worker().await;
        scene.gateway.got(JOBS as usize).await;
        eventually("two are sent", || async {
            (scene.log().matches("\"message\":\"sent\"").count() == 2).then_some(())
        })
        .await;
        scene.kill_workers();
        scene.gateway.always(Reply::Accept);
        scene.add_worker().await;
        let books = scene.balance().await;
        let perhaps_sent = if policy == "at_most_once" { books.dead } else { 0 };
        assert_eq!((books.delivered + perhaps_sent, books.doubled), (JOBS as usize, 0), "{books}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn worker_is_killed_while_its_jobs_wait_for_another_attempt() {
    for policy in POLICIES {
        let mut scene = scene("worker killed while its jobs wait", policy).await;
        // Too many to this number: no failure of the gateway's, whose circuit stays closed.
        scene.gateway.always(Reply::Refuse("160038"));
        scene.add_worker().await;
        eventually("all wait", || async {
            (scene.workers[0].log().matches("will be tried again").count() >= JOBS as usize)
                .then_some(())
        })
        .await;
        scene.kill_workers();
        scene.gateway.always(Reply::Accept);
        scene.add_worker().await;
        let books = scene.balance().await;
        assert_eq!(books.delivered + books.dead, JOBS as usize);
        assert_eq!(books.doubled, 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn api_is_killed_between_admission_and_queue() {
    let mut scene = scene("API killed between admission and queue", POLICIES[0]).await;
    scene.add_worker().await;
    scene.api_queue.hold();
    let client = scene.client.clone();
    let asking = tokio::spawn(async move { client.try_ask("+8613800000099").await });
    scene.api_queue.holds_something().await;
    scene.api_queue.cut();
    scene.replace_api();
    scene.api_queue.pass();
    // The caller has no answer, or a 503 if the kill was late; the number is usable when its
    // cooldown is over.
    let answer = asking.await.expect("no panic");
    assert!(answer.is_none_or(|(status, _)| status == 503));
    scene.ask_until_accepted(99).await;
    let books = scene.balance().await;
    assert_eq!((books.accepted, books.delivered, books.doubled), (6, 6, 0));
}
