//! One attempt: calls the gateways of the number's route, one after the other, until one accepts
//! the message.
//!
//! The next gateway is tried when one could not take the message, is over its rate, does not serve
//! the number, or has a problem with its account; never when the number or the text was refused for
//! good; and when one has perhaps accepted it, only with the policy `at_least_once`. A gateway
//! whose circuit is open is skipped.

use std::time::{Duration, Instant};

use futures_util::future::OptionFuture;
use sms_domain::failure::FailureClass;
use sms_domain::job::{Job, JobCode, RateSlot};
use sms_domain::retry_schedule::Delay;
use sms_gateways::Gateways;
use sms_gateways::account::Account;
use sms_gateways::gateway::{Accepted, Sms};
use sms_gateways::send_error::SendError;
use sms_queue::dead_letter::DeadLetterReason;
use sms_store::{Breaker, Health, Lease, Permit, PermitRequest, SendOutcome, StoreError};
use sms_telemetry::causes;
use tracing::field::Empty;
use tracing::{Instrument, debug, debug_span, error, info, warn};

use super::{DeliveryPolicy, LEASE, Outcome, SendSms, held};
use crate::metrics::{self, DeliveryOutcome};

/// Settings of the circuit breaker. Five failures in a row are hardly chance; ten seconds are
/// enough for a restart, and a small part of a code's lifetime.
const BREAKER: Breaker = Breaker {
    failures: 5,
    open: Duration::from_secs(10),
    trial: Duration::from_secs(Gateways::TIMEOUT.as_secs() + 1),
};

/// Longest wait for a rate slot within an attempt; for a longer one the job is requeued.
const MAX_WAIT: Duration = Duration::from_millis(1_250);

/// Time before its rate slot at which a requeued job is due, since the queue may deliver it late.
/// Queues count whole seconds.
const EARLY: Duration = Duration::from_millis(250);

/// Time after which an attempt calls no further gateway. With one more call of the same length it
/// stays within the function's timeout of 20 s.
const BUDGET: Duration = Gateways::TIMEOUT;

/// The decision on whether a gateway is called for one message.
enum CallDecision {
    /// Call the gateway. `report_success`: report its result to the store even if it succeeds.
    Call { report_success: bool },
    /// The next rate slot is too far off to wait for it here.
    Later(Duration),
    /// The circuit is open; it may be tried again after this time.
    CircuitOpen(Duration),
    /// There is no rate slot before the code expires.
    NoSlot,
}

/// An attempt in progress.
struct Attempt<'a> {
    send_sms: &'a SendSms,
    job: Box<Job>,
    sms: Sms,
    /// Time from `began` for which the SMS is wanted.
    expires_in: Duration,
    /// The number of the attempt, from 1.
    number: u32,
    worker: u64,
    began: Instant,
    /// True if a gateway was called.
    called: bool,
    /// Errors of the gateways that serve the number.
    errors: Vec<SendError>,
    /// Errors of the gateways that do not serve it.
    not_here: Vec<SendError>,
    /// Shortest time until an open circuit may be tried again.
    circuit_retry_in: Option<Duration>,
}

impl SendSms {
    /// Makes attempt `number` at a job whose lease `worker` holds.
    pub(super) async fn attempt(
        &self,
        job: Box<Job>,
        number: u32,
        expires_in: Duration,
        worker: u64,
    ) -> Outcome {
        let (job, sms) = match self.sms(job, number, expires_in, worker).await {
            Ok(ready) => ready,
            Err(outcome) => return outcome,
        };
        let attempt = Attempt {
            send_sms: self,
            job,
            expires_in: expires_in.min(sms.lifetime),
            sms,
            number,
            worker,
            began: Instant::now(),
            called: false,
            errors: Vec::new(),
            not_here: Vec::new(),
            circuit_retry_in: None,
        };
        attempt.run().await
    }

    /// Stores the number tag of a message, where delivery reports name the message alone.
    async fn keep_message(&self, job: &Job, account: &Account, message_id: String) {
        if let Err(error) = self.store.keep_message(account.name(), &message_id, job.id.tag()).await
        {
            warn!(
                id = %job.id,
                error = causes(&error),
                "delivery reports that name this message alone will not be matched"
            );
        }
    }

