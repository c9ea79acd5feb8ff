//! Metrics of a function, written before each answer.

use axum::Router;
use axum::extract::Request;
use axum::middleware::{Next, from_fn};
use sms_telemetry::emf;

/// Adds a layer that writes the metrics before each response, since Lambda freezes the function
/// after it.
pub fn flush_metrics_after(app: Router) -> Router {
    emf::install();
    app.layer(from_fn(async |request: Request, next: Next| {
        let response = next.run(request).await;
        emf::flush();
        response
    }))
}
