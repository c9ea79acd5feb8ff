//! A small OTLP receiver, which keeps the spans that it is sent.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::routing::post;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;
use sms_domain::sync::lock;

use super::eventually;

#[derive(Clone, Default)]
pub struct Collector(Arc<Mutex<Vec<(String, Span)>>>);

impl Collector {
    /// With its address, for `OTEL_EXPORTER_OTLP_ENDPOINT`.
    pub async fn start() -> (Self, String) {
        let collector = Self::default();
        let kept = collector.clone();
        let take = post(async move |body: Bytes| {
            let request = ExportTraceServiceRequest::decode(body).expect("a request of OTLP");
            let mut spans = lock(&kept.0);
            for resource in request.resource_spans {
                let from = format!("{:?}", resource.resource);
                let of_scopes = resource.scope_spans.into_iter().flat_map(|scope| scope.spans);
                spans.extend(of_scopes.map(|span| (from.clone(), span)));
            }
        });
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        tokio::spawn(async move {
            axum::serve(listener, Router::new().route("/v1/traces", take)).await
        });
        (collector, format!("http://{address}"))
    }

    /// All spans so far.
    pub fn spans(&self) -> Vec<Span> {
        self.kept().into_iter().map(|(_, span)| span).collect()
    }

    /// The resources that have sent spans of this name.
    pub fn senders(&self, name: &str) -> Vec<String> {
        self.kept()
            .into_iter()
            .filter(|(_, span)| span.name == name)
            .map(|(from, _)| from)
            .collect()
    }

    fn kept(&self) -> Vec<(String, Span)> {
        lock(&self.0).clone()
    }

    /// The spans of a trace by their names, once all of these are there.
    pub async fn of(&self, trace: &str, names: &[&str]) -> HashMap<String, Span> {
        let spans = || async {
            let of_it =
                self.spans().into_iter().filter(|span| hex::encode(&span.trace_id) == trace);
            let by_name: HashMap<String, Span> =
                of_it.map(|span| (span.name.clone(), span)).collect();
            names.iter().all(|name| by_name.contains_key(*name)).then_some(by_name)
        };
        eventually(&format!("spans {names:?}"), spans).await
    }
}
