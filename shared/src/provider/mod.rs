//! Providers: the SMS gateways that a code can go through, chosen by `SMS_DSN`.
//!
//! A gateway is one file: it reads its options from the DSN, makes one call, and says what a failure means. It never
//! tries again by itself: the queue does.

mod ccp;
mod client;
mod dsn;
mod inbox;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;

pub use self::dsn::DsnError;
pub use self::inbox::{Inbox, InboxMessage};
use crate::code::Code;
use crate::message::Locale;
use crate::phone::PhoneNumber;

/// What a gateway is given.
#[derive(Debug, Clone)]
pub struct Sms {
    /// Where it goes.
    pub to: PhoneNumber,
    /// The digits to send.
    pub code: Code,
    /// In which language.
    pub locale: Locale,
    /// How long the code will still be accepted.
    pub lifetime: Duration,
    /// The same for every attempt at one job, and for no other job: at most 32 characters.
    pub idempotency_key: String,
}

/// What a failure means for the job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// The gateway could not take it now: try again.
    Transient,
    /// It refuses this number or this rate for now: do not try again there at once.
    Throttled,
    /// The number or the text is refused for good: never try again.
    Permanent,
    /// Something is wrong with the account or its settings: an operator must act.
    Configuration,
    /// It may have been accepted: the answer was lost or cannot be read.
    Ambiguous,
}

/// Why a message was not, or perhaps not, accepted. It holds no number, no code and no credential.
#[derive(Debug, thiserror::Error)]
#[error("{gateway}: {reason} ({class:?})")]
pub struct SendError {
    /// Which gateway.
    pub gateway: &'static str,
    /// What it means.
    pub class: Class,
    /// The gateway's own code, or what went wrong on the way.
    pub reason: String,
    /// The time before which the gateway does not want to be called again, if it said so.
    pub retry_after: Option<Duration>,
    /// The transport's error, if it was one.
    #[source]
    pub source: Option<reqwest::Error>,
}

/// An SMS gateway.
pub trait Gateway: fmt::Debug + Send + Sync {
    /// Hands a message over, once.
    fn send<'a>(&'a self, sms: &'a Sms) -> BoxFuture<'a, Result<(), SendError>>;
}

/// The configured gateway.
#[derive(Debug, Clone)]
pub struct Provider(Arc<dyn Gateway>);

impl Provider {
    /// Longest time that a call to a gateway may take, connection included.
    pub const TIMEOUT: Duration = client::TOTAL_TIMEOUT;

    /// Reads an `SMS_DSN`: `ccp://SID:TOKEN@app.cloopen.com:8883?app_id=A&template=1`, or `inbox+http://HOST:PORT`
    /// for the inbox of another process.
    ///
    /// # Errors
    /// [`DsnError`] says which part is missing or wrong, without quoting a credential.
    pub fn from_dsn(text: &str) -> Result<Self, DsnError> {
        let dsn = dsn::Dsn::parse(text)?;
        let gateway: Arc<dyn Gateway> = match dsn.scheme() {
            "ccp" => Arc::new(ccp::Ccp::from_dsn(dsn)?),
            "inbox+http" => Arc::new(inbox::InboxClient::from_dsn(dsn)?),
            other => return Err(DsnError::Scheme(other.to_owned())),
        };
        Ok(Self(gateway))
    }

    /// An inbox within this process.
    #[must_use]
    pub fn inbox(inbox: Inbox) -> Self {
        Self(Arc::new(inbox))
    }

    /// Hands a message over, once.
    ///
    /// # Errors
    /// [`SendError`], whose class says what to do.
    pub async fn send(&self, sms: &Sms) -> Result<(), SendError> {
        self.0.send(sms).await
    }
}
