//! Spans for X-Ray: subsegments of an invocation, below the segment that Lambda itself records.
//!
//! A span that ends is sent as a datagram to the daemon that runs beside a function with `Tracing:
//! Active`: <https://docs.aws.amazon.com/xray/latest/devguide/xray-api-segmentdocuments.html>.

use std::env;
use std::fmt::Debug;
use std::net::UdpSocket;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Map, Value, json};
use sms_domain::random::random_bytes;
use sms_domain::trace_context::xray_field;
use tracing::Subscriber;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;

use crate::{Spans, exported_spans};

/// Prefix of each datagram.
const HEADER: &str = "{\"format\": \"json\", \"version\": 1}\n";

/// Layer that sends spans to the daemon, if there is one.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "Lambda's variable")]
pub fn layer() -> Option<Spans> {
    let daemon = env::var("AWS_XRAY_DAEMON_ADDRESS").ok()?;
    let socket = UdpSocket::bind("0.0.0.0:0").ok()?;
    socket.connect(daemon).ok()?;
    socket.set_nonblocking(true).ok()?;
    Some(XRay(socket).with_filter(exported_spans()).boxed())
}

struct XRay(UdpSocket);

/// A span of a sampled trace.
struct Subsegment {
    trace: String,
    parent: String,
    id: String,
    started_at: f64,
    /// The span's fields, by which X-Ray can search.
    annotations: Map<String, Value>,
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for XRay {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        let above = span.scope().skip(1).find_map(|above| {
            let extensions = above.extensions();
            extensions.get::<Subsegment>().map(|above| (above.trace.clone(), above.id.clone()))
        });
        let Some((trace, parent)) = above.or_else(sampled) else { return };
        let mut annotations = Map::new();
        attributes.record(&mut AnnotationVisitor(&mut annotations));
        let id = hex::encode(random_bytes::<8>());
        span.extensions_mut().insert(Subsegment {
            trace,
            parent,
            id,
            started_at: now(),
            annotations,
        });
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        if let Some(span) = context.span(id)
            && let Some(subsegment) = span.extensions_mut().get_mut::<Subsegment>()
        {
            values.record(&mut AnnotationVisitor(&mut subsegment.annotations));
        }
    }

    fn on_close(&self, id: Id, context: Context<'_, S>) {
        if let Some(span) = context.span(&id)
            && let Some(subsegment) = span.extensions_mut().remove::<Subsegment>()
        {
            // A lost datagram only loses a part of a trace.
            let _ = self
                .0
                .send(format!("{HEADER}{}", subsegment.document(span.name(), now())).as_bytes());
        }
    }
}

impl Subsegment {
    /// Returns true for a failed call or a 5xx response.
    fn is_fault(&self) -> bool {
        let field = |name| self.annotations.get(name);
        let status = field("http_response_status_code").and_then(Value::as_u64);
        field("otel_status_code") == Some(&"ERROR".into())
            || status.is_some_and(|status| status >= 500)
    }

    fn document(self, name: &str, ended: f64) -> Value {
        let mut document = json!({
            "type": "subsegment", "name": name, "id": self.id,
            "trace_id": self.trace, "parent_id": self.parent,
            "start_time": self.started_at, "end_time": ended, "fault": self.is_fault(),
        });
        // Shows the gateway as a remote service on X-Ray's map.
        if let Some(gateway) = self.annotations.get("gateway") {
            document["name"] = gateway.clone();
            document["namespace"] = "remote".into();
        }
        document["annotations"] = self.annotations.into();
        document
    }
}

/// Trace header of the current invocation, of which a process has one at a time.
#[expect(clippy::disallowed_methods, reason = "Lambda's variable, which changes")]
pub fn invocation() -> Option<String> {
    env::var("_X_AMZN_TRACE_ID").ok()
}

/// Trace ID and segment ID of the current invocation, if it is sampled.
fn sampled() -> Option<(String, String)> {
    let header = invocation()?;
    let field = |name| xray_field(&header, name);
    (field("Sampled=") == Some("1"))
        .then_some((field("Root=")?.to_owned(), field("Parent=")?.to_owned()))
}

#[expect(clippy::disallowed_methods, reason = "X-Ray wants to know when it was")]
fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64()
}

struct AnnotationVisitor<'a>(&'a mut Map<String, Value>);

impl AnnotationVisitor<'_> {
    fn put(&mut self, field: &Field, value: Value) {
        // X-Ray's annotation keys have no dots.
        self.0.insert(field.name().replace('.', "_"), value);
    }
}

impl Visit for AnnotationVisitor<'_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, value.into());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.put(field, format!("{value:?}").into());
    }
}
