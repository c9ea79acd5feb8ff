//! `GET /healthz` and `GET /readyz`: is the process there, and can it do its work?

use axum::extract::State;
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Value, json};
use tracing::warn;

use super::problem::Problem;
use crate::queue::Queue;
use crate::store::Store;
use crate::telemetry::causes;

/// The routes of a process with a store alone. (The functions that need no queue do not carry its
/// clients.)
pub fn store_router(store: Store) -> Router {
    let ready = async |State(store): State<Store>| answer(vec![store_trouble(&store).await]);
    healthz().route("/readyz", get(ready)).with_state(store)
}

/// The routes of a process with a store and a queue: ready means that both answer.
pub fn router(store: Store, queue: Queue) -> Router {
    let ready = async |State((store, queue)): State<(Store, Queue)>| {
        let (store, queue) = tokio::join!(store_trouble(&store), queue_trouble(&queue));
        answer(vec![store, queue])
    };
    healthz().route("/readyz", get(ready)).with_state((store, queue))
}

fn healthz<S: Clone + Send + Sync + 'static>() -> Router<S> {
    Router::new().route("/healthz", get(async || Json(json!({ "status": "ok" }))))
}

async fn store_trouble(store: &Store) -> Option<&'static str> {
    let error = store.ping().await.err()?;
    warn!(error = causes(&error), "not ready: store");
    Some("store")
}

async fn queue_trouble(queue: &Queue) -> Option<&'static str> {
    let error = queue.ping().await.err()?;
    warn!(error = causes(&error), "not ready: queue");
    Some("queue")
}

fn answer(down: Vec<Option<&'static str>>) -> Result<Json<Value>, Problem> {
    let down: Vec<&str> = down.into_iter().flatten().collect();
    if down.is_empty() {
        Ok(Json(json!({ "status": "ok" })))
    } else {
        Err(Problem::Unavailable(down))
    }
}
