//! Providers: the SMS gateways that a code can go through, chosen by `SMS_DSN`.
//!
//! A gateway is one file: it reads its options from the DSN, makes one call, says what a failure
//! means, and reads the receipts that its vendor pushes. It never tries again by itself: the queue
//! does. Which gateway a message goes to, and which one after that, `route.rs` says.

mod class;
pub(crate) mod client;
mod codes;
mod receipt;
mod route;
mod transcript;
mod twilio_signature;

use std::fmt;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, join_all, ready};

pub use self::class::Class;
pub use self::inbox::{Inbox, InboxMessage};
pub use self::receipt::{Push, Receipt, ReceiptError};
use self::route::Routes;
pub use self::transcript::Exchange;
use crate::code::Code;
use crate::dsn::Dsn;
pub use crate::dsn::DsnError;
use crate::message::{self, Autofill, Locale};
use crate::phone::PhoneNumber;
use crate::prepare::in_its_own_thread;
use crate::verification::Purpose;

/// Declares the gateways' files, and names each by the schemes of its DSNs.
macro_rules! gateways {
    ($($module:ident: $($scheme:literal)|+;)*) => {
        $(mod $module;)*

        fn gateway_of(dsn: Dsn) -> Result<Box<dyn Gateway>, DsnError> {
            match dsn.scheme() {
                $($($scheme)|+ => Ok(Box::new($module::from_dsn(dsn)?)),)*
                other => Err(DsnError::Scheme(other.to_owned())),
            }
        }
    };
}

// A line each: the file, and the schemes that choose it.
gateways! {
    aliyun: "aliyun";
    aws: "aws";
    ccp: "ccp";
    inbox: "inbox+http";
    null: "null";
    tencent: "tencent";
    twilio: "twilio";
    webhook: "webhook+https" | "webhook+http";
}

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
    fn with_id(id: Option<String>) -> Self {
        let plain = |id: &String| {
            (1..=Self::MAX_ID).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_graphic())
        };
        Self { message_id: id.filter(plain) }
    }
}

/// Why a message was not, or perhaps not, accepted. It holds no number, no code and no credential.
#[derive(Debug, thiserror::Error)]
#[error("{gateway}: {reason}{} ({})", if .meaning.is_empty() { "" } else { ", " }.to_owned() + .meaning, .class.as_str())]
pub struct SendError {
    /// Which gateway.
    pub gateway: &'static str,
    /// What it means.
    pub class: Class,
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
    fn refused(gateway: &'static str, class: Class, reason: impl Into<String>) -> Self {
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

    /// Something is wrong with our account at a vendor, or with the vendor.
    pub(crate) fn configuration(vendor: &'static str, reason: &str) -> Self {
        Self::refused(vendor, Class::Configuration, reason)
    }
}

/// An SMS gateway, behind one account.
trait Gateway: fmt::Debug + Send + Sync {
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
    fn prepare(&self) -> BoxFuture<'_, ()> {
        ready(()).boxed()
    }

    /// Most digits of a code that its templates take, if they say.
    fn most_digits(&self) -> Option<usize> {
        None
    }

    /// Reads what the vendor pushed about messages that it took before, if the push is the
    /// vendor's.
    fn receipts(&self, _push: &Push<'_>) -> Result<Vec<Receipt>, ReceiptError> {
        Err(ReceiptError::None)
    }
}

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
    host: String,
    gateway: Box<dyn Gateway>,
    /// When this process was last told that the circuit is closed.
    closed: Mutex<Option<Instant>>,
}

impl Account {
    /// For how long a closed circuit is taken for closed without being looked at: a failure of this
    /// process counts at once, those of others so much later, and at a thousand messages a second
    /// the store is asked ten times instead.
    const CLOSED: Duration = Duration::from_millis(100);

    fn from_dsn(text: &str) -> Result<Self, DsnError> {
        let mut dsn = Dsn::parse(text)?;
        let (id, scheme, host, rate) =
            (dsn.identity(), dsn.scheme().to_owned(), dsn.host(), dsn.option("rate")?);
        Ok(Self { id, rate, scheme, host, gateway: gateway_of(dsn)?, closed: Mutex::default() })
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
        self.closed.lock().unwrap_or_else(PoisonError::into_inner)
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
        transcript::of(sms, stub, self.gateway.send(sms)).await
    }
}

/// The configured gateways, and the way to them.
#[derive(Clone)]
pub struct Provider(Arc<Routes>);

impl fmt::Debug for Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.all().iter().map(|account| &account.gateway)).finish()
    }
}

