//! `GET /healthz` and `GET /readyz`: is the process there, and can it do its work?

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

/// The answer of a process that serves, and of one that is ready
#[derive(Serialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
pub(crate) struct Health {
    status: &'static str,
}

impl Health {
    pub(crate) const OK: Self = Self { status: "ok" };
}

/// The routes of a process with a store alone. (The functions that need no queue do not carry its
/// clients.)
pub fn store_router(store: Store) -> Router {
    let ready = async |State(store): State<Store>| answer(vec![store_trouble(&store).await]);
    healthz().route(READY, get(ready)).with_state(store)
}

/// The routes of a process with a store and a queue: ready means that both answer.
pub fn router(store: Store, queue: Queue) -> Router {
    healthz().route(READY, get(ready)).with_state((store, queue))
}

/// Can it do its work?
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
    let (store, queue) = tokio::join!(store_trouble(&store), queue_trouble(&queue));
    answer(vec![store, queue])
}

fn healthz<S: Clone + Send + Sync + 'static>() -> Router<S> {
    Router::new().route(ALIVE, get(alive))
}

/// Does the process serve?
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

async fn store_trouble(store: &Store) -> Option<&'static str> {
    let error = store.ping().await.err()?;
    warn!(error = causes(&error), "not ready: store");
    Some(STORE)
}

async fn queue_trouble(queue: &Queue) -> Option<&'static str> {
    let error = queue.ping().await.err()?;
    warn!(error = causes(&error), "not ready: queue");
    Some(QUEUE)
}

fn answer(down: Vec<Option<&'static str>>) -> Result<Json<Health>, Problem> {
    let down: Vec<&str> = down.into_iter().flatten().collect();
    if down.is_empty() { Ok(Json(Health::OK)) } else { Err(Problem::Unavailable(down)) }
}