    /// The minimum delay before a gateway is called again after this error.
    fn min_delay(&self, error: &SendError) -> Duration {
        let throttled = (error.class == FailureClass::Throttled).then(|| self.schedule.longest());
        error.retry_after.or(throttled).unwrap_or_default()
    }
}

impl Attempt<'_> {
    /// Rare cases are boxed, so that they do not make the future of every attempt larger.
    async fn run(mut self) -> Outcome {
        let accounts = self.send_sms.gateways.accounts(&self.sms.to, &self.sms.idempotency_key);
        if accounts.is_empty() {
            let reason = format!("SMS_DSN has no gateway for +{}", self.job.to.country_code());
            return Box::pin(self.dead_letter(reason, DeliveryOutcome::Dead, None)).await;
        }
        let mut cut_short = false;
        for account in &accounts {
            if !self.is_served_by(account) {
                continue;
            }
            if self.called && !self.may_try_next().await {
                cut_short = true;
                break;
            }
            match self.decide_call(account).await {
                Ok(CallDecision::Call { report_success }) => {
                    if let Some(outcome) = self.call(account, report_success).await {
                        return outcome;
                    }
                }
                Ok(CallDecision::Later(wait)) if self.errors.is_empty() => {
                    let delay = Delay::within(wait.saturating_sub(EARLY));
                    return Box::pin(self.hold(delay, "the gateway's rate")).await;
                }
                Ok(CallDecision::Later(_) | CallDecision::NoSlot) => {}
                Ok(CallDecision::CircuitOpen(wait)) => {
                    let soonest = self.circuit_retry_in.map_or(wait, |soonest| soonest.min(wait));
                    self.circuit_retry_in = Some(soonest);
                }
                Err(error) if self.errors.is_empty() => {
                    warn!(id = %self.job.id, error = causes(&error), "the store does not answer");
                    let delay = self.send_sms.schedule.first();
                    return Box::pin(self.hold(delay, "the store does not answer")).await;
                }
                Err(_) => break,
            }
        }
        if !accounts.iter().any(|account| self.is_served_by(account)) {
            let takes = accounts.iter().any(|account| account.takes(&self.sms.code));
            let reason = match takes {
                true => "no gateway serves this number",
                false => "the templates of SMS_DSN take fewer digits, or no letters and dashes",
            };
            let reason = reason.to_owned();
            let class = Some(FailureClass::NotHere);
            Box::pin(self.dead_letter(reason, DeliveryOutcome::Dead, class)).await
        } else if cut_short || !self.errors.is_empty() {
            Box::pin(self.failed()).await
        } else {
            Box::pin(self.no_gateway_available()).await
        }
    }

    /// Returns true unless a gateway is known not to serve the number: then it is treated as if it
    /// were not in the route.
    fn is_served_by(&self, account: &Account) -> bool {
        account.serves(&self.sms.to)
            && account.takes(&self.sms.code)
            && !self.job.not_here.contains(&account.id)
    }

    /// The errors of all gateways, as one text.
    fn reasons(&self) -> String {
        self.errors
            .iter()
            .chain(&self.not_here)
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join("; ")
    }

    /// Returns true if a further gateway may be called: there is time, the SMS is still wanted, and
    /// this worker still holds the lease.
    async fn may_try_next(&mut self) -> bool {
        if self.began.elapsed() >= BUDGET {
            return false;
        }
        match self
            .send_sms
            .store
            .acquire_lease(&self.job.id, self.job.sms_number, LEASE, self.worker)
            .await
        {
            Ok(Lease::Granted { expires_in, .. }) => {
                // (The lifetime of a custom code is its maker's.)
                if self.job.code == JobCode::Derived {
                    self.sms.lifetime = expires_in;
                }
                true
            }
            _ => false,
        }
    }

    /// Decides whether a gateway is called now. Returns after a short wait for its rate slot.
    async fn decide_call(&mut self, account: &Account) -> Result<CallDecision, StoreError> {
        if account.is_known_closed() {
            return Ok(CallDecision::Call { report_success: false });
        }
        loop {
            let slot = self
                .job
                .rate_slot
                .as_ref()
                .filter(|slot| slot.account == account.id)
                .map(|slot| slot.at);
            let asked = PermitRequest { rate: account.rate, slot, max_wait: self.expires_in() };
            match self.send_sms.store.permit(&account.id, asked, BREAKER).await? {
                Permit::Granted { report_success } => {
                    // A slot of another account is kept for later.
                    self.job.rate_slot.take_if(|slot| slot.account == account.id);
                    account.granted(report_success);
                    return Ok(CallDecision::Call { report_success });
                }
                Permit::Open { retry_in } => return Ok(CallDecision::CircuitOpen(retry_in)),
                Permit::Full => return Ok(CallDecision::NoSlot),
                Permit::Wait { wait, slot } => {
                    self.job.rate_slot = Some(RateSlot { account: account.id.clone(), at: slot });
                    if wait > MAX_WAIT {
                        return Ok(CallDecision::Later(wait));
                    }
                    tokio::time::sleep(wait).await;
                }
            }
        }
    }

    /// Calls a gateway. Returns `None` if the next one may be called.
    async fn call(&mut self, account: &Account, report_success: bool) -> Option<Outcome> {
        self.called = true;
        let (send_sms, job, attempt) = (self.send_sms, &self.job, self.number);
        let began = Instant::now();
        let span = debug_span!(
            target: "sms_verify::spans",
            "gateway",
            gateway = account.name(),
            result = Empty,
            "otel.status_code" = Empty
        );
        let result = account.send(&self.sms).instrument(span.clone()).await;
        let failure = result.as_ref().err().map(|error| error.class);
        metrics::called(account.name(), failure, began.elapsed());
        span.record("result", failure.map_or("accepted", FailureClass::as_str));
        span.record("otel.status_code", if failure.is_some() { "ERROR" } else { "OK" });
        self.report(account, report_success, health(&result)).await;
        let error = match result {
            Ok(accepted) => {
                info!(id = %job.id, to = %job.to, attempt, gateway = account.name(), "sent");
                metrics::HANDLES.delivered(DeliveryOutcome::Sent);
                if let Some(age) = send_sms.age(job) {
                    metrics::HANDLES.delivered_after(age);
                }
                let named = accepted
                    .message_id
                    .as_ref()
                    .filter(|_| {
                        // The record of a message is not its number's.
                        account.reports_may_lack_number() || job.code != JobCode::Derived
                    })
                    .map(|id| Box::pin(send_sms.keep_message(job, account, id.clone())));
                let sent = SendOutcome::Sent { message_id: accepted.message_id };
                tokio::join!(
                    OptionFuture::from(named),
                    send_sms.record_outcome(job, sent, self.worker)
                );
                return Some(Outcome::Done);
            }
            Err(error) => error,
        };
        match error.class {
            FailureClass::Permanent => {
                warn!(
                    id = %job.id,
                    to = %job.to,
                    attempt,
                    error = causes(&error),
                    "refused for good"
                );
                metrics::HANDLES.delivered(DeliveryOutcome::Refused);
                metrics::refused(account.name(), &error.reason);
                send_sms.record_outcome(job, SendOutcome::Failed, self.worker).await;
                Some(Outcome::Done)
            }
            FailureClass::Ambiguous if send_sms.policy == DeliveryPolicy::AtMostOnce => {
                let reason = error.to_string();
                Some(send_sms.dead_letter_perhaps_sent(job, self.worker, attempt, &reason).await)
            }
            FailureClass::NotHere => {
                warn!(id = %job.id, to = %job.to, attempt, error = causes(&error), "not served");
                self.job.not_here.push(account.id.clone());
                self.not_here.push(error);
                None
            }
            FailureClass::Ambiguous
            | FailureClass::Transient
            | FailureClass::Throttled
            | FailureClass::Configuration
            | FailureClass::Unlisted => {
                warn!(id = %job.id, to = %job.to, attempt, error = causes(&error), "not accepted");
                self.errors.push(error);
                None
            }
        }
    }

    /// Reports a gateway's health to the store, if it has changed.
    async fn report(&self, account: &Account, report_success: bool, health: Health) {
        if health == Health::Down {
            account.failed();
        }
        if (report_success || health == Health::Down)
            && let Err(error) = self.send_sms.store.report(&account.id, health, BREAKER).await
        {
            debug!(error = causes(&error), "the circuit breaker could not be updated");
        }
    }

    /// Ends an attempt in which every gateway that was called failed: a retry or a dead letter.
    async fn failed(mut self) -> Outcome {
        let Self { send_sms, number, worker, .. } = self;
        let reasons = self.reasons();
        // The gateway that may be called again soonest decides.
        let min_delay =
            self.errors.iter().map(|error| send_sms.min_delay(error)).min().unwrap_or_default();
        match send_sms.schedule.after(number, min_delay, worker) {
            Some(delay) if delay.total() < self.expires_in() => {
                let (job, delay_ms) =
                    (&self.job, u64::try_from(delay.total().as_millis()).unwrap_or(u64::MAX));
                warn!(
                    id = %job.id,
                    to = %job.to,
                    attempt = number,
                    delay_ms,
                    error = reasons,
                    "will be tried again"
                );
                metrics::HANDLES.delivered(DeliveryOutcome::Retried);
                send_sms.record_outcome(job, SendOutcome::Retrying, worker).await;
                self.job.attempts = number;
                Outcome::Retry { job: self.job, delay }
            }
            next => {
                let (why, outcome) = match next {
                    Some(_) => {
                        ("the code expires before the next attempt", DeliveryOutcome::Expired)
                    }
                    None => ("out of attempts", DeliveryOutcome::Dead),
                };
                let class = self.errors.last().map(|error| error.class);
                self.dead_letter(format!("{why}, after attempt {number}"), outcome, class).await
            }
        }
    }

    /// Ends an attempt in which no gateway was called: every circuit is open, or no rate slot comes
    /// in time.
    async fn no_gateway_available(self) -> Outcome {
        let delay = self.circuit_retry_in.map(Delay::within);
        match delay.filter(|delay| delay.total() < self.expires_in()) {
            Some(delay) => self.hold(delay, "the gateway's circuit is open").await,
            None => {
                let reason = "no gateway can be called before the code expires".to_owned();
                self.dead_letter(reason, DeliveryOutcome::Expired, None).await
            }
        }
    }

    fn expires_in(&self) -> Duration {
        self.expires_in.saturating_sub(self.began.elapsed())
    }

    async fn hold(self, delay: Delay, why: &str) -> Outcome {
        self.send_sms.record_outcome(&self.job, SendOutcome::Requeued, self.worker).await;
        held(self.job, self.number, delay, why)
    }

    async fn dead_letter(
        self,
        reason: String,
        outcome: DeliveryOutcome,
        class: Option<FailureClass>,
    ) -> Outcome {
        metrics::HANDLES.delivered(outcome);
        let reasons = self.reasons();
        let reason = if reasons.is_empty() { reason } else { format!("{reason}: {reasons}") };
        let attempts = if self.called { self.number } else { self.number - 1 };
        error!(id = %self.job.id, to = %self.job.to, attempt = self.number, reason, "dead letter");
        self.send_sms.record_outcome(&self.job, SendOutcome::Failed, self.worker).await;
        Outcome::Dead(DeadLetterReason { text: reason, class, attempts })
    }
}

/// The health of a gateway after a call. An error of one message alone says nothing about it.
fn health(result: &Result<Accepted, SendError>) -> Health {
    let Err(error) = result else { return Health::Up };
    match error.class {
        // The gateway works, and refused this number or this rate.
        FailureClass::Permanent | FailureClass::Throttled => Health::Up,
        FailureClass::NotHere | FailureClass::Unlisted => Health::Unknown,
        FailureClass::Transient | FailureClass::Configuration | FailureClass::Ambiguous
            if error.message_specific =>
        {
            Health::Unknown
        }
        FailureClass::Transient | FailureClass::Configuration | FailureClass::Ambiguous => {
            Health::Down
        }
    }
}
