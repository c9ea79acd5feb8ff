//! `POST /v1/verifications/{id}/check`, and `GET` and `DELETE /v1/verifications/{id}`: type a code
//! back, see how it stands, and end it; and `GET /.well-known/jwks.json`, for whoever is brought a
//! token.

use std::sync::Arc;

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::header::CACHE_CONTROL;
use axum::http::{HeaderValue, StatusCode};
use axum::response::IntoResponse;
use axum::routing::{delete, get, post};
use axum::{Json as JsonAnswer, Router};
use serde::{Deserialize, Serialize};

use super::body::Json;
use super::client::{Caller, Callers};
use super::flaw::FieldFlaw;
use super::problem::{Problem, bad};
use super::verification;
use crate::checking::Checks;
use crate::code::Code;
use crate::entropy::random_u64;
use crate::phone::{PhoneNumber, Region};
use crate::store::CheckResult;
use crate::token::TokenKeys;
use crate::verification::VerificationId;

struct Api {
    checks: Checks,
    region: Region,
    callers: Callers,
    tokens: TokenKeys,
}

/// The fields of a check.
#[derive(Deserialize)]
#[cfg_attr(test, derive(Default, Serialize))]
#[serde(deny_unknown_fields)]
pub(super) struct Typed {
    code: Option<String>,
    to: Option<String>,
    region: Option<String>,
}

/// The answer to a right code.
#[derive(Serialize)]
#[cfg_attr(test, derive(Default))]
pub(super) struct Approved {
    id: String,
    status: &'static str,
    purpose: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) token: Option<String>,
}

/// An id in a path. What cannot be one is as gone as what once was one.
type IdInPath = Result<Path<String>, PathRejection>;

/// The routes. `region` is the country in which a number without `+` is read.
pub fn router(checks: Checks, region: Region, callers: Callers) -> Router {
    let tokens = TokenKeys::new(&checks.codes.secrets);
    Router::new()
        .route("/v1/verifications/{id}/check", post(check))
        .route("/v1/verifications/{id}", get(status))
        .route("/v1/verifications/{id}", delete(cancel))
        .route("/.well-known/jwks.json", get(keys))
        .with_state(Arc::new(Api { checks, region, callers, tokens }))
}

async fn check(
    State(api): State<Arc<Api>>,
    id: IdInPath,
    caller: Caller,
    Json(typed): Json<Typed>,
) -> Result<JsonAnswer<Approved>, Problem> {
    let tenant = caller.tenant(&api.callers.keys)?;
    let checks = &api.checks;
    let to = typed.to.map(|to| api.number(&to, typed.region.as_deref())).transpose()?;
    let typed = typed.code.ok_or(Problem::MissingField("code"))?;
    let digits = checks.codes.length.digits();
    let typed = Code::parse(&typed, checks.codes.length)
        .ok_or_else(|| bad("code", FieldFlaw::NoCode { digits }))?;
    let id = parse(id)?;
    let (ip, request) = (caller.ip(api.callers.proxies), random_u64());
    let other_number = to.as_ref().is_some_and(|to| !checks.is_of(&id, to));
    let result = match other_number {
        true => checks.wrong_number(&id, ip, request).await?,
        false => checks.check(&id, &typed, ip, request).await?,
    };
    match result {
        CheckResult::Approved => {
            let token = to.map(|to| checks.token(&api.tokens, &id, &to, tenant));
            let purpose = id.purpose().as_str().to_owned();
            Ok(JsonAnswer(Approved { id: id.to_string(), status: "approved", purpose, token }))
        }
        CheckResult::Wrong { .. } if other_number => Err(bad("to", FieldFlaw::OtherNumber)),
        CheckResult::Wrong { attempts_left, locked_for } => {
            Err(Problem::WrongCode { attempts_left, locked_for })
        }
        CheckResult::Refused(refusal) => Err(Problem::TooFrequent(refusal)),
        CheckResult::Gone => Err(Problem::Gone),
    }
}

impl Api {
    /// The number of the person who types: it is what a token is about, since the store does not
    /// know it.
    fn number(&self, to: &str, region: Option<&str>) -> Result<PhoneNumber, Problem> {
        let region = region
            .map_or(Some(self.region), Region::parse)
            .ok_or(bad("region", FieldFlaw::NoCountry))?;
        let read = self.checks.codes.test_numbers.number(to, region);
        read.map(|(number, _)| number).map_err(Problem::BadNumber)
    }
}

/// The same for everybody. A verifier that meets an unknown key asks again all the same.
const KEYS_KEPT: HeaderValue = HeaderValue::from_static("public, max-age=300");

async fn keys(State(api): State<Arc<Api>>) -> impl IntoResponse {
    ([(CACHE_CONTROL, KEYS_KEPT)], JsonAnswer(api.tokens.set()))
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

async fn cancel(
    State(api): State<Arc<Api>>,
    id: IdInPath,
    caller: Caller,
) -> Result<StatusCode, Problem> {
    caller.tenant(&api.callers.keys)?;
    let cancelled = api.checks.cancel(&parse(id)?).await?;
    if cancelled { Ok(StatusCode::NO_CONTENT) } else { Err(Problem::Gone) }
}

fn parse(id: IdInPath) -> Result<VerificationId, Problem> {
    let Path(id) = id.map_err(|_| Problem::Gone)?;
    VerificationId::parse(&id).ok_or(Problem::Gone)
}
