//! Metrics: every step is counted, and workers serve their own.

use serde_json::Value;

use crate::support::gateway::{Gateway, Reply};
use crate::support::process::{Client, Deployment, Environment, Process, wrong};
use crate::support::{assert_snapshot, eventually};

/// The metrics, sorted: counters and counts with their values; of histograms no buckets and sums.
fn counts(exposition: &Value) -> String {
    let text = exposition.as_str().expect("text");
    let is_shown = |line: &&str| {
        let name = line.split(['{', ' ']).next().unwrap_or_default();
        !(line.is_empty() || name.ends_with("_bucket") || name.ends_with("_sum"))
    };
    let mut lines: Vec<&str> = text.lines().filter(is_shown).collect();
    lines.sort_unstable();
    lines.join("\n")
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_count_every_step_of_a_verification() {
    let gateway =
        Gateway::start(&[Reply::Http(503), Reply::Accept, Reply::Refuse("160042")], Reply::Accept)
            .await;
    let environment =
        Environment::services().with("SMS_DSN", &gateway.dsn()).with("RETRY_BACKOFF", "1");
    let deployment = Deployment::whole(&environment.with("PRICES", "CN=0.05"));
    let client = &deployment.client;
    let id = client.ask("13800138000").await.id();
    assert_eq!(client.ask("13800138000").await.status, 429);
    assert_eq!(client.ask("+14155550100").await.status, 422);
    let code = gateway.got(2).await.remove(1).code;
    assert_eq!(client.check(&id, &wrong(&code)).await.status, 422);
    assert_eq!(client.check(&id, &code).await.status, 200);
    assert_eq!(client.check(&id, &code).await.status, 404);
    client.ask("13800138001").await;
    gateway.got(3).await;
    // The last to be counted.
    for (name, count) in [("refused_total", 1.0), ("queue_age_seconds_count", 2.0)] {
        let counted = async || (client.metric(name, &[]).await == count).then_some(());
        eventually(name, counted).await;
    }
    let exposition = client.get("/metrics").await;
    assert_snapshot!("metrics", counts(&exposition.body));
    // Its SMS went out with the second attempt, a second after the first.
    assert!(client.metric("delivery_seconds_sum", &[]).await >= 1.0);
    let text = client.get("/metrics").await.body.as_str().expect("text").to_owned();
    for secret in [code.as_str(), "3800138000", id.as_str(), "127.0.0.1"] {
        assert!(!text.contains(secret), "{secret} is a label");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_and_health_of_a_worker() {
    let environment = Environment::services().with("SMS_DSN", "null://default");
    let worker = Process::start(&["worker", "--metrics", "127.0.0.1:0"], &environment);
    let client = worker.metrics().await;
    assert_eq!(client.get("/readyz").await.status, 200);
    assert_eq!(client.get("/metrics").await.status, 200);
    assert_eq!(
        client.send(client.request("PUT", "/ops/log-level").body("debug")).await.status,
        204
    );
    let rebound = client.request("GET", "/metrics").header("host", "attacker.example");
    assert_eq!(client.send(rebound).await.status, 421);
    let exposed = Process::start(&["worker", "--metrics", "0.0.0.0:0"], &environment);
    let exposed = Client::new(&exposed.metrics().await.base.replace("0.0.0.0", "127.0.0.1"));
    assert_eq!(
        exposed.send(exposed.request("PUT", "/ops/log-level").body("debug")).await.status,
        404
    );
    let health = Process::start(&["health", &client.base], &Environment::embedded());
    assert!(health.output().await.contains("ok"));
    drop(worker);
    let mut gone =
        Process::start(&["health", &format!("{}/readyz", client.base)], &Environment::embedded());
    assert!(!gone.ended().await.success());
}
