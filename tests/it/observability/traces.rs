//! One trace from the request through the queue to the gateway, as a collector gets it: a small
//! OTLP receiver.

use opentelemetry_proto::tonic::trace::v1::Status;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use serde_json::json;

use crate::support::collector::Collector;
use crate::support::eventually;
use crate::support::gateway::{Gateway, Reply};
use crate::support::process::{Client, Environment, Process, base_url};

#[tokio::test(flavor = "multi_thread")]
async fn trace_leads_from_the_request_to_the_gateway() {
    let (collector, endpoint) = Collector::start().await;
    let gateway = Gateway::start(&[Reply::Accept, Reply::Http(503)], Reply::Accept).await;
    let environment = Environment::services()
        .with("SMS_DSN", &gateway.dsn())
        .with("OTEL_EXPORTER_OTLP_ENDPOINT", &endpoint)
        .with("OTEL_BSP_SCHEDULE_DELAY", "50")
        // On whatever level lines are logged.
        .with("LOG_LEVEL", "warn");
    let api = Process::start(&["api"], &environment).announces("/inbox\n");
    let _worker =
        Process::start(&["worker"], &environment.clone().with("OTEL_SERVICE_NAME", "sms-worker"));
    let client = Client::new(&base_url(&api.announced));
    let (trace, parent) = ("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7");
    let asked = client
        .request("POST", "/v1/verifications")
        .header("traceparent", format!("00-{trace}-{parent}-01"));
    let answer = client.send(asked.json(&json!({ "to": "13800138000" }))).await;
    assert_eq!(answer.status, 202);

    let spans = collector.of(trace, &["request", "admit", "enqueue", "delivery", "gateway"]).await;
    let parent_of = |name: &str| hex::encode(&spans[name].parent_span_id);
    let id_of = |name: &str| hex::encode(&spans[name].span_id);
    assert_eq!(parent_of("request"), parent, "the caller's span");
    for (child, its_parent) in [
        ("admit", "request"),
        ("enqueue", "request"),
        ("delivery", "request"),
        ("gateway", "delivery"),
    ] {
        assert_eq!(parent_of(child), id_of(its_parent), "{child} is a child of {its_parent}");
    }
    assert!(
        collector.senders("request").iter().all(|sender| sender.contains("\"sms-verify\"")),
        "by default"
    );
    assert!(
        collector.senders("delivery").iter().all(|sender| sender.contains("\"sms-worker\"")),
        "as it is told"
    );
    let code = gateway.calls().remove(0).code;
    for span in spans.values() {
        let told = format!("{span:?}");
        assert!(!told.contains("3800138000") && !told.contains(&code), "{told}");
    }

    // What nobody has begun begins here.
    client.ask("13800138001").await;
    gateway.got(2).await;
    let refused = || async {
        collector
            .spans()
            .into_iter()
            .find(|span| span.name == "gateway" && hex::encode(&span.trace_id) != trace)
    };
    let refused = eventually("the call that failed", refused).await;
    assert_eq!(refused.status.as_ref().map(Status::code), Some(StatusCode::Error), "{refused:?}");
    assert!(format!("{refused:?}").contains("transient"), "{refused:?}");
    let roots = || async {
        let spans = collector.spans();
        let delivery = spans
            .iter()
            .find(|span| span.name == "delivery" && hex::encode(&span.trace_id) != trace)?
            .clone();
        spans.into_iter().find(|span| span.span_id == delivery.parent_span_id)
    };
    let root = eventually("its root", roots).await;
    assert_eq!((root.name.as_str(), root.parent_span_id.as_slice()), ("request", &[][..]));
}

#[tokio::test(flavor = "multi_thread")]
async fn trace_collector_that_is_gone_stops_nothing() {
    let environment =
        Environment::embedded().with("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9");
    let mut deployment = crate::support::process::Deployment::whole(&environment);
    assert_eq!(deployment.client.ask("13800138000").await.status, 202);
    deployment.client.code("+8613800138000").await;
    deployment.api.terminate();
    assert!(deployment.api.ended().await.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn trace_context_is_in_rabbitmq_messages() {
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
