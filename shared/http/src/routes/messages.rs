//! `POST /v1/messages`: sends a code that the caller made and will check; and what becomes of it.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::{Json as JsonAnswer, Router};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;
use sms_app::custom_message::CustomMessage;
use sms_domain::code::Code;
use sms_domain::custom_code::CustomCode;
use sms_domain::locale::Locale;
use sms_domain::trace_context::RequestContext;
use sms_domain::verification::Verification;
use sms_domain::verification_id::Purpose;

use super::check::{IdInPath, parse};
use super::verifications::{RequestApi, language_of};
#[cfg(test)]
use crate::document;
use crate::doors::fields::Asked;
use crate::extract::caller::Caller;
use crate::extract::json::Json;
use crate::problem::field_error::FieldError;
use crate::problem::{Problem, bad};

/// Longest lifetime of a code that a text names, in seconds: a day.
pub(crate) const MAX_EXPIRES_IN: u64 = 86_400;

routes! {
    Arc<RequestApi>;
    "/v1/messages": post(create);
    "/v1/messages/{id}": get(status);
    "/v1/messages/{id}/outcome": post(outcome);
}

/// The routes.
pub(crate) fn router(api: Arc<RequestApi>) -> Router {
    routes().with_state(api)
}

/// A code of the caller's own
#[derive(Deserialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub(crate) struct CreateMessage {
    /// The number
    #[cfg_attr(test, schema(required = true, examples("+8613800138000")))]
    to: Option<String>,
    /// The country of a national number
    #[cfg_attr(test, schema(examples("CN")))]
    #[serde(default, deserialize_with = "present")]
    region: Option<String>,
    /// The code: 4 to 16 letters, digits and dashes, as a string or a number
    #[cfg_attr(test, schema(required = true, value_type = document::CustomCode))]
    code: Option<Value>,
    /// Language of the text
    #[cfg_attr(test, schema(examples("en")))]
    #[serde(default, deserialize_with = "present")]
    locale: Option<String>,
    /// Purpose, which selects the text
    #[cfg_attr(test, schema(examples("login")))]
    #[serde(default, deserialize_with = "present")]
    purpose: Option<String>,
    /// Seconds for which the code is accepted, 1 to 86,400: without it the text names no minutes
    #[serde(default, deserialize_with = "present")]
    expires_in: Option<u64>,
    /// The person's address, for the limits of addresses
    #[cfg_attr(test, schema(examples("192.0.2.7")))]
    #[serde(default, deserialize_with = "present")]
    ip: Option<String>,
    /// `reported`: the caller will report codes that are brought to it, and the conversion guard
    /// counts the SMS
    #[serde(default, deserialize_with = "present")]
    outcome: Option<String>,
}

/// Reads a field that is there: null is no value.
fn present<'de, D: Deserializer<'de>, T: Deserialize<'de>>(from: D) -> Result<Option<T>, D::Error> {
    T::deserialize(from).map(Some)
}

/// A message, as its sender sees it
#[derive(Serialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
pub(crate) struct Message {
    /// Names the message
    pub(crate) id: String,
    /// The number, masked
    to: String,
    /// The state of the SMS
    delivery: &'static str,
}

impl From<Verification> for Message {
    fn from(message: Verification) -> Self {
        let delivery = message.delivery.as_str();
        Self { id: message.id.into_text(), to: message.to, delivery }
    }
}

/// Sends a message: the way of all doors. A caller who hangs up does not stop it between admission
/// and queue.
pub(crate) async fn send(
    api: &Arc<RequestApi>,
    asked: Asked,
    sender: String,
    purpose: Purpose,
    is_reported: bool,
    context: RequestContext,
) -> Result<Verification, Problem> {
    let Asked { to, country, custom, locale, ip } = asked;
    let message = CustomMessage {
        locale: locale.unwrap_or_else(|| Locale::of(&to)),
        to,
        country,
        custom,
        ip: ip.filter(|ip| !ip.to_canonical().is_loopback()),
        tenant: sender,
        purpose,
        is_reported,
        context,
    };
    let api = Arc::clone(api);
    let sent = async move { api.request_code.send_message(message).await };
    Ok(sms_app::detached::DetachOnDrop::new(sent).await?)
}

/// Send a code of one's own
#[cfg_attr(test, utoipa::path(
    post,
    path = "/v1/messages",
    operation_id = "createMessage",
    tag = "messages",
    security(("apiKey" = [])),
    request_body(content = CreateMessage, examples(
        ("code" = (value = json!({ "to": "+8613800138000", "code": "012345" }))),
        ("with its lifetime" = (value = json!({
            "to": "+8613800138000",
            "code": "WBPP-MJGR",
            "purpose": "login",
            "expires_in": 600,
        }))),
    )),
    responses(
        (status = 202, description = "The SMS is on its way. The same code for the same number \
            is the same message for ten minutes, unless it failed.", body = Message),
        (status = 400, response = document::InvalidJson),
        (status = 401, response = document::Unauthorized),
        (status = 408, response = document::RequestTimeout),
        (status = 413, response = document::ContentTooLarge),
        (status = 415, response = document::UnsupportedMediaType),
        (status = 422, response = document::Unprocessable),
        (status = 429, response = document::TooManyRequests),
        (status = 503, response = document::ServiceUnavailable),
    ),
))]
pub(crate) async fn create(
    State(api): State<Arc<RequestApi>>,
    caller: Caller,
    Json(asked): Json<CreateMessage>,
) -> Result<(StatusCode, JsonAnswer<Message>), Problem> {
    let tenant = tenant(&api, &caller)?;
    let is_reported = match asked.outcome.as_deref() {
        None => false,
        Some("reported") => true,
        Some(_) => return Err(bad("outcome", FieldError::InvalidOutcome)),
    };
    let purpose = Purpose::parse(asked.purpose.as_deref().unwrap_or_default())
        .ok_or_else(|| bad("purpose", FieldError::InvalidPurpose))?;
    let asked = read(&api, asked)?;
    let sent = send(&api, asked, tenant, purpose, is_reported, caller.context).await?;
    Ok((StatusCode::ACCEPTED, JsonAnswer(sent.into())))
}

