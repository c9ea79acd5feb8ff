//! `POST /v1/verifications/{id}/check`, and `GET` and `DELETE /v1/verifications/{id}`: check a
//! code, and read or cancel a verification; and `GET /.well-known/jwks.json`, to verify tokens.

use std::sync::Arc;

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::header::CACHE_CONTROL;
use axum::http::{HeaderValue, StatusCode};
use axum::response::IntoResponse;
use axum::{Json as JsonAnswer, Router};
use serde::{Deserialize, Serialize};
use sms_app::check_code::CheckCode;
use sms_domain::code::Code;
use sms_domain::phone::{PhoneNumber, Region};
use sms_domain::random::random_u64;
use sms_domain::token::TokenKeys;
use sms_domain::verification_id::VerificationId;
use sms_store::CheckResult;

#[cfg(test)]
use crate::document;
use crate::extract::caller::{Caller, Callers};
use crate::extract::json::Json;
use crate::problem::field_error::FieldError;
use crate::problem::{Problem, bad};
use crate::views;

pub(crate) struct Api {
    check_code: CheckCode,
    region: Region,
    callers: Callers,
    tokens: TokenKeys,
}

/// The fields of a check
#[derive(Deserialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub(crate) struct CheckBody {
    /// The digits; spaces, hyphens and full-width digits are fine
    #[cfg_attr(test, schema(required = true, examples("012345")))]
    code: Option<String>,
    /// The number again, for a token about it
    to: Option<String>,
    /// The country of a national number
    #[cfg_attr(test, schema(examples("CN")))]
    region: Option<String>,
}

/// The response to the right code
#[derive(Serialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
pub(crate) struct Approved {
    pub(crate) id: String,
    pub(crate) status: &'static str,
    pub(crate) purpose: String,
    /// A JWT (EdDSA) with the number as `sub`, `purpose`, with `API_KEYS` the caller's name as
    /// `aud`, `jti` (the id), `iss` (`sms-verify`) and `exp` (300 s); to be verified with
    /// `/.well-known/jwks.json`
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) token: Option<String>,
}

/// An ID in a path. An invalid one is answered as an expired one is.
pub(crate) type IdInPath = Result<Path<String>, PathRejection>;

/// The routes. `region` is the country in which a number without `+` is read.
pub fn router(check_code: CheckCode, region: Region, callers: Callers) -> Router {
    let tokens = TokenKeys::new(&check_code.codes.secrets);
    routes().with_state(Arc::new(Api { check_code, region, callers, tokens }))
}

routes! {
    Arc<Api>;
    "/v1/verifications/{id}/check": post(check);
    "/v1/verifications/{id}": get(status);
    "/v1/verifications/{id}": delete(cancel);
    "/.well-known/jwks.json": get(keys);
}

/// Check a code
#[cfg_attr(test, utoipa::path(
    post,
    path = "/v1/verifications/{id}/check",
    operation_id = "checkCode",
    tag = "verifications",
    security((), ("apiKey" = [])),
    params(document::Id, document::AcceptLanguage),
    request_body(content = CheckBody, examples(
        ("code" = (value = json!({ "code": "012345" }))),
        ("with a token" = (value = json!({ "code": "012345", "to": "+8613800138000" }))),
    )),
    responses(
        (
            status = 200,
            description = "Approved, once. With `to`, there is a token for a backend.",
            body = Approved,
            examples(("approved" = (value = json!(document::approved())))),
        ),
        (status = 400, response = document::InvalidJson),
        (status = 401, response = document::Unauthorized),
        (status = 404, response = document::NotFound),
        (status = 408, response = document::RequestTimeout),
        (status = 413, response = document::ContentTooLarge),
        (status = 415, response = document::UnsupportedMediaType),
        (status = 422, response = document::NotApproved),
        (status = 429, response = document::TooManyRequests),
        (status = 503, response = document::ServiceUnavailable),
    ),
))]
pub(crate) async fn check(
    State(api): State<Arc<Api>>,
    id: IdInPath,
    caller: Caller,
    Json(typed): Json<CheckBody>,
) -> Result<JsonAnswer<Approved>, Problem> {
    let tenant = caller.tenant(&api.callers)?;
    let check_code = &api.check_code;
    let to = typed.to.map(|to| api.number(&to, typed.region.as_deref())).transpose()?;
    let typed = typed.code.ok_or(Problem::MissingField("code"))?;
    let digits = check_code.codes.length.digits();
    let typed = Code::parse(&typed, check_code.codes.length)
        .ok_or_else(|| bad("code", FieldError::InvalidCode { digits }))?;
    let id = parse(id)?;
    let (ip, request) = (caller.ip(api.callers.proxies), random_u64());
    let other_number = to.as_ref().is_some_and(|to| !check_code.is_of(&id, to));
    let result = match other_number {
        true => check_code.wrong_number(&id, ip, request).await?,
        false => check_code.check(&id, &typed, ip, request).await?,
    };
    match result {
        CheckResult::Approved => {
            let token = to.map(|to| check_code.token(&api.tokens, &id, &to, tenant));
            let purpose = id.purpose().as_str().to_owned();
            Ok(JsonAnswer(Approved { id: id.to_string(), status: "approved", purpose, token }))
        }
        CheckResult::Wrong { .. } if other_number => Err(bad("to", FieldError::OtherNumber)),
        CheckResult::Wrong { attempts_left, locked_for } => {
            Err(Problem::WrongCode { attempts_left, locked_for })
        }
        CheckResult::Refused(refusal) => Err(Problem::TooManyRequests(refusal)),
        CheckResult::Gone => Err(Problem::NotFound),
    }
}

