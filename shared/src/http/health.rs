//! `GET /healthz` and `GET /readyz`: is the process there, and can it do its work?

use std::error::Error;

use axum::extract::State;
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Value, json};
use tracing::warn;

use super::problem::Problem;
use crate::queue::Queue;
use crate::store::Store;

#[derive(Clone)]
struct Parts {
    store: Store,
    queue: Option<Queue>,
}

/// The routes. Ready means that the store answers, and the queue if this process has one.
pub fn router(store: Store, queue: Option<Queue>) -> Router {
    Router::new()
        .route("/healthz", get(async || Json(json!({ "status": "ok" }))))
        .route("/readyz", get(ready))
        .with_state(Parts { store, queue })
}

async fn ready(State(parts): State<Parts>) -> Result<Json<Value>, Problem> {
    let mut down = Vec::new();
    if let Err(error) = parts.store.ping().await {
        warn!(error = &error as &dyn Error, "not ready: store");
        down.push("store");
    }
    if let Some(queue) = parts.queue
        && let Err(error) = queue.ping().await
    {
        warn!(error = &error as &dyn Error, "not ready: queue");
        down.push("queue");
    }
    if down.is_empty() { Ok(Json(json!({ "status": "ok" }))) } else { Err(Problem::Down(down)) }
}
