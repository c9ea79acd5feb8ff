//! `SendSms`: delivers a job to a gateway, and decides what happens to its message afterwards.

mod attempt;
mod sms;

use std::future::ready;
use std::time::Duration;

use serde_json::Value;
use sha2::{Digest, Sha256};
use sms_domain::code_settings::CodeSettings;
use sms_domain::failure::FailureClass;
use sms_domain::job::{Job, JobCode, JobError};
use sms_domain::retry_schedule::{Delay, Schedule};
use sms_domain::trace_context::{RequestContext, TraceParent};
use sms_gateways::Gateways;
use sms_queue::Queue;
use sms_queue::dead_letter::DeadLetterReason;
use sms_queue::error::QueueError;
use sms_queue::message::Message;
use sms_store::{Lease, SendOutcome, Store};
use sms_telemetry::causes;
use sms_telemetry::propagation::link_parent;
use tracing::{Instrument, error, error_span, info, warn};

use crate::detached::retry_detached;
use crate::event_source;
use crate::metrics::{self, DeliveryOutcome};

/// Duration of a job's lease: a short wait for a rate slot, a call to a gateway, and the round
/// trips around it. It is renewed before each further gateway is called.
const LEASE: Duration = Duration::from_secs(Gateways::TIMEOUT.as_secs() + 3);

/// The use case `SendSms`: a job's SMS is sent through a gateway.
#[derive(Debug, Clone)]
pub struct SendSms {
    /// The store, which grants the lease of a job and records its outcome.
    pub store: Store,
    /// The gateways.
    pub gateways: Gateways,
    /// Secrets, length and test numbers.
    pub codes: CodeSettings,
    /// Times of the attempts.
    pub schedule: Schedule,
    /// The policy on attempts whose outcome is unknown.
    pub policy: DeliveryPolicy,
}

/// The policy on an SMS that a gateway has perhaps accepted: its response was lost, or the worker
/// that called it died.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum DeliveryPolicy {
    /// The SMS is sent again, with the same code and the same idempotency key: nobody waits in
    /// vain, and somebody may get the same code twice.
    #[default]
    AtLeastOnce,
    /// The job becomes a dead letter: nobody gets a second SMS, and somebody may have to request
    /// another code after the cooldown.
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

/// The action that a message needs after its delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Acknowledge the message: its SMS was sent, or there is nothing to send any more.
    Done,
    /// An attempt was spent: redeliver after a delay.
    Retry {
        /// The job with the attempts so far, for a queue that needs a new message.
        job: Box<Job>,
        /// The delay until the next attempt.
        delay: Delay,
    },
    /// No attempt was spent, since no gateway was called: requeue `job` with a delay, and
    /// acknowledge the message.
    Hold {
        /// The job, with the attempts spent so far.
        job: Box<Job>,
        /// The delay until the next attempt.
        delay: Delay,
    },
    /// Dead-letter the message, for an operator.
    Dead(DeadLetterReason),
}

impl Outcome {
    /// Requeues or dead-letters the job, which a queue that is not SQS needs before the message is
    /// acknowledged: the new message exists before the old one is removed.
    ///
    /// # Errors
    /// If the queue did not take the new message: then the old one must not be acknowledged.
    pub async fn apply(&self, queue: &Queue, body: &[u8]) -> Result<(), QueueError> {
        match self {
            Self::Done => Ok(()),
            Self::Retry { job, delay } | Self::Hold { job, delay } => {
                Box::pin(queue.send(job, *delay)).await
            }
            Self::Dead(reason) => Box::pin(queue.dead_letter(body, reason.clone())).await,
        }
    }

    /// [`apply`](Self::apply) for a message that a consumer received.
    ///
    /// # Errors
    /// As there.
    pub async fn apply_to(&self, queue: &Queue, message: &Message) -> Result<(), QueueError> {
        match self {
            Self::Dead(reason) => {
                Box::pin(queue.dead_letter_message(message, reason.clone())).await
            }
            _ => self.apply(queue, &message.body).await,
        }
    }
}

