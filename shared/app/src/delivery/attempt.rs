//! One attempt: the gateways that a message may go through, one after the other, until one of them
//! has it.
//!
//! The next gateway is tried when one could not take the message, took too many lately, does not
//! serve the number, or has a problem with its account; never when the number or the text was
//! refused for good, and when it has perhaps taken it only if the policy is to send at least once.
//! A gateway whose circuit is open is passed over.

use std::time::{Duration, Instant};

use sms_domain::code::Code;
use sms_domain::failure::FailureClass;
use sms_domain::job::{Job, RateSlot};
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

use super::{DeliveryPolicy, LEASE, Outcome, SendSms, held, idempotency_key};
use crate::metrics::{self, DeliveryOutcome};

/// Five failures in a row are no chance; ten seconds are time for a restart, and little of a code's
/// life.
const BREAKER: Breaker = Breaker {
    failures: 5,
    open: Duration::from_secs(10),
    trial: Duration::from_secs(Gateways::TIMEOUT.as_secs() + 1),
};

/// A wait for a turn that is sat out; a longer one is spent in the queue, where it holds up nobody.
const SHORT: Duration = Duration::from_millis(1_250);

/// How much earlier than its turn a job leaves the queue, which may take a while to hand it out.
/// Queues count whole seconds.
const EARLY: Duration = Duration::from_millis(250);

/// No further gateway is tried when an attempt has taken as long as one call may: with that one it
/// stays within the 20 s of the function.
const BUDGET: Duration = Gateways::TIMEOUT;

/// What a gateway's permit comes to for one message.
enum CallDecision {
    /// Call it; `tell` the store also if it goes well.
    Call { report_success: bool },
    /// Its turn is far off.
    Later(Duration),
    /// Its circuit is open, and worth another look then.
    Closed(Duration),
    /// It has no turn before the code expires.
    Full,
}

/// An attempt on its way.
struct Attempt<'a> {
    deliveries: &'a SendSms,
    job: Job,
    sms: Sms,
    /// 1 is the first.
    number: u32,
    worker: u64,
    began: Instant,
    /// Whether a gateway was called.
    called: bool,
    /// Why the gateways that serve the number do not have the message.
    errors: Vec<SendError>,
    /// What the gateways that do not serve it said.
    not_here: Vec<SendError>,
    /// When the first of the closed circuits is worth another look.
    closed: Option<Duration>,
}

impl SendSms {
    /// Makes attempt `number` at a job whose lease `worker` holds.
    pub(super) async fn attempt(
        &self,
        job: Job,
        number: u32,
        expires_in: Duration,
        worker: u64,
    ) -> Outcome {
        let Some(code) = self.codes.secrets.derive(&job.id, self.codes.length) else {
            // A secret may reach the functions that ask for codes first; one that was taken away
            // too early ends with the codes' expiry.
            error!(id = %job.id, "CODE_SECRET does not hold the secret of this id");
            self.record_outcome(&job, SendOutcome::Requeued, worker).await;
            return held(job, number, self.schedule.first(), "its secret is not known here");
        };
        let sms = sms(&job, code, expires_in);
        let attempt = Attempt {
            deliveries: self,
            job,
            sms,
            number,
            worker,
            began: Instant::now(),
            called: false,
            errors: Vec::new(),
            not_here: Vec::new(),
            closed: None,
        };
        attempt.run().await
    }

    /// Remembers which number a message went to, where its receipts may name it alone.
    async fn keep_message(&self, job: &Job, account: &Account, message_id: Option<String>) {
        if let Some(message_id) = message_id
            && let Err(error) =
                self.store.keep_message(account.name(), &message_id, job.id.tag()).await
        {
            warn!(id = %job.id, error = causes(&error), "a receipt that names the message alone will not be found");
        }
    }

    /// The time for which a gateway does not want to be called again.
    fn least(&self, error: &SendError) -> Duration {
        let throttled = (error.class == FailureClass::Throttled).then(|| self.schedule.longest());
        error.retry_after.or(throttled).unwrap_or_default()
    }
}

