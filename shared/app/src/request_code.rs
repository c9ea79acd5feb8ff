//! `RequestCode`: decides on a request for a code in one store call, and queues its SMS in another.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use sms_domain::job::{Job, JobCode};
use sms_domain::locale::Locale;
use sms_domain::message::Autofill;
use sms_domain::phone::{Country, PhoneNumber};
use sms_domain::quota::{Quota, Scope};
use sms_domain::refusal::{Exceeded, Refusal};
use sms_domain::retry_schedule::Delay;
use sms_domain::secrets::Secrets;
use sms_domain::trace_context::RequestContext;
use sms_domain::verification::Verification;
use sms_domain::verification_id::{Purpose, VerificationId};
use sms_queue::Queue;
use sms_queue::error::QueueError;
use sms_store::{AdmissionKind, AdmissionRequest, Decision, Release, Store, StoreError};
use tokio::time::timeout;
use tracing::{Instrument, debug_span, error, info, warn};

use crate::abuse_settings::AbuseSettings;
use crate::challenge::{ChallengeError, ChallengeTask, Proof, VendorError};
use crate::detached::retry_detached;
use crate::meiduo_keys::MeiduoKeys;
use crate::metrics;

/// Longest wait for the release of an admission whose job was not queued; the caller gets a 503
/// anyway.
const RELEASE_WAIT: Duration = Duration::from_millis(80);

/// Longest wait for that release when the store was slow or down before.
pub(crate) const RELEASE_WAIT_LONG: Duration = Duration::from_millis(300);

/// The use case `RequestCode`: a request for a code is admitted and its SMS queued.
///
/// ```
/// use sms_app::abuse_settings::AbuseSettings;
/// use sms_app::request_code::{Request, RequestCode, RequestCodeError};
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
/// let request_code = RequestCode {
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
///     owner: None,
///     autofill: None,
///     proof: None,
///     context: RequestContext::default(),
/// };
/// let verification = request_code.request(request.clone(), random_bytes()).await?;
/// assert_eq!(verification.status, Status::Pending);
/// assert_eq!(request_code.queue.depth().await?.messages, 1);
///
/// let too_soon = request_code.request(request, random_bytes()).await;
/// assert!(matches!(too_soon, Err(RequestCodeError::Refused(_))));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct RequestCode {
    /// The store, which decides on the admission.
    pub store: Store,
    /// The queue, which takes the job.
    pub queue: Queue,
    /// Keys for tagging numbers and deriving codes.
    pub secrets: Secrets,
    /// Protection against abuse.
    pub abuse: AbuseSettings,
    /// `MEIDUO_KEYS`: keys that a site of the tutorial reads from Redis.
    pub meiduo_keys: Option<MeiduoKeys>,
}

/// A request for a code.
#[derive(Debug, Clone)]
pub struct Request {
    /// The number that the code is sent to.
    pub to: PhoneNumber,
    /// The country of the number.
    pub country: Country,
    /// The caller's address; `None` if it is unknown or not counted.
    pub ip: Option<IpAddr>,
    /// The name of the caller's API key, where callers have keys.
    pub tenant: Option<String>,
    /// The SMS's language.
    pub locale: Locale,
    /// The purpose of the verification.
    pub purpose: Purpose,
    /// Whoever has the verification to himself: requests of others do not continue it.
    pub owner: Option<String>,
    /// The page or app that may fill in the code.
    pub autofill: Option<Autofill>,
    /// The solution of a challenge, if the request has one.
    pub proof: Option<Proof>,
    /// Request ID and trace context, for its log lines and its job.
    pub context: RequestContext,
}

