//! Errors of a call to a gateway, and their classes.

use std::time::Duration;

use sms_domain::failure::FailureClass;
use sms_outbound::http_client::{CallError, HttpResponse};

use crate::codes::Table;

/// Error of sending: the message was not, or perhaps not, accepted. It holds no number, no code and
/// no credential.
#[derive(Debug, thiserror::Error)]
#[error(
    "{gateway}: {reason}{}{meaning} ({})",
    if .meaning.is_empty() { "" } else { ", " },
    .class.as_str(),
)]
pub struct SendError {
    /// Name of the gateway.
    pub gateway: &'static str,
    /// Failure class, which decides what happens to the job.
    pub class: FailureClass,
    /// The gateway's own code, or a description of the transport error.
    pub reason: String,
    /// Meaning of the code; empty if `reason` is a description already.
    pub meaning: &'static str,
    /// True if it affects only some messages, such as those with one template or to one country.
    pub message_specific: bool,
    /// Time to wait before the next call, if the gateway sent one.
    pub retry_after: Option<Duration>,
    /// The transport's error, if any.
    #[source]
    pub source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl SendError {
    /// A refusal by the gateway. `reason` is its code.
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
            message_specific: false,
            retry_after: None,
            source: None,
        }
    }

    /// Converts the error of a call to `gateway` that got no response.
    pub(crate) fn from_call(gateway: &'static str) -> impl Fn(CallError) -> Self {
        move |CallError { class, reason, source }| Self {
            source: Some(Box::new(source)),
            ..Self::refused(gateway, class, reason)
        }
    }
}

/// A refusal of this class, with the response's `Retry-After`.
pub(crate) fn refused(
    gateway: &'static str,
    class: FailureClass,
    reason: impl Into<String>,
    response: &HttpResponse,
) -> SendError {
    SendError { retry_after: response.retry_after, ..SendError::refused(gateway, class, reason) }
}

/// A refusal with a code of the gateway's own, classified by its table.
pub(crate) fn refused_with(
    gateway: &'static str,
    table: &Table,
    code: &str,
    response: &HttpResponse,
) -> SendError {
    let (class, meaning) = table.find(code);
    let class = match class {
        // With a 5xx it is unknown how far the request came, whichever code it has.
        FailureClass::Transient | FailureClass::Unlisted if response.status.is_server_error() => {
            class_of_status(response.status.as_u16())
        }
        class => class,
    };
    SendError {
        meaning,
        message_specific: table.is_message_specific(code),
        ..refused(gateway, class, code, response)
    }
}

/// A response without a code of the gateway's own: its HTTP status decides.
pub(crate) fn status_error(gateway: &'static str, response: &HttpResponse) -> SendError {
    let status = response.status.as_u16();
    refused(gateway, class_of_status(status), format!("HTTP {status}"), response)
}

/// Failure class of an HTTP status alone.
pub(crate) fn class_of_status(status: u16) -> FailureClass {
    match status {
        // Temporarily unavailable.
        503 => FailureClass::Transient,
        429 => FailureClass::Throttled,
        // The request was refused as it is: wrong credentials, path or account.
        400..=499 => FailureClass::Configuration,
        // With 500, 502 and 504 it is unknown how far the request came, and so it is with an
        // unreadable 200. (A proxy also returns 502 if the gateway accepted the request and its
        // response was cut off.)
        _ => FailureClass::Ambiguous,
    }
}

/// Returns a gateway's own code if it is safe in logs and dead letters: short, of letters, digits,
/// `.`, `_` and `-`, and without seven digits in a row, which may be a phone number.
pub(crate) fn safe_code(code: &str) -> Option<&str> {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
    let is_number = code.split(|c: char| !c.is_ascii_digit()).any(|digits| digits.len() >= 7);
    ((1..=80).contains(&code.len()) && code.bytes().all(allowed) && !is_number).then_some(code)
}
