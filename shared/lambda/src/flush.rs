//! Metrics of a function, written before each answer.

use axum::Router;
use axum::extract::Request;
use axum::middleware::{Next, from_fn};
use sms_telemetry::emf;

/// An application of a function: what it has measured is told before each answer, since it is
/// frozen then.
pub fn flush_metrics_after(app: Router) -> Router {
    emf::install();
    app.layer(from_fn(async |request: Request, next: Next| {
        let response = next.run(request).await;
        emf::flush();
        response
    }))
}
