//! `GET /healthz` and `GET /readyz`: liveness and readiness.

use axum::extract::State;
use axum::routing::get;
use axum::{Json, Router};
use serde::Serialize;
use sms_queue::Queue;
use sms_store::Store;
use sms_telemetry::causes;
use tracing::warn;

#[cfg(test)]
use crate::document;
use crate::problem::{Problem, QUEUE, STORE};

const ALIVE: &str = "/healthz";
const READY: &str = "/readyz";

#[cfg(test)]
pub(crate) const ROUTES: &[(&str, &str)] = &[("get", ALIVE), ("get", READY)];

/// The response of a process that is alive or ready
#[derive(Serialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
pub(crate) struct Health {
    status: &'static str,
}

impl Health {
    pub(crate) const OK: Self = Self { status: "ok" };
}

/// The routes of a process with a store alone. (Functions without a queue do not link its clients.)
pub fn store_router(store: Store) -> Router {
    let ready = async |State(store): State<Store>| answer(vec![store_error(&store).await]);
    healthz().route(READY, get(ready)).with_state(store)
}

/// The routes of a process with a store and a queue: ready means that both answer.
pub fn router(store: Store, queue: Queue) -> Router {
    healthz().route(READY, get(ready)).with_state((store, queue))
}

/// Readiness: store and queue answer
#[cfg_attr(test, utoipa::path(
    get,
    path = READY,
    operation_id = "isReady",
    tag = "health",
    responses(
        (status = 200, response = document::Healthy),
        (status = 503, response = document::ServiceUnavailable),
    ),
))]
pub(crate) async fn ready(
    State((store, queue)): State<(Store, Queue)>,
) -> Result<Json<Health>, Problem> {
    let (store, queue) = tokio::join!(store_error(&store), queue_error(&queue));
    answer(vec![store, queue])
}

fn healthz<S: Clone + Send + Sync + 'static>() -> Router<S> {
    Router::new().route(ALIVE, get(alive))
}

/// Liveness: the process answers
#[cfg_attr(test, utoipa::path(
    get,
    path = ALIVE,
    operation_id = "isAlive",
    tag = "health",
    responses((status = 200, response = document::Healthy)),
))]
pub(crate) async fn alive() -> Json<Health> {
    Json(Health::OK)
}

async fn store_error(store: &Store) -> Option<&'static str> {
    let error = store.ping().await.err()?;
    warn!(error = causes(&error), "not ready: store");
    Some(STORE)
}

async fn queue_error(queue: &Queue) -> Option<&'static str> {
    let error = queue.ping().await.err()?;
    warn!(error = causes(&error), "not ready: queue");
    Some(QUEUE)
}

fn answer(down: Vec<Option<&'static str>>) -> Result<Json<Health>, Problem> {
    let down: Vec<&str> = down.into_iter().flatten().collect();
    if down.is_empty() { Ok(Json(Health::OK)) } else { Err(Problem::Unavailable(down)) }
}