/// A request for a code failed: no SMS is on its way.
#[derive(Debug, thiserror::Error)]
pub enum RequestCodeError {
    /// Limits are exceeded.
    #[error("too frequent")]
    Refused(Refusal),
    /// A challenge has to be solved first.
    #[error("a challenge has to be solved first")]
    Challenge {
        /// A new task to solve.
        task: ChallengeTask,
        /// True if the request had a solution that was wrong, expired or used before.
        wrong: bool,
    },
    /// The captcha's vendor cannot verify the solution.
    #[error("the challenge cannot be verified")]
    Captcha(#[from] VendorError),
    /// No codes are sent to the number's country.
    #[error("no codes are sent to {}", .0.code())]
    Country(Country),
    /// The store did not answer.
    #[error("the store does not answer")]
    Store(#[from] StoreError),
    /// The job was not queued; the number may request another code at once.
    #[error("the job cannot be queued")]
    Queue(#[from] QueueError),
}

impl RequestCodeError {
    /// The refusal, if policies refused the request.
    pub(crate) fn refusal(&self) -> Option<&Refusal> {
        match self {
            Self::Refused(refusal) => Some(refusal),
            _ => None,
        }
    }

    /// The value of the label `outcome` of [`metrics::REQUESTS`].
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
    /// Admits a request for a code and queues its SMS. `random` comes from the operating system's
    /// generator.
    ///
    /// # Errors
    /// [`RequestCodeError`]: no SMS is on its way because of this call. If the queue took the job
    /// although its confirm was lost, the sender drops the job, unless the store fails too, within
    /// a tenth of a second.
    pub async fn request(
        &self,
        request: Request,
        random: [u8; 16],
    ) -> Result<Verification, RequestCodeError> {
        let (began, country) = (Instant::now(), request.country);
        let result = self.decide(request, random).await;
        match &result {
            Ok(_) => {
                metrics::HANDLES.accepted(
                    country,
                    self.abuse.budget.price(country),
                    began.elapsed(),
                );
            }
            Err(error) => metrics::HANDLES.rejected(error.outcome(), error.refusal()),
        }
        result
    }

    async fn decide(
        &self,
        request: Request,
        random: [u8; 16],
    ) -> Result<Verification, RequestCodeError> {
        let Request { to, country, ip, tenant, locale, purpose, owner, autofill, proof, context } =
            request;
        if !self.abuse.countries.contains(country) {
            return Err(RequestCodeError::Country(country));
        }
        // Boxed, as what is seldom called: its future would make that of each request larger.
        let solved = match &proof {
            Some(proof) => Box::pin(self.verify_proof(proof, &to, random)).await?,
            None if self.abuse.challenge.as_ref().is_some_and(|challenge| challenge.always) => {
                return Err(self.challenge_required(&to, random, false));
            }
            None => None,
        };
        let challenges = self.abuse.challenge.is_some() && solved.is_none();
        let guard =
            self.abuse.guard.quotas(&self.store, &to, country, &self.secrets, challenges).await?;
        let guarded = guard.iter().map(|quota| quota.subject.clone()).collect();
        let mut quotas =
            self.abuse.limits.request(&to, country, ip, tenant.as_deref(), &self.secrets);
        quotas.extend(guard);
        quotas.extend(self.abuse.budget.quotas(country));
        quotas.extend(solved.into_iter().flatten());
        let candidate = AdmissionRequest {
            kind: AdmissionKind::Verification,
            guarded,
            id: VerificationId::new(
                self.secrets.newest_key_id(),
                self.secrets.tag(&to),
                random,
                &purpose,
            ),
            scope: scope(&purpose, owner.as_deref()),
            to: to.masked(),
            windows: self.abuse.limits.of(Scope::Number).collect(),
            quotas,
        };
        let (verification, sms_number) = match self
            .store
            .admit(&candidate)
            .instrument(debug_span!(target: "sms_verify::spans", "admit"))
            .await
        {
            Ok(Decision::Admitted { verification, sms_number, observed, alarm }) => {
                if observed {
                    warn!(
                        id = %verification.id,
                        to = %to,
                        "conversion of this prefix, or of its country, is unusually low"
                    );
                }
                if alarm {
                    error!("80 % of the budget of this hour or day is spent");
                }
                (verification, sms_number)
            }
            // A message alone is known before.
            Ok(Decision::Known { verification, .. }) => return Ok(verification),
            Ok(Decision::Challenged) => return Err(self.challenge_required(&to, random, false)),
            Ok(Decision::Refused(refusal)) => return Err(self.refused(refusal, &to, random)),
            Err(error) => {
                // The store may have admitted the request and its reply be lost: the release is
                // retried until the store answers.
                self.release(candidate, RELEASE_WAIT_LONG).await;
                return Err(error.into());
            }
        };
        info!(id = %verification.id, to = %to, sms_number, "admitted");
        if let Some(keys) = &self.meiduo_keys
            && let Err(error) =
                Box::pin(keys.write(&self.store, &self.secrets, &to, &verification)).await
        {
            self.release(candidate, RELEASE_WAIT_LONG).await;
            return Err(error.into());
        }
        let job = Job {
            id: verification.id.clone(),
            sms_number,
            to,
            code: JobCode::Derived,
            locale,
            autofill,
            attempts: 0,
            rate_slot: None,
            not_here: Vec::new(),
            requested_at: Some(self.now_ms()),
            tenant,
            context,
        };
        self.enqueue(&job, candidate).await?;
        Ok(verification)
    }

    /// Queues the job of an admission, or releases the admission.
    pub(crate) async fn enqueue(
        &self,
        job: &Job,
        candidate: AdmissionRequest,
    ) -> Result<(), RequestCodeError> {
        match self
            .queue
            .send(job, Delay::NONE)
            .instrument(debug_span!(target: "sms_verify::spans", "enqueue"))
            .await
        {
            Ok(()) => Ok(()),
            // A healthy store answers well within this wait, and the number is usable at once.
            Err(error) => match self.release(candidate, RELEASE_WAIT).await {
                Some(Release::Begun) => {
                    info!(id = %job.id, "the queue's confirm was lost, but a sender has the job");
                    Ok(())
                }
                _ => Err(error.into()),
            },
        }
    }

    /// Verifies the solution of a challenge. Returns the quotas that it counts on, or `None` if
    /// there are no challenges. A wrong solution is an error even where none is needed.
    async fn verify_proof(
        &self,
        proof: &Proof,
        to: &PhoneNumber,
        random: [u8; 16],
    ) -> Result<Option<Vec<Quota>>, RequestCodeError> {
        let Some(challenge) = &self.abuse.challenge else { return Ok(None) };
        match challenge.verify(proof, &self.store, &self.secrets, to).await {
            Ok(Some(quotas)) => Ok(Some(quotas)),
            Ok(None) => Err(self.challenge_required(to, random, true)),
            Err(ChallengeError::Store(error)) => Err(error.into()),
            Err(ChallengeError::Vendor(error)) => Err(error.into()),
        }
    }

    pub(crate) fn now_ms(&self) -> i64 {
        self.store.clock().micros() / 1_000
    }

    /// The error that asks the caller to solve a new task.
    fn challenge_required(
        &self,
        to: &PhoneNumber,
        random: [u8; 16],
        wrong: bool,
    ) -> RequestCodeError {
        let now = self.now_ms() / 1_000;
        let task =
            self.abuse.challenge.clone().unwrap_or_default().task(&self.secrets, to, now, random);
        info!(to = %to, wrong, "a challenge has to be solved first");
        RequestCodeError::Challenge { task, wrong }
    }

    fn refused(&self, refusal: Refusal, to: &PhoneNumber, random: [u8; 16]) -> RequestCodeError {
        // A solution that was used before is reported only if nothing else is exceeded.
        let refusal = refusal.without(Exceeded::Limit(Scope::Proof));
        if refusal.is_empty() {
            return self.challenge_required(to, random, true);
        }
        if refusal.contains(Exceeded::Limit(Scope::Budget)) {
            error!(to = %to, "the budget of this hour or day is spent: refused");
        }
        RequestCodeError::Refused(refusal)
    }

    /// Releases an admission, and retries while the store does not answer: a command whose reply
    /// came too late may still have been executed. If the job was queued after all, either its
    /// sender finds the admission gone and drops it, or the sender was faster, and then the request
    /// stands. Returns `None` if the store does not answer within `wait`.
    pub(crate) async fn release(
        &self,
        candidate: AdmissionRequest,
        wait: Duration,
    ) -> Option<Release> {
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
            warn!(
                %id,
                "the admission is not released yet: until then, the number is in its cooldown"
            );
        }
        released
    }
}

/// The scope of verifications for a purpose, of whoever has them to himself.
#[must_use]
pub fn scope(purpose: &Purpose, owner: Option<&str>) -> String {
    let purpose = purpose.as_str();
    owner.map_or_else(|| purpose.to_owned(), |owner| [purpose, "/", owner].concat())
}
