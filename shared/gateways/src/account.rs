//! An account at a gateway: its rate and circuit, and the route's end.

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};

use sms_domain::phone::PhoneNumber;
use sms_domain::sync::lock;
use sms_outbound::dsn::Dsn;
use sms_outbound::transcript::{self, Exchange};

use crate::gateway::{Accepted, Gateway, Sms};
use crate::send_error::SendError;
use crate::{SmsDsnError, vendors};

/// An account at a gateway: what has a rate and a circuit, and what a route leads to.
#[derive(Debug)]
pub struct Account {
    /// Names it in the store: a hash of the DSN's scheme, user and host, so that all workers share
    /// what is known of it.
    pub id: String,
    /// Messages that it takes in a second, if there is a limit: the option `rate`.
    pub rate: Option<NonZeroU32>,
    scheme: String,
    /// Host and port of the DSN; empty where they are the vendor's own.
    pub(crate) host: String,
    pub(crate) gateway: Box<dyn Gateway>,
    /// When this process was last told that the circuit is closed.
    closed: Mutex<Option<Instant>>,
}

impl Account {
    /// For how long a closed circuit is taken for closed without being looked at: a failure of this
    /// process counts at once, those of others so much later, and at a thousand messages a second
    /// the store is asked ten times instead.
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

    /// An inbox within this process.
    pub(crate) fn inbox(gateway: Box<dyn Gateway>) -> Self {
        let (id, scheme) = ("inbox".to_owned(), "inbox".to_owned());
        Self { id, rate: None, scheme, host: String::new(), gateway, closed: Mutex::default() }
    }

    /// Whether the store need not be asked before the next call.
    #[must_use]
    pub fn is_known_closed(&self) -> bool {
        self.closed().is_some_and(|at| at.elapsed() < Self::CLOSED)
    }

    /// The store has granted a call; `trial`: and waits for its outcome.
    pub fn granted(&self, trial: bool) {
        // A rate counts every message.
        if !trial && self.rate.is_none() {
            *self.closed() = Some(Instant::now());
        }
    }

    /// A call has failed: before the next one the store is asked.
    pub fn failed(&self) {
        *self.closed() = None;
    }

    fn closed(&self) -> MutexGuard<'_, Option<Instant>> {
        lock(&self.closed)
    }

    /// The gateway's name, as in the URL of its receipts.
    #[must_use]
    pub fn name(&self) -> &str {
        self.scheme.split('+').next().unwrap_or_default()
    }

    /// Whether its receipts may name a message alone, so that the store has to know which number it
    /// went to.
    #[must_use]
    pub fn names_messages_alone(&self) -> bool {
        self.gateway.names_messages_alone()
    }

    /// Whether the gateway takes messages to the number at all, as far as that can be said without
    /// asking it.
    #[must_use]
    pub fn serves(&self, to: &PhoneNumber) -> bool {
        self.gateway.serves(to)
    }

    /// Hands a message over, once.
    ///
    /// # Errors
    /// [`SendError`], whose class says what to do.
    pub async fn send(&self, sms: &Sms) -> Result<Accepted, SendError> {
        self.gateway.send(sms).await
    }

    /// Hands a message over, once, and tells besides what goes over the wire, with secrets masked.
    /// With a stub, that takes the message in the gateway's place.
    pub async fn send_and_tell(
        &self,
        sms: &Sms,
        stub: Option<SocketAddr>,
    ) -> (Result<Accepted, SendError>, Vec<Exchange>) {
        transcript::of(&sms.to, &sms.code, stub, self.gateway.send(sms)).await
    }
}
