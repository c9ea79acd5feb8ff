//! The store: who may ask for a code, who may still guess, and what became of each SMS.
//!
//! Every method of [`Store`] is one atomic step and one round trip (an approval is told to the
//! conversion guard in a second one). A number has one record, named by its tag, which expires when
//! nothing in it matters any more; each quota and each account at a gateway has one too. Time is
//! the store's own. The backends are a closed enum with one `dispatch!`: simpler and faster than a
//! trait object, and every test runs on the real thing.
//!
//! It may use Redis and the domain's values, and knows no queue, no gateway and no HTTP. The
//! application uses it.

mod clock;
mod constants;
mod keys;
mod memory;
mod redis;
mod types;

use std::time::Duration;

use jiff::Timestamp;
use sms_domain::conversion_test::{Conversion, CusumTest};
use sms_domain::picture_id::PictureId;
use sms_domain::quota::{Quota, Scope};
use sms_domain::refusal::Exceeded;
use sms_domain::verification::{Policy, Verification};
use sms_domain::verification_id::{NumberTag, VerificationId};
use sms_outbound::dsn::DsnError;
use sms_telemetry::causes;
use tracing::debug;

pub use self::clock::Clock;
use self::keys::{
    account_key, claim_key, guard_key, key, limit_key, message_key, picture_key, probe_key,
    sent_key, verified_key,
};
pub use self::types::{
    AdmissionRequest, Breaker, CheckResult, Circuit, Claim, ClaimedKey, Decision, Health, Lease,
    Permit, PermitRequest, Release, SendOutcome,
};

/// A store, chosen by URL scheme.
///
/// ```
/// use sms_domain::phone::{PhoneNumber, Region};
/// use sms_domain::random::{random_bytes, random_u64};
/// use sms_domain::secrets::Secrets;
/// use sms_domain::verification::Policy;
/// use sms_domain::verification_id::{Purpose, VerificationId};
/// use sms_store::{AdmissionRequest, CheckResult, Decision, Store};
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
///     to: number.masked(),
///     windows: Vec::new(),
///     quotas: Vec::new(),
///     guarded: Vec::new(),
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

/// How long a call may be at work before another with the same key may: requests are answered
/// within 2 s.
const CLAIM_HELD: Duration = Duration::from_secs(10);

/// How long an answer is kept: as long as a verification lives.
const ANSWER_KEPT: Duration = Policy::MAX_LIFE;

/// What becomes of entries when the store's memory is full.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Eviction {
    /// They stay, and what would need more memory is refused.
    Never,
    /// Some are thrown away, by this `maxmemory-policy`.
    By(String),
    /// Redis does not tell.
    Unknown,
}

