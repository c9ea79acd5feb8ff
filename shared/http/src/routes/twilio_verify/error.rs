//! Errors of the façade, as Twilio's clients read them. (A body with `type` and `title`, as all
//! other errors of the API have, would become another exception in the one for Python.)

use std::time::Duration;

use axum::http::header::{RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use sms_domain::quota::Scope;
use sms_domain::refusal::{Exceeded, Refusal};
use sms_store::StoreError;

use crate::problem::{Problem, RETRY_UNAVAILABLE, whole_seconds};
use crate::views::{HEADERS, json_response};

/// What a caller without credentials is asked for.
const REALM: &str = "Basic realm=\"sms-verify\"";

/// An error, by its code at Twilio.
#[derive(Debug)]
pub(crate) enum VerifyError {
    /// 20003: user and password are no account and API key.
    Credentials,
    /// 20004: services are configured, not created; a path that has no such method.
    Method,
    /// 20404: unknown, over, or another caller's.
    NotFound,
    /// 20429: limits are exceeded for this time.
    TooMany(Duration),
    /// 20503: a part is down.
    Unavailable,
    /// 60200: a parameter is missing, invalid or not supported.
    Parameter(&'static str),
    /// 60202: too many wrong codes.
    NoChecksLeft(Duration),
    /// 60203: the number has had all of its SMS.
    NoSendsLeft(Duration),
    /// 60410: the request looks like fraud.
    Blocked,
    /// 60605: no codes are sent to the country.
    Country,
}

#[derive(Serialize)]
struct Body {
    code: u32,
    message: String,
    more_info: String,
    status: u16,
}

impl VerifyError {
    fn code(&self) -> (u32, StatusCode) {
        match self {
            Self::Credentials => (20003, StatusCode::UNAUTHORIZED),
            Self::Method => (20004, StatusCode::METHOD_NOT_ALLOWED),
            Self::NotFound => (20404, StatusCode::NOT_FOUND),
            Self::TooMany(_) => (20429, StatusCode::TOO_MANY_REQUESTS),
            Self::Unavailable => (20503, StatusCode::SERVICE_UNAVAILABLE),
            Self::Parameter(_) => (60200, StatusCode::BAD_REQUEST),
            Self::NoChecksLeft(_) => (60202, StatusCode::TOO_MANY_REQUESTS),
            Self::NoSendsLeft(_) => (60203, StatusCode::TOO_MANY_REQUESTS),
            Self::Blocked => (60410, StatusCode::FORBIDDEN),
            Self::Country => (60605, StatusCode::FORBIDDEN),
        }
    }

    fn message(&self) -> String {
        let text = match self {
            Self::Credentials => "the user must be an account (AC…), the password an API key",
            Self::Method => "no such method here (services are set by TWILIO_VERIFY_SERVICES)",
            Self::NotFound => "unknown, expired, used, or not of this service and API key",
            Self::TooMany(_) => "too many requests",
            Self::Unavailable => "a part of the service does not answer",
            Self::Parameter(name) => return format!("missing, invalid or not supported: {name}"),
            Self::NoChecksLeft(_) => "too many wrong codes for this number",
            Self::NoSendsLeft(_) => "too many SMS to this number",
            Self::Blocked => "refused: the request looks like fraud",
            Self::Country => "no codes are sent to this country",
        };
        text.to_owned()
    }

    fn headers(&self) -> HeaderMap {
        let mut headers = HeaderMap::with_capacity(HEADERS);
        match self {
            Self::TooMany(wait) | Self::NoChecksLeft(wait) | Self::NoSendsLeft(wait) => {
                headers.insert(RETRY_AFTER, whole_seconds(*wait).into());
            }
            Self::Unavailable => {
                headers.insert(RETRY_AFTER, RETRY_UNAVAILABLE.into());
            }
            Self::Credentials => {
                headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static(REALM));
            }
            _ => {}
        }
        headers
    }
}

impl IntoResponse for VerifyError {
    fn into_response(self) -> Response {
        let (code, status) = self.code();
        let body = Body {
            code,
            message: self.message(),
            more_info: format!("https://www.twilio.com/docs/errors/{code}"),
            status: status.as_u16(),
        };
        json_response(status, self.headers(), &body)
    }
}

impl From<StoreError> for VerifyError {
    fn from(error: StoreError) -> Self {
        Problem::from(error).into()
    }
}

impl From<Refusal> for VerifyError {
    fn from(refusal: Refusal) -> Self {
        let wait = refusal.retry_after();
        if refusal.contains(Exceeded::Attempts) {
            Self::NoChecksLeft(wait)
        } else if refusal.contains(Exceeded::Limit(Scope::Number)) {
            Self::NoSendsLeft(wait)
        } else if refusal.contains(Exceeded::Limit(Scope::Conversion)) {
            Self::Blocked
        } else {
            Self::TooMany(wait)
        }
    }
}

impl From<Problem> for VerifyError {
    fn from(problem: Problem) -> Self {
        match problem {
            Problem::Unauthorized => Self::Credentials,
            Problem::TooManyFailures(wait) => Self::TooMany(wait),
            Problem::TooManyRequests(refusal) => refusal.into(),
            Problem::Challenge { .. } => Self::Blocked,
            Problem::Country(_) => Self::Country,
            Problem::Unavailable(_) => Self::Unavailable,
            Problem::BadField { field, .. } if field == "app_hash" => Self::Parameter("AppHash"),
            Problem::BadField { field, .. } if field == "locale" => Self::Parameter("Locale"),
            Problem::BadNumber(_) | Problem::MissingField("to") => Self::Parameter("To"),
            _ => Self::Parameter("body"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_refusal_has_the_code_of_what_a_client_may_do_about_it() {
        let refused = |exceeded: &[Exceeded]| {
            let mut refusal = Refusal::default();
            exceeded.iter().for_each(|one| refusal.add(*one, Duration::from_secs(60)));
            VerifyError::from(refusal).code().0
        };
        let limit = Exceeded::Limit;
        for (exceeded, code) in [
            (vec![Exceeded::Cooldown], 20429),
            (vec![Exceeded::Attempts], 60202),
            (vec![limit(Scope::Number)], 60203),
            // Nobody types codes of this prefix back: at Twilio that is its Fraud Guard.
            (vec![limit(Scope::Conversion)], 60410),
            (vec![limit(Scope::Budget)], 20429),
            (vec![limit(Scope::Ip), limit(Scope::Tenant)], 20429),
            (vec![limit(Scope::Wrong)], 20429),
            (vec![Exceeded::Cooldown, Exceeded::Attempts, limit(Scope::Number)], 60202),
            (vec![Exceeded::Cooldown, limit(Scope::Number), limit(Scope::Total)], 60203),
        ] {
            assert_eq!(refused(&exceeded), code, "{exceeded:?}");
        }
    }
}
