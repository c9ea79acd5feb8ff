//! Propagation of the trace context to a request and its job, on whose log lines the trace ID is.
//! It follows W3C Trace Context: <https://www.w3.org/TR/trace-context/>.
//!
//! An exporter of spans installs a [`Propagation`]; without one a trace is only an ID.

use std::sync::OnceLock;

use sms_domain::random::random_bytes;
use sms_domain::trace_context::TraceParent;
use tracing::Span;

/// Access to an exporter's span contexts, which `tracing` itself does not know.
pub trait Propagation: Send + Sync {
    /// Returns the `traceparent` to propagate to remote children of a span.
    fn traceparent(&self, span: &Span) -> Option<TraceParent>;
    /// Sets a span's remote parent.
    fn set_parent(&self, span: &Span, parent: &TraceParent);
}

static PROPAGATION: OnceLock<Box<dyn Propagation>> = OnceLock::new();

/// Installs an exporter's propagation. Called once, at the start.
pub fn set_propagation(by: Box<dyn Propagation>) {
    let _ = PROPAGATION.set(by);
}

/// Starts a new trace, unless an exporter assigns trace IDs.
pub fn start_trace() -> Option<TraceParent> {
    PROPAGATION.get().is_none().then(|| TraceParent::new(random_bytes()))
}

/// Sets the span's remote parent, and returns the `traceparent` to propagate downstream.
pub fn link_parent(span: &Span, parent: Option<TraceParent>) -> Option<TraceParent> {
    let Some(propagation) = PROPAGATION.get() else { return parent };
    if let Some(parent) = &parent {
        propagation.set_parent(span, parent);
    }
    propagation.traceparent(span).or(parent)
}
