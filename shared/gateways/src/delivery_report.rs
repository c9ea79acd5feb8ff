//! Delivery reports (DLRs): callbacks of a vendor that say whether a message reached the phone.

use std::collections::HashMap;

use serde_json::Value;
use sms_domain::phone::{PhoneNumber, Region};
use sms_outbound::dsn::{Dsn, DsnError};
use subtle::ConstantTimeEq;

/// A request to `POST /v1/receipts/…`.
#[derive(Debug, Clone, Copy)]
pub struct Callback<'a> {
    /// The last segment of the path: a shared secret, for vendors that do not sign their callbacks.
    pub key: Option<&'a str>,
    /// The headers, by lower-case name.
    pub headers: &'a HashMap<String, String>,
    /// The body.
    pub body: &'a [u8],
    /// The current time, in seconds since 1970.
    pub now: i64,
}

/// A vendor's delivery report on one message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeliveryReport {
    /// The number that the message went to; if missing, only the message ID identifies it.
    pub to: Option<PhoneNumber>,
    /// The gateway's message ID.
    pub message_id: String,
    /// True if the message was delivered; false if it finally failed.
    pub delivered: bool,
}

/// Reason why a callback yields no delivery reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DeliveryReportError {
    /// No such gateway is configured, or it has no delivery reports enabled.
    #[error("delivery reports are not enabled for this gateway")]
    NotEnabled,
    /// The signature, or the secret in the path, is wrong.
    #[error("the delivery report is not authentic")]
    NotAuthentic,
    /// The body cannot be read.
    #[error("the delivery report cannot be parsed")]
    Unreadable,
}

impl DeliveryReport {
    /// A report, if the number is valid: international with `+`, or national within `region`.
    pub(crate) fn new(
        number: &str,
        region: &str,
        message_id: &str,
        delivered: bool,
    ) -> Option<Self> {
        let to = PhoneNumber::parse(number, Region::parse(region)?).ok()?;
        Some(Self { to: Some(to), message_id: message_id.to_owned(), delivered })
    }

    /// A report without a number.
    pub(crate) fn without_number(message_id: &str, delivered: bool) -> Self {
        Self { to: None, message_id: message_id.to_owned(), delivered }
    }
}

/// Shared secret at the end of the callback URL of a vendor that does not sign: the option
/// `receipts`.
pub(crate) struct PathSecret(Option<String>);

impl PathSecret {
    /// Minimum length: whoever guesses it can mark messages as delivered.
    const MIN_LENGTH: usize = 16;

    /// Returns true if delivery reports are enabled.
    pub(crate) fn is_set(&self) -> bool {
        self.0.is_some()
    }

    pub(crate) fn from_dsn(dsn: &mut Dsn) -> Result<Self, DsnError> {
        let key: Option<String> = dsn.option("receipts")?;
        if key.as_ref().is_some_and(|key| key.len() < Self::MIN_LENGTH) {
            return Err(DsnError::Value("receipts (16 characters or more)"));
        }
        Ok(Self(key))
    }

    /// Parses the body as JSON, if the path ends in the secret.
    pub(crate) fn open(&self, callback: &Callback<'_>) -> Result<Value, DeliveryReportError> {
        let expected = self.0.as_ref().ok_or(DeliveryReportError::NotEnabled)?;
        let given = callback.key.unwrap_or_default();
        if !bool::from(expected.as_bytes().ct_eq(given.as_bytes())) {
            return Err(DeliveryReportError::NotAuthentic);
        }
        serde_json::from_slice(callback.body).map_err(|_| DeliveryReportError::Unreadable)
    }
}

/// Reads the reports of an array, or of a single object. Items that are not reports are skipped: on
/// an error the vendor would send the callback again and again.
pub(crate) fn each(
    body: &Value,
    read: impl Fn(&Value) -> Option<DeliveryReport>,
) -> Vec<DeliveryReport> {
    match body {
        Value::Array(items) => items.iter().filter_map(read).collect(),
        item => read(item).into_iter().collect(),
    }
}

/// A member that is a string.
pub(crate) fn text<'a>(object: &'a Value, name: &str) -> Option<&'a str> {
    object.get(name)?.as_str()
}
