//! Admission: a request for a code, decided in one step and queued in one call.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use sms_domain::budget::Budget;
use sms_domain::conversion_test::GuardMode;
use sms_domain::job::Job;
use sms_domain::limits::Limits;
use sms_domain::locale::Locale;
use sms_domain::message::Autofill;
use sms_domain::phone::{Countries, Country, PhoneNumber};
use sms_domain::quota::{Quota, Scope};
use sms_domain::refusal::{Exceeded, Refusal};
use sms_domain::retry_schedule::Delay;
use sms_domain::secrets::Secrets;
use sms_domain::trace_context::RequestContext;
use sms_domain::verification::Verification;
use sms_domain::verification_id::{Purpose, VerificationId};
use sms_queue::Queue;
use sms_queue::error::QueueError;
use sms_store::{AdmissionRequest, Decision, Release, Store, StoreError};
use tokio::time::timeout;
use tracing::{Instrument, debug_span, error, info, warn};

use crate::challenge::{Challenge, ChallengeError, ChallengeTask, Proof, VendorError};
use crate::conversion_guard::ConversionGuard;
use crate::detached::retry_detached;
use crate::meiduo_keys::MeiduoKeys;
use crate::metrics;

/// How long a caller who gets a 503 anyway waits for the admission to be taken back.
const RELEASE_WAIT: Duration = Duration::from_millis(80);
const RELEASE_WAIT_LONG: Duration = Duration::from_millis(300);

/// The use case: everything that an admission needs.
///
/// ```
/// use sms_app::admission::{AbuseSettings, AdmissionError, Request, RequestCode};
/// use sms_domain::locale::Locale;
/// use sms_domain::phone::{PhoneNumber, Region};
/// use sms_domain::random::random_bytes;
/// use sms_domain::secrets::Secrets;
/// use sms_domain::trace_context::RequestContext;
/// use sms_domain::verification::{Policy, Status};
/// use sms_domain::verification_id::Purpose;
/// use sms_queue::Queue;
/// use sms_store::Store;
///
/// # #[tokio::main]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let admissions = RequestCode {
///     store: Store::memory(Policy::default()),
///     queue: Queue::memory(),
///     secrets: Secrets::from_random(random_bytes()),
///     abuse: AbuseSettings::none(),
///     meiduo_keys: None,
/// };
/// let (to, country) = PhoneNumber::parse_with_country("138 0013 8000", Region::default())?;
/// let request = Request {
///     to,
///     country,
///     ip: None,
///     tenant: None,
///     locale: Locale::En,
///     purpose: Purpose::default(),
///     autofill: None,
///     proof: None,
///     names: RequestContext::default(),
/// };
/// let verification = admissions.request(request.clone(), random_bytes()).await?;
/// assert_eq!(verification.status, Status::Pending);
/// assert_eq!(admissions.queue.depth().await?.jobs, 1);
///
/// let too_soon = admissions.request(request, random_bytes()).await;
/// assert!(matches!(too_soon, Err(AdmissionError::Refused(_))));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct RequestCode {
    /// Decides.
    pub store: Store,
    /// Takes the job.
    pub queue: Queue,
    /// Keys for tagging numbers and deriving codes.
    pub secrets: Secrets,
    /// The defence against abuse.
    pub abuse: AbuseSettings,
    /// What an older site reads from the store, if there is one.
    pub meiduo_keys: Option<MeiduoKeys>,
}

/// The defence against abuse, each part as it is configured.
#[derive(Debug, Clone)]
pub struct AbuseSettings {
    /// `LIMITS`: how many SMS there may be.
    pub limits: Limits,
    /// `ALLOWED_COUNTRIES`: where they may go.
    pub countries: Countries,
    /// `GUARD`: the conversion guard.
    pub guard: ConversionGuard,
    /// `CHALLENGE`: what a suspicious request has to solve before it is sent an SMS.
    pub challenge: Option<Challenge>,
    /// `BUDGET` and `PRICES`: what they may cost.
    pub budget: Budget,
}

impl AbuseSettings {
    /// No defence but the cooldown.
    #[must_use]
    pub fn none() -> Self {
        Self {
            limits: Limits::none(),
            countries: Countries::all(),
            guard: ConversionGuard::new(GuardMode::Off),
            challenge: None,
            budget: Budget::none(),
        }
    }

    /// Warns of prices that are only assumed.
    pub fn warn_of_assumed_prices(&self) {
        self.budget.warn_of_assumed(&self.countries);
    }

    /// Loads what the first challenge needs.
    pub async fn warm_up(&self) {
        if let Some(challenge) = &self.challenge {
            challenge.warm_up().await;
        }
    }
}

