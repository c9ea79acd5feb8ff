//! Everything that can be answered other than what was asked for: RFC 9457 problem documents, in
//! one place.
//!
//! `code` and `errmsg` keep the numbers and words of the tutorial's `RETCODE` table.

use std::fmt::Write;
use std::time::Duration;

use axum::Json;
use axum::http::header::{
    ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_LANGUAGE, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::{Map, Value, json};
use tracing::error;

use super::flaw::{BodyError, FieldError};
use super::kinds::{self, ProblemKind};
use crate::admission::AdmissionError;
use crate::challenge::Task;
use crate::limits::{Exceeded, Refusal};
use crate::message::Locale;
use crate::phone::{Country, PhoneError};
use crate::store::StoreError;
use crate::telemetry::causes;

/// What a caller is told to wait when a part is down, in seconds: connections are made anew within
/// that time.
const RETRY_UNAVAILABLE: u64 = 2;

/// The same while another call with the same idempotency key is at work.
const RETRY_IN_PROGRESS: u64 = 1;

pub(super) const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");

/// Why a request has no answer of its own.
#[derive(Debug, Clone)]
pub(super) enum Problem {
    /// The body is not JSON.
    BadJson(BodyError),
    /// The body is JSON, and a field in it is not what it should be.
    BadField { field: String, error: FieldError },
    /// A field that must be there is not.
    MissingField(&'static str),
    /// `to` is not a number that receives SMS.
    BadNumber(PhoneError),
    /// What a gateway tells of cannot be an HTTP request: a method, a path or a header that none
    /// can have.
    NotARequest,
    /// The body says that it is something else than JSON.
    NotJson,
    /// The body is compressed, or otherwise not as it is meant.
    Encoded,
    /// The body is too large.
    TooLarge(usize),
    /// The body did not arrive in time.
    TooSlow,
    /// The code is wrong.
    WrongCode { attempts_left: u32, locked_for: Duration },
    /// A verification that is unknown, expired, replaced or used: always the same answer.
    NotFound,
    /// A push whose signature or secret is not right.
    InvalidSignature,
    /// A call without one of the keys that callers have.
    Unauthorized,
    /// An `Idempotency-Key` that is none.
    BadIdempotencyKey,
    /// An `Idempotency-Key` that was used for another request.
    IdempotencyKeyReused,
    /// Another call with the same `Idempotency-Key` is at work.
    IdempotencyInProgress,
    /// No `Host`, more than one, or one that is none.
    BadHost,
    /// No route for the path.
    NoSuchPath,
    /// A route, but not for the method.
    NoSuchMethod,
    /// A page of another site asks where only a site's own pages may.
    CrossSite,
    /// Limits are reached.
    TooManyRequests(Refusal),
    /// A task has to be solved first.
    Challenge { task: Task, wrong: bool },
    /// No codes are sent to the number's country.
    Country(Country),
    /// A part is down.
    Unavailable(Vec<&'static str>),
}

/// A field that is not what it should be.
pub(super) fn bad(field: &str, error: FieldError) -> Problem {
    Problem::BadField { field: field.to_owned(), error }
}

impl Problem {
    fn kind(&self) -> ProblemKind {
        match self {
            Self::BadJson(_) => kinds::BAD_JSON,
            Self::BadField { .. } => kinds::BAD_FIELD,
            Self::MissingField(_) => kinds::MISSING_FIELD,
            Self::BadNumber(_) => kinds::BAD_NUMBER,
            Self::Country(_) => kinds::COUNTRY,
            Self::NotARequest => kinds::NOT_A_REQUEST,
            Self::NotJson => kinds::NOT_JSON,
            Self::Encoded => kinds::ENCODED,
            Self::TooLarge(_) => kinds::TOO_LARGE,
            Self::TooSlow => kinds::TOO_SLOW,
            Self::WrongCode { .. } => kinds::WRONG_CODE,
            Self::Challenge { wrong: false, .. } => kinds::CHALLENGE_REQUIRED,
            Self::Challenge { task, .. } if task.is_picture() => kinds::PICTURE_FAILED,
            Self::Challenge { .. } => kinds::CHALLENGE_FAILED,
            Self::NotFound => kinds::NOT_FOUND,
            Self::InvalidSignature => kinds::INVALID_SIGNATURE,
            Self::Unauthorized => kinds::UNAUTHORIZED,
            Self::BadIdempotencyKey => kinds::BAD_IDEMPOTENCY_KEY,
            Self::IdempotencyKeyReused => kinds::IDEMPOTENCY_KEY_REUSED,
            Self::IdempotencyInProgress => kinds::IDEMPOTENCY_IN_PROGRESS,
            Self::BadHost => kinds::BAD_HOST,
            Self::CrossSite => kinds::CROSS_SITE,
            Self::NoSuchPath => kinds::NO_SUCH_PATH,
            Self::NoSuchMethod => kinds::NO_SUCH_METHOD,
            Self::TooManyRequests(refusal) if refusal.has(Exceeded::Attempts) => {
                kinds::TOO_MANY_WRONG
            }
            Self::TooManyRequests(_) => kinds::TOO_MANY_REQUESTS,
            Self::Unavailable(_) => kinds::UNAVAILABLE,
        }
    }

    fn members(&self) -> Map<String, Value> {
        let members = match self {
            Self::BadField { field, .. } => json!({ "field": field }),
            Self::MissingField(field) => json!({ "field": field }),
            Self::BadNumber(PhoneError::ArgentinaWithoutNine | PhoneError::BrazilWithoutNine) => {
                json!({ "field": "to", "missing": "9" })
            }
            Self::BadNumber(_) | Self::Country(_) => json!({ "field": "to" }),
            Self::WrongCode { attempts_left: 0, locked_for } => {
                json!({ "field": "code", "attempts_left": 0, "retry_after": whole_seconds(*locked_for) })
            }
            Self::WrongCode { attempts_left, .. } => {
                json!({ "field": "code", "attempts_left": attempts_left })
            }
            Self::TooManyRequests(refusal) => {
                let policies: Vec<&str> =
                    refusal.waits().map(|(policy, _)| policy.as_str()).collect();
                // The first as the type defines it; the second is our own from before, and like the
                // other members.
                json!({
                    "violated-policies": policies,
                    "violated_policies": policies,
                    "retry_after": whole_seconds(refusal.retry_after()),
                })
            }
            Self::Challenge { task, .. } => json!({ "challenge": task }),
            Self::Unavailable(parts) => json!({ "down": parts }),
            _ => json!({}),
        };
        if let Value::Object(members) = members { members } else { Map::new() }
    }

    fn headers(&self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        match self {
            Self::TooManyRequests(refusal) => {
                headers.insert(RETRY_AFTER, whole_seconds(refusal.retry_after()).into());
                if let Ok(value) = HeaderValue::try_from(rate_limit(refusal.waits())) {
                    headers.insert(RATE_LIMIT, value);
                }
            }
            Self::Encoded => {
                headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
            }
            Self::Unavailable(_) => {
                headers.insert(RETRY_AFTER, RETRY_UNAVAILABLE.into());
            }
            Self::IdempotencyInProgress => {
                headers.insert(RETRY_AFTER, RETRY_IN_PROGRESS.into());
            }
            Self::Unauthorized => {
                headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            }
            _ => {}
        }
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        headers
    }

    /// What kind it is, in words.
    pub(super) fn title(&self, locale: Locale) -> &'static str {
        self.kind().title(locale)
    }

    /// As the tutorial's table has it, in its language unless the caller asks for another.
    pub(super) fn as_in_the_table(&self, locale: Locale) -> Value {
        let kind = self.kind();
        json!({ "code": kind.code, "errmsg": kind.errmsg(locale) })
    }

    /// The document, with its words in the caller's language.
    pub(super) fn document(&self, locale: Locale) -> Response {
        let kind = self.kind();
        let document = Document {
            kind: if kind.name.starts_with("https:") {
                kind.name.to_owned()
            } else {
                format!("urn:sms-verify:problem:{}", kind.name)
            },
            title: self.title(locale),
            status: kind.status.as_u16(),
            detail: self.detail(locale),
            code: kind.code,
            errmsg: kind.errmsg(locale),
            members: self.members(),
        };
        let mut headers = self.headers();
        headers.insert(CONTENT_LANGUAGE, HeaderValue::from_static(locale.tag()));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        (kind.status, headers, Json(document)).into_response()
    }
}

/// The members in the order of RFC 9457, then ours, then those of the single case.
#[derive(Serialize)]
struct Document {
    #[serde(rename = "type")]
    kind: String,
    title: &'static str,
    status: u16,
    detail: String,
    code: &'static str,
    errmsg: &'static str,
    #[serde(flatten)]
    members: Map<String, Value>,
}

/// The document is written when the caller's language is known: see [`super::app`].
impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = self.kind().status.into_response();
        response.extensions_mut().insert(self);
        response
    }
}

