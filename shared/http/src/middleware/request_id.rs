//! The names of a request, on every line that is logged for it: `request_id`, which the caller gets
//! back as `X-Request-Id`, and `trace_id`.

use axum::extract::Request;
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::middleware::Next;
use axum::response::Response;
use sms_domain::random::random_bytes;
use sms_domain::trace_context::{RequestContext, TraceParent};
use sms_telemetry::is_exported;
use sms_telemetry::propagation::{link_parent, start_trace};
use tracing::field::Empty;
use tracing::{Instrument, error_span};

use super::problem_body::render_problems;

pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The trace that a caller's request is part of (W3C Trace Context). What vendors say of it beside
/// is let through, and not read.
pub(crate) const TRACE_PARENT: HeaderName = HeaderName::from_static("traceparent");
pub(crate) const TRACE_STATE: HeaderName = HeaderName::from_static("tracestate");

/// The trace that AWS's services name.
pub const XRAY: HeaderName = HeaderName::from_static("x-amzn-trace-id");

/// Longest name that a caller may give.
const MAX_NAME: usize = 64;

/// Names a request, and lets it be answered. A caller's own names are kept, if they are such.
pub(crate) async fn request_context(mut request: Request, next: Next) -> Response {
    let told = trace(request.headers());
    let begun = if told.is_none() { start_trace() } else { None };
    // Where a trace begins here, the request is its first span, and has that name.
    let first = begun.as_ref().map(|begun| begun.parent_id().to_owned());
    let request_id =
        given(request.headers()).or(first).unwrap_or_else(|| hex::encode(random_bytes::<8>()));
    let parent = told.or(begun);
    let trace_id = parent.as_ref().map(TraceParent::trace_id);
    // On whatever level lines are logged, they have it.
    let span = error_span!("request", request_id, trace_id, "http.response.status_code" = Empty);
    let is_known = trace_id.is_some();
    let trace = link_parent(&span, parent);
    if let (false, Some(trace)) = (is_known, &trace) {
        span.record("trace_id", trace.trace_id());
    }
    request.extensions_mut().insert(RequestContext { request_id: Some(request_id.clone()), trace });
    // For exporters: no line of a log comes after it.
    let exported = is_exported().then(|| span.clone());
    let mut response = render_problems(request, next).instrument(span).await;
    if let Some(span) = exported {
        span.record("http.response.status_code", response.status().as_u16());
    }
    if let Ok(value) = HeaderValue::try_from(request_id) {
        response.headers_mut().insert(REQUEST_ID, value);
    }
    response
}

fn given(headers: &HeaderMap) -> Option<String> {
    let name = headers.get(REQUEST_ID)?.to_str().ok()?;
    let usable = (1..=MAX_NAME).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
    usable.then(|| name.to_owned())
}

fn trace(headers: &HeaderMap) -> Option<TraceParent> {
    let header = |name: &HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    let xray = || TraceParent::from_xray(header(&XRAY)?, random_bytes());
    header(&TRACE_PARENT).and_then(TraceParent::parse).or_else(xray)
}
