//! A store that is down, one that comes back, one behind TLS, and the one command that an accepted
//! request costs.

use std::process::Command;

use serde_json::json;

use crate::support::eventually;
use crate::support::gateway::{Gateway, Reply};
use crate::support::process::{Deployment, Environment, Process};
use crate::support::services::{Service, with_own_queue};

const TO: &str = "+8613800138000";

#[tokio::test(flavor = "multi_thread")]
async fn without_redis_nothing_is_accepted_and_nothing_is_sent() {
    let redis = Service::redis();
    let gateway = Gateway::start(&[], Reply::Accept).await;
    let environment =
        Environment::services().with("REDIS_URL", &redis.url).with("SMS_DSN", &gateway.dsn());
    let deployment = Deployment::whole(&environment.with("RETRY_BACKOFF", "1"));
    let client = &deployment.client;
    let id = client.ask(TO).await.id();
    gateway.got(1).await;

    redis.stop();
    for answer in [
        client.ask("+8613900139000").await,
        client.check(&id, "123456").await,
        client.status(&id).await,
    ] {
        assert_eq!(
            (answer.status, &answer.body["code"], &answer.body["down"]),
            (503, &json!("5000"), &json!(["store"]))
        );
        assert!(answer.header("retry-after").parse::<u64>().is_ok());
    }
    assert_eq!(client.get("/healthz").await.status, 200);
    let ready = client.get("/readyz").await;
    assert_eq!((ready.status, &ready.body["down"]), (503, &json!(["store"])));

    redis.start_again();
    eventually("an accepted request", || async {
        Some(client.ask("+8613900139000").await).filter(|answer| answer.status == 202)
    })
    .await;
    assert_eq!(gateway.got(2).await.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_that_hangs_costs_no_cooldown() {
    let redis = Service::redis();
    let environment =
        Environment::services().with("REDIS_URL", &redis.url).with("RESEND_INTERVAL", "3600");
    let deployment = Deployment::whole(&environment);
    let client = &deployment.client;
    client.ask("+8613900139000").await;
    redis.hang();
    assert_eq!(client.ask(TO).await.status, 503);
    redis.go_on();
    // Redis now carries out what it was asked for; the cooldown that began with it would last for
    // an hour.
    eventually("an accepted request", || async {
        Some(client.ask(TO).await).filter(|answer| answer.status == 202)
    })
    .await;
    client.code(TO).await;
    assert_eq!(client.inbox(TO).await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_is_reached_over_tls_and_only_with_a_certificate_that_is_trusted() {
    let redis = Service::redis_tls();
    is_used_by_those_who_trust_it(&redis, &Environment::services().with("REDIS_URL", &redis.url))
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rabbitmq_is_reached_over_tls_and_only_with_a_certificate_that_is_trusted() {
    let rabbitmq = Service::rabbitmq_tls();
    let url = with_own_queue(&rabbitmq.url);
    is_used_by_those_who_trust_it(&rabbitmq, &Environment::services().with("QUEUE_URL", &url))
        .await;
}

async fn is_used_by_those_who_trust_it(service: &Service, environment: &Environment) {
    let stranger = Deployment::whole(environment);
    assert_eq!(stranger.client.ask(TO).await.status, 503, "the authority is unknown");
    drop(stranger);
    let trusting =
        Deployment::whole(&environment.clone().with("SSL_CERT_FILE", &service.file("ca.pem")));
    let accepted = eventually("an accepted request", || async {
        Some(trusting.client.ask(TO).await).filter(|answer| answer.status == 202)
    });
    let id = accepted.await.id();
    assert_eq!(trusting.client.check(&id, &trusting.client.code(TO).await).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_accepted_request_is_one_command() {
    let redis = Service::redis();
    let environment = Environment::services().with("REDIS_URL", &redis.url);
    let mut deployment = Deployment::split(&environment);
    // The first request loads the script; what it costs is what every later one costs.
    deployment.client.ask("+8613900139000").await;
    deployment.client.code("+8613900139000").await;
    let workers = deployment.workers.len();
    assert_eq!(workers, 2);
    let port = redis.url.rsplit(':').next().expect("a port");
    let mut monitor = Command::new("redis-cli");
    monitor.args(["-p", port, "monitor"]);
    let monitor = Process::spawn(monitor).announces("OK");
    deployment.client.ask(TO).await;
    deployment.client.code(TO).await;
    // The workers record the outcome before they end.
    for worker in &mut deployment.workers {
        worker.terminate();
        worker.ended().await;
    }
    deployment.client.get("/readyz").await;
    let monitor = monitor.announces("\"sms-verify:probe:");
    let seen = &monitor.announced;
    let from_clients: Vec<&str> = seen
        .lines()
        .filter(|line| {
            line.contains("] \"") && !line.contains(" lua]") && !line.contains("\"INFO\"")
        })
        .collect();
    // admit by the API; begin, permit and finish by the worker; and the probe that ends the test.
    // (INFO is asked for once a minute.)
    assert_eq!(from_clients.len(), 5, "{seen}");
    assert!(from_clients.iter().all(|line| line.contains("\"EVALSHA\"")), "{seen}");
}
