//! A gateway that takes so many messages in a second: the rest waits its turn in the queue and
//! spends no attempt.

use std::time::{Duration, Instant};

use futures_util::future::join_all;

use crate::support::gateway::{Call, Gateway, Reply};
use crate::support::process::{Deployment, Environment, Process};
use crate::support::{eventually, number};

const JOBS: usize = 500;

/// Asks for that many codes, and waits for their SMS.
async fn send_all(deployment: &Deployment, gateway: &Gateway) {
    let client = &deployment.client;
    // Fifty at a time: a machine with a lot to do may answer 503 to more.
    for fifty in 0..u32::try_from(JOBS / 50).expect("small") {
        let numbers = (fifty * 50..fifty * 50 + 50).map(number);
        let some = numbers.map(|number| async move {
            eventually("it is accepted", || async {
                (client.ask(number.e164()).await.status == 202).then_some(())
            })
            .await;
        });
        join_all(some).await;
    }
    eventually("all SMS", || async { (gateway.accepted().len() >= JOBS).then_some(()) }).await;
}

/// One call each, in the first attempt; how long it took is shown.
async fn each_once(queue: &str, gateway: &Gateway, began: Instant, deployment: &Deployment) {
    let is_told = || async {
        (deployment.logs().matches("\"message\":\"sent\"").count() >= JOBS).then_some(())
    };
    eventually("all is logged", is_told).await;
    let (calls, logs) = (gateway.calls(), deployment.logs());
    let (first, last) = (calls[0].at, calls[calls.len() - 1].at);
    let busiest =
        calls.iter().map(|call| calls.iter().filter(|other| in_second(call, other)).count()).max();
    println!(
        "RATE | {queue} | rate=50 | {JOBS} jobs | {:.1} s | first after {:.1} s | \
         busiest second {} |",
        (last - first).as_secs_f64(),
        (first - began).as_secs_f64(),
        busiest.expect("calls"),
    );
    assert_eq!(calls.len(), JOBS, "nothing twice");
    assert_eq!(
        logs.matches("\"attempt\":1,\"gateway\"").count(),
        JOBS,
        "an attempt is a call to a gateway"
    );
    assert!(logs.contains("the gateway's rate"), "some have waited in the queue");
}

fn in_second(call: &Call, other: &Call) -> bool {
    other.at >= call.at && other.at - call.at < Duration::from_secs(1)
}

#[tokio::test(flavor = "multi_thread")]
async fn rate_limit_of_fifty_a_second_in_memory() {
    let gateway = Gateway::start(&[], Reply::Accept).await;
    let began = Instant::now();
    let environment =
        Environment::embedded().with("SMS_DSN", &format!("{}&rate=50", gateway.dsn()));
    let deployment = Deployment::whole(&environment);
    send_all(&deployment, &gateway).await;
    each_once("memory", &gateway, began, &deployment).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rate_limit_of_fifty_a_second_on_rabbitmq_and_two_workers() {
    let gateway = Gateway::start(&[], Reply::Accept).await;
    let environment =
        Environment::services().with("SMS_DSN", &format!("{}&rate=50", gateway.dsn()));
    let mut deployment = Deployment::split(&environment);
    deployment.workers.clear();
    deployment.workers = (0..2).map(|_| Process::start(&["worker"], &environment)).collect();
    let began = Instant::now();
    send_all(&deployment, &gateway).await;
    each_once("RabbitMQ, two workers", &gateway, began, &deployment).await;
}
