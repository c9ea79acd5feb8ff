//! The fault of each alarm that can be produced without AWS, once, and where it is seen: in the
//! metrics, in what the operators' view reads, in the log, and in the trace. What to do about it
//! stands in docs/operations/runbook.md.

use std::time::Instant;

use serde_json::Value;

use crate::support::collector::Collector;
use crate::support::gateway::{Gateway, Reply};
use crate::support::process::{Client, Deployment, Environment, Process, base_url};
use crate::support::services::Service;
use crate::support::vendor::{Stub, Vendor};
use crate::support::{eventually, unique};

/// A process, and the collector of its traces.
struct Scene {
    process: Process,
    client: Client,
    collector: Collector,
}

impl Scene {
    async fn start(environment: Environment) -> Self {
        let (collector, endpoint) = Collector::start().await;
        let environment = environment
            .with("OTEL_EXPORTER_OTLP_ENDPOINT", &endpoint)
            .with("OTEL_BSP_SCHEDULE_DELAY", "50");
        let Deployment { api, client, .. } = Deployment::whole(&environment);
        Self { process: api, client, collector }
    }

    /// Asks for codes for so many numbers, and returns the statuses of the answers.
    async fn ask(&self, count: usize) -> Vec<u16> {
        let mut statuses = Vec::new();
        for index in 0..count {
            statuses.push(self.client.ask(&format!("138001381{index:02}")).await.status);
        }
        statuses
    }

    async fn counted(&self, name: &str, label: &str, least: f64) {
        let counted = async || (self.client.metric(name, &[label]).await >= least).then_some(());
        eventually(&format!("{name} {label}"), counted).await;
    }

    /// Waits until the view is as expected.
    async fn view(&self, expected: impl Fn(&Value) -> bool) {
        let looked =
            async || Some(self.client.get("/ops.json?countries=CN").await.body).filter(&expected);
        eventually("the view", looked).await;
    }

    async fn log(&self, word: &str) {
        self.process.logs(word).await;
    }

