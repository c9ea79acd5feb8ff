//! Problems: every error response of the API, as RFC 9457 documents.
//!
//! `code` and `errmsg` have the numbers and texts of the tutorial's `RETCODE` table.

pub(crate) mod details;
pub(crate) mod field_error;
pub(crate) mod kinds;
pub(crate) mod texts;

use std::borrow::Cow;
use std::fmt::Write;
use std::time::Duration;

use axum::http::header::{
    ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_LANGUAGE, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::response::{IntoResponse, Response};
use serde::{Serialize, Serializer};
use sms_app::challenge::ChallengeTask;
use sms_app::request_code::RequestCodeError;
use sms_domain::locale::Locale;
use sms_domain::phone::{Country, PhoneError};
use sms_domain::refusal::{Exceeded, Refusal};
use sms_store::StoreError;
use sms_telemetry::causes;
use tracing::error;

use self::field_error::{BodyError, FieldError};
use self::kinds::ProblemKind;
use crate::views::{HEADERS, json_response};

/// `Retry-After` while a part is down, in seconds: the longest time of a reconnection.
pub(crate) const RETRY_UNAVAILABLE: u64 = 2;

/// `Retry-After` while another call with the same idempotency key is in progress.
const RETRY_IN_PROGRESS: u64 = 1;

/// The parts of a deployment, as the member `down` names them.
pub(crate) const STORE: &str = "store";
pub(crate) const QUEUE: &str = "queue";
pub(crate) const CAPTCHA: &str = "captcha";

pub(crate) const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");

/// An error response.
#[derive(Debug, Clone)]
pub enum Problem {
    /// The body is not JSON.
    BadJson(BodyError),
    /// The body is JSON with an invalid field.
    BadField {
        /// The field's name.
        field: String,
        /// The error.
        error: FieldError,
    },
    /// A required field is missing.
    MissingField(&'static str),
    /// `to` is not a number that receives SMS.
    BadNumber(PhoneError),
    /// The event of a function is not a valid HTTP request: its method, its path or a header is
    /// invalid.
    NotARequest,
    /// The body's content type is not JSON.
    NotJson,
    /// The body is compressed or otherwise encoded.
    Encoded,
    /// The body is too large.
    TooLarge(usize),
    /// The body did not arrive in time.
    TooSlow,
    /// The code is wrong.
    WrongCode {
        /// Remaining attempts.
        attempts_left: u32,
        /// The rest of the lockout, if there are none.
        locked_for: Duration,
    },
    /// The verification is unknown, expired, replaced or used: always the same response.
    NotFound,
    /// The signature or the path secret of a delivery report is invalid.
    InvalidSignature,
    /// The call has none of the API keys.
    Unauthorized,
    /// The request has neither the token nor the signature of the door.
    WrongCredentials,
    /// Too many wrong API keys from the caller's address; the time for which none is looked at.
    TooManyFailures(Duration),
    /// The `Idempotency-Key` is invalid.
    BadIdempotencyKey,
    /// The `Idempotency-Key` was used for another request.
    IdempotencyKeyReused,
    /// Another call with the same `Idempotency-Key` is in progress.
    IdempotencyInProgress,
    /// No `Host`, more than one, or an invalid one.
    BadHost,
    /// No route for the path.
    NoSuchPath,
    /// The path has a route, but not for the method.
    NoSuchMethod,
    /// A page of another site calls a route that only a site's own pages may call.
    CrossSite,
    /// Limits are exceeded.
    TooManyRequests(Refusal),
    /// A challenge has to be solved first.
    Challenge {
        /// The task to solve.
        task: ChallengeTask,
        /// True if the request had a solution that was wrong.
        wrong: bool,
    },
    /// No codes are sent to the number's country.
    Country(Country),
    /// A part is down.
    Unavailable(Vec<&'static str>),
}

/// The problem of an invalid field.
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
            Self::Unauthorized | Self::WrongCredentials => kinds::UNAUTHORIZED,
            Self::TooManyFailures(_) => kinds::TOO_MANY_FAILURES,
            Self::BadIdempotencyKey => kinds::BAD_IDEMPOTENCY_KEY,
            Self::IdempotencyKeyReused => kinds::IDEMPOTENCY_KEY_REUSED,
            Self::IdempotencyInProgress => kinds::IDEMPOTENCY_IN_PROGRESS,
            Self::BadHost => kinds::BAD_HOST,
            Self::CrossSite => kinds::CROSS_SITE,
            Self::NoSuchPath => kinds::NO_SUCH_PATH,
            Self::NoSuchMethod => kinds::NO_SUCH_METHOD,
            Self::TooManyRequests(refusal) if refusal.contains(Exceeded::Attempts) => {
                kinds::TOO_MANY_WRONG
            }
            Self::TooManyRequests(_) => kinds::TOO_MANY_REQUESTS,
            Self::Unavailable(_) => kinds::UNAVAILABLE,
        }
    }

    /// The members of the document that only some types of problems have.
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
                members.violated_policies_of_the_type = Some(Policies(refusal));
                members.violated_policies = Some(Policies(refusal));
                members.retry_after = Some(whole_seconds(refusal.retry_after()));
            }
            Self::TooManyFailures(wait) => members.retry_after = Some(whole_seconds(*wait)),
            Self::Challenge { task, .. } => members.challenge = Some(task),
            Self::Unavailable(parts) => members.down = Some(parts),
            _ => {}
        }
        members
    }

    pub(crate) fn headers(&self) -> HeaderMap {
        let mut headers = HeaderMap::with_capacity(HEADERS);
        match self {
            Self::TooManyRequests(refusal) => {
                headers.insert(RETRY_AFTER, whole_seconds(refusal.retry_after()).into());
                headers.insert(RATE_LIMIT, rate_limit(refusal.waits()));
            }
            Self::TooManyFailures(wait) => {
                headers.insert(RETRY_AFTER, whole_seconds(*wait).into());
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
            Self::Unauthorized | Self::WrongCredentials => {
                headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            }
            _ => {}
        }
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        headers
    }

    /// The `code` and `errmsg` of the tutorial's table.
    pub(crate) fn retcode(&self, locale: Locale) -> Retcode {
        let kind = self.kind();
        Retcode { code: kind.code, errmsg: kind.errmsg(locale) }
    }

    /// The document, with its texts in the caller's language.
    pub(crate) fn document(&self, locale: Locale) -> Document<'_> {
        let kind = self.kind();
        Document {
            kind: if kind.name.starts_with("https:") {
                Cow::Borrowed(kind.name)
            } else {
                Cow::Owned(format!("urn:sms-verify:problem:{}", kind.name))
            },
            title: kind.title(locale),
            status: kind.status.as_u16(),
            detail: self.detail(locale),
            code: kind.code,
            errmsg: kind.errmsg(locale),
            ..self.members()
        }
    }

    /// The response with the document.
    #[must_use]
    pub fn response(&self, locale: Locale) -> Response {
        let mut headers = self.headers();
        headers.insert(CONTENT_LANGUAGE, HeaderValue::from_static(locale.tag()));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        json_response(self.kind().status, headers, &self.document(locale))
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
    kind: Cow<'static, str>,
    title: &'static str,
    status: u16,
    detail: Cow<'static, str>,
    /// The number in the tutorial's table
    code: &'static str,
    /// The tutorial's words in Chinese, or `title` in English, by `Accept-Language`
    errmsg: &'static str,
    /// The field of the request that is wrong
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<&'a str>,
    /// The digit that mobile numbers of the country have and this one lacks; `detail` says where
    #[serde(skip_serializing_if = "Option::is_none")]
    missing: Option<&'static str>,
    /// Wrong codes that may still be typed
    #[serde(skip_serializing_if = "Option::is_none")]
    attempts_left: Option<u32>,
    /// All policies that refused the request, the longest wait first: the member that the type
    /// `#quota-exceeded` defines
    #[serde(rename = "violated-policies", skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schema(value_type = Option<Vec<String>>))]
    violated_policies_of_the_type: Option<Policies<'a>>,
    /// `violated-policies` under its older name
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schema(value_type = Option<Vec<String>>))]
    violated_policies: Option<Policies<'a>>,
    /// Seconds until no policy refuses the request; after the last wrong code, until the lockout
    /// ends
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schema(value_type = crate::document::Challenge, required = false))]
    challenge: Option<&'a ChallengeTask>,
    /// The parts that do not answer
    #[serde(skip_serializing_if = "Option::is_none")]
    down: Option<&'a [&'static str]>,
}

