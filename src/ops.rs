//! Operations: `/metrics` for Prometheus, and the data of `/ops`, a live view of rates, queue,
//! gateways, countries and dead letters.
//!
//! Served to users of this machine while `LISTEN` is loopback; otherwise only with `OPS_TOKEN`,
//! which callers send as a bearer token. A worker serves its metrics at `--metrics`, behind the
//! token if there is one.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::http::header::{AUTHORIZATION, WWW_AUTHENTICATE};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, put};
use axum::{Json, Router};
use futures_util::future::join_all;
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use serde_json::{Value, json};
use sms_config::OpsToken;
use sms_domain::failure::FailureClass;
use sms_domain::job::Job;
use sms_domain::phone::Country;
use sms_domain::times::rfc3339;
use sms_gateways::Gateways;
use sms_queue::dead_letter::DeadLetterReason;
use sms_queue::error::QueueError;
use sms_queue::{DeadLetters, Queue};
use sms_store::Store;
use sms_telemetry::set_level;

/// Upper bounds of the buckets of times, in seconds: from a request in memory to a code's longest
/// lifetime.
const SECONDS: [f64; 16] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0, 300.0,
    600.0,
];

/// Interval of the recorder's upkeep, which moves samples into buckets between two scrapes.
const UPKEEP: Duration = Duration::from_secs(5);

/// Maximum number of dead letters that are shown.
const MAX_SHOWN: usize = 20;

/// Maximum number of countries in one request: a page lists those that it has seen in the metrics.
const MAX_COUNTRIES: usize = 50;

static PROMETHEUS: OnceLock<PrometheusHandle> = OnceLock::new();

/// Installs the recorder of metrics. To be called once, before any metric is recorded.
pub fn measure() {
    let builder = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &SECONDS);
    let Ok(handle) = builder.and_then(PrometheusBuilder::install_recorder) else { return };
    let upkeep = handle.clone();
    tokio::spawn(async move {
        loop {
            tokio::time::sleep(UPKEEP).await;
            upkeep.run_upkeep();
        }
    });
    let _ = PROMETHEUS.set(handle);
}

/// The state of the routes.
#[derive(Clone)]
pub struct Ops {
    pub store: Store,
    pub queue: Queue,
    pub gateways: Gateways,
    pub token: Option<OpsToken>,
}

/// The routes, behind the token if there is one.
pub fn router(ops: Ops) -> Router {
    let token = ops.token.clone();
    let routes = Router::new()
        .route("/ops.json", get(state))
        .route("/ops/dead.json", get(dead))
        .with_state(Arc::new(ops))
        .layer(from_fn_with_state(token.clone(), only_with_the_token));
    routes.merge(level_router(token.clone())).merge(metrics_router(token))
}

/// Metrics alone, of a process that serves nothing else.
pub fn metrics_router(token: Option<OpsToken>) -> Router {
    Router::new()
        .route("/metrics", get(metrics))
        .layer(from_fn_with_state(token, only_with_the_token))
}

/// The route that changes the log level of a running process.
pub fn level_router(token: Option<OpsToken>) -> Router {
    Router::new()
        .route("/ops/log-level", put(log_level))
        .layer(from_fn_with_state(token, only_with_the_token))
}

async fn only_with_the_token(
    State(token): State<Option<OpsToken>>,
    request: Request,
    next: Next,
) -> Response {
    let given = request
        .headers()
        .get(AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let given = given.split_once(' ').filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
    match (token, given) {
        (Some(token), given) if !given.is_some_and(|(_, given)| token.is(given.trim())) => {
            (StatusCode::UNAUTHORIZED, [(WWW_AUTHENTICATE, "Bearer")], "OPS_TOKEN is required\n")
                .into_response()
        }
        _ => next.run(request).await,
    }
}

async fn metrics() -> String {
    PROMETHEUS.get().map(PrometheusHandle::render).unwrap_or_default()
}

/// `/ops.json`: queue, gateways and countries, which all processes of an installation share.
async fn state(State(ops): State<Arc<Ops>>, request: Request) -> Json<Value> {
    let query = request.uri().query().unwrap_or_default();
    let list =
        query.split('&').find_map(|pair| pair.strip_prefix("countries=")).unwrap_or_default();
    let depth = ops.queue.depth().await.ok();
    let countries = list.split(',').filter_map(Country::parse).take(MAX_COUNTRIES);
    let countries = countries.map(async |country| {
        let known = ops.store.conversion(country.code()).await.ok()?;
        Some(json!({ "country": country.code(), "sent": known.sent, "approved": known.approved }))
    });
    let gateways = ops.gateways.all().into_iter().map(async |account| {
        let circuit = ops.store.circuit(&account.id).await.ok()?;
        let open_for = circuit.open_for.as_secs_f64().ceil();
        Some(json!({ "name": account.name(), "failures": circuit.failures, "open_for": open_for }))
    });
    let (countries, gateways) = tokio::join!(join_all(countries), join_all(gateways));
    let [countries, gateways] =
        [countries, gateways].map(|all| all.into_iter().flatten().collect::<Vec<_>>());
    let queue = depth.map(|depth| json!({ "messages": depth.messages, "dead": depth.dead }));
    Json(json!({ "queue": queue, "gateways": gateways, "countries": countries }))
}

/// Changes the log level, until the process ends or the level is changed again.
async fn log_level(level: String) -> Result<StatusCode, (StatusCode, String)> {
    set_level(level.trim())
        .map(|()| StatusCode::NO_CONTENT)
        .map_err(|problem| (StatusCode::UNPROCESSABLE_ENTITY, problem))
}

/// `/ops/dead.json`: the first dead letters, which stay in their queue.
async fn dead(State(ops): State<Arc<Ops>>) -> Result<Json<Vec<Value>>, StatusCode> {
    // A task of its own, so that it finishes if the caller hangs up: on SQS the letters would stay
    // invisible until their timeout.
    let letters = tokio::spawn(list_dead_letters(ops.queue.clone())).await;
    letters.ok().and_then(Result::ok).map(Json).ok_or(StatusCode::SERVICE_UNAVAILABLE)
}

async fn list_dead_letters(queue: Queue) -> Result<Vec<Value>, QueueError> {
    let mut letters = queue.dead_letters().await?;
    let shown = first(&mut letters).await;
    // Closed after an error, too.
    letters.close().await?;
    shown
}

async fn first(letters: &mut DeadLetters) -> Result<Vec<Value>, QueueError> {
    let mut shown = Vec::new();
    while shown.len() < MAX_SHOWN
        && let Some(letter) = letters.next().await?
    {
        let job = Job::decode(&letter.body).ok();
        let to = job.as_ref().map(|job| job.to.masked());
        let DeadLetterReason { text: reason, class, attempts } = &letter.reason;
        shown.push(json!({
            "id": job.map(|job| job.id.to_string()), "to": to, "at": letter.at.map(rfc3339),
            "attempts": attempts, "class": class.map(FailureClass::as_str), "reason": reason,
        }));
    }
    Ok(shown)
}
