//! Check a code; read, cancel or approve a verification.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::any;
use axum::{Json, Router};
use sms_domain::code::Code;
use sms_domain::random::random_u64;
use sms_store::CheckResult;

use super::error::VerifyError;
#[cfg(test)]
use super::form::{CheckForm, UpdateForm};
use super::form::{Form, InPath};
use super::views::{CheckBody, VerificationBody};
use super::{Name, VerifyApi, find, services};
use crate::extract::caller::Caller;

routes! {
    Arc<VerifyApi>;
    "/v2/Services/{service}/VerificationCheck": post(check);
    "/v2/Services/{service}/Verifications/{name}": get(fetch);
    "/v2/Services/{service}/Verifications/{name}": post(update);
    "/v2/Services": get(services::list);
    "/v2/Services/{service}": get(services::fetch);
    "/v2/Services/{service}/RateLimits": get(services::rate_limits);
}

/// The routes.
pub(super) fn router(api: Arc<VerifyApi>) -> Router {
    // What is not built is answered as the client reads it, too; services and rate limits are
    // configured, and neither created, changed nor deleted.
    let others = any(async || VerifyError::NotFound);
    routes()
        .route("/v2/{*path}", others)
        .method_not_allowed_fallback(async || VerifyError::Method)
        .with_state(api)
}

/// Check a code
///
/// `Code`, and `To` or `VerificationSid`.
#[cfg_attr(test, utoipa::path(
    post,
    path = "/v2/Services/{service}/VerificationCheck",
    operation_id = "twilioCheckVerification",
    tag = "twilio verify",
    security(("basic" = [])),
    params(("service" = String, Path, description = "`VA…`")),
    request_body(content = CheckForm, content_type = "application/x-www-form-urlencoded"),
    responses(
        (status = 201, description = "Approved, or pending after a wrong code.", body = CheckBody),
        (status = 400, description = "60200"),
        (status = 401, description = "20003"),
        (status = 404, description = "20404"),
        (status = 429, description = "20429, 60202"),
        (status = 503, description = "20503"),
    ),
))]
pub(crate) async fn check(
    State(api): State<Arc<VerifyApi>>,
    InPath(service): InPath<String>,
    caller: Caller,
    form: Form,
) -> Result<(StatusCode, Json<CheckBody>), VerifyError> {
    let account = caller.account(&api.callers)?;
    let service = api.services.get(&service)?;
    form.refuse(&["Amount", "Payee", "SnaClientToken"])?;
    let codes = &api.check_code.codes;
    let name = match (form.get("VerificationSid"), form.get("To")) {
        (Some(sid), _) if services::is_sid(sid, "VE") => Name::Sid(sid),
        (Some(_), _) => return Err(VerifyError::Parameter("VerificationSid")),
        (None, Some(to)) => Name::Number(super::number(to, &codes.test_numbers)?.0),
        (None, None) => return Err(VerifyError::Parameter("To")),
    };
    let typed = form.get("Code").unwrap_or_default();
    let code = Code::parse(typed, codes.length);
    if code.is_none() && !(4..=10).contains(&typed.chars().count()) {
        return Err(VerifyError::Parameter("Code"));
    }
    let check = &api.check_code;
    let found = find(&check.store, &codes.secrets, (service, &account), &name).await?;
    // (No address: the caller's is not the person's.)
    let (id, request) = (&found.verification.id, random_u64());
    // What has as many characters as a code may have at Twilio is a wrong one.
    let checked = match code {
        Some(code) => check.check(id, &code, None, request).await?,
        None => check.no_code(id, None, request).await?,
    };
    let status = match checked {
        CheckResult::Approved => "approved",
        CheckResult::Wrong { .. } => "pending",
        CheckResult::Refused(refusal) => return Err(refusal.into()),
        CheckResult::Gone => return Err(VerifyError::NotFound),
    };
    let body = CheckBody::of(&(&found).into(), name.to(&found), service, &account, status);
    Ok((StatusCode::CREATED, Json(body)))
}

/// Read a verification
#[cfg_attr(test, utoipa::path(
    get,
    path = "/v2/Services/{service}/Verifications/{name}",
    operation_id = "twilioFetchVerification",
    tag = "twilio verify",
    security(("basic" = [])),
    params(
        ("service" = String, Path, description = "`VA…`"),
        ("name" = String, Path, description = "`VE…`, or the number with `+`"),
    ),
    responses(
        (status = 200, description = "It is pending.", body = VerificationBody),
        (status = 401, description = "20003"),
        (status = 404, description = "20404"),
        (status = 503, description = "20503"),
    ),
))]
pub(crate) async fn fetch(
    State(api): State<Arc<VerifyApi>>,
    InPath((service, name)): InPath<(String, String)>,
    caller: Caller,
) -> Result<Json<VerificationBody>, VerifyError> {
    let account = caller.account(&api.callers)?;
    let (service, check) = (api.services.get(&service)?, &api.check_code);
    let name = Name::read(&name, &check.codes.test_numbers).map_err(|_| VerifyError::NotFound)?;
    let found = find(&check.store, &check.codes.secrets, (service, &account), &name).await?;
    let to = name.to(&found);
    Ok(Json(VerificationBody::of(&(&found).into(), to, service, &account, "pending")))
}

/// Cancel or approve a verification
#[cfg_attr(test, utoipa::path(
    post,
    path = "/v2/Services/{service}/Verifications/{name}",
    operation_id = "twilioUpdateVerification",
    tag = "twilio verify",
    security(("basic" = [])),
    params(
        ("service" = String, Path, description = "`VA…`"),
        ("name" = String, Path, description = "`VE…`, or the number with `+`"),
    ),
    request_body(content = UpdateForm, content_type = "application/x-www-form-urlencoded"),
    responses(
        (status = 200, description = "Canceled or approved.", body = VerificationBody),
        (status = 400, description = "60200"),
        (status = 401, description = "20003"),
        (status = 404, description = "20404"),
        (status = 503, description = "20503"),
    ),
))]
pub(crate) async fn update(
    State(api): State<Arc<VerifyApi>>,
    InPath((service, name)): InPath<(String, String)>,
    caller: Caller,
    form: Form,
) -> Result<Json<VerificationBody>, VerifyError> {
    let account = caller.account(&api.callers)?;
    let (service, check) = (api.services.get(&service)?, &api.check_code);
    let name = Name::read(&name, &check.codes.test_numbers).map_err(|_| VerifyError::NotFound)?;
    let found = find(&check.store, &check.codes.secrets, (service, &account), &name).await?;
    let id = &found.verification.id;
    let (status, done) = match form.get("Status") {
        Some("canceled") => ("canceled", check.cancel(id).await?),
        Some("approved") => ("approved", check.approve(id).await?),
        _ => return Err(VerifyError::Parameter("Status")),
    };
    if !done {
        return Err(VerifyError::NotFound);
    }
    let to = name.to(&found);
    Ok(Json(VerificationBody::of(&(&found).into(), to, service, &account, status)))
}