impl From<AdmissionError> for Problem {
    fn from(problem: AdmissionError) -> Self {
        match problem {
            AdmissionError::Refused(refusal) => Self::TooManyRequests(refusal),
            AdmissionError::Challenge { task, wrong } => Self::Challenge { task, wrong },
            AdmissionError::Captcha(source) => {
                error!(error = causes(&source), "the captcha cannot be verified");
                Self::Unavailable(vec!["captcha"])
            }
            AdmissionError::Country(country) => Self::Country(country),
            AdmissionError::Store(source) => source.into(),
            AdmissionError::Queue(source) => {
                error!(error = causes(&source), "the queue is down");
                Self::Unavailable(vec!["queue"])
            }
        }
    }
}

impl From<StoreError> for Problem {
    fn from(problem: StoreError) -> Self {
        error!(error = causes(&problem), "the store is down");
        Self::Unavailable(vec!["store"])
    }
}

/// The field of draft-ietf-httpapi-ratelimit-headers: that nothing is left of these policies, and
/// the time until there is more of each.
pub(super) fn rate_limit(waits: impl IntoIterator<Item = (Exceeded, Duration)>) -> String {
    let mut field = String::with_capacity(32);
    for (policy, wait) in waits {
        let separator = if field.is_empty() { "" } else { ", " };
        // Writing to a string does not fail.
        let _ = write!(field, "{separator}\"{}\";r=0;t={}", policy.as_str(), whole_seconds(wait));
    }
    field
}

/// Rounded up: who comes back then is not too early.
pub(super) fn whole_seconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis().div_ceil(1000)).unwrap_or(u64::MAX)
}
