//! A verification as JSON, as the API returns it and keeps it for an idempotency key; and responses
//! with JSON that many requests get.

use std::borrow::Cow;

use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use sms_domain::times::rfc3339;
use sms_domain::verification::Verification;

use crate::problem::whole_seconds;

/// A verification, as its caller sees it
#[derive(Serialize, Deserialize)]
#[cfg_attr(test, derive(utoipa::ToSchema), schema(as = Verification))]
pub(crate) struct Body {
    /// Names the verification: 36 URL-safe characters, more with a purpose
    pub(crate) id: String,
    #[cfg_attr(test, schema(value_type = String))]
    status: Cow<'static, str>,
    /// The state of the latest SMS
    #[cfg_attr(test, schema(value_type = String))]
    delivery: Cow<'static, str>,
    /// The number, masked
    to: String,
    /// The time until which the code is accepted
    #[cfg_attr(test, schema(format = DateTime))]
    expires_at: String,
    /// Seconds until `expires_at`, rounded down
    expires_in: u64,
    /// Seconds until another SMS to this number may be requested, rounded up
    pub(crate) resend_in: u64,
    /// Wrong codes that may still be typed for this number
    attempts_left: u32,
    /// If none may be: seconds until the lockout ends, rounded up
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) locked_for: Option<u64>,
}

impl From<Verification> for Body {
    fn from(verification: Verification) -> Self {
        Self {
            id: verification.id.into_text(),
            status: Cow::Borrowed(verification.status.as_str()),
            delivery: Cow::Borrowed(verification.delivery.as_str()),
            to: verification.to,
            expires_at: rfc3339(verification.expires_at),
            // Rounded down, so that the code is accepted for all of it.
            expires_in: verification.expires_in.as_secs(),
            resend_in: whole_seconds(verification.resend_in),
            attempts_left: verification.attempts_left,
            locked_for: (verification.attempts_left == 0)
                .then(|| whole_seconds(verification.locked_for)),
        }
    }
}

/// Number of headers that a response has room for from the beginning.
pub(crate) const HEADERS: usize = 8;

/// Bytes of a body that are reserved at once: most have fewer.
const BODY: usize = 512;

/// A response with a JSON body, whose type is `application/json` unless the headers have one.
/// (`axum::Json` makes room for the body piece by piece.)
pub(crate) fn json_response(
    status: StatusCode,
    mut headers: HeaderMap,
    body: &impl Serialize,
) -> Response {
    let mut bytes = Vec::with_capacity(BODY);
    if serde_json::to_writer(&mut bytes, body).is_err() {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    }
    headers.entry(CONTENT_TYPE).or_insert(HeaderValue::from_static("application/json"));
    let mut response = Response::new(bytes.into());
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}
