//! Middleware: assigns a request ID and a trace context, and records both on the request's span, so
//! that its log lines have them. The caller gets the ID as `X-Request-Id`.

use axum::extract::Request;
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::response::Response;
use sms_domain::random::random_bytes;
use sms_domain::trace_context::{RequestContext, TraceParent};
use sms_telemetry::is_exported;
use sms_telemetry::propagation::{link_parent, start_trace};
use tracing::field::Empty;
use tracing::{Span, error_span};

pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The trace that a caller's request is part of (W3C Trace Context). `tracestate` is allowed, and
/// not read.
pub(crate) const TRACE_PARENT: HeaderName = HeaderName::from_static("traceparent");
pub(crate) const TRACE_STATE: HeaderName = HeaderName::from_static("tracestate");

/// The trace header of AWS's services.
pub const XRAY: HeaderName = HeaderName::from_static("x-amzn-trace-id");

/// Maximum length of a caller's request ID.
const MAX_ID: usize = 64;

/// A request in a span with its request ID and trace. A caller's own valid IDs are kept.
pub(crate) struct TracedRequest {
    /// For exporters, which get its status: no log line follows.
    exported: Option<Span>,
    request_id: HeaderValue,
}

impl TracedRequest {
    pub(crate) fn begin(request: &mut Request) -> (Self, Span) {
        let incoming = trace(request.headers());
        let started = if incoming.is_none() { start_trace() } else { None };
        // The first span of a trace that starts here is the request: its ID is the request ID, too.
        let span_id = started.as_ref().map(|started| started.parent_id().to_owned());
        let request_id = incoming_id(request.headers())
            .or(span_id)
            .unwrap_or_else(|| hex::encode(random_bytes::<8>()));
        let parent = incoming.or(started);
        let trace_id = parent.as_ref().map(TraceParent::trace_id);
        // An error span, so that log lines of every level have its fields.
        let span =
            error_span!("request", request_id, trace_id, "http.response.status_code" = Empty);
        let is_known = trace_id.is_some();
        let trace = link_parent(&span, parent);
        if let (false, Some(trace)) = (is_known, &trace) {
            span.record("trace_id", trace.trace_id());
        }
        let header = HeaderValue::from_str(&request_id);
        request.extensions_mut().insert(RequestContext { request_id: Some(request_id), trace });
        // It has letters, digits and marks only.
        let request_id = header.unwrap_or_else(|_| HeaderValue::from_static(""));
        (Self { exported: is_exported().then(|| span.clone()), request_id }, span)
    }

    /// Names the request in its response.
    pub(crate) fn end(self, mut response: Response) -> Response {
        if let Some(span) = self.exported {
            span.record("http.response.status_code", response.status().as_u16());
        }
        response.headers_mut().insert(REQUEST_ID, self.request_id);
        response
    }
}

fn incoming_id(headers: &HeaderMap) -> Option<String> {
    let id = headers.get(REQUEST_ID)?.to_str().ok()?;
    let is_valid = (1..=MAX_ID).contains(&id.len())
        && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
    is_valid.then(|| id.to_owned())
}

fn trace(headers: &HeaderMap) -> Option<TraceParent> {
    let header = |name: &HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    let xray = || TraceParent::from_xray(header(&XRAY)?, random_bytes());
    header(&TRACE_PARENT).and_then(TraceParent::parse).or_else(xray)
}