/// A request for a code.
#[derive(Debug, Clone)]
pub struct Request {
    /// Whom the code goes to.
    pub to: PhoneNumber,
    /// The country of the number.
    pub country: Country,
    /// Where the request comes from, if that is known and counted.
    pub ip: Option<IpAddr>,
    /// Who asks, where callers have keys.
    pub tenant: Option<String>,
    /// The SMS's language.
    pub locale: Locale,
    /// What the proof is for.
    pub purpose: Purpose,
    /// The page or the app that may fill the code in.
    pub autofill: Option<Autofill>,
    /// The answer to a task, if one was solved.
    pub proof: Option<Proof>,
    /// What it is found by, and its job with it.
    pub names: RequestContext,
}

/// Why no code is on its way.
#[derive(Debug, thiserror::Error)]
pub enum AdmissionError {
    /// There are limits in the way.
    #[error("too frequent")]
    Refused(Refusal),
    /// A task has to be solved first.
    #[error("a challenge has to be solved first")]
    Challenge {
        /// A new task.
        task: ChallengeTask,
        /// There was an answer, and it was wrong, too late, or used before.
        wrong: bool,
    },
    /// The answer to a task cannot be judged: nothing is sent.
    #[error("the challenge cannot be verified")]
    Captcha(#[from] VendorError),
    /// No codes are sent to the number's country.
    #[error("no codes are sent to {}", .0.code())]
    Country(Country),
    /// The store did not decide: nothing is sent.
    #[error("the store cannot be asked")]
    Store(#[from] StoreError),
    /// The job was not queued, and the number is usable at once.
    #[error("the job cannot be queued")]
    Queue(#[from] QueueError),
}

impl AdmissionError {
    /// The refusal, if policies refused the request.
    fn refusal(&self) -> Option<&Refusal> {
        match self {
            Self::Refused(refusal) => Some(refusal),
            _ => None,
        }
    }

    /// The label `outcome` of the metric of requests.
    #[must_use]
    pub fn outcome(&self) -> &'static str {
        match self {
            Self::Refused(_) => "throttled",
            Self::Challenge { .. } => "challenged",
            Self::Country(_) => "country",
            Self::Captcha(_) | Self::Store(_) | Self::Queue(_) => "unavailable",
        }
    }
}

impl RequestCode {
    /// Admits a request for a code and queues its SMS, or says why not. `random` comes from the
    /// operating system's generator.
    ///
    /// # Errors
    /// [`AdmissionError`]: no SMS is on its way because of this call. (What the queue took although
    /// its confirm was lost, the sender drops; unless the store fails too, within a tenth of a
    /// second.)
    pub async fn request(
        &self,
        request: Request,
        random: [u8; 16],
    ) -> Result<Verification, AdmissionError> {
        let (began, country) = (Instant::now(), request.country);
        let result = self.decide(request, random).await;
        match &result {
            Ok(_) => {
                metrics::accepted(country, self.abuse.budget.price(country), began.elapsed());
            }
            Err(error) => metrics::rejected(error.outcome(), error.refusal()),
        }
        result
    }

    async fn decide(
        &self,
        request: Request,
        random: [u8; 16],
    ) -> Result<Verification, AdmissionError> {
        let Request { to, country, ip, tenant, locale, purpose, autofill, proof, names } = request;
        if !self.abuse.countries.contain(country) {
            return Err(AdmissionError::Country(country));
        }
        let solved = self.solved(proof.as_ref(), &to, random).await?;
        let challenges = self.abuse.challenge.is_some() && solved.is_none();
        let guard =
            self.abuse.guard.quotas(&self.store, &to, country, &self.secrets, challenges).await?;
        let limits = self
            .abuse
            .limits
            .request(&to, country, ip, tenant.as_deref(), &self.secrets)
            .into_iter();
        let candidate = AdmissionRequest {
            guarded: guard.iter().map(|quota| quota.subject.clone()).collect(),
            id: VerificationId::new(
                self.secrets.newest_key_id(),
                self.secrets.tag(&to),
                random,
                &purpose,
            ),
            to: to.masked(),
            windows: self.abuse.limits.of(Scope::Number).collect(),
            quotas: limits
                .chain(guard)
                .chain(self.abuse.budget.quotas(country))
                .chain(solved.into_iter().flatten())
                .collect(),
        };
        let (verification, sms_number) = match self
            .store
            .admit(&candidate)
            .instrument(debug_span!(target: "sms_verify::spans", "admit"))
            .await
        {
            Ok(Decision::Admitted { verification, sms_number, observed, alarm }) => {
                if observed {
                    warn!(id = %verification.id, to = %to, "codes of this block of numbers, or of its country, are not typed back as usual");
                }
                if alarm {
                    error!("80 % of the budget of this hour or day is spent");
                }
                (verification, sms_number)
            }
            Ok(Decision::Challenged) => return Err(self.demand(&to, random, false)),
            Ok(Decision::Refused(refusal)) => return Err(self.refused(refusal, &to, random)),
            Err(error) => {
                // The store may have admitted it and its answer be lost: taken back when the store
                // answers again.
                self.release(candidate, RELEASE_WAIT_LONG).await;
                return Err(error.into());
            }
        };
        info!(id = %verification.id, to = %to, sms_number, "admitted");
        if let Some(keys) = &self.meiduo_keys
            && let Err(error) = keys.write(&self.store, &self.secrets, &to, &verification).await
        {
            self.release(candidate, RELEASE_WAIT_LONG).await;
            return Err(error.into());
        }
        let job = Job {
            id: verification.id.clone(),
            sms_number,
            to,
            locale,
            autofill,
            attempts: 0,
            rate_slot: None,
            not_here: Vec::new(),
            at: Some(self.now_ms()),
            names,
        };
        match self
            .queue
            .send(&job, Delay::NONE)
            .instrument(debug_span!(target: "sms_verify::spans", "enqueue"))
            .await
        {
            Ok(()) => Ok(verification),
            // A healthy store has done this long before the wait is over, and the number is usable
            // at once.
            Err(error) => match self.release(candidate, RELEASE_WAIT).await {
                Some(Release::Begun) => {
                    info!(id = %job.id, "the queue's confirm was lost, but a sender has the job");
                    Ok(verification)
                }
                _ => Err(error.into()),
            },
        }
    }

    /// Whether a task was solved, and what that counts on. A wrong answer is a refusal, also where
    /// none was needed.
    async fn solved(
        &self,
        proof: Option<&Proof>,
        to: &PhoneNumber,
        random: [u8; 16],
    ) -> Result<Option<Vec<Quota>>, AdmissionError> {
        match (&self.abuse.challenge, proof) {
            (Some(challenge), Some(proof)) => {
                match challenge.judge(proof, &self.store, &self.secrets, to).await {
                    Ok(Some(quotas)) => Ok(Some(quotas)),
                    Ok(None) => Err(self.demand(to, random, true)),
                    Err(ChallengeError::Store(error)) => Err(error.into()),
                    Err(ChallengeError::Vendor(error)) => Err(error.into()),
                }
            }
            (Some(challenge), None) if challenge.always => Err(self.demand(to, random, false)),
            _ => Ok(None),
        }
    }

    fn now_ms(&self) -> i64 {
        self.store.clock().micros() / 1_000
    }

    /// Asks for the answer to a new task.
    fn demand(&self, to: &PhoneNumber, random: [u8; 16], wrong: bool) -> AdmissionError {
        let now = self.now_ms() / 1_000;
        let task =
            self.abuse.challenge.clone().unwrap_or_default().task(&self.secrets, to, now, random);
        info!(to = %to, wrong, "a challenge has to be solved first");
        AdmissionError::Challenge { task, wrong }
    }

    fn refused(&self, refusal: Refusal, to: &PhoneNumber, random: [u8; 16]) -> AdmissionError {
        // An answer that was used before is told of only where nothing else stands in the way.
        let refusal = refusal.without(Exceeded::Limit(Scope::Proof));
        if refusal.is_empty() {
            return self.demand(to, random, true);
        }
        if refusal.has(Exceeded::Limit(Scope::Budget)) {
            error!(to = %to, "the budget of this hour or day is spent: refused");
        }
        AdmissionError::Refused(refusal)
    }

    /// Takes an admission back, and tries again while the store is slow: what it was too late to
    /// answer it may still carry out. Should the job have been queued after all, either its sender
    /// finds the admission gone and drops it, or the sender was faster, and then the request
    /// stands. Nothing, if the store does not answer within `wait`.
    async fn release(&self, candidate: AdmissionRequest, wait: Duration) -> Option<Release> {
        let (store, id) = (self.store.clone(), candidate.id.clone());
        let released = retry_detached(move || {
            let (store, candidate) = (store.clone(), candidate.clone());
            async move { store.release(&candidate).await }
        });
        let released = match timeout(wait, released).await {
            Ok(Ok(released)) => released,
            _ => None,
        };
        if released.is_none() {
            warn!(%id, "the admission is not taken back yet: until it is, the number is in its cooldown");
        }
        released
    }
}
