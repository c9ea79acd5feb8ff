//! Port to an SMS gateway: the message, the result, and the trait that each vendor implements.

use std::fmt;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, ready};
use sms_domain::code::Code;
use sms_domain::locale::Locale;
use sms_domain::message::{self, Autofill};
use sms_domain::phone::PhoneNumber;
use sms_domain::verification_id::Purpose;

use crate::delivery_report::{Callback, DeliveryReport, DeliveryReportError};
use crate::send_error::SendError;

/// A message to send.
#[derive(Debug, Clone)]
pub struct Sms {
    /// The recipient's number.
    pub to: PhoneNumber,
    /// The code to send.
    pub code: Code,
    /// The whole text in place of ours, for gateways that take one.
    pub custom_text: Option<String>,
    /// The language of the text.
    pub locale: Locale,
    /// The purpose of the code, which selects the text.
    pub purpose: Purpose,
    /// The page or app that may read the code from the message (autofill).
    pub autofill: Option<Autofill>,
    /// Remaining lifetime of the code.
    pub lifetime: Duration,
    /// False if somebody else made the code, and its lifetime is only what it has here: then no
    /// text names it.
    pub names_lifetime: bool,
    /// Idempotency key: equal for all attempts of one job, unique to it, at most 32 characters.
    pub idempotency_key: String,
}

impl Sms {
    /// The full text, for gateways that take one.
    #[must_use]
    pub fn text(&self) -> String {
        if let Some(text) = &self.custom_text {
            return text.clone();
        }
        let lifetime = self.names_lifetime.then_some(self.lifetime);
        message::text(&self.code, lifetime, self.locale, &self.purpose, self.autofill.as_ref())
    }

    /// The code's remaining lifetime in whole minutes, for gateways whose templates have a variable
    /// for it; `None` if it is not known.
    #[must_use]
    pub fn minutes(&self) -> Option<u64> {
        self.names_lifetime.then(|| message::minutes(self.lifetime))
    }
}

/// A gateway's acceptance of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accepted {
    /// The gateway's message ID, to which its delivery reports refer.
    pub message_id: Option<String>,
}

impl Accepted {
    /// Maximum length of a message ID that is kept; vendors use up to 40 characters.
    const MAX_ID: usize = 64;

    /// An acceptance with the ID, if it is printable ASCII and short enough to be kept.
    pub(crate) fn with_id(id: Option<String>) -> Self {
        let plain = |id: &String| {
            (1..=Self::MAX_ID).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_graphic())
        };
        Self { message_id: id.filter(plain) }
    }
}

/// The client of one account at an SMS gateway.
pub(crate) trait Gateway: fmt::Debug + Send + Sync {
    /// Sends a message in a single attempt.
    fn send<'a>(&'a self, sms: &'a Sms) -> BoxFuture<'a, Result<Accepted, SendError>>;

    /// Returns true unless it is known without a call that the gateway does not serve the number.
    fn serves(&self, _to: &PhoneNumber) -> bool {
        true
    }

    /// Returns true if its delivery reports may lack the phone number.
    fn reports_may_lack_number(&self) -> bool {
        false
    }

    /// Loads in advance what the first message would otherwise wait for.
    fn warm_up(&self) -> BoxFuture<'_, ()> {
        ready(()).boxed()
    }

    /// Maximum number of digits of a code that its templates accept, if limited.
    fn max_digits(&self) -> Option<usize> {
        None
    }

    /// Verifies a callback and reads its delivery reports.
    fn delivery_reports(
        &self,
        _callback: &Callback<'_>,
    ) -> Result<Vec<DeliveryReport>, DeliveryReportError> {
        Err(DeliveryReportError::NotEnabled)
    }
}
