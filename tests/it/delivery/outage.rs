//! A Redis that is down or hangs: nothing is accepted, and nothing is lost.

use serde_json::json;

use crate::support::eventually;
use crate::support::gateway::{Gateway, Reply};
use crate::support::process::{Deployment, Environment};
use crate::support::services::Service;

const TO: &str = "+8613800138000";

#[tokio::test(flavor = "multi_thread")]
async fn redis_outage_accepts_and_sends_nothing() {
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
async fn redis_hang_costs_no_cooldown() {
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
