//! Failures of a call to a gateway, and the class of each.

use std::time::Duration;

use sms_domain::failure::FailureClass;
use sms_outbound::http_client::{CallError, HttpResponse};

use crate::codes::Table;

/// Why a message was not, or perhaps not, accepted. It holds no number, no code and no credential.
#[derive(Debug, thiserror::Error)]
#[error("{gateway}: {reason}{} ({})", if .meaning.is_empty() { "" } else { ", " }.to_owned() + .meaning, .class.as_str())]
pub struct SendError {
    /// Which gateway.
    pub gateway: &'static str,
    /// What it means.
    pub class: FailureClass,
    /// The gateway's own code, or what went wrong on the way.
    pub reason: String,
    /// What the code means, in words; empty if it says so itself.
    pub meaning: &'static str,
    /// Only some messages meet it, such as all with one template or to one country.
    pub for_some: bool,
    /// The time before which the gateway does not want to be called again, if it said so.
    pub retry_after: Option<Duration>,
    /// The transport's error, if it was one.
    #[source]
    pub source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl SendError {
    /// A gateway's answer that is a refusal. `reason` is its code for it.
    pub(crate) fn refused(
        gateway: &'static str,
        class: FailureClass,
        reason: impl Into<String>,
    ) -> Self {
        Self {
            gateway,
            class,
            reason: reason.into(),
            meaning: "",
            for_some: false,
            retry_after: None,
            source: None,
        }
    }

    /// The error of a call to `gateway` that brought no response.
    pub(crate) fn of_call(gateway: &'static str) -> impl Fn(CallError) -> Self {
        move |CallError { class, reason, source }| Self {
            source: Some(Box::new(source)),
            ..Self::refused(gateway, class, reason)
        }
    }
}

/// A refusal of this class, with the time that the gateway asked for.
pub(crate) fn refused(
    gateway: &'static str,
    class: FailureClass,
    reason: impl Into<String>,
    answer: &HttpResponse,
) -> SendError {
    SendError { retry_after: answer.retry_after, ..SendError::refused(gateway, class, reason) }
}

/// A refusal with a code of the gateway's own, which its table explains.
pub(crate) fn refused_with(
    gateway: &'static str,
    table: &Table,
    code: &str,
    answer: &HttpResponse,
) -> SendError {
    let (class, meaning) = table.find(code);
    let class = match class {
        // A server's error leaves open how far the request came, whatever code stands in it.
        FailureClass::Transient | FailureClass::Unlisted if answer.status.is_server_error() => {
            class_of_status(answer.status.as_u16())
        }
        class => class,
    };
    SendError {
        meaning,
        for_some: table.is_for_some(code),
        ..refused(gateway, class, code, answer)
    }
}

/// An answer without the gateway's own code in it: then the HTTP status is all there is.
pub(crate) fn status_error(gateway: &'static str, answer: &HttpResponse) -> SendError {
    let status = answer.status.as_u16();
    refused(gateway, class_of_status(status), format!("HTTP {status}"), answer)
}

/// What an HTTP status means by itself.
pub(crate) fn class_of_status(status: u16) -> FailureClass {
    match status {
        // Not now.
        503 => FailureClass::Transient,
        429 => FailureClass::Throttled,
        // The request was refused as it is: wrong credentials, path or account.
        400..=499 => FailureClass::Configuration,
        // 500, 502 and 504 leave open how far the request came, and so does a 200 that cannot be
        // read. (A proxy answers 502 also when the gateway took the request and its answer broke
        // off.)
        _ => FailureClass::Ambiguous,
    }
}

/// A gateway's own code as it may stand in logs and with dead letters: short, of letters, digits,
/// `.`, `_` and `-`, and no number: of seven digits in a row it may be one.
pub(crate) fn plain(code: &str) -> Option<&str> {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
    let is_number = code.split(|c: char| !c.is_ascii_digit()).any(|digits| digits.len() >= 7);
    ((1..=80).contains(&code.len()) && code.bytes().all(allowed) && !is_number).then_some(code)
}