/// The reason that a message is not a job; for an event of another service, the name of that
/// service.
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
    /// Delivers the job in `body` to a gateway, if its SMS is still wanted. `receives` counts the
    /// deliveries of this message by the queue, including this one; `random` is any number, drawn
    /// for this call.
    pub async fn deliver(&self, body: &[u8], receives: u32, random: u64) -> Outcome {
        self.deliver_and(body, receives, random, ready).await
    }

    /// Delivers as [`SendSms::deliver`] does, and calls `then` with the outcome, so that its log
    /// lines have the job's request ID, too.
    pub async fn deliver_and<T, F: Future<Output = T>>(
        &self,
        body: &[u8],
        receives: u32,
        random: u64,
        then: impl FnOnce(Outcome) -> F,
    ) -> T {
        // In a box, since each future on the way to the gateway would hold it twice.
        let job = match Job::decode(body) {
            Ok(job) => Box::new(job),
            Err(error) => {
                let reason = unreadable(body, &error);
                error!(error = reason, "unreadable message: dead letter");
                metrics::HANDLES.delivered(DeliveryOutcome::Dead);
                return then(Outcome::Dead(reason.as_str().into())).await;
            }
        };
        // An error span, so that log lines of every level have its fields.
        let RequestContext { request_id, trace } = &job.context;
        let trace_id = trace.as_ref().map(TraceParent::trace_id);
        let span = error_span!("delivery", request_id, trace_id);
        link_parent(&span, trace.clone());
        async move { then(self.deliver_job(job, receives, random).await).await }
            .instrument(span)
            .await
    }

    async fn deliver_job(&self, job: Box<Job>, receives: u32, random: u64) -> Outcome {
        let attempt = job.attempts.saturating_add(receives.max(1));
        if let (1, None, Some(age)) = (attempt, &job.rate_slot, self.age(&job)) {
            metrics::HANDLES.handed_out(age);
        }
        match self.store.acquire_lease(&job.id, job.sms_number, LEASE, random).await {
            Ok(Lease::Granted { .. }) if self.is_to_a_test_number(&job) => {
                info!(id = %job.id, to = %job.to, "a test number: nothing is sent");
                self.record_outcome(&job, SendOutcome::Sent { message_id: None }, random).await;
                metrics::HANDLES.delivered(DeliveryOutcome::Test);
                Outcome::Done
            }
            Ok(Lease::Granted { uncertain: true, .. })
                if self.policy == DeliveryPolicy::AtMostOnce =>
            {
                self.dead_letter_perhaps_sent(
                    &job,
                    random,
                    attempt - 1,
                    "an earlier attempt has no recorded outcome",
                )
                .await
            }
            Ok(Lease::Granted { expires_in, uncertain }) => {
                if uncertain {
                    warn!(
                        id = %job.id,
                        "an earlier attempt has no recorded outcome; the same code is sent again"
                    );
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
                metrics::HANDLES.delivered(DeliveryOutcome::Dropped);
                Outcome::Done
            }
            Ok(Lease::Gone) => {
                info!(id = %job.id, "dropped: approved, expired or replaced");
                metrics::HANDLES.delivered(DeliveryOutcome::Dropped);
                Outcome::Done
            }
            Err(error) => {
                warn!(id = %job.id, error = causes(&error), "the store does not answer");
                // The store may have granted the lease and its reply be lost: it is given back.
                self.record_outcome_later(&job, SendOutcome::Requeued, random);
                held(job, attempt, self.schedule.first(), "the store does not answer")
            }
        }
    }

    fn is_to_a_test_number(&self, job: &Job) -> bool {
        let CodeSettings { secrets, test_numbers, .. } = &self.codes;
        // The tag in a message's ID is not its number's.
        let tag = match &job.code {
            JobCode::Derived => job.id.tag(),
            JobCode::Sealed(_) | JobCode::Removed => secrets.tag(&job.to),
        };
        test_numbers.code(secrets, tag).is_some()
    }

    /// The time since the code was requested.
    fn age(&self, job: &Job) -> Option<Duration> {
        let age = (self.store.clock().micros() / 1_000).saturating_sub(job.requested_at?);
        Some(Duration::from_millis(age.max(0).unsigned_abs()))
    }

    async fn dead_letter_perhaps_sent(
        &self,
        job: &Job,
        worker: u64,
        attempts: u32,
        why: &str,
    ) -> Outcome {
        error!(id = %job.id, to = %job.to, why, "perhaps sent: dead letter");
        metrics::HANDLES.delivered(DeliveryOutcome::Dead);
        self.record_outcome(job, SendOutcome::Unknown, worker).await;
        let reason = format!("perhaps sent, and the policy is at_most_once: {why}");
        Outcome::Dead(DeadLetterReason {
            text: reason,
            class: Some(FailureClass::Ambiguous),
            attempts,
        })
    }

    /// Records an outcome in the store; if the store does not answer, later.
    async fn record_outcome(&self, job: &Job, outcome: SendOutcome, worker: u64) {
        if let Err(error) =
            self.store.record_outcome(&job.id, job.sms_number, &outcome, worker).await
        {
            warn!(id = %job.id, error = causes(&error), "the outcome cannot be recorded yet");
            self.record_outcome_later(job, outcome, worker);
        }
    }

    /// Records an outcome when the store answers again. If it never does and the message is
    /// redelivered, the outcome is unknown, and the policy decides.
    fn record_outcome_later(&self, job: &Job, outcome: SendOutcome, worker: u64) {
        let (store, id, sms_number) = (self.store.clone(), job.id.clone(), job.sms_number);
        retry_detached(move || {
            let (store, id, outcome) = (store.clone(), id.clone(), outcome.clone());
            async move { store.record_outcome(&id, sms_number, &outcome, worker).await }
        });
    }
}

/// Requeues a job without having spent attempt `attempt`.
fn held(mut job: Box<Job>, attempt: u32, delay: Delay, why: &str) -> Outcome {
    info!(id = %job.id, why, "held back");
    metrics::HANDLES.delivered(DeliveryOutcome::Held);
    job.attempts = attempt - 1;
    Outcome::Hold { job, delay }
}

/// The idempotency key of a job: 128 bits of a hash of its ID and SMS number, in 32 hexadecimal
/// digits, the maximum length of CCP's `reqId`.
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
                r#"{"Type":"Notification","TopicArn":"arn:aws:sns:us-east-1:1:t","Message":"{}"}"#,
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