/// The gateways by name, and by host where that is not the vendor's own.
impl fmt::Display for Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, account) in self.all().into_iter().enumerate() {
            f.write_str(if index == 0 { "" } else { ", " })?;
            f.write_str(account.name())?;
            if !account.host.is_empty() {
                write!(f, " ({})", account.host)?;
            }
        }
        Ok(())
    }
}

impl Provider {
    /// Longest time that a call to a gateway may take, connection included.
    pub const TIMEOUT: Duration = client::TOTAL_TIMEOUT;

    /// Reads an `SMS_DSN`: one DSN, `failover(a || b)`, `roundrobin(a && b)`, or one of these for
    /// each country, `+86=ccp://…; *=twilio://…`.
    ///
    /// # Errors
    /// [`DsnError`] says which part is missing or wrong, without quoting a credential.
    pub fn from_dsn(text: &str) -> Result<Self, DsnError> {
        Ok(Self(Arc::new(Routes::parse(text)?)))
    }

    /// An inbox within this process.
    #[must_use]
    pub fn inbox(inbox: Inbox) -> Self {
        let gateway = Box::new(inbox);
        let account = Account {
            id: "inbox".to_owned(),
            rate: None,
            scheme: "inbox".to_owned(),
            host: String::new(),
            gateway,
            closed: Mutex::default(),
        };
        Self(Arc::new(Routes::to(account)))
    }

    /// Reads beforehand what the first message would otherwise wait for, such as the system's
    /// certificates.
    pub async fn prepare(&self) {
        let this = self.clone();
        in_its_own_thread(async move {
            join_all(this.all().iter().map(|account| account.gateway.prepare())).await
        })
        .await;
    }

    /// The gateways for a message, in the order in which they are to be tried; none if no route
    /// leads to its country.
    #[must_use]
    pub fn accounts(&self, to: &PhoneNumber, idempotency_key: &str) -> Vec<&Account> {
        self.0.accounts(to, idempotency_key)
    }

    /// The first gateway whose templates take no code of so many digits, and how many they take.
    pub(crate) fn too_long_for(&self, digits: usize) -> Option<(&str, usize)> {
        let limited = |account| -> Option<(&str, usize)> {
            let account: &Account = account;
            Some((account.name(), account.gateway.most_digits()?))
        };
        self.all().into_iter().filter_map(limited).find(|(_, most)| digits > *most)
    }

    /// All gateways.
    #[must_use]
    pub fn all(&self) -> Vec<&Account> {
        self.0.all()
    }

    /// Reads what a vendor pushed about messages that it took before. `name` is that of the
    /// gateway; with several accounts there, the push has to be authentic for one of them.
    ///
    /// # Errors
    /// [`ReceiptError`] says why nothing can be read.
    pub fn receipts(&self, name: &str, push: &Push<'_>) -> Result<Vec<Receipt>, ReceiptError> {
        let mut result = Err(ReceiptError::None);
        for account in self.all().into_iter().filter(|account| account.name() == name) {
            match account.gateway.receipts(push) {
                Err(ReceiptError::None) => {}
                Err(ReceiptError::NotAuthentic) => result = Err(ReceiptError::NotAuthentic),
                decided => return decided,
            }
        }
        result
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_closed_circuit_is_believed_until_a_call_fails() {
        let account = Account::from_dsn("null://default").expect("a gateway");
        assert!(!account.is_known_closed(), "nobody has asked yet");
        account.granted(true);
        assert!(!account.is_known_closed(), "the store waits for the outcome of a trial");
        account.granted(false);
        assert!(account.is_known_closed());
        account.failed();
        assert!(!account.is_known_closed());
        let limited = Account::from_dsn("null://default?rate=5").expect("a gateway");
        limited.granted(false);
        assert!(!limited.is_known_closed(), "a rate counts every message");
    }

    #[test]
    fn gateways_are_shown_by_name_and_host() {
        let shown = |dsn| Provider::from_dsn(dsn).map(|provider| provider.to_string()).expect(dsn);
        assert_eq!(shown("inbox+http://[::1]:8080"), "inbox ([::1]:8080)");
        let ccp = "ccp://sid:hunter2@app.cloopen.com:8883?app_id=A&template=1";
        let both = format!("failover({ccp} || twilio://AC1:hunter2@default?from=+15005550006)");
        assert_eq!(shown(&both), "ccp (app.cloopen.com:8883), twilio");
    }

    #[test]
    fn the_gateway_that_sends_nothing_has_no_options() {
        assert!(Provider::from_dsn("null://default").is_ok());
        assert!(Provider::from_dsn("null://default?template=1").is_err());
    }
}