impl Attempt<'_> {
    async fn run(mut self) -> Outcome {
        let accounts = self.deliveries.provider.accounts(&self.sms.to, &self.sms.idempotency_key);
        if accounts.is_empty() {
            let reason = format!("SMS_DSN has no gateway for +{}", self.job.to.country_code());
            return self.dead(reason, DeliveryOutcome::Dead, None).await;
        }
        let mut cut_short = false;
        for account in &accounts {
            if !self.is_served_by(account) {
                continue;
            }
            if self.called && !self.may_go_on().await {
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
                    return self
                        .hold(Delay::within(wait.saturating_sub(EARLY)), "the gateway's rate")
                        .await;
                }
                Ok(CallDecision::Later(_) | CallDecision::Full) => {}
                Ok(CallDecision::Closed(wait)) => {
                    self.closed = Some(self.closed.map_or(wait, |soonest| soonest.min(wait)));
                }
                Err(error) if self.errors.is_empty() => {
                    warn!(id = %self.job.id, error = causes(&error), "store trouble");
                    let delay = self.deliveries.schedule.first();
                    return self.hold(delay, "the store cannot be asked").await;
                }
                Err(_) => break,
            }
        }
        // Boxed, since what is rare should not make every attempt larger.
        if !accounts.iter().any(|account| self.is_served_by(account)) {
            let reason = "no gateway serves this number".to_owned();
            Box::pin(self.dead(reason, DeliveryOutcome::Dead, Some(FailureClass::NotHere))).await
        } else if cut_short || !self.errors.is_empty() {
            Box::pin(self.failed()).await
        } else {
            Box::pin(self.nobody_called()).await
        }
    }

    /// Whether a gateway serves the number, as far as is known. One that does not is as if it were
    /// not in the route.
    fn is_served_by(&self, account: &Account) -> bool {
        account.serves(&self.sms.to) && !self.job.not_here.contains(&account.id)
    }

    /// What all the gateways said.
    fn reasons(&self) -> String {
        self.errors
            .iter()
            .chain(&self.not_here)
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join("; ")
    }

    /// Before a further gateway: is there time, is the SMS still wanted, and is this worker still
    /// the one to send it?
    async fn may_go_on(&mut self) -> bool {
        if self.began.elapsed() >= BUDGET {
            return false;
        }
        match self
            .deliveries
            .store
            .acquire_lease(&self.job.id, self.job.sms_number, LEASE, self.worker)
            .await
        {
            Ok(Lease::Granted { expires_in, .. }) => {
                self.sms.lifetime = expires_in;
                true
            }
            _ => false,
        }
    }

    /// Whether a gateway may be called now. A short wait for its turn is over when this returns.
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
            let asked = PermitRequest { rate: account.rate, slot, max_wait: self.sms.lifetime };
            match self.deliveries.store.permit(&account.id, asked, BREAKER).await? {
                Permit::Granted { report_success } => {
                    // The turn of another account is still to come.
                    self.job.rate_slot.take_if(|slot| slot.account == account.id);
                    account.granted(report_success);
                    return Ok(CallDecision::Call { report_success });
                }
                Permit::Open { retry_in } => return Ok(CallDecision::Closed(retry_in)),
                Permit::Full => return Ok(CallDecision::Full),
                Permit::Wait { wait, slot } => {
                    self.job.rate_slot = Some(RateSlot { account: account.id.clone(), at: slot });
                    if wait > SHORT {
                        return Ok(CallDecision::Later(wait));
                    }
                    tokio::time::sleep(wait).await;
                }
            }
        }
    }

    /// Calls a gateway. No outcome means that the next one may be called.
    async fn call(&mut self, account: &Account, report_success: bool) -> Option<Outcome> {
        self.called = true;
        let (deliveries, job, attempt) = (self.deliveries, &self.job, self.number);
        let began = Instant::now();
        let span = debug_span!(target: "sms_verify::spans", "gateway", gateway = account.name(), result = Empty, "otel.status_code" = Empty);
        let result = account.send(&self.sms).instrument(span.clone()).await;
        let failure = result.as_ref().err().map(|error| error.class);
        metrics::called(account.name(), failure, began.elapsed());
        span.record("result", failure.map_or("accepted", FailureClass::as_str));
        span.record("otel.status_code", if failure.is_some() { "ERROR" } else { "OK" });
        self.report(account, report_success, health(&result)).await;
        let error = match result {
            Ok(accepted) => {
                info!(id = %job.id, to = %job.to, attempt, gateway = account.name(), "sent");
                metrics::delivered(DeliveryOutcome::Sent);
                if let Some(age) = deliveries.age(job) {
                    metrics::delivered_after(age);
                }
                let named = accepted
                    .message_id
                    .as_ref()
                    .filter(|_| account.names_messages_alone())
                    .cloned();
                let sent = SendOutcome::Sent { message_id: accepted.message_id };
                tokio::join!(
                    deliveries.keep_message(job, account, named),
                    deliveries.record_outcome(job, sent, self.worker)
                );
                return Some(Outcome::Done);
            }
            Err(error) => error,
        };
        match error.class {
            FailureClass::Permanent => {
                warn!(id = %job.id, to = %job.to, attempt, error = causes(&error), "refused for good");
                metrics::delivered(DeliveryOutcome::Refused);
                metrics::refused(account.name(), &error.reason);
                deliveries.record_outcome(job, SendOutcome::Failed, self.worker).await;
                Some(Outcome::Done)
            }
            FailureClass::Ambiguous if deliveries.policy == DeliveryPolicy::AtMostOnce => {
                Some(deliveries.perhaps_sent(job, self.worker, attempt, &error.to_string()).await)
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

    /// Tells the store whether a gateway is up, if that is news.
    async fn report(&self, account: &Account, report_success: bool, health: Health) {
        if health == Health::Down {
            account.failed();
        }
        if (report_success || health == Health::Down)
            && let Err(error) = self.deliveries.store.report(&account.id, health, BREAKER).await
        {
            debug!(error = causes(&error), "the circuit is not told");
        }
    }

    /// The gateways that were called have failed.
    async fn failed(mut self) -> Outcome {
        let Self { deliveries, number, worker, .. } = self;
        let reasons = self.reasons();
        // Of several gateways the one counts that may be called again soonest.
        let least =
            self.errors.iter().map(|error| deliveries.least(error)).min().unwrap_or_default();
        match deliveries.schedule.after(number, least, worker) {
            Some(delay) if delay.total() < self.expires_in() => {
                let (job, delay_ms) =
                    (&self.job, u64::try_from(delay.total().as_millis()).unwrap_or(u64::MAX));
                warn!(id = %job.id, to = %job.to, attempt = number, delay_ms, error = reasons, "will be tried again");
                metrics::delivered(DeliveryOutcome::Retried);
                deliveries.record_outcome(job, SendOutcome::Retrying, worker).await;
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
                self.dead(format!("{why}, after attempt {number}"), outcome, class).await
            }
        }
    }

    /// Every circuit is open, or no turn comes in time.
    async fn nobody_called(self) -> Outcome {
        match self.closed.map(Delay::within).filter(|delay| delay.total() < self.expires_in()) {
            Some(delay) => self.hold(delay, "the gateway's circuit is open").await,
            None => {
                let reason = "no gateway can be called before the code expires".to_owned();
                self.dead(reason, DeliveryOutcome::Expired, None).await
            }
        }
    }

    fn expires_in(&self) -> Duration {
        self.sms.lifetime.saturating_sub(self.began.elapsed())
    }

    async fn hold(self, delay: Delay, why: &str) -> Outcome {
        self.deliveries.record_outcome(&self.job, SendOutcome::Requeued, self.worker).await;
        held(self.job, self.number, delay, why)
    }

    async fn dead(
        self,
        reason: String,
        outcome: DeliveryOutcome,
        class: Option<FailureClass>,
    ) -> Outcome {
        metrics::delivered(outcome);
        let reasons = self.reasons();
        let reason = if reasons.is_empty() { reason } else { format!("{reason}: {reasons}") };
        let attempts = if self.called { self.number } else { self.number - 1 };
        error!(id = %self.job.id, to = %self.job.to, attempt = self.number, reason, "dead letter");
        self.deliveries.record_outcome(&self.job, SendOutcome::Failed, self.worker).await;
        Outcome::Dead(DeadLetterReason { reason, class, attempts })
    }
}

/// What a call has shown of the gateway: another message may fare otherwise.
fn health(result: &Result<Accepted, SendError>) -> Health {
    let Err(error) = result else { return Health::Up };
    match error.class {
        // It is there, and says what is wrong with this number or this rate.
        FailureClass::Permanent | FailureClass::Throttled => Health::Up,
        FailureClass::NotHere | FailureClass::Unlisted => Health::Unknown,
        FailureClass::Transient | FailureClass::Configuration | FailureClass::Ambiguous
            if error.for_some =>
        {
            Health::Unknown
        }
        FailureClass::Transient | FailureClass::Configuration | FailureClass::Ambiguous => {
            Health::Down
        }
    }
}

fn sms(job: &Job, code: Code, lifetime: Duration) -> Sms {
    Sms {
        to: job.to.clone(),
        code,
        locale: job.locale,
        purpose: job.id.purpose().clone(),
        autofill: job.autofill.clone(),
        lifetime,
        idempotency_key: idempotency_key(job),
    }
}
