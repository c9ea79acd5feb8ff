//! Everything that can be answered other than what was asked for: RFC 9457 problem documents, in
//! one place.
//!
//! `code` and `errmsg` keep the numbers and words of the tutorial's `RETCODE` table.

pub(crate) mod details;
pub(crate) mod field_error;
pub(crate) mod kinds;
pub(crate) mod texts;

use std::fmt::Write;
use std::time::Duration;

use axum::Json;
use axum::http::header::{
    ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_LANGUAGE, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use sms_app::admission::AdmissionError;
use sms_app::challenge::ChallengeTask;
use sms_domain::locale::Locale;
use sms_domain::phone::{Country, PhoneError};
use sms_domain::refusal::{Exceeded, Refusal};
use sms_store::StoreError;
use sms_telemetry::causes;
use tracing::error;

use self::field_error::{BodyError, FieldError};
use self::kinds::ProblemKind;

/// `Retry-After` while a part is down, in seconds: reconnecting takes
/// no longer.
const RETRY_UNAVAILABLE: u64 = 2;

/// `Retry-After` while another call with the same idempotency key is in progress.
const RETRY_IN_PROGRESS: u64 = 1;

/// The parts of a deployment, as the member `down` names them.
pub(crate) const STORE: &str = "store";
pub(crate) const QUEUE: &str = "queue";
pub(crate) const CAPTCHA: &str = "captcha";

pub(crate) const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");

/// An error answer.
#[derive(Debug, Clone)]
pub enum Problem {
    /// The body is not JSON.
    BadJson(BodyError),
    /// The body is JSON, and a field in it is not what it should be.
    BadField {
        /// Its name.
        field: String,
        /// The mistake.
        error: FieldError,
    },
    /// A field that must be there is not.
    MissingField(&'static str),
    /// `to` is not a number that receives SMS.
    BadNumber(PhoneError),
    /// The event of a function is not a valid HTTP request: a method, a path or a header that none
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
    WrongCode {
        /// Further tries.
        attempts_left: u32,
        /// The lockout, if there are none.
        locked_for: Duration,
    },
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
    Challenge {
        /// The task.
        task: ChallengeTask,
        /// There was an answer, and it was wrong.
        wrong: bool,
    },
    /// No codes are sent to the number's country.
    Country(Country),
    /// A part is down.
    Unavailable(Vec<&'static str>),
}

/// A field that is not what it should be.
pub(crate) fn bad(field: &str, error: FieldError) -> Problem {
    Problem::BadField { field: field.to_owned(), error }
}

impl Problem {
    pub(crate) fn kind(&self) -> ProblemKind {
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

    /// The members of the single case.
    fn members(&self) -> Document<'_> {
        let mut members = Document::default();
        match self {
            Self::BadField { field, .. } => members.field = Some(field),
            Self::MissingField(field) => members.field = Some(field),
            Self::BadNumber(error) => {
                use PhoneError::{ArgentinaWithoutNine, BrazilWithoutNine};
                let lacks_nine = matches!(error, ArgentinaWithoutNine | BrazilWithoutNine);
                (members.field, members.missing) = (Some("to"), lacks_nine.then_some("9"));
            }
            Self::Country(_) => members.field = Some("to"),
            Self::WrongCode { attempts_left, locked_for } => {
                members.field = Some("code");
                members.attempts_left = Some(*attempts_left);
                members.retry_after = (*attempts_left == 0).then(|| whole_seconds(*locked_for));
            }
            Self::TooManyRequests(refusal) => {
                let policies: Vec<_> = refusal.waits().map(|(policy, _)| policy.as_str()).collect();
                members.violated_policies_of_the_type = Some(policies.clone());
                members.violated_policies = Some(policies);
                members.retry_after = Some(whole_seconds(refusal.retry_after()));
            }
            Self::Challenge { task, .. } => members.challenge = Some(task),
            Self::Unavailable(parts) => members.down = Some(parts),
            _ => {}
        }
        members
    }

    pub(crate) fn headers(&self) -> HeaderMap {
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

    /// As in the tutorial's table, in its language unless the caller asks for another.
    pub(crate) fn as_in_the_table(&self, locale: Locale) -> Retcode {
        let kind = self.kind();
        Retcode { code: kind.code, errmsg: kind.errmsg(locale) }
    }

    /// The document, with its texts in the caller's language.
    pub(crate) fn document(&self, locale: Locale) -> Document<'_> {
        let kind = self.kind();
        Document {
            kind: if kind.name.starts_with("https:") {
                kind.name.to_owned()
            } else {
                format!("urn:sms-verify:problem:{}", kind.name)
            },
            title: kind.title(locale),
            status: kind.status.as_u16(),
            detail: self.detail(locale),
            code: kind.code,
            errmsg: kind.errmsg(locale),
            ..self.members()
        }
    }

    /// The answer with the document.
    #[must_use]
    pub fn response(&self, locale: Locale) -> Response {
        let mut headers = self.headers();
        headers.insert(CONTENT_LANGUAGE, HeaderValue::from_static(locale.tag()));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        (self.kind().status, headers, Json(self.document(locale))).into_response()
    }
}

/// The tutorial's `code` and `errmsg`
#[derive(Serialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
pub(crate) struct Retcode {
    pub(crate) code: &'static str,
    pub(crate) errmsg: &'static str,
}

/// RFC 9457, with the tutorial's `code` and `errmsg`
#[derive(Default, Serialize)]
#[cfg_attr(test, derive(utoipa::ToSchema), schema(as = Problem))]
pub(crate) struct Document<'a> {
    #[serde(rename = "type")]
    #[cfg_attr(test, schema(format = "uri"))]
    kind: String,
    title: &'static str,
    status: u16,
    detail: String,
    /// As in the tutorial's table
    code: &'static str,
    /// The tutorial's words in Chinese, or `title` in English, by `Accept-Language`
    errmsg: &'static str,
    /// The field of the request that is wrong
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<&'a str>,
    /// The digit that a mobile number of its country has and this one has not; `detail` says where
    #[serde(skip_serializing_if = "Option::is_none")]
    missing: Option<&'static str>,
    /// Wrong codes that may still be typed
    #[serde(skip_serializing_if = "Option::is_none")]
    attempts_left: Option<u32>,
    /// All policies that stood in the way, the longest wait first: the member that the type
    /// `#quota-exceeded` defines
    #[serde(rename = "violated-policies", skip_serializing_if = "Option::is_none")]
    violated_policies_of_the_type: Option<Vec<&'static str>>,
    /// The same as `violated-policies`, under its older name here
    #[serde(skip_serializing_if = "Option::is_none")]
    violated_policies: Option<Vec<&'static str>>,
    /// Seconds after which no policy stands in the way any more, or after the last wrong code the
    /// number is no longer locked
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schema(value_type = crate::document::Challenge, required = false))]
    challenge: Option<&'a ChallengeTask>,
    /// The parts that do not answer
    #[serde(skip_serializing_if = "Option::is_none")]
    down: Option<&'a [&'static str]>,
}