    /// A span of this name with this in one of its attributes.
    async fn traced(&self, name: &str, attribute: &str) {
        let spans = async || {
            let mut spans = self.collector.spans().into_iter();
            spans
                .find(|span| {
                    span.name == name && format!("{:?}", span.attributes).contains(attribute)
                })
                .map(|_| ())
        };
        eventually(&format!("{name} with {attribute}"), spans).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn dead_letters() {
    let gateway = Gateway::start(&[], Reply::Http(503)).await;
    let scene = Scene::start(
        Environment::embedded().with("SMS_DSN", &gateway.dsn()).with("MAX_RETRIES", "0"),
    )
    .await;
    scene.ask(2).await;
    scene.counted("deliveries_total", r#"outcome="dead""#, 2.0).await;
    scene.view(|state| state["queue"]["dead"] == 2).await;
    scene.log(r#""message":"dead letter""#).await;
    scene.traced("gateway", "transient").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_fails() {
    let gateway = Gateway::start(&[], Reply::Http(503)).await;
    let scene = Scene::start(Environment::embedded().with("SMS_DSN", &gateway.dsn())).await;
    scene.ask(8).await;
    scene.counted("gateway_calls_total", r#"result="transient""#, 5.0).await;
    scene.counted("deliveries_total", r#"outcome="retried""#, 5.0).await;
    scene.view(|state| state["gateways"][0]["open_for"].as_f64() > Some(0.0)).await;
    scene.log("the gateway's circuit is open").await;
    scene.traced("gateway", "transient").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn numbers_are_refused_for_good() {
    let gateway = Gateway::start(&[], Reply::Refuse("160042")).await;
    let scene = Scene::start(Environment::embedded().with("SMS_DSN", &gateway.dsn())).await;
    scene.ask(3).await;
    scene.counted("refused_total", r#"code="160042""#, 3.0).await;
    scene.counted("refused_total", r#"gateway="ccp""#, 3.0).await;
    scene.view(|state| state["gateways"][0]["open_for"].as_f64() == Some(0.0)).await;
    scene.log("ccp: 160042, number malformed (permanent)").await;
    scene.traced("gateway", "permanent").await;
}

/// A country that no gateway serves: told as such, and to an operator.
#[tokio::test(flavor = "multi_thread")]
async fn a_country_is_not_served() {
    let stub = Stub::start(Vendor::Twilio).await;
    stub.says(Vendor::Twilio.refuses(400, "21408"));
    let scene = Scene::start(Environment::embedded().with("SMS_DSN", &stub.dsn())).await;
    scene.ask(6).await;
    scene.counted("deliveries_total", r#"outcome="dead""#, 6.0).await;
    scene.counted("gateway_calls_total", r#"result="not_here""#, 6.0).await;
    scene
        .view(|state| {
            state["queue"]["dead"] == 6 && state["gateways"][0]["open_for"].as_f64() == Some(0.0)
        })
        .await;
    scene.log("no gateway serves this number: twilio: 21408").await;
    scene.traced("gateway", "not_here").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_queue_is_old() {
    let (collector, endpoint) = Collector::start().await;
    let environment = Environment::services().with("SMS_DSN", "null://default");
    let environment = environment
        .with("OTEL_EXPORTER_OTLP_ENDPOINT", &endpoint)
        .with("OTEL_BSP_SCHEDULE_DELAY", "50");
    let api = Process::start(&["api"], &environment).announces("/v1/verifications");
    let asked_at = Instant::now();
    let mut scene =
        Scene { client: Client::new(&base_url(&api.announced)), process: api, collector };
    scene.ask(2).await;
    scene.view(|state| state["queue"]["messages"] == 2).await;
    // Nobody took them; now somebody does.
    let worker = Process::start(&["worker", "--metrics", "127.0.0.1:0"], &environment);
    scene.client = worker.metrics().await;
    scene.process = worker;
    scene.counted("queue_age_seconds_count", "", 2.0).await;
    assert!(scene.client.metric("queue_age_seconds_sum", &[]).await > 0.0);
    assert!(
        scene.client.metric("queue_age_seconds_sum", &[]).await
            < 2.0 * asked_at.elapsed().as_secs_f64()
    );
    scene.log(r#""message":"sent""#).await;
    scene.traced("delivery", "trace_id").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn codes_are_late() {
    let gateway = Gateway::start(&[], Reply::Accept).await;
    let slow = format!("{}&rate=1", gateway.dsn());
    let scene = Scene::start(Environment::embedded().with("SMS_DSN", &slow)).await;
    scene.ask(4).await;
    // Where the view has them from, too.
    scene.counted("deliveries_total", r#"outcome="held""#, 1.0).await;
    // Each was handed out once before it was held: the queue does not get old by it.
    scene.counted("delivery_seconds_count", "", 4.0).await;
    assert_eq!(scene.client.metric("queue_age_seconds_count", &[]).await, 4.0);
    scene.log("the gateway's rate").await;
    scene.traced("delivery", "trace_id").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_api_answers_5xx() {
    let redis = Service::redis();
    let environment =
        Environment::services().with("REDIS_URL", &redis.url).with("SMS_DSN", "null://default");
    let scene = Scene::start(environment).await;
    assert_eq!(scene.ask(1).await, [202]);
    drop(redis);
    assert_eq!(scene.ask(2).await, [503, 503]);
    scene.counted("requests_total", r#"outcome="unavailable""#, 2.0).await;
    scene.view(|state| state["gateways"].as_array().is_some_and(Vec::is_empty)).await;
    assert_eq!(scene.client.get("/readyz").await.status, 503);
    scene.log("the store is down").await;
    scene.traced("request", "503").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_budget_is_spent() {
    let environment =
        Environment::embedded().with("BUDGET", "0.2/hour,10/day").with("PRICES", "CN=0.05");
    let scene = Scene::start(environment).await;
    let statuses = scene.ask(8).await;
    assert!(statuses.starts_with(&[202]) && statuses.ends_with(&[429]), "{statuses:?}");
    // What the alarm's filter reads in the log, for the one and for the other.
    scene.log("80 % of the budget of this hour or day is spent").await;
    scene.log("the budget of this hour or day is spent: refused").await;
    scene.counted("throttled_total", r#"policy="budget""#, 1.0).await;
    scene.traced("request", "429").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn few_codes_are_typed_back() {
    let scene = Scene::start(Environment::embedded()).await;
    let id = scene.client.ask("13800138000").await.id();
    let code = scene.client.code("+8613800138000").await;
    assert_eq!(scene.client.check(&id, &code).await.status, 200);
    assert!(scene.ask(60).await.iter().all(|status| *status == 202));
    // Where the view has them from, too.
    scene.counted("requests_total", r#"outcome="accepted""#, 61.0).await;
    scene.counted("checks_total", r#"result="right""#, 1.0).await;
    assert!(scene.client.metric("checks_total", &[r#"result="right""#]).await < 0.3 * 61.0);
    scene.log(r#""message":"admitted""#).await;
    scene.traced("request", "202").await;
}

/// Warned of, unless `EVICTION` accepts it; with a line of its own where Redis does not tell its
/// policy, and not at all where it has no limit of memory.
#[tokio::test(flavor = "multi_thread")]
async fn redis_may_forget() {
    const WARNING: &str = "Redis evicts keys when its memory is full:";
    let redis = Service::redis();
    for [name, value] in [["maxmemory", "100mb"], ["maxmemory-policy", "volatile-lru"]] {
        redis.command(&["config", "set", name, value]);
    }
    let environment = Environment::embedded()
        .with("REDIS_URL", &redis.url)
        .with("CODE_SECRET", &unique("a-secret-of-this-test"));
    let (evicts, accepted) = (environment.clone(), environment.with("EVICTION", "accept"));
    let deployment = Deployment::whole(&evicts);
    deployment.api.logs(WARNING).await;
    assert!(deployment.api.log().contains("volatile-lru"));
    deployment.client.measures("sms_verify_store_evicts 1").await;
    let deployment = Deployment::whole(&accepted);
    deployment.api.logs("accepted by EVICTION").await;
    assert!(!deployment.api.log().contains(WARNING));
    deployment.client.measures("sms_verify_store_evicts 0").await;
    // A worker tells it, too.
    let worker = evicts.clone().with("QUEUE_URL", Environment::services().get("QUEUE_URL"));
    let worker = Process::start(
        &["worker", "--metrics", "127.0.0.1:0"],
        &worker.with("SMS_DSN", "null://default"),
    );
    worker.logs(WARNING).await;
    worker.metrics().await.measures("sms_verify_store_evicts 1").await;

    redis.command(&["acl", "setuser", "default", "-info"]);
    Deployment::whole(&evicts).api.logs("does not show its maxmemory-policy").await;
    redis.command(&["acl", "setuser", "default", "+info"]);
    // Without a limit it never does.
    redis.command(&["config", "set", "maxmemory", "0"]);
    let deployment = Deployment::whole(&evicts);
    deployment.client.measures("sms_verify_store_evicts 0").await;
    assert!(!deployment.api.log().contains("evicts"));
}