impl Api {
    /// Reads the number in a check: the subject of the token, which the store does not know.
    fn number(&self, to: &str, region: Option<&str>) -> Result<PhoneNumber, Problem> {
        let region = region
            .map_or(Some(self.region), Region::parse)
            .ok_or_else(|| bad("region", FieldError::InvalidCountry))?;
        let read = self.check_code.codes.test_numbers.number(to, region);
        read.map(|(number, _)| number).map_err(Problem::BadNumber)
    }
}

/// `Cache-Control` of the keys. Verifiers that find an unknown key reload them before.
const KEYS_CACHED: HeaderValue = HeaderValue::from_static("public, max-age=300");

/// Keys of tokens
#[cfg_attr(test, utoipa::path(
    get,
    path = "/.well-known/jwks.json",
    operation_id = "getKeys",
    tag = "products",
    responses((
        status = 200,
        description = "A JWK Set (RFC 7517): the newest key signs.",
        body = document::Keys,
        examples(("one" = (value = json!(document::keys())))),
    )),
))]
pub(crate) async fn keys(State(api): State<Arc<Api>>) -> impl IntoResponse {
    ([(CACHE_CONTROL, KEYS_CACHED)], JsonAnswer(api.tokens.set()))
}

/// Read a verification
#[cfg_attr(test, utoipa::path(
    get,
    path = "/v1/verifications/{id}",
    operation_id = "getVerification",
    tag = "verifications",
    security((), ("apiKey" = [])),
    params(document::Id),
    responses(
        (
            status = 200,
            description = "The present state; `delivery` is that of the latest SMS.",
            body = views::Body,
            examples(("sent" = (value = json!(document::sent())))),
        ),
        (status = 401, response = document::Unauthorized),
        (status = 404, response = document::NotFound),
        (status = 429, response = document::TooManyWrongKeys),
        (status = 503, response = document::ServiceUnavailable),
    ),
))]
pub(crate) async fn status(
    State(api): State<Arc<Api>>,
    id: IdInPath,
    caller: Caller,
) -> Result<JsonAnswer<views::Body>, Problem> {
    caller.tenant(&api.callers)?;
    let found = api.check_code.find(&parse(id)?).await?;
    found.map(|verification| JsonAnswer(verification.into())).ok_or(Problem::NotFound)
}

/// Cancel a verification
#[cfg_attr(test, utoipa::path(
    delete,
    path = "/v1/verifications/{id}",
    operation_id = "endVerification",
    tag = "verifications",
    security((), ("apiKey" = [])),
    params(document::Id),
    responses(
        (
            status = 204,
            description = "Cancelled: the code is no longer accepted. The cooldown stays.",
        ),
        (status = 401, response = document::Unauthorized),
        (status = 404, response = document::NotFound),
        (status = 429, response = document::TooManyWrongKeys),
        (status = 503, response = document::ServiceUnavailable),
    ),
))]
pub(crate) async fn cancel(
    State(api): State<Arc<Api>>,
    id: IdInPath,
    caller: Caller,
) -> Result<StatusCode, Problem> {
    caller.tenant(&api.callers)?;
    let cancelled = api.check_code.cancel(&parse(id)?).await?;
    if cancelled { Ok(StatusCode::NO_CONTENT) } else { Err(Problem::NotFound) }
}

/// Reads an ID in a path.
pub(crate) fn parse(id: IdInPath) -> Result<VerificationId, Problem> {
    let Path(id) = id.map_err(|_| Problem::NotFound)?;
    VerificationId::parse(&id).ok_or(Problem::NotFound)
}
