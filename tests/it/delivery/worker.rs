//! Workers that are stopped, killed or cut off: whatever was accepted is delivered.

use std::collections::HashSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::{Json, Router};
use futures_util::future::join_all;
use serde_json::{Value, json};
use sms_domain::job::Job;
use sms_domain::job_batch;
use sms_queue::Queue;
use tokio::net::TcpListener;

use crate::support::gateway::{Gateway, Reply};
use crate::support::process::{Deployment, Environment, Process};
use crate::support::raw_queue::{RawQueue, jobs_of};
use crate::support::services::{Service, with_own_queue};
use crate::support::{dead_letters, eventually, number};

fn worker(environment: &Environment, gateway: &Gateway, concurrency: &str) -> Process {
    Process::start(
        &["worker", "--concurrency", concurrency],
        &environment.clone().with("SMS_DSN", &gateway.dsn()),
    )
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
    eventually("all that was accepted", || async {
        let got: HashSet<String> = gateway.accepted().into_iter().map(|call| call.to).collect();
        wanted.is_subset(&got).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn shutdown_finishes_jobs_in_hand_and_returns_the_rest() {
    let environment = Environment::services();
    let gateway = Gateway::start(&[], Reply::AcceptAfter(Duration::from_secs(1))).await;
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
    assert_eq!(
        log.matches("\"message\":\"sent\"").count(),
        begun,
        "what was begun was finished: {log}"
    );
    let _second = worker(&environment, &gateway, "50");
    delivered(&gateway, &wanted).await;
    assert_eq!(gateway.calls().len(), 30, "nothing twice");
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_worker_loses_nothing() {
    let environment = Environment::services();
    let gateway = Gateway::start(&[], Reply::AcceptAfter(Duration::from_millis(300))).await;
    let deployment = api(&environment);
    let wanted = ask_for(&deployment, 30).await;
    let mut first = worker(&environment, &gateway, "5");
    gateway.got(3).await;
    first.kill();
    let _second = worker(&environment, &gateway, "50");
    delivered(&gateway, &wanted).await;
    // Those that were at the gateway when the worker died wait for the end of its lease, and are
    // then sent again: the gateway knows them by their key.
    let calls = gateway.calls();
    let keys: HashSet<&str> = calls.iter().map(|call| call.request_id.as_str()).collect();
    assert_eq!(keys.len(), 30);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_bad_job_among_eight_is_a_dead_letter_by_itself() {
    for kind in ["quorum", "classic"] {
        let services = Environment::services();
        let url = format!("{}&type={kind}", services.get("QUEUE_URL"));
        let environment = services.with("QUEUE_URL", &url);
        let gateway = Gateway::start(&[], Reply::Accept).await;
        let deployment = api(&environment);
        let wanted = ask_for(&deployment, 7).await;
        // As a worker may find them: one message of an older release, and one with several.
        let messages = RawQueue::open(&url).await;
        let jobs: Vec<_> =
            messages.take_jobs(7).await.iter().flat_map(|message| jobs_of(message)).collect();
        let (older, several) = jobs.split_first().expect("seven jobs");
        let bad: &[u8] = b"{\"v\":1,\"+8613800138000";
        messages.publish(older).await;
        messages.publish(&job_batch::join(several.iter().map(Vec::as_slice).chain([bad]))).await;
        let _worker = worker(&environment, &gateway, "2");
        delivered(&gateway, &wanted).await;
        let queue = Queue::from_url(&url, None).expect("a URL");
        let letters = eventually("the dead letter", || async {
            dead_letters(&queue).await.ok().filter(|letters| !letters.is_empty())
        })
        .await;
        assert_eq!(letters.len(), 1, "{letters:?}");
        assert_eq!(letters[0].body, b"{\"v\":1,\"+8613800138000");
        assert_eq!(gateway.calls().len(), 7, "nothing twice");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn reconnect_after_a_rabbitmq_restart() {
    let rabbitmq = Service::rabbitmq();
    let environment = Environment::services().with("QUEUE_URL", &with_own_queue(&rabbitmq.url));
    let gateway = Gateway::start(&[], Reply::Accept).await;
    let deployment = api(&environment);
    let worker = worker(&environment, &gateway, "10");
    worker.logs("consuming from RabbitMQ").await;
    let before = eventually("an accepted request", || async {
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
    eventually("an accepted request", || async {
        Some(deployment.client.ask(number(2).e164()).await).filter(|answer| {
            assert_ne!(answer.status, 429, "the admission was not released");
            answer.status == 202
        })
    })
    .await;
    gateway.got(2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn invoke_treats_a_functions_response_as_sqs_would() {
    let environment = Environment::services().with("RETRY_BACKOFF", "1");
    let deployment = api(&environment);
    let address = TcpListener::bind("127.0.0.1:0")
        .await
        .and_then(|socket| socket.local_addr())
        .expect("a port");
    let invoker =
        Process::start(&["worker", "--invoke", &format!("http://{address}/")], &environment);
    assert_eq!(ask_for(&deployment, 1).await.len(), 1);
    eventually("two tries", || async {
        (invoker.log().matches("the function cannot be reached").count() >= 2).then_some(())
    })
    .await;

    // The function now comes up; it fails on the job once, and then takes it.
    let events: Arc<Mutex<Vec<Value>>> = Arc::default();
    let seen = Arc::clone(&events);
    let function = Router::new().fallback(async move |body: String| {
        let mut seen = seen.lock().expect("no panic");
        seen.push(serde_json::from_str(&body).expect("an event"));
        let failures = if seen.len() == 1 { json!([{ "itemIdentifier": "0" }]) } else { json!([]) };
        Json(json!({ "batchItemFailures": failures }))
    });
    let listener = TcpListener::bind(address).await.expect("the same port");
    tokio::spawn(async move { axum::serve(listener, function).await });
    eventually("two invocations", || async {
        (events.lock().expect("no panic").len() == 2).then_some(())
    })
    .await;
    let attempts: Vec<u32> = events.lock().expect("no panic").iter().map(attempts).collect();
    assert_eq!(attempts, [0, 1], "only what the function failed on is an attempt");
}

fn attempts(event: &Value) -> u32 {
    let body = event["Records"][0]["body"].as_str().expect("a body");
    Job::decode(body.as_bytes()).expect("a job").attempts
}
