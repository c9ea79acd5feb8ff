//! `POST /v1/verifications/{id}/check`, and `GET` and `DELETE /v1/verifications/{id}`: type a code back, see how it stands, and end it.

use std::sync::Arc;

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::{delete, get, post};
use axum::{Json as JsonAnswer, Router};
use serde::Deserialize;
use serde_json::{Value, json};

use super::body::Json;
use super::client::{Caller, Callers};
use super::problem::Problem;
use super::verification;
use crate::checking::Checks;
use crate::code::Code;
use crate::entropy::random_u64;
use crate::store::CheckResult;
use crate::verification::VerificationId;

struct Api {
    checks: Checks,
    callers: Callers,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Typed {
    code: Option<String>,
}

/// An id in a path. What cannot be one is as gone as what once was one.
type IdInPath = Result<Path<String>, PathRejection>;

/// The routes.
pub fn router(checks: Checks, callers: Callers) -> Router {
    Router::new()
        .route("/v1/verifications/{id}/check", post(check))
        .route("/v1/verifications/{id}", get(status))
        .route("/v1/verifications/{id}", delete(cancel))
        .with_state(Arc::new(Api { checks, callers }))
}

async fn check(
    State(api): State<Arc<Api>>,
    id: IdInPath,
    caller: Caller,
    Json(typed): Json<Typed>,
) -> Result<JsonAnswer<Value>, Problem> {
    caller.tenant(&api.callers.keys)?;
    let checks = &api.checks;
    let typed = typed.code.ok_or(Problem::MissingField("code"))?;
    let digits = checks.code_length.digits();
    let typed = Code::parse(&typed, checks.code_length).ok_or_else(|| Problem::BadField {
        field: "code".to_owned(),
        detail: format!("the field must be a string of {digits} digits"),
    })?;
    let id = parse(id)?;
    match checks.check(&id, &typed, caller.ip(api.callers.proxies), random_u64()).await? {
        CheckResult::Approved => {
            Ok(JsonAnswer(json!({ "id": id.as_str(), "status": "approved", "purpose": id.purpose().as_str() })))
        }
        CheckResult::Wrong { attempts_left } => Err(Problem::WrongCode { attempts_left }),
        CheckResult::Refused(refusal) => Err(Problem::TooFrequent(refusal)),
        CheckResult::Gone => Err(Problem::Gone),
    }
}

async fn status(
    State(api): State<Arc<Api>>,
    id: IdInPath,
    caller: Caller,
) -> Result<JsonAnswer<verification::Body>, Problem> {
    caller.tenant(&api.callers.keys)?;
    let found = api.checks.find(&parse(id)?).await?;
    found.map(|verification| JsonAnswer(verification.into())).ok_or(Problem::Gone)
}

async fn cancel(State(api): State<Arc<Api>>, id: IdInPath, caller: Caller) -> Result<StatusCode, Problem> {
    caller.tenant(&api.callers.keys)?;
    let cancelled = api.checks.cancel(&parse(id)?).await?;
    if cancelled { Ok(StatusCode::NO_CONTENT) } else { Err(Problem::Gone) }
}

fn parse(id: IdInPath) -> Result<VerificationId, Problem> {
    let Path(id) = id.map_err(|_| Problem::Gone)?;
    VerificationId::parse(&id).ok_or(Problem::Gone)
}
