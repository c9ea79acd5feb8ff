//! `POST /v2/Services/{service}/Verifications`: request a code.

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::{Json, Router};
use sms_domain::verification_id::VerificationId;

use super::error::VerifyError;
#[cfg(test)]
use super::form::CreateForm;
use super::form::{Form, InPath};
use super::views::{Shown, VerificationBody};
use super::{Name, find, number, owner};
use crate::extract::caller::Caller;
use crate::routes::verifications::{CreateVerification, RequestApi};

/// Parameters that would change what is sent.
const NOT_SUPPORTED: [&str; 9] = [
    "CustomCode",
    "CustomMessage",
    "CustomFriendlyName",
    "TemplateSid",
    "TemplateCustomSubstitutions",
    "SendDigits",
    "Amount",
    "Payee",
    "ChannelConfiguration",
];

routes! {
    Arc<RequestApi>;
    "/v2/Services/{service}/Verifications": post(create);
}

/// The routes.
pub(super) fn router(api: Arc<RequestApi>) -> Router {
    routes().method_not_allowed_fallback(async || VerifyError::Method).with_state(api)
}

/// Create a verification
#[cfg_attr(test, utoipa::path(
    post,
    path = "/v2/Services/{service}/Verifications",
    operation_id = "twilioCreateVerification",
    tag = "twilio verify",
    security(("basic" = [])),
    params(("service" = String, Path, description = "`VA…`")),
    request_body(content = CreateForm, content_type = "application/x-www-form-urlencoded"),
    responses(
        (status = 201, description = "An SMS is on its way.", body = VerificationBody),
        (status = 400, description = "60200"),
        (status = 401, description = "20003"),
        (status = 403, description = "60410, 60605"),
        (status = 404, description = "20404"),
        (status = 429, description = "20429, 60202, 60203"),
        (status = 503, description = "20503"),
    ),
))]
pub(crate) async fn create(
    State(api): State<Arc<RequestApi>>,
    InPath(service): InPath<String>,
    caller: Caller,
    form: Form,
) -> Result<Response, VerifyError> {
    let account = caller.account(&api.settings.callers)?;
    let service = api.settings.verify_services.get(&service)?;
    form.refuse(&NOT_SUPPORTED)?;
    if form.get("Channel") != Some("sms") {
        return Err(VerifyError::Parameter("Channel"));
    }
    let to = form.get("To").ok_or(VerifyError::Parameter("To"))?;
    let (number, _) = number(to, &api.test_numbers)?;
    // The address of the person, which the caller's is not.
    let ip = match form.get("DeviceIp") {
        Some(ip) => Some(ip.parse::<IpAddr>().map_err(|_| VerifyError::Parameter("DeviceIp"))?),
        None => None,
    };
    let asked = CreateVerification::of_number(
        to.to_owned(),
        form.get("Locale").map(ToOwned::to_owned),
        service.purpose.as_str().to_owned(),
        form.get("AppHash").map(ToOwned::to_owned),
    );
    let secrets = &api.request_code.secrets;
    let mut request = api.read(asked, caller, Some(account.tenant), None)?;
    (request.ip, request.owner) = (ip, Some(owner(secrets, service, &account)));
    let (begun, _) = api.admit(request, None).await?;
    let id = VerificationId::parse(&begun.id).ok_or(VerifyError::NotFound)?;
    let store = &api.request_code.store;
    let found = find(store, secrets, (service, &account), &Name::Number(number.clone())).await;
    let shown = Shown::after_admission(id, found, store.clock().micros());
    let to = number.e164().to_owned();
    let body = VerificationBody::of(&shown, to, service, &account, "pending");
    Ok((StatusCode::CREATED, Json(body)).into_response())
}
