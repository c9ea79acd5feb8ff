//! The store: the state of verifications, limits, deliveries and gateway accounts.
//!
//! Every method of [`Store`] is one atomic step and one round trip (an approval is reported to the
//! conversion guard in a second one). A number has one record, keyed by its tag, which expires when
//! nothing in it is needed any more; each quota and each account at a gateway has one too. The
//! store has its own clock. The backends are a closed enum with one `dispatch!`: simpler and faster
//! than a trait object, and every test runs on a real backend.
//!
//! It may use Redis and the domain's values, and knows no queue, no gateway and no HTTP. The
//! application uses it.

mod clock;
mod constants;
mod keys;
mod memory;
mod redis;
mod types;
mod units;

use std::time::Duration;

use sms_domain::conversion_test::Conversion;
use sms_domain::picture_id::PictureId;
use sms_domain::quota::{Quota, Window};
use sms_domain::verification::{Policy, Verification};
use sms_domain::verification_id::{NumberTag, VerificationId};
use sms_outbound::dsn::DsnError;
use sms_telemetry::causes;
use tracing::debug;

pub use self::clock::Clock;
use self::keys::{
    account_key, claim_key, guard_key, limit_key, message_key, number_key, picture_key, probe_key,
    verified_key,
};
pub use self::types::{
    AdmissionKind, AdmissionRequest, Breaker, CheckResult, Circuit, Claim, ClaimedKey, Conclusion,
    Decision, Health, LatestVerification, Lease, Permit, PermitRequest, Release, SendOutcome,
};
use self::units::{micros, millis, resend, rounded, timestamp, until};

/// A store, chosen by URL scheme.
///
/// ```
/// use sms_domain::phone::{PhoneNumber, Region};
/// use sms_domain::random::{random_bytes, random_u64};
/// use sms_domain::secrets::Secrets;
/// use sms_domain::verification::Policy;
/// use sms_domain::verification_id::{Purpose, VerificationId};
/// use sms_store::{AdmissionKind, AdmissionRequest, CheckResult, Decision, Store};
///
/// # #[tokio::main]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let store = Store::memory(Policy::default());
/// let (secrets, purpose) = (Secrets::from_random(random_bytes()), Purpose::default());
/// let number = PhoneNumber::parse("+8613800138000", Region::default())?;
/// let tag = secrets.tag(&number);
/// let id = VerificationId::new(secrets.newest_key_id(), tag, random_bytes(), &purpose);
/// let request = AdmissionRequest {
///     id: id.clone(),
///     scope: purpose.as_str().to_owned(),
///     to: number.masked(),
///     windows: Vec::new(),
///     quotas: Vec::new(),
///     guarded: Vec::new(),
///     kind: AdmissionKind::Verification,
/// };
/// assert!(matches!(store.admit(&request).await?, Decision::Admitted { sms_number: 1, .. }));
///
/// let wrong = store.check(&id, false, random_u64(), &[]).await?;
/// assert!(matches!(wrong, CheckResult::Wrong { attempts_left: 4, .. }));
/// assert_eq!(store.check(&id, true, random_u64(), &[]).await?, CheckResult::Approved);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Store(Backend);

#[derive(Debug, Clone)]
enum Backend {
    Redis(redis::RedisStore),
    Memory(memory::MemoryStore),
}

/// The rights that a user of Redis needs, and those on a cluster besides, as `ACL SETUSER` takes
/// them.
pub const RIGHTS: (&str, &str) = (redis::RIGHTS, redis::CLUSTER_RIGHTS);

/// The beginning of the scope of each message, and of no verification.
pub const MESSAGE_SCOPE: &str = constants::MESSAGE_SCOPE;

/// Time for which a call holds an idempotency key without completing it: requests are answered
/// within 2 s.
const CLAIM_HELD: Duration = Duration::from_secs(10);

/// Time for which a response is kept for replay: the longest lifetime of a verification.
const RESPONSE_KEPT: Duration = Policy::MAX_LIFE;

/// Behaviour of the store when its memory is full.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Eviction {
    /// No key is evicted, and writes fail.
    Never,
    /// Keys are evicted by this `maxmemory-policy`.
    By(String),
    /// The server does not allow `INFO`.
    Unknown,
}