/// The store could not be asked, or did not answer in time.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// No connection, or an error from the server.
    #[error("the store failed{}", redis::in_words(.0))]
    Redis(#[from] ::redis::RedisError),
    /// The URL says what cannot be meant.
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
    /// A Redis or Valkey server, `redis://` or `rediss://`. Connects in the background and whenever
    /// it must.
    ///
    /// # Errors
    /// When the URL cannot be used. A server that cannot be reached is an error of each call
    /// instead.
    pub fn redis(url: &str, policy: Policy) -> Result<Self, StoreError> {
        Ok(Self(Backend::Redis(redis::RedisStore::new(url, policy)?)))
    }

    /// This process's own memory.
    #[must_use]
    pub fn memory(policy: Policy) -> Self {
        Self(Backend::Memory(memory::MemoryStore::new(policy)))
    }

    /// The same store with a clock of its own.
    #[must_use]
    pub fn with_clock(self, clock: Clock) -> Self {
        Self(match self.0 {
            Backend::Redis(store) => Backend::Redis(store.with_clock(clock)),
            Backend::Memory(store) => Backend::Memory(store.with_clock(clock)),
        })
    }

    /// Its clock.
    #[must_use]
    pub fn clock(&self) -> &Clock {
        match &self.0 {
            Backend::Redis(store) => store.clock(),
            Backend::Memory(store) => store.clock(),
        }
    }

    /// Decides on a request for a code and, if it is admitted, counts it and writes cooldown and
    /// verification in the same step. (On a Redis Cluster the number and the limits stand on
    /// different servers. They decide at the same time; what one has written is taken back when
    /// another refuses.)
    ///
    /// # Errors
    /// When the store cannot be asked: then nothing is admitted.
    pub async fn admit(&self, candidate: &AdmissionRequest) -> Result<Decision, StoreError> {
        dispatch!(self.admit(candidate))
    }

    /// Takes an admission back whose job could not be queued, so that the number is usable at once
    /// and nothing is counted.
    ///
    /// `candidate` is the one that was admitted; if another has been since, nothing happens. Either
    /// this comes first, and the sender drops the job if there is one, or the sender does.
    ///
    /// # Errors
    /// When the store cannot be asked.
    pub async fn release(&self, candidate: &AdmissionRequest) -> Result<Release, StoreError> {
        dispatch!(self.release(candidate))
    }

    /// Counts a typed code as an attempt, and only then acts on whether it was right. `request`
    /// names this call among all others, so that repeating it after a lost connection counts once.
    /// `quotas` are what a wrong code counts on.
    ///
    /// # Errors
    /// When the store cannot be asked: then the code is not accepted.
    pub async fn check(
        &self,
        id: &VerificationId,
        right: bool,
        request: u64,
        quotas: &[Quota],
    ) -> Result<CheckResult, StoreError> {
        dispatch!(self.check(id, right, request, quotas))
    }

    /// Reads what became of the SMS to a country: what the conversion guard learns from.
    ///
    /// # Errors
    /// When the store cannot be asked.
    pub async fn conversion(&self, country: &str) -> Result<Conversion, StoreError> {
        dispatch!(self.conversion(country))
    }

    /// Reads a verification that is neither expired nor replaced.
    ///
    /// # Errors
    /// When the store cannot be asked.
    pub async fn find(&self, id: &VerificationId) -> Result<Option<Verification>, StoreError> {
        dispatch!(self.find(id))
    }

    /// Ends a pending verification before its time: its code is no longer accepted, and its SMS not
    /// sent if it was not yet. Wrong codes and the cooldown stay. Whether there was one.
    ///
    /// # Errors
    /// When the store cannot be asked. It may have done it all the same: it can be asked again.
    pub async fn cancel(&self, id: &VerificationId) -> Result<bool, StoreError> {
        dispatch!(self.cancel(id))
    }

    /// Asks whether SMS number `sms_number` of a verification may be sent, and takes the lease on it.
    /// `worker` names the caller: who already holds the lease gets it again.
    ///
    /// # Errors
    /// When the store cannot be asked: then nothing is sent.
    pub async fn acquire_lease(
        &self,
        id: &VerificationId,
        sms_number: u32,
        lease: Duration,
        worker: u64,
    ) -> Result<Lease, StoreError> {
        dispatch!(self.acquire_lease(id, sms_number, lease, worker))
    }

    /// Records what came of the call to the gateway, and gives the lease back. A failure counts
    /// only while `worker` still holds the lease.
    ///
    /// # Errors
    /// When the store cannot be asked.
    pub async fn record_outcome(
        &self,
        id: &VerificationId,
        sms_number: u32,
        outcome: &SendOutcome,
        worker: u64,
    ) -> Result<(), StoreError> {
        dispatch!(self.record_outcome(id, sms_number, outcome, worker))
    }

    /// Records what a gateway tells about a message that it took before. One that nobody knows is
    /// ignored.
    ///
    /// # Errors
    /// When the store cannot be asked.
    pub async fn record_delivery_report(
        &self,
        tag: NumberTag,
        message_id: &str,
        delivered: bool,
    ) -> Result<(), StoreError> {
        dispatch!(self.record_delivery_report(tag, message_id, delivered))
    }

    /// Remembers for a while which number a gateway's message went to, where its receipts name the
    /// message alone.
    ///
    /// # Errors
    /// When the store cannot be asked.
    pub async fn keep_message(
        &self,
        gateway: &str,
        message_id: &str,
        tag: NumberTag,
    ) -> Result<(), StoreError> {
        dispatch!(self.keep_message(gateway, message_id, tag))
    }

    /// The number that a gateway's message went to, if it was kept.
    ///
    /// # Errors
    /// When the store cannot be asked.
    pub async fn message(
        &self,
        gateway: &str,
        message_id: &str,
    ) -> Result<Option<NumberTag>, StoreError> {
        dispatch!(self.message(gateway, message_id))
    }

    /// Asks whether an account at a gateway may be called, and takes a turn if it has a rate.
    ///
    /// # Errors
    /// When the store cannot be asked: then it is not called.
    pub async fn permit(
        &self,
        account: &str,
        asked: PermitRequest,
        breaker: Breaker,
    ) -> Result<Permit, StoreError> {
        dispatch!(self.permit(account, asked, breaker))
    }

    /// Tells what a call has shown of an account at a gateway, for all who share the store.
    ///
    /// # Errors
    /// When the store cannot be asked.
    pub async fn report(
        &self,
        account: &str,
        health: Health,
        breaker: Breaker,
    ) -> Result<(), StoreError> {
        dispatch!(self.report(account, health, breaker))
    }

    /// Reads where an account's circuit stands.
    ///
    /// # Errors
    /// When the store cannot be asked.
    pub async fn circuit(&self, account: &str) -> Result<Circuit, StoreError> {
        dispatch!(self.circuit(account))
    }

    /// Keeps what a picture shows for a while.
    ///
    /// # Errors
    /// When the store cannot be asked.
    pub async fn keep_picture(&self, uuid: &PictureId, text: &str) -> Result<(), StoreError> {
        dispatch!(self.keep_picture(uuid, text))
    }

    /// Tells what a picture shows, and forgets it; nothing if it is not kept, or not any more.
    ///
    /// # Errors
    /// When the store cannot be asked.
    pub async fn take_picture(&self, uuid: &PictureId) -> Result<Option<String>, StoreError> {
        dispatch!(self.take_picture(uuid))
    }

    /// Writes something where programs that are none of ours read it: a key as they name it, a
    /// value, and for how long.
    ///
    /// # Errors
    /// When the store cannot be asked.
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
    /// When the store cannot be asked.
    pub async fn claim(&self, key: &ClaimedKey) -> Result<Claim, StoreError> {
        dispatch!(self.claim(key))
    }

    /// Keeps the answer of the call that claimed a key, or gives the key back where there is none.
    ///
    /// # Errors
    /// When the store cannot be asked.
    pub async fn complete(&self, key: &ClaimedKey, answer: Option<&str>) -> Result<(), StoreError> {
        dispatch!(self.complete(key, answer))
    }

    /// Connects beforehand, so that the first request need not wait for it. If it cannot, that will
    /// tell.
    pub async fn warm_up(&self) {
        if let Err(error) = self.ping().await {
            debug!(error = causes(&error), "the store is not there yet");
        }
    }

    /// Asks whether the store can do what a request needs, by a write like those of a request. (On
    /// a Redis Cluster on one of its shards, each time on another.)
    ///
    /// # Errors
    /// When it cannot.
    pub async fn ping(&self) -> Result<(), StoreError> {
        dispatch!(self.ping())
    }
}

