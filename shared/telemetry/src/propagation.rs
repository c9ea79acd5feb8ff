//! The trace that a request is part of, and its job with it: its name stands on every line that is
//! logged for them. After W3C Trace Context: <https://www.w3.org/TR/trace-context/>.
//!
//! Where spans are exported, somebody who knows them installs a [`Propagation`]; elsewhere a trace
//! is a name.

use std::sync::OnceLock;

use sms_domain::random::random_bytes;
use sms_domain::trace_context::TraceParent;
use tracing::Span;

/// What an exporter of spans knows of them, and `tracing` does not.
pub trait Propagation: Send + Sync {
    /// What children of a span elsewhere are told.
    fn traceparent(&self, span: &Span) -> Option<TraceParent>;
    /// Makes a span the child of one elsewhere.
    fn set_parent(&self, span: &Span, parent: &TraceParent);
}

static PROPAGATION: OnceLock<Box<dyn Propagation>> = OnceLock::new();

/// Installs an exporter's. To be called once, at the start.
pub fn propagate(by: Box<dyn Propagation>) {
    let _ = PROPAGATION.set(by);
}

/// A trace that begins here; none, where an exporter names those.
pub fn start_trace() -> Option<TraceParent> {
    PROPAGATION.get().is_none().then(|| TraceParent::new(random_bytes()))
}

/// Makes a span the child of one elsewhere, and tells what children of it elsewhere are to be told.
pub fn link_parent(span: &Span, parent: Option<TraceParent>) -> Option<TraceParent> {
    let Some(propagation) = PROPAGATION.get() else { return parent };
    if let Some(parent) = &parent {
        propagation.set_parent(span, parent);
    }
    propagation.traceparent(span).or(parent)
}
