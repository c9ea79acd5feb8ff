//! Delivery: one job's way to a gateway, and what is to be done with its message afterwards.

mod attempt;

use std::future::ready;
use std::time::Duration;

use serde_json::Value;
use sha2::{Digest, Sha256};
use sms_domain::code_settings::CodeSettings;
use sms_domain::failure::FailureClass;
use sms_domain::job::{Job, JobError};
use sms_domain::retry_schedule::{Delay, Schedule};
use sms_domain::trace_context::{RequestContext, TraceParent};
use sms_gateways::Gateways;
use sms_queue::Queue;
use sms_queue::dead_letter::DeadLetterReason;
use sms_queue::error::QueueError;
use sms_store::{Lease, SendOutcome, Store};
use sms_telemetry::causes;
use sms_telemetry::propagation::link_parent;
use tracing::{Instrument, error, error_span, info, warn};

use crate::detached::retry_detached;
use crate::event_source;
use crate::metrics::{self, DeliveryOutcome};

/// How long nobody else may send a job's SMS: a short wait for a turn, a call to a gateway, and the
/// round trips around it. Taken anew before each further gateway is called.
const LEASE: Duration = Duration::from_secs(Gateways::TIMEOUT.as_secs() + 3);

/// The use case: everything that a delivery needs.
#[derive(Debug, Clone)]
pub struct SendSms {
    /// Says whether an SMS may still be sent, and remembers what became of it.
    pub store: Store,
    /// The gateways.
    pub provider: Gateways,
    /// The codes.
    pub codes: CodeSettings,
    /// When to try again.
    pub schedule: Schedule,
    /// Whether to try again when nobody knows what came of an attempt.
    pub policy: DeliveryPolicy,
}

/// What is done about an SMS that a gateway has perhaps accepted: its answer was lost, or the
/// worker that called it died.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum DeliveryPolicy {
    /// It is sent again, with the same code and under the same idempotency key: nobody waits in
    /// vain, and somebody may get the same code twice.
    #[default]
    AtLeastOnce,
    /// It becomes a dead letter: nobody gets a second SMS, and somebody may wait for the cooldown
    /// to ask again.
    AtMostOnce,
}

impl DeliveryPolicy {
    /// Reads `at_least_once` or `at_most_once`.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        match word {
            "at_least_once" => Some(Self::AtLeastOnce),
            "at_most_once" => Some(Self::AtMostOnce),
            _ => None,
        }
    }
}

/// What is to be done with a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Acknowledge it: it was sent, or there is nothing to send any more.
    Done,
    /// An attempt was spent: hand it out again after a delay. `job` has the attempts so far in it.
    Retry {
        /// The job, for a queue that must be given it anew.
        job: Job,
        /// When.
        delay: Delay,
    },
    /// No attempt was spent, since no gateway was called: queue `job` anew, with a delay, and
    /// acknowledge the message.
    Hold {
        /// The job, with the attempts spent so far.
        job: Job,
        /// When.
        delay: Delay,
    },
    /// Put it with the dead letters, for an operator.
    Dead(DeadLetterReason),
}

impl Outcome {
    /// Does what a queue that is not SQS needs before the message in hand is acknowledged: a job
    /// that is to come again, or is dead, is in its new place before it leaves the old one.
    ///
    /// # Errors
    /// When the queue did not take it: then the message must not be acknowledged.
    pub async fn settle(&self, queue: &Queue, body: &[u8]) -> Result<(), QueueError> {
        match self {
            Self::Done => Ok(()),
            Self::Retry { job, delay } | Self::Hold { job, delay } => {
                Box::pin(queue.send(job, *delay)).await
            }
            Self::Dead(death) => Box::pin(queue.dead_letter(body, death.clone())).await,
        }
    }
}

/// Why a message is not a job: of another service's event, which service sends it.
fn unreadable(body: &[u8], error: &JobError) -> String {
    let event: Option<Value> = serde_json::from_slice(body).ok();
    match (error, event.as_ref().and_then(event_source::source)) {
        (JobError::Json { .. }, Some(source)) => format!(
            "the message is {source}, and not a job: look at what else sends into this queue"
        ),
        _ => error.to_string(),
    }
}

impl SendSms {
    /// Brings the job in `body` to the gateway, if its SMS is still wanted. `receives` is how many
    /// times the queue has handed out this message, this time included; `random` is any number,
    /// drawn for this call.
    pub async fn deliver(&self, body: &[u8], receives: u32, random: u64) -> Outcome {
        self.deliver_and(body, receives, random, ready).await
    }

    /// The same, and then what is to be done with the message: lines of it have the job's names,
    /// too.
    pub async fn deliver_and<T, F: Future<Output = T>>(
        &self,
        body: &[u8],
        receives: u32,
        random: u64,
        then: impl FnOnce(Outcome) -> F,
    ) -> T {
        let job = match Job::decode(body) {
            Ok(job) => job,
            Err(error) => {
                let reason = unreadable(body, &error);
                error!(error = reason, "unreadable message: dead letter");
                metrics::delivered(DeliveryOutcome::Dead);
                return then(Outcome::Dead(reason.as_str().into())).await;
            }
        };
        // On whatever level lines are logged, they have it.
        let RequestContext { request_id, trace } = &job.names;
        let trace_id = trace.as_ref().map(TraceParent::trace_id);
        let span = error_span!("delivery", request_id, trace_id);
        link_parent(&span, trace.clone());
        async move { then(self.deliver_job(job, receives, random).await).await }
            .instrument(span)
            .await
    }