impl Store {
    /// Asks what becomes of entries when the store's memory is full.
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

/// The Lua script that decides on an admission, as Redis gets it: for measurements of it alone.
#[must_use]
pub fn admission_script() -> &'static str {
    redis::admission_script()
}

/// Whether a store's URL, which begins as it should, says what can be meant.
///
/// # Errors
/// When it does not.
pub fn check_url(url: &str) -> Result<(), DsnError> {
    redis::check(url)
}

/// Milliseconds as the stores count them.
fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

/// Microseconds, which limits are counted in.
fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

/// A test with the values that the stores weigh with: four decimals are enough, and each digit more
/// costs a script time.
fn as_weighed(test: CusumTest) -> CusumTest {
    let short = |value: f64| (value * 1e4).round() / 1e4;
    let CusumTest { answer, threshold, miss_weight, hit_weight } = test;
    CusumTest {
        answer,
        threshold: short(threshold),
        miss_weight: short(miss_weight),
        hit_weight: short(hit_weight),
    }
}

/// The time from `now` until `then`, both in milliseconds; zero if it has passed.
fn until(now: i64, then: i64) -> Duration {
    Duration::from_millis(then.saturating_sub(now).max(0).unsigned_abs())
}

/// What another SMS to a number waits for, and how long: its cooldown, its windows, or the end of
/// its lock. All in milliseconds.
fn resend(now: i64, cooldown: i64, windows: i64, locked_until: i64) -> (Exceeded, Duration) {
    let waits = [
        (Exceeded::Cooldown, cooldown),
        (Exceeded::Limit(Scope::Number), windows),
        (Exceeded::Attempts, locked_until),
    ];
    // Of equals the first.
    let (policy, then) = waits.into_iter().rev().max_by_key(|(_, then)| *then).unwrap_or(waits[0]);
    (policy, until(now, then))
}

/// A store's milliseconds since 1970 as a timestamp.
fn timestamp(millis: i64) -> Timestamp {
    Timestamp::from_millisecond(millis).unwrap_or(Timestamp::MAX)
}
