//! Delivery receipts: what a vendor pushes when a message has reached its phone, or has not.

use std::collections::HashMap;

use serde_json::Value;
use sms_domain::phone::{PhoneNumber, Region};
use sms_outbound::dsn::{Dsn, DsnError};
use subtle::ConstantTimeEq;

/// What came in at `POST /v1/receipts/…`.
#[derive(Debug, Clone, Copy)]
pub struct Callback<'a> {
    /// The last part of the path, which is a secret where the vendor signs nothing.
    pub key: Option<&'a str>,
    /// The headers, by lower-case name.
    pub headers: &'a HashMap<String, String>,
    /// The body.
    pub body: &'a [u8],
    /// The time, in seconds since 1970.
    pub now: i64,
}

/// What became of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeliveryReport {
    /// The number that it went to; without one its name alone says which it is.
    pub to: Option<PhoneNumber>,
    /// The gateway's name for it.
    pub message_id: String,
    /// Whether the phone has it. If not, it never will.
    pub delivered: bool,
}

/// Why a push holds no receipts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DeliveryReportError {
    /// No such gateway is configured, or not for receipts.
    #[error("no receipts are expected here")]
    None,
    /// The signature, or the secret in the path, is not right.
    #[error("the receipts are not authentic")]
    NotAuthentic,
    /// The body cannot be read.
    #[error("the receipts cannot be read")]
    Unreadable,
}

impl DeliveryReport {
    /// A receipt, if the number can be read: international with `+`, or national within `region`.
    pub(crate) fn new(
        number: &str,
        region: &str,
        message_id: &str,
        delivered: bool,
    ) -> Option<Self> {
        let to = PhoneNumber::parse(number, Region::parse(region)?).ok()?;
        Some(Self { to: Some(to), message_id: message_id.to_owned(), delivered })
    }

    /// A receipt that does not tell the number.
    pub(crate) fn of_message(message_id: &str, delivered: bool) -> Self {
        Self { to: None, message_id: message_id.to_owned(), delivered }
    }
}

/// The secret that ends the path of a vendor's receipts where the vendor signs nothing: the option
/// `receipts`.
pub(crate) struct PathSecret(Option<String>);

impl PathSecret {
    /// Fewest characters: who guesses it can mark messages as delivered.
    const MIN_LENGTH: usize = 16;

    /// Whether receipts are expected.
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

    /// The body as JSON, if the path ends in the secret.
    pub(crate) fn open(&self, push: &Callback<'_>) -> Result<Value, DeliveryReportError> {
        let expected = self.0.as_ref().ok_or(DeliveryReportError::None)?;
        let given = push.key.unwrap_or_default();
        if !bool::from(expected.as_bytes().ct_eq(given.as_bytes())) {
            return Err(DeliveryReportError::NotAuthentic);
        }
        serde_json::from_slice(push.body).map_err(|_| DeliveryReportError::Unreadable)
    }
}

/// The objects of an array, or the one object that stands in its place. What is no receipt among
/// them is skipped: the vendor would push it again and again.
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
