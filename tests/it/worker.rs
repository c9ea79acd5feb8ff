//! Workers that are stopped, killed or cut off: whatever was accepted is delivered.

use std::collections::HashSet;
use std::time::Duration;

use futures_util::future::join_all;

use crate::support::gateway::{Gateway, Reply};
use crate::support::number;
use crate::support::process::{Deployment, Environment, Process};
use crate::support::services::{Service, with_own_queue};

fn worker(environment: &Environment, gateway: &Gateway, concurrency: &str) -> Process {
    Process::start(&["worker", "--concurrency", concurrency], &environment.clone().with("SMS_DSN", &gateway.dsn()))
}

fn api(environment: &Environment) -> Deployment {
    let mut deployment = Deployment::split(environment);
    deployment.workers.clear();
    deployment
}

async fn ask_for(deployment: &Deployment, count: u32) -> HashSet<String> {
    let answers = join_all((0..count).map(|index| async move {
        (number(index).national().to_owned(), deployment.client.ask(number(index).e164()).await)
    }));
    let accepted = answers.await.into_iter().filter(|(_, answer)| answer.status == 202);
    accepted.map(|(number, _)| number).collect()
}

async fn delivered(gateway: &Gateway, wanted: &HashSet<String>) {
    crate::support::eventually("all that was accepted", || async {
        let got: HashSet<String> = gateway.accepted().into_iter().map(|call| call.to).collect();
        wanted.is_subset(&got).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_is_asked_to_stop_finishes_what_it_has_and_returns_the_rest() {
    let environment = Environment::services();
    let gateway = Gateway::start(&[], Reply::AcceptAfter(Duration::from_millis(300))).await;
    let deployment = api(&environment);
    let wanted = ask_for(&deployment, 30).await;
    assert_eq!(wanted.len(), 30);
    let mut first = worker(&environment, &gateway, "5");
    gateway.got(1).await;
    first.terminate();
    assert!(first.ended().await.success());
    let begun = gateway.calls().len();
    assert!(begun < 30, "it stopped in the middle");
    let log = first.log();
    assert_eq!(log.matches(" sent id=").count(), begun, "what was begun was finished: {log}");
    let _second = worker(&environment, &gateway, "50");
    delivered(&gateway, &wanted).await;
    assert_eq!(gateway.calls().len(), 30, "nothing twice");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_is_killed_loses_nothing() {
    let environment = Environment::services();
    let gateway = Gateway::start(&[], Reply::AcceptAfter(Duration::from_millis(300))).await;
    let deployment = api(&environment);
    let wanted = ask_for(&deployment, 30).await;
    let mut first = worker(&environment, &gateway, "5");
    gateway.got(3).await;
    first.kill();
    let _second = worker(&environment, &gateway, "50");
    delivered(&gateway, &wanted).await;
    // Those that were at the gateway when the worker died wait for the end of its lease, and are then sent again: the
    // gateway knows them by their key.
    let calls = gateway.calls();
    let keys: HashSet<&str> = calls.iter().map(|call| call.request_id.as_str()).collect();
    assert_eq!(keys.len(), 30);
}

#[tokio::test(flavor = "multi_thread")]
async fn workers_and_api_come_back_when_rabbitmq_restarts() {
    let rabbitmq = Service::rabbitmq();
    let environment = Environment::services().with("QUEUE_URL", &with_own_queue(&rabbitmq.url));
    let gateway = Gateway::start(&[], Reply::Accept).await;
    let deployment = api(&environment);
    let worker = worker(&environment, &gateway, "10");
    worker.logs("consuming from RabbitMQ").await;
    let before = crate::support::eventually("an accepted request", || async {
        Some(deployment.client.ask(number(1).e164()).await).filter(|answer| answer.status == 202)
    });
    before.await;
    gateway.got(1).await;

    rabbitmq.stop();
    let down = deployment.client.ask(number(2).e164()).await;
    assert_eq!((down.status, down.body["code"].as_str()), (503, Some("5000")));
    assert_eq!(deployment.client.get("/readyz").await.body["down"], serde_json::json!(["queue"]));

    rabbitmq.start_again();
    // The number that was refused is usable at once.
    crate::support::eventually("an accepted request", || async {
        Some(deployment.client.ask(number(2).e164()).await).filter(|answer| {
            assert_ne!(answer.status, 429, "the admission was not released");
            answer.status == 202
        })
    })
    .await;
    gateway.got(2).await;
}
