//! An account at a gateway: its rate limit, its circuit breaker and its client.

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};

use sms_domain::code::Code;
use sms_domain::phone::PhoneNumber;
use sms_domain::sync::lock;
use sms_outbound::dsn::Dsn;
use sms_outbound::transcript::{self, Exchange};

use crate::gateway::{Accepted, Gateway, Sms};
use crate::send_error::SendError;
use crate::{SmsDsnError, vendors};

/// An account at a gateway. Routes end at accounts; each has a rate limit and a circuit breaker.
#[derive(Debug)]
pub struct Account {
    /// Key of the account in the store: a hash of the DSN's scheme, user, host and port, so that
    /// all workers share its rate limit and circuit.
    pub id: String,
    /// Rate limit in messages per second: the option `rate`.
    pub rate: Option<NonZeroU32>,
    scheme: String,
    /// Host and port of the DSN; empty for the vendor's own host.
    pub(crate) host: String,
    pub(crate) gateway: Box<dyn Gateway>,
    /// Time at which the store last reported a closed circuit to this process.
    closed: Mutex<Option<Instant>>,
}

impl Account {
    /// Time for which a closed circuit is cached. A failure in this process counts at once, and one
    /// elsewhere after this time at the latest. At 1,000 messages a second it saves 990 of 1,000
    /// calls to the store.
    const CLOSED: Duration = Duration::from_millis(100);

    pub(crate) fn from_dsn(text: &str) -> Result<Self, SmsDsnError> {
        let mut dsn = Dsn::parse(text)?;
        let (id, scheme, host, rate) =
            (dsn.identity(), dsn.scheme().to_owned(), dsn.host(), dsn.option("rate")?);
        Ok(Self {
            id,
            rate,
            scheme,
            host,
            gateway: vendors::from_dsn(dsn)?,
            closed: Mutex::default(),
        })
    }

    /// An account at the inbox of this process.
    pub(crate) fn inbox(gateway: Box<dyn Gateway>) -> Self {
        let (id, scheme) = ("inbox".to_owned(), "inbox".to_owned());
        Self { id, rate: None, scheme, host: String::new(), gateway, closed: Mutex::default() }
    }

    /// Returns true if the circuit is known to be closed, so that the next call needs no permit
    /// from the store.
    #[must_use]
    pub fn is_known_closed(&self) -> bool {
        self.closed().is_some_and(|at| at.elapsed() < Self::CLOSED)
    }

    /// Records that the store granted a call; with `trial` the circuit is half-open, and the store
    /// waits for the outcome.
    pub fn granted(&self, trial: bool) {
        // With a rate limit the store has to count every message.
        if !trial && self.rate.is_none() {
            *self.closed() = Some(Instant::now());
        }
    }

    /// Records a failed call: the next one needs a permit from the store.
    pub fn failed(&self) {
        *self.closed() = None;
    }

    fn closed(&self) -> MutexGuard<'_, Option<Instant>> {
        lock(&self.closed)
    }

    /// The gateway's name, as in the URL of its delivery reports.
    #[must_use]
    pub fn name(&self) -> &str {
        self.scheme.split('+').next().unwrap_or_default()
    }

    /// Returns true if its delivery reports may lack the phone number, so that the store has to
    /// keep it by message ID.
    #[must_use]
    pub fn reports_may_lack_number(&self) -> bool {
        self.gateway.reports_may_lack_number()
    }

    /// Returns true unless it is known without a call that the gateway does not serve the number.
    #[must_use]
    pub fn serves(&self, to: &PhoneNumber) -> bool {
        self.gateway.serves(to)
    }

    /// Returns false if its templates do not take such a code: the vendor would refuse it.
    #[must_use]
    pub fn takes(&self, code: &Code) -> bool {
        let takes = |max| code.is_digits() && code.expose().len() <= max;
        self.gateway.max_digits().is_none_or(takes)
    }

    /// Sends a message in a single attempt.
    ///
    /// # Errors
    /// [`SendError`], whose class decides what happens to the job.
    pub async fn send(&self, sms: &Sms) -> Result<Accepted, SendError> {
        self.gateway.send(sms).await
    }

    /// Sends a message in a single attempt, and returns a transcript with secrets masked. With
    /// `stub`, the request goes there and not to the gateway.
    pub async fn send_with_transcript(
        &self,
        sms: &Sms,
        stub: Option<SocketAddr>,
    ) -> (Result<Accepted, SendError>, Vec<Exchange>) {
        transcript::record(&sms.to, &sms.code, stub, self.gateway.send(sms)).await
    }
}