/// The document is written when the caller's language is known: see [`crate::with_defaults`].
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
                Self::Unavailable(vec![CAPTCHA])
            }
            AdmissionError::Country(country) => Self::Country(country),
            AdmissionError::Store(source) => source.into(),
            AdmissionError::Queue(source) => {
                error!(error = causes(&source), "the queue is down");
                Self::Unavailable(vec![QUEUE])
            }
        }
    }
}

impl From<StoreError> for Problem {
    fn from(problem: StoreError) -> Self {
        error!(error = causes(&problem), "the store is down");
        Self::Unavailable(vec![STORE])
    }
}

/// The field of draft-ietf-httpapi-ratelimit-headers: that nothing is left of these policies, and
/// the time until there is more of each.
pub(crate) fn rate_limit(waits: impl IntoIterator<Item = (Exceeded, Duration)>) -> String {
    let mut field = String::with_capacity(32);
    for (policy, wait) in waits {
        let separator = if field.is_empty() { "" } else { ", " };
        // Writing to a string does not fail.
        let _ = write!(field, "{separator}\"{}\";r=0;t={}", policy.as_str(), whole_seconds(wait));
    }
    field
}

/// Rounded up: who comes back then is not too early.
pub(crate) fn whole_seconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis().div_ceil(1000)).unwrap_or(u64::MAX)
}