/// The store failed, or did not answer in time.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// No connection, or an error from the server.
    #[error("the store failed{}", redis::explain(.0))]
    Redis(#[from] ::redis::RedisError),
    /// An invalid URL.
    #[error("it {0}")]
    Address(#[from] DsnError),
    /// No answer within the time that a request may take.
    #[error("the store did not answer within {} ms", redis::DEADLINE.as_millis())]
    Timeout,
}

macro_rules! dispatch {
    ($self:ident.$method:ident($($arg:expr),*)) => {
        match &$self.0 {
            Backend::Redis(store) => store.$method($($arg),*).await,
            Backend::Memory(store) => Ok(store.$method($($arg),*)),
        }
    };
}

impl Store {
    /// A store on a Redis or Valkey server, `redis://` or `rediss://`. It connects in the
    /// background, and reconnects when needed.
    ///
    /// # Errors
    /// When the URL is invalid. If the server cannot be reached, each call fails instead.
    pub fn redis(url: &str, policy: Policy) -> Result<Self, StoreError> {
        Ok(Self(Backend::Redis(redis::RedisStore::new(url, policy)?)))
    }

    /// A store in this process's memory.
    #[must_use]
    pub fn memory(policy: Policy) -> Self {
        Self(Backend::Memory(memory::MemoryStore::new(policy)))
    }

    /// Lets this process sum up the SMS that the conversion guard counts where nothing is
    /// suspicious, and write them once a second in place of one by one. It costs a killed process
    /// the counts of that second. Not for functions: their environments are frozen after an answer.
    #[must_use]
    pub fn with_guard_counts(self) -> Self {
        Self(match self.0 {
            Backend::Redis(store) => Backend::Redis(store.with_guard_counts()),
            Backend::Memory(store) => Backend::Memory(store),
        })
    }

    /// Writes what this process has summed up: before it ends.
    pub async fn flush(&self) {
        if let Backend::Redis(store) = &self.0 {
            store.flush().await;
        }
    }

    /// Replaces the store's clock.
    #[must_use]
    pub fn with_clock(self, clock: Clock) -> Self {
        Self(match self.0 {
            Backend::Redis(store) => Backend::Redis(store.with_clock(clock)),
            Backend::Memory(store) => Backend::Memory(store.with_clock(clock)),
        })
    }

    /// The store's clock.
    #[must_use]
    pub fn clock(&self) -> &Clock {
        match &self.0 {
            Backend::Redis(store) => store.clock(),
            Backend::Memory(store) => store.clock(),
        }
    }

    /// Decides on a request for a code and, if it is admitted, counts it and writes cooldown and
    /// verification in the same step. (On a Redis Cluster the number and the limits are on
    /// different servers. They decide at the same time, and an admission is rolled back when one of
    /// them refuses.)
    ///
    /// # Errors
    /// When the store fails: then nothing is admitted.
    pub async fn admit(&self, candidate: &AdmissionRequest) -> Result<Decision, StoreError> {
        dispatch!(self.admit(candidate))
    }

    /// Rolls back an admission whose job could not be queued: the number is usable at once and
    /// nothing is counted.
    ///
    /// `candidate` is the request that was admitted; if another was admitted since, nothing
    /// happens. If this comes before a worker takes the lease, the worker drops the job, should it
    /// be queued after all; otherwise the SMS is sent, and the admission stays.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn release(&self, candidate: &AdmissionRequest) -> Result<Release, StoreError> {
        dispatch!(self.release(candidate))
    }

    /// Counts a typed code as an attempt, and only then uses the result of its comparison.
    /// `request` identifies this call, so that repeating it after a lost connection counts once.
    /// `quotas` are those that a wrong code counts against.
    ///
    /// # Errors
    /// When the store fails: then the code is not accepted.
    pub async fn check(
        &self,
        id: &VerificationId,
        right: bool,
        request: u64,
        quotas: &[Quota],
    ) -> Result<CheckResult, StoreError> {
        dispatch!(self.check(id, right, request, quotas))
    }

    /// Reads the conversion of the SMS to a country, for the conversion guard.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn conversion(&self, country: &str) -> Result<Conversion, StoreError> {
        dispatch!(self.conversion(country))
    }

    /// Reads a verification; `None` if it is expired, replaced or unknown.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn find(&self, id: &VerificationId) -> Result<Option<Verification>, StoreError> {
        dispatch!(self.find(id))
    }

    /// Reads a number's latest verification; `None` if it is expired or there is none.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn latest(&self, tag: NumberTag) -> Result<Option<LatestVerification>, StoreError> {
        dispatch!(self.latest(tag))
    }

    /// Ends a pending verification without its code, which is no longer accepted; or a message,
    /// whose code was brought to its sender: then the conversion guard learns of it. An SMS that
    /// was not sent yet is not sent. Wrong codes and the cooldown stay. Returns false if there is
    /// no such pending verification or message.
    ///
    /// # Errors
    /// When the store fails. The verification may have ended all the same: call again.
    pub async fn conclude(
        &self,
        id: &VerificationId,
        conclusion: Conclusion,
    ) -> Result<bool, StoreError> {
        dispatch!(self.conclude(id, conclusion))
    }

    /// Acquires the lease on SMS number `sms_number` of a verification, if it may be sent.
    /// `worker` identifies the caller: the holder of the lease gets it again.
    ///
    /// # Errors
    /// When the store fails: then nothing is sent.
    pub async fn acquire_lease(
        &self,
        id: &VerificationId,
        sms_number: u32,
        lease: Duration,
        worker: u64,
    ) -> Result<Lease, StoreError> {
        dispatch!(self.acquire_lease(id, sms_number, lease, worker))
    }

    /// Records the outcome of a call to a gateway, and releases the lease. A failure counts only
    /// while `worker` still holds the lease.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn record_outcome(
        &self,
        id: &VerificationId,
        sms_number: u32,
        outcome: &SendOutcome,
        worker: u64,
    ) -> Result<(), StoreError> {
        dispatch!(self.record_outcome(id, sms_number, outcome, worker))
    }

    /// Records a gateway's delivery report. Returns true if the message is one of this record; one
    /// for an unknown message is ignored.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn record_delivery_report(
        &self,
        tag: NumberTag,
        message_id: &str,
        delivered: bool,
    ) -> Result<bool, StoreError> {
        dispatch!(self.record_delivery_report(tag, message_id, delivered))
    }

    /// Stores the recipient of a gateway's message for a while, for gateways whose delivery reports
    /// name the message only.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn keep_message(
        &self,
        gateway: &str,
        message_id: &str,
        tag: NumberTag,
    ) -> Result<(), StoreError> {
        dispatch!(self.keep_message(gateway, message_id, tag))
    }

    /// Reads the recipient of a gateway's message, if it was stored.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn message(
        &self,
        gateway: &str,
        message_id: &str,
    ) -> Result<Option<NumberTag>, StoreError> {
        dispatch!(self.message(gateway, message_id))
    }

    /// Asks for permission to call an account at a gateway, and reserves a slot if it has a rate
    /// limit.
    ///
    /// # Errors
    /// When the store fails: then the gateway is not called.
    pub async fn permit(
        &self,
        account: &str,
        request: PermitRequest,
        breaker: Breaker,
    ) -> Result<Permit, StoreError> {
        dispatch!(self.permit(account, request, breaker))
    }

    /// Reports the health of an account at a gateway, as a call showed it, to its circuit breaker.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn report(
        &self,
        account: &str,
        health: Health,
        breaker: Breaker,
    ) -> Result<(), StoreError> {
        dispatch!(self.report(account, health, breaker))
    }

    /// Reads the state of an account's circuit.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn circuit(&self, account: &str) -> Result<Circuit, StoreError> {
        dispatch!(self.circuit(account))
    }

    /// Stores the text of a picture for [`LIFETIME`](sms_domain::picture_id::LIFETIME).
    ///
    /// # Errors
    /// When the store fails.
    pub async fn keep_picture(&self, uuid: &PictureId, text: &str) -> Result<(), StoreError> {
        dispatch!(self.keep_picture(uuid, text))
    }

    /// Reads the text of a picture and deletes it; `None` if it is unknown or expired.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn take_picture(&self, uuid: &PictureId) -> Result<Option<String>, StoreError> {
        dispatch!(self.take_picture(uuid))
    }

    /// Writes a plain key for other programs: a key as they name it, a value, and its lifetime.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn put_plain(
        &self,
        key: &str,
        value: &str,
        life: Duration,
    ) -> Result<(), StoreError> {
        dispatch!(self.put_plain(key, value, life))
    }

    /// Claims an idempotency key for a call.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn claim(&self, key: &ClaimedKey) -> Result<Claim, StoreError> {
        dispatch!(self.claim(key))
    }

    /// Stores the response of the call that claimed an idempotency key; `None` releases the key.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn complete(
        &self,
        key: &ClaimedKey,
        response: Option<&str>,
    ) -> Result<(), StoreError> {
        dispatch!(self.complete(key, response))
    }

    /// Connects in advance, so that the first request need not wait for it. A failure is only
    /// logged: the first request will fail with it.
    pub async fn warm_up(&self) {
        if let Err(error) = self.ping().await {
            debug!(error = causes(&error), "the store is not available yet");
        }
    }

    /// Checks that the store can serve requests, by writing as a request does. (On a Redis Cluster,
    /// to a random shard.)
    ///
    /// # Errors
    /// When the store fails.
    pub async fn ping(&self) -> Result<(), StoreError> {
        dispatch!(self.ping())
    }
}

impl Store {
    /// Reads the store's eviction policy.
    ///
    /// # Errors
    /// When the store cannot be reached.
    pub async fn eviction(&self) -> Result<Eviction, StoreError> {
        match &self.0 {
            Backend::Redis(store) => store.eviction().await,
            Backend::Memory(_) => Ok(Eviction::Never),
        }
    }
}

/// The Lua script of an admission with these limits, as Redis gets it from a server: for benchmarks
/// of it alone.
#[must_use]
pub fn admission_script(windows: &[Window], quotas: &[Quota]) -> String {
    redis::admission_script(windows, quotas)
}

/// Checks the URL of a Redis store.
///
/// # Errors
/// When the URL is invalid.
pub fn check_url(url: &str) -> Result<(), DsnError> {
    redis::check_url(url)
}