    async fn deliver_job(&self, job: Job, receives: u32, random: u64) -> Outcome {
        let attempt = job.attempts.saturating_add(receives.max(1));
        if let (1, None, Some(age)) = (attempt, &job.rate_slot, self.age(&job)) {
            metrics::handed_out(age);
        }
        match self.store.acquire_lease(&job.id, job.sms_number, LEASE, random).await {
            Ok(Lease::Granted { .. })
                if self.codes.test_numbers.code(&self.codes.secrets, job.id.tag()).is_some() =>
            {
                info!(id = %job.id, to = %job.to, "a test number: nothing is sent");
                self.record_outcome(&job, SendOutcome::Sent { message_id: None }, random).await;
                metrics::delivered(DeliveryOutcome::Test);
                Outcome::Done
            }
            Ok(Lease::Granted { uncertain: true, .. })
                if self.policy == DeliveryPolicy::AtMostOnce =>
            {
                self.perhaps_sent(
                    &job,
                    random,
                    attempt - 1,
                    "an earlier attempt never told its outcome",
                )
                .await
            }
            Ok(Lease::Granted { expires_in, uncertain }) => {
                if uncertain {
                    warn!(id = %job.id, "an earlier attempt never told its outcome; the same code is sent again");
                }
                self.attempt(job, attempt, expires_in, random).await
            }
            Ok(Lease::Busy) => held(
                job,
                attempt,
                self.schedule.first(),
                "another delivery of this job is under way",
            ),
            Ok(Lease::AlreadySent) => {
                info!(id = %job.id, "already sent");
                metrics::delivered(DeliveryOutcome::Dropped);
                Outcome::Done
            }
            Ok(Lease::Gone) => {
                info!(id = %job.id, "dropped: approved, expired or replaced");
                metrics::delivered(DeliveryOutcome::Dropped);
                Outcome::Done
            }
            Err(error) => {
                warn!(id = %job.id, error = causes(&error), "store trouble");
                // What the store was too late to answer it may still carry out: then nobody holds
                // this lease.
                self.see_finished(&job, SendOutcome::Requeued, random);
                held(job, attempt, self.schedule.first(), "the store cannot be asked")
            }
        }
    }

    /// How long ago it was asked for.
    fn age(&self, job: &Job) -> Option<Duration> {
        let age = (self.store.clock().micros() / 1_000).saturating_sub(job.at?);
        Some(Duration::from_millis(age.max(0).unsigned_abs()))
    }

    async fn perhaps_sent(&self, job: &Job, worker: u64, attempts: u32, why: &str) -> Outcome {
        error!(id = %job.id, to = %job.to, why, "perhaps sent: dead letter");
        metrics::delivered(DeliveryOutcome::Dead);
        self.record_outcome(job, SendOutcome::Unknown, worker).await;
        let reason = format!("perhaps sent, and the policy is at_most_once: {why}");
        Outcome::Dead(DeadLetterReason { reason, class: Some(FailureClass::Ambiguous), attempts })
    }

    /// The outcome stands whether or not it can be recorded at once.
    async fn record_outcome(&self, job: &Job, outcome: SendOutcome, worker: u64) {
        if let Err(error) =
            self.store.record_outcome(&job.id, job.sms_number, &outcome, worker).await
        {
            warn!(id = %job.id, error = causes(&error), "the outcome cannot be recorded yet");
            self.see_finished(job, outcome, worker);
        }
    }

    /// Records an outcome when the store answers again. If it never does and the message is handed
    /// out once more, the outcome is unknown, and the policy decides.
    fn see_finished(&self, job: &Job, outcome: SendOutcome, worker: u64) {
        let (store, id, sms_number) = (self.store.clone(), job.id.clone(), job.sms_number);
        retry_detached(move || {
            let (store, id, outcome) = (store.clone(), id.clone(), outcome.clone());
            async move { store.record_outcome(&id, sms_number, &outcome, worker).await }
        });
    }
}

/// Back into the queue, without having spent attempt `attempt`.
fn held(mut job: Job, attempt: u32, delay: Delay, why: &str) -> Outcome {
    info!(id = %job.id, why, "held back");
    metrics::delivered(DeliveryOutcome::Held);
    job.attempts = attempt - 1;
    Outcome::Hold { job, delay }
}

/// 128 bits of a hash of what names the job, in the 32 hexadecimal digits that CCP's `reqId` has
/// room for.
fn idempotency_key(job: &Job) -> String {
    let hash = Sha256::digest(format!("{}/{}", job.id, job.sms_number));
    hex::encode(&hash[..16])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unreadable_message_of_another_service_names_the_service() {
        for (body, reason) in [
            (
                r#"{"Type":"Notification","TopicArn":"arn:aws:sns:eu-central-1:1:t","Message":"{}"}"#,
                "notification of SNS",
            ),
            (
                r#"{"Records":[{"eventSource":"aws:s3"}]}"#,
                "the message is records of aws:s3, and not a job",
            ),
            (r#"{"source":"aws.ec2","detail-type":"Spot Interruption"}"#, "EventBridge's"),
            ("", "empty, and not a job"),
            (r#"{"v":2,"new":true}"#, "version 2"),
        ] {
            let error = Job::decode(body.as_bytes()).expect_err(body);
            let shown = unreadable(body.as_bytes(), &error);
            assert!(shown.contains(reason), "{shown}");
        }
    }
}
