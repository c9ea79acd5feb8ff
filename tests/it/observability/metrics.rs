//! What is measured, and who may see it.

use serde_json::{Value, json};

use crate::support::eventually;
use crate::support::gateway::{Gateway, Reply};
use crate::support::process::{Client, Deployment, Environment, Process, base_url, wrong};

#[tokio::test(flavor = "multi_thread")]
async fn every_step_of_a_verification_is_counted() {
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
    for (name, labels, count) in [
        ("requests_total", vec![r#"outcome="accepted""#], 2.0),
        ("requests_total", vec![r#"outcome="throttled""#], 1.0),
        ("requests_total", vec![r#"outcome="country""#], 1.0),
        ("accepted_total", vec![r#"country="CN""#], 2.0),
        ("spent_microdollars_total", vec![], 2.0 * 50_000.0),
        ("throttled_total", vec![r#"policy="cooldown""#], 1.0),
        ("request_seconds_count", vec![], 2.0),
        ("checks_total", vec![r#"result="right""#], 1.0),
        ("checks_total", vec![r#"result="wrong""#], 1.0),
        ("checks_total", vec![r#"result="gone""#], 1.0),
        ("deliveries_total", vec![r#"outcome="sent""#], 1.0),
        ("deliveries_total", vec![r#"outcome="retried""#], 1.0),
        ("deliveries_total", vec![r#"outcome="refused""#], 1.0),
        ("gateway_calls_total", vec![r#"gateway="ccp""#, r#"result="accepted""#], 1.0),
        ("gateway_calls_total", vec![r#"gateway="ccp""#, r#"result="transient""#], 1.0),
        ("gateway_calls_total", vec![r#"gateway="ccp""#, r#"result="permanent""#], 1.0),
        ("refused_total", vec![r#"gateway="ccp""#, r#"code="160042""#], 1.0),
        ("gateway_seconds_count", vec![r#"gateway="ccp""#], 3.0),
        ("delivery_seconds_count", vec![], 1.0),
        ("queue_age_seconds_count", vec![], 2.0),
    ] {
        let counted = async || (client.metric(name, &labels).await == count).then_some(());
        eventually(&format!("{count} of {name} {labels:?}"), counted).await;
    }
    // Its SMS went out with the second attempt, a second after the first.
    assert!(client.metric("delivery_seconds_sum", &[]).await >= 1.0);
    let text = client.get("/metrics").await.body.as_str().expect("text").to_owned();
    for secret in [code.as_str(), "3800138000", id.as_str(), "127.0.0.1"] {
        assert!(!text.contains(secret), "{secret} is a label");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn operators_see_what_all_processes_share() {
    let gateway = Gateway::start(&[], Reply::Http(503)).await;
    let environment = Environment::services()
        .with("SMS_DSN", &gateway.dsn())
        .with("RETRY_BACKOFF", "1")
        .with("MAX_RETRIES", "0");
    let deployment = Deployment::whole(&environment);
    let client = &deployment.client;
    for index in 0..6 {
        client.ask(&format!("1380013810{index}")).await;
    }
    let state = eventually("six dead letters, or jobs that wait for the gateway", || async {
        let state = client.get("/ops.json?countries=CN,nonsense").await.body;
        let dead = state["queue"]["dead"].as_u64().unwrap_or(0);
        (dead >= 5 && state["gateways"][0]["open_for"].as_f64().unwrap_or(0.0) > 0.0)
            .then_some(state)
    });
    let state = state.await;
    assert_eq!(
        (&state["gateways"][0]["name"], &state["countries"][0]["country"]),
        (&json!("ccp"), &json!("CN"))
    );
    let dead = client.get("/ops/dead.json").await.body;
    let first = &dead[0];
    assert!(first["to"].as_str().is_some_and(|to| to.starts_with("+86*******8")), "{dead}");
    assert!(
        first["reason"].as_str().is_some_and(|reason| reason.contains("out of attempts")),
        "{dead}"
    );
    let ids = |letters: &Value| -> Vec<Value> {
        letters
            .as_array()
            .expect("a list")
            .iter()
            .take(5)
            .map(|letter| letter["id"].clone())
            .collect()
    };
    assert_eq!(
        ids(&client.get("/ops/dead.json").await.body),
        ids(&dead),
        "they stay where they are"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn off_loopback_a_token_is_needed() {
    let token = crate::support::unique("a-token-that-nobody-guesses");
    let open =
        Environment::services().with("LISTEN", "0.0.0.0:0").with("SMS_DSN", "null://default");
    let serve = |environment: &Environment| {
        let api = Process::start(&["api"], environment).announces("/v1/verifications");
        let client = Client::new(&base_url(&api.announced).replace("0.0.0.0", "127.0.0.1"));
        (api, client)
    };
    let (_api, client) = serve(&open);
    for path in ["/metrics", "/ops", "/ops.json", "/ops/dead.json", "/inbox.json"] {
        assert_eq!(client.get(path).await.status, 404, "{path} without OPS_TOKEN");
    }
    let (_api, client) = serve(&open.with("OPS_TOKEN", &token));
    for path in ["/metrics", "/ops.json", "/ops/dead.json"] {
        assert_eq!(client.get(path).await.status, 401, "{path}");
        let wrong = client.request("GET", path).bearer_auth(format!("{token}x"));
        assert_eq!(client.send(wrong).await.status, 401, "{path}");
        assert_eq!(
            client.send(client.request("GET", path).bearer_auth(&token)).await.status,
            200,
            "{path}"
        );
    }
    let level = || client.request("PUT", "/ops/log-level").body("debug");
    assert_eq!(client.send(level()).await.status, 401);
    assert_eq!(client.send(level().bearer_auth(&token)).await.status, 204);
    assert_eq!(
        client.get("/ops").await.status,
        200,
        "the page holds nothing, and asks for the token"
    );
    assert_eq!(client.get("/inbox.json").await.status, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_lines_of_a_request_and_of_its_job_are_found_by_their_names() {
    let environment = Environment::services();
    let deployment = Deployment::split(&environment);
    let (client, trace) = (&deployment.client, "4bf92f3577b34da6a3ce929d0e0e4736");
    let asked = client.request("POST", "/v1/verifications").header("x-request-id", "mine-1");
    let asked = asked.header("traceparent", format!("00-{trace}-00f067aa0ba902b7-01"));
    let asked = client.send(asked.json(&json!({ "to": "13800138000" }))).await;
    assert_eq!((asked.status, asked.header("x-request-id")), (202, "mine-1"));
    client.code("+8613800138000").await;
    let id = asked.id();
    let lines = |log: String| -> Vec<Value> {
        let lines = log
            .lines()
            .filter(|line| line.contains(&id))
            .map(|line| serde_json::from_str(line).expect("JSON"));
        lines.collect()
    };
    let admitted = lines(deployment.api.log());
    assert!(!admitted.is_empty());
    for line in admitted {
        let names = (&line["request_id"], &line["trace_id"]);
        assert_eq!(names, (&json!("mine-1"), &json!(trace)), "{line}");
    }
    let sent = eventually("the sender's line", || async {
        let sent: Vec<Value> =
            deployment.workers.iter().flat_map(|worker| lines(worker.log())).collect();
        (!sent.is_empty()).then_some(sent)
    });
    for line in sent.await {
        let names = (&line["request_id"], &line["trace_id"]);
        assert_eq!(names, (&json!("mine-1"), &json!(trace)), "{line}");
    }
    for made_up in ["a b", "\u{e9}", &"x".repeat(65)] {
        let answer =
            client.send(client.request("GET", "/healthz").header("x-request-id", made_up)).await;
        assert_eq!(answer.header("x-request-id").len(), 16, "{made_up}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_on_rabbitmq_says_which_trace_it_is_part_of() {
    use lapin::options::{BasicAckOptions, BasicGetOptions};
    use lapin::types::AMQPValue;
    let environment = Environment::services();
    let api = Process::start(&["api"], &environment).announces("/inbox\n");
    let client = Client::new(&base_url(&api.announced));
    let header = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let asked = client.request("POST", "/v1/verifications").header("traceparent", header);
    assert_eq!(client.send(asked.json(&json!({ "to": "13800138000" }))).await.status, 202);
    let (url, queue) =
        environment.get("QUEUE_URL").split_once("?queue=").expect("a queue of its own");
    let connection =
        lapin::Connection::connect(url, Default::default()).await.expect("a connection");
    let channel = connection.create_channel().await.expect("a channel");
    let message =
        channel.basic_get(queue.into(), BasicGetOptions::default()).await.expect("an answer");
    let message = message.expect("a message");
    let headers = message.properties.headers().as_ref().expect("headers");
    assert_eq!(headers.inner().get("traceparent"), Some(&AMQPValue::LongString(header.into())));
    message.delivery.acker.ack(BasicAckOptions::default()).await.expect("acknowledged");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_process_is_told_another_level() {
    let deployment = Deployment::whole(&Environment::embedded().with("LOG_LEVEL", "error"));
    let client = &deployment.client;
    let level = async |level: &str| {
        let request = client.request("PUT", "/ops/log-level").header("content-type", "text/plain");
        client.send(request.body(level.to_owned())).await.status
    };
    client.ask("13800138000").await;
    for slip in ["shared=loud", "inof", "", "\"info\"", "lapin=trace", "{}"] {
        assert_eq!(level(slip).await, 422, "{slip}");
    }
    assert_eq!(deployment.api.log(), "");
    assert_eq!(level("info").await, 204);
    client.ask("13800138001").await;
    deployment.api.logs("admitted").await;
    assert!(!deployment.api.log().contains("8000"), "only what came after it");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_serves_its_metrics_and_its_health() {
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