/// The names of the policies of a refusal.
#[derive(Clone, Copy)]
struct Policies<'a>(&'a Refusal);

impl Serialize for Policies<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.waits().map(|(policy, _)| policy.as_str()))
    }
}

/// Keeps the problem in the response's extensions: middleware writes the document, in the caller's
/// language ([`crate::with_defaults`]).
impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = self.kind().status.into_response();
        response.extensions_mut().insert(self);
        response
    }
}

impl From<RequestCodeError> for Problem {
    fn from(problem: RequestCodeError) -> Self {
        match problem {
            RequestCodeError::Refused(refusal) => Self::TooManyRequests(refusal),
            RequestCodeError::Challenge { task, wrong } => Self::Challenge { task, wrong },
            RequestCodeError::Captcha(source) => {
                error!(error = causes(&source), "the captcha cannot be verified");
                Self::Unavailable(vec![CAPTCHA])
            }
            RequestCodeError::Country(country) => Self::Country(country),
            RequestCodeError::Store(source) => source.into(),
            RequestCodeError::Queue(source) => {
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

/// The field `RateLimit` of draft-ietf-httpapi-ratelimit-headers: nothing is left of these
/// policies, and the time until each admits a request again.
pub(crate) fn rate_limit(waits: impl IntoIterator<Item = (Exceeded, Duration)>) -> HeaderValue {
    let mut field = String::with_capacity(32);
    for (policy, wait) in waits {
        let separator = if field.is_empty() { "" } else { ", " };
        // Writing to a string does not fail.
        let _ = write!(field, "{separator}\"{}\";r=0;t={}", policy.as_str(), whole_seconds(wait));
    }
    // The names of policies are letters.
    HeaderValue::try_from(field).unwrap_or_else(|_| HeaderValue::from_static(""))
}

/// A time in seconds, rounded up so that a retry is not too early.
pub(crate) fn whole_seconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis().div_ceil(1000)).unwrap_or(u64::MAX)
}
