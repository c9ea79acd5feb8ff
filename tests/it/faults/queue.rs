//! RabbitMQ restarted, full, slow, or cut off.

use std::time::Duration;

use sms_queue::Queue;
use tokio::sync::watch;
use tokio::time::timeout;

use crate::support::eventually;
use crate::support::gateway::Reply;
use crate::support::process::Environment;
use crate::support::proxy::Proxy;
use crate::support::scene::{POLICIES, Scene};
use crate::support::services::{Service, with_own_queue};

fn on(rabbitmq: &Service) -> Environment {
    Environment::services().with("QUEUE_URL", &with_own_queue(&rabbitmq.url))
}

/// `readyz` names the part that is down.
async fn is_down(scene: &Scene, part: &str) {
    let ready = scene.client.get("/readyz").await;
    assert_eq!((ready.status, &ready.body["down"]), (503, &serde_json::json!([part])), "{ready:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn rabbitmq_restarts_with_jobs_in_it() {
    let rabbitmq = Service::rabbitmq();
    for policy in POLICIES {
        let mut scene =
            Scene::start("RabbitMQ restarted with jobs pending", policy, on(&rabbitmq)).await;
        scene.gateway.first(&[Reply::Refuse("160000"), Reply::Refuse("160000")], Reply::Accept);
        scene.ask(0..10).await;
        scene.add_worker().await;
        scene.gateway.got(2).await;
        rabbitmq.stop();
        scene.ask([20]).await;
        is_down(&scene, "queue").await;
        rabbitmq.start_again();
        scene.ask_until_accepted(20).await;
        let books = scene.balance().await;
        assert_eq!((books.accepted, books.delivered, books.dead), (11, 11, 0), "{books}");
    }
    each_queues_type_is_said(&rabbitmq).await;
}

/// A virtual host may have another default.
async fn each_queues_type_is_said(rabbitmq: &Service) {
    let url = format!("{}?queue=said&type=classic", rabbitmq.url);
    let queue = Queue::from_url(&url, None).expect("a URL");
    eventually("the queue is there", || async { queue.ping().await.ok() }).await;
    let queues = rabbitmq.rabbitmqctl_says(&["list_queues", "name", "arguments"]);
    let of = |name: &str| {
        queues.lines().find(|line| line.starts_with(&format!("{name}\t"))).expect(name).to_owned()
    };
    for (name, kind) in [("said", "classic"), ("said.dead", "quorum")] {
        assert!(of(name).contains(&format!(r#"{{"x-queue-type","{kind}"}}"#)), "{queues}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rabbitmq_has_no_disk_or_memory_left() {
    let rabbitmq = Service::rabbitmq();
    for (fault, alarm, clear) in [
        (
            "RabbitMQ blocks publishers: no disk",
            ["set_disk_free_limit", "999999GB"],
            ["set_disk_free_limit", "50MB"],
        ),
        (
            "RabbitMQ blocks publishers: no memory",
            ["set_vm_memory_high_watermark", "0.00001"],
            ["set_vm_memory_high_watermark", "0.6"],
        ),
    ] {
        for policy in POLICIES {
            let mut scene = Scene::start(fault, policy, on(&rabbitmq)).await;
            // The first two need to be put into a wait queue, which RabbitMQ does not take now.
            scene.gateway.first(&[Reply::Refuse("160000"), Reply::Refuse("160000")], Reply::Accept);
            // The last round's alarm may be over a moment later.
            for index in 0..5 {
                scene.ask_until_accepted(index).await;
            }
            rabbitmq.rabbitmqctl(&alarm);
            scene.ask(10..15).await;
            is_down(&scene, "queue").await;
            let log = scene.api.log();
            let why = |line: &str| line.contains("not ready") && line.contains("alarm is on");
            assert!(log.lines().any(why), "{log}");
            scene.add_worker().await;
            scene.gateway.got(5).await;
            // The worker tries to put each of the two there, again and again.
            eventually("several tries", || async {
                (scene.log().matches("the outcome of a message cannot be queued").count() >= 8)
                    .then_some(())
            })
            .await;
            let log = scene.log();
            let mut tries = log.lines().filter(|line| line.contains("cannot be queued yet"));
            assert!(
                tries.all(|line| line.contains("request_id") && line.contains("trace_id")),
                "of which job: {log}"
            );
            rabbitmq.rabbitmqctl(&clear);
            for index in 10..15 {
                scene.ask_until_accepted(index).await;
            }
            scene.settle().await;
            let copies = scene.log().matches("already sent").count();
            assert!(copies <= 2, "each try has left a copy: {copies}");
            let books = scene.balance().await;
            assert_eq!((books.accepted, books.delivered, books.dead), (10, 10, 0), "{books}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rabbitmq_answers_after_two_seconds() {
    for policy in POLICIES {
        let mut scene =
            Scene::start("queue answers after 2 s", policy, Environment::services()).await;
        scene.api_queue.delay(Duration::from_secs(2));
        // Nobody takes the jobs: all is refused, and taken back.
        scene.ask(0..5).await;
        assert_eq!(scene.ledger.accepted.len(), 0);
        is_down(&scene, "queue").await;
        scene.api_queue.pass();
        scene.add_worker().await;
        scene.ask_until_accepted(100).await;
        // A worker is faster than the confirm: what it has begun counts as accepted, and what was
        // refused it drops.
        scene.api_queue.delay(Duration::from_secs(2));
        scene.ask(5..10).await;
        scene.api_queue.pass();
        for index in 0..5 {
            scene.ask_until_accepted(index).await;
        }
        let books = scene.balance().await;
        assert!(books.accepted >= 6, "{books}");
        assert_eq!((books.delivered, books.doubled), (books.accepted, 0), "{books}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rabbitmq_connections_break() {
    type Break = fn(&Proxy);
    let breaks: [(&str, Break); 4] = [
        ("queue connections cut", Proxy::cut),
        ("queue connections half-closed", Proxy::half_close),
        ("queue connections silent for good", Proxy::forget),
        ("queue in a black hole for a while", Proxy::hold),
    ];
    for (fault, breaks) in breaks {
        for policy in POLICIES {
            let mut scene = Scene::start(fault, policy, Environment::services()).await;
            scene.set_for_workers("QUEUE_URL", &with_heartbeat(scene.worker_variable("QUEUE_URL")));
            scene.add_worker().await;
            scene.ask(0..3).await;
            breaks(&scene.api_queue);
            breaks(&scene.worker_queue);
            scene.ask(3..6).await;
            if fault.contains("black hole") {
                is_down(&scene, "queue").await;
            }
            scene.api_queue.pass();
            scene.worker_queue.pass();
            for index in 3..6 {
                scene.ask_until_accepted(index).await;
            }
            let books = scene.balance().await;
            assert_eq!((books.accepted, books.delivered, books.dead), (6, 6, 0), "{books}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rabbitmq_that_fell_silent_keeps_no_worker_from_ending() {
    type Break = fn(&Proxy);
    let breaks: [Break; 3] = [Proxy::refuse, Proxy::forget, Proxy::hold];
    for breaks in breaks {
        // A refusal that leaves the circuit closed: all are to be called before the queue falls
        // silent.
        for reply in [Reply::Accept, Reply::Refuse("160038")] {
            let mut scene = Scene::start(
                "queue gone, and the worker asked to end",
                POLICIES[0],
                Environment::services(),
            )
            .await;
            let (tell, told) = watch::channel(false);
            scene.gateway.first(&[Reply::AcceptWhen(told.clone()), Reply::AcceptWhen(told)], reply);
            scene.add_worker().await;
            scene.ask(0..20).await;
            scene.gateway.got(20).await;
            breaks(&scene.worker_queue);
            tell.send(true).expect("the gateway waits");
            let mut worker = scene.workers.pop().expect("a worker");
            worker.terminate();
            // Long before its heartbeats would tell, 20 s.
            timeout(Duration::from_secs(10), worker.ended()).await.expect("it ends");
        }
    }
}

/// A consumer notices by its heartbeat that nothing comes any more: 20 s, or 2 s in a test.
fn with_heartbeat(url: &str) -> String {
    format!("{url}&heartbeat=1")
}
