//! The port to one SMS gateway: the message, the answer, the error, and the trait that a vendor
//! implements.

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

/// What a gateway is given.
#[derive(Debug, Clone)]
pub struct Sms {
    /// Where it goes.
    pub to: PhoneNumber,
    /// The digits to send.
    pub code: Code,
    /// In which language.
    pub locale: Locale,
    /// What the code is for: it chooses the text.
    pub purpose: Purpose,
    /// Which page or app may read the code out of the message.
    pub autofill: Option<Autofill>,
    /// How long the code will still be accepted.
    pub lifetime: Duration,
    /// The same for every attempt at one job, and for no other job: at most 32 characters.
    pub idempotency_key: String,
}

impl Sms {
    /// The whole text, for gateways that take one.
    #[must_use]
    pub fn text(&self) -> String {
        message::text(&self.code, self.lifetime, self.locale, &self.purpose, self.autofill.as_ref())
    }

    /// The code's remaining life in whole minutes, for gateways whose templates name them.
    #[must_use]
    pub fn minutes(&self) -> u64 {
        message::minutes(self.lifetime)
    }
}

/// A gateway has taken a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accepted {
    /// The gateway's own name for it, which its receipts refer to.
    pub message_id: Option<String>,
}

impl Accepted {
    /// Most characters of a message id that is kept; vendors have up to 40.
    const MAX_ID: usize = 64;

    /// With an id, if it is one that can be kept.
    pub(crate) fn with_id(id: Option<String>) -> Self {
        let plain = |id: &String| {
            (1..=Self::MAX_ID).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_graphic())
        };
        Self { message_id: id.filter(plain) }
    }
}

/// An SMS gateway, behind one account.
pub(crate) trait Gateway: fmt::Debug + Send + Sync {
    /// Hands a message over, once.
    fn send<'a>(&'a self, sms: &'a Sms) -> BoxFuture<'a, Result<Accepted, SendError>>;

    /// Whether it takes messages to the number at all, as far as that can be said without asking
    /// it.
    fn serves(&self, _to: &PhoneNumber) -> bool {
        true
    }

    /// Whether its receipts may name the message alone, and not the number.
    fn names_messages_alone(&self) -> bool {
        false
    }

    /// Reads beforehand what the first message would otherwise wait for.
    fn warm_up(&self) -> BoxFuture<'_, ()> {
        ready(()).boxed()
    }

    /// Most digits of a code that its templates take, if they say.
    fn most_digits(&self) -> Option<usize> {
        None
    }

    /// Reads what the vendor pushed about messages that it took before, if the push is the
    /// vendor's.
    fn delivery_reports(
        &self,
        _push: &Callback<'_>,
    ) -> Result<Vec<DeliveryReport>, DeliveryReportError> {
        Err(DeliveryReportError::None)
    }
}
