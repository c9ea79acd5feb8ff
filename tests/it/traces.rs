//! One trace from the request through the queue to the gateway, as a collector gets it: a small OTLP receiver.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::body::Bytes;
use axum::routing::post;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use opentelemetry_proto::tonic::trace::v1::{Span, Status};
use prost::Message;
use serde_json::json;

use crate::support::eventually;
use crate::support::gateway::{Gateway, Reply};
use crate::support::process::{Environment, Process, base_url};

/// Keeps the spans that it is sent.
#[derive(Clone, Default)]
struct Collector(Arc<Mutex<Vec<Span>>>);

impl Collector {
    async fn start() -> (Self, String) {
        let collector = Self::default();
        let kept = collector.clone();
        let take = post(async move |body: Bytes| {
            let request = ExportTraceServiceRequest::decode(body).expect("a request of OTLP");
            let scopes = request.resource_spans.into_iter().flat_map(|resource| resource.scope_spans);
            let mut spans = kept.0.lock().unwrap_or_else(PoisonError::into_inner);
            spans.extend(scopes.flat_map(|scope| scope.spans));
        });
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        tokio::spawn(async move { axum::serve(listener, Router::new().route("/v1/traces", take)).await });
        (collector, format!("http://{address}"))
    }

    /// The spans of a trace by their names, once all of these are there.
    async fn of(&self, trace: &str, names: &[&str]) -> HashMap<String, Span> {
        let spans = || async {
            let spans = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
            let of_it = spans.into_iter().filter(|span| hex(&span.trace_id) == trace);
            let by_name: HashMap<String, Span> = of_it.map(|span| (span.name.clone(), span)).collect();
            names.iter().all(|name| by_name.contains_key(*name)).then_some(by_name)
        };
        eventually(&format!("spans {names:?}"), spans).await
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn one_trace_leads_from_the_request_to_the_gateway() {
    let (collector, endpoint) = Collector::start().await;
    let gateway = Gateway::start(&[Reply::Accept, Reply::Http(503)], Reply::Accept).await;
    let environment = Environment::services()
        .with("SMS_DSN", &gateway.dsn())
        .with("OTEL_EXPORTER_OTLP_ENDPOINT", &endpoint)
        .with("OTEL_BSP_SCHEDULE_DELAY", "50")
        // On whatever level lines are logged.
        .with("LOG_LEVEL", "warn");
    let api = Process::start(&["api"], &environment).announces("/inbox\n");
    let _worker = Process::start(&["worker"], &environment);
    let client = crate::support::process::Client::new(&base_url(&api.announced));
    let (trace, parent) = ("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7");
    let asked = client.request("POST", "/v1/verifications").header("traceparent", format!("00-{trace}-{parent}-01"));
    let answer = client.send(asked.json(&json!({ "to": "13800138000" }))).await;
    assert_eq!(answer.status, 202);

    let spans = collector.of(trace, &["request", "admit", "enqueue", "delivery", "gateway"]).await;
    let parent_of = |name: &str| hex(&spans[name].parent_span_id);
    let id_of = |name: &str| hex(&spans[name].span_id);
    assert_eq!(parent_of("request"), parent, "the caller's span");
    for (child, its_parent) in
        [("admit", "request"), ("enqueue", "request"), ("delivery", "request"), ("gateway", "delivery")]
    {
        assert_eq!(parent_of(child), id_of(its_parent), "{child} is a child of {its_parent}");
    }
    let code = gateway.calls().remove(0).code;
    for span in spans.values() {
        let told = format!("{span:?}");
        assert!(!told.contains("3800138000") && !told.contains(&code), "{told}");
    }

    // What nobody has begun begins here.
    client.ask("13800138001").await;
    gateway.got(2).await;
    let refused = || async {
        let spans = collector.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        spans.into_iter().find(|span| span.name == "gateway" && hex(&span.trace_id) != trace)
    };
    let refused = eventually("the call that failed", refused).await;
    assert_eq!(refused.status.as_ref().map(Status::code), Some(StatusCode::Error), "{refused:?}");
    assert!(format!("{refused:?}").contains("transient"), "{refused:?}");
    let roots = || async {
        let spans = collector.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let delivery = spans.iter().find(|span| span.name == "delivery" && hex(&span.trace_id) != trace)?.clone();
        spans.into_iter().find(|span| span.span_id == delivery.parent_span_id)
    };
    let root = eventually("its root", roots).await;
    assert_eq!((root.name.as_str(), root.parent_span_id.as_slice()), ("request", &[][..]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_is_gone_stops_nobody() {
    let environment = Environment::embedded().with("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9");
    let mut deployment = crate::support::process::Deployment::whole(&environment);
    assert_eq!(deployment.client.ask("13800138000").await.status, 202);
    deployment.client.code("+8613800138000").await;
    deployment.api.terminate();
    assert!(deployment.api.ended().await.success());
}