fn read(api: &RequestApi, asked: CreateMessage) -> Result<Asked, Problem> {
    let (to, country) = api.number(asked.to.as_deref(), asked.region.as_deref())?;
    let code = match asked.code {
        None | Some(Value::Null) => return Err(Problem::MissingField("code")),
        Some(Value::String(code)) => Code::custom(&code),
        Some(Value::Number(code)) => Code::custom(&code.to_string()),
        Some(_) => None,
    };
    let code = code.ok_or_else(|| bad("code", FieldError::InvalidCustomCode))?;
    let valid_until = match asked.expires_in {
        None => None,
        Some(seconds @ 1..=MAX_EXPIRES_IN) => {
            Some(api.request_code.store.clock().micros() / 1_000 + seconds.cast_signed() * 1_000)
        }
        Some(_) => return Err(bad("expires_in", FieldError::InvalidLifetime)),
    };
    let locale = language_of(asked.locale.as_deref())?;
    let ip = asked.ip.map(|ip| ip.parse()).transpose();
    let ip = ip.map_err(|_| bad("ip", FieldError::InvalidAddress))?;
    let custom = CustomCode { code, text: None, valid_until };
    Ok(Asked { to, country, custom, locale, ip })
}

/// Read a message
#[cfg_attr(test, utoipa::path(
    get,
    path = "/v1/messages/{id}",
    operation_id = "getMessage",
    tag = "messages",
    security(("apiKey" = [])),
    params(document::Id),
    responses(
        (status = 200, description = "The state of its SMS, for ten minutes.", body = Message),
        (status = 401, response = document::Unauthorized),
        (status = 404, response = document::NotFound),
        (status = 429, response = document::TooManyWrongKeys),
        (status = 503, response = document::ServiceUnavailable),
    ),
))]
pub(crate) async fn status(
    State(api): State<Arc<RequestApi>>,
    id: IdInPath,
    caller: Caller,
) -> Result<JsonAnswer<Message>, Problem> {
    let tenant = tenant(&api, &caller)?;
    let found = api.request_code.message(&parse(id)?, &tenant).await?;
    found.map(|message| JsonAnswer(message.into())).ok_or(Problem::NotFound)
}

/// What became of a code
#[derive(Deserialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub(crate) struct ReportOutcome {
    /// `approved`: the code was brought to its maker
    #[cfg_attr(test, schema(required = true, examples("approved")))]
    outcome: Option<String>,
}

/// Report that a code was brought back
#[cfg_attr(test, utoipa::path(
    post,
    path = "/v1/messages/{id}/outcome",
    operation_id = "reportOutcome",
    tag = "messages",
    security(("apiKey" = [])),
    params(document::Id),
    request_body(content = ReportOutcome, examples(
        ("approved" = (value = json!({ "outcome": "approved" }))),
    )),
    responses(
        (status = 204, description = "Recorded; also if it was before."),
        (status = 400, response = document::InvalidJson),
        (status = 401, response = document::Unauthorized),
        (status = 404, response = document::NotFound),
        (status = 408, response = document::RequestTimeout),
        (status = 413, response = document::ContentTooLarge),
        (status = 415, response = document::UnsupportedMediaType),
        (status = 422, response = document::Unprocessable),
        (status = 429, response = document::TooManyWrongKeys),
        (status = 503, response = document::ServiceUnavailable),
    ),
))]
pub(crate) async fn outcome(
    State(api): State<Arc<RequestApi>>,
    id: IdInPath,
    caller: Caller,
    Json(report): Json<ReportOutcome>,
) -> Result<StatusCode, Problem> {
    let tenant = tenant(&api, &caller)?;
    match report.outcome.as_deref() {
        Some("approved") => {}
        Some(_) => return Err(bad("outcome", FieldError::InvalidOutcome)),
        None => return Err(Problem::MissingField("outcome")),
    }
    match api.request_code.report_converted(&parse(id)?, &tenant).await? {
        true => Ok(StatusCode::NO_CONTENT),
        false => Err(Problem::NotFound),
    }
}

/// The holder of the API key. (Without keys there are no such routes.)
fn tenant(api: &RequestApi, caller: &Caller) -> Result<String, Problem> {
    let tenant = caller.tenant(&api.settings.callers)?;
    tenant.map(ToOwned::to_owned).ok_or(Problem::Unauthorized)
}
