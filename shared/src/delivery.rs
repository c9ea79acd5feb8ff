//! Delivery: one job's way to a gateway, and what is to be done with its message afterwards.

use std::time::{Duration, Instant};

use sha2::{Digest, Sha256};
use tracing::{error, info, warn};

use crate::afterwards::until_answered;
use crate::code::{CodeLength, Secrets};
use crate::job::Job;
use crate::provider::{Class, Provider, SendError, Sms};
use crate::queue::{Delay, Queue, QueueError};
use crate::store::{Begin, Finish, Store};

/// How long nobody else may send a job's SMS: a call to a gateway, and the round trips around it.
const LEASE: Duration = Duration::from_secs(Provider::TIMEOUT.as_secs() + 2);

/// The use case: everything that a delivery needs.
#[derive(Debug, Clone)]
pub struct Deliveries {
    /// Says whether an SMS may still be sent, and remembers what became of it.
    pub store: Store,
    /// The gateway.
    pub provider: Provider,
    /// Where codes come from.
    pub secrets: Secrets,
    /// How long they are.
    pub code_length: CodeLength,
    /// When to try again.
    pub schedule: Schedule,
    /// Whether to try again when nobody knows what came of an attempt.
    pub policy: DeliveryPolicy,
}

/// What is done about an SMS that a gateway has perhaps accepted: its answer was lost, or the worker that called it died.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum DeliveryPolicy {
    /// It is sent again, with the same code and under the same idempotency key: nobody waits in vain, and somebody may
    /// get the same code twice.
    #[default]
    AtLeastOnce,
    /// It becomes a dead letter: nobody gets a second SMS, and somebody may wait for the cooldown to ask again.
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
    /// No attempt was spent, since no gateway was called: queue `job` anew, with a delay, and acknowledge the message.
    Hold {
        /// The job, with the attempts spent so far.
        job: Job,
        /// When.
        delay: Delay,
    },
    /// Put it with the dead letters, for an operator.
    Dead {
        /// Why, in words that hold nothing secret.
        reason: String,
    },
}

impl Outcome {
    /// Does what a queue that is not SQS needs before the message in hand is acknowledged: a job that is to come again,
    /// or is dead, is in its new place before it leaves the old one.
    ///
    /// # Errors
    /// When the queue did not take it: then the message must not be acknowledged.
    pub async fn settle(&self, queue: &Queue, body: &[u8]) -> Result<(), QueueError> {
        match self {
            Self::Done => Ok(()),
            Self::Retry { job, delay } | Self::Hold { job, delay } => queue.send(job, *delay).await,
            Self::Dead { reason } => queue.bury(body, reason).await,
        }
    }
}

impl Deliveries {
    /// Brings the job in `body` to the gateway, if its SMS is still wanted. `receives` is how many times the queue has
    /// handed out this message, this time included; `random` is any number, drawn for this call.
    pub async fn deliver(&self, body: &[u8], receives: u32, random: u64) -> Outcome {
        let job = match Job::decode(body) {
            Ok(job) => job,
            Err(error) => {
                error!(%error, "unreadable message: dead letter");
                return Outcome::Dead { reason: error.to_string() };
            }
        };
        let attempt = job.attempts.saturating_add(receives.max(1));
        match self.store.begin(&job.id, job.send, LEASE, random).await {
            Ok(Begin::Go { uncertain: true, .. }) if self.policy == DeliveryPolicy::AtMostOnce => {
                self.perhaps_sent(&job, random, "an earlier attempt never told its outcome").await
            }
            Ok(Begin::Go { expires_in, uncertain }) => {
                if uncertain {
                    warn!(id = %job.id, "an earlier attempt never told its outcome; the same code is sent again");
                }
                self.attempt(job, attempt, expires_in, random).await
            }
            Ok(Begin::Busy) => self.hold(job, attempt, "another delivery of this job is under way"),
            Ok(Begin::AlreadySent) => {
                info!(id = %job.id, "already sent");
                Outcome::Done
            }
            Ok(Begin::Gone) => {
                info!(id = %job.id, "dropped: approved, expired or replaced");
                Outcome::Done
            }
            Err(error) => {
                warn!(id = %job.id, error = &error as &dyn std::error::Error, "store trouble");
                // What the store was too late to answer it may still carry out: then nobody holds this lease.
                self.see_finished(&job, Finish::Retrying, random);
                self.hold(job, attempt, "the store cannot be asked")
            }
        }
    }

    async fn attempt(&self, job: Job, attempt: u32, expires_in: Duration, random: u64) -> Outcome {
        let Some(code) = self.secrets.derive(&job.id, self.code_length) else {
            // A secret may reach the functions that ask for codes first; one that was taken away too early ends with
            // the codes' expiry.
            error!(id = %job.id, "CODE_SECRET does not hold the secret of this id");
            self.finish(&job, Finish::Retrying, random).await;
            return self.hold(job, attempt, "its secret is not known here");
        };
        let sms = Sms {
            idempotency_key: idempotency_key(&job),
            to: job.to.clone(),
            locale: job.locale,
            lifetime: expires_in,
            code,
        };
        let called = Instant::now();
        match self.provider.send(&sms).await {
            Ok(()) => {
                info!(id = %job.id, to = %job.to, attempt, "sent");
                self.finish(&job, Finish::Sent, random).await;
                Outcome::Done
            }
            Err(error) => {
                let expires_in = expires_in.saturating_sub(called.elapsed());
                self.failed(job, attempt, expires_in, random, &error).await
            }
        }
    }

    async fn failed(
        &self,
        mut job: Job,
        attempt: u32,
        expires_in: Duration,
        random: u64,
        error: &SendError,
    ) -> Outcome {
        match error.class {
            Class::Permanent => {
                warn!(id = %job.id, to = %job.to, attempt, error = error as &dyn std::error::Error, "refused for good");
                self.finish(&job, Finish::Failed, random).await;
                return Outcome::Done;
            }
            Class::Ambiguous if self.policy == DeliveryPolicy::AtMostOnce => {
                return self.perhaps_sent(&job, random, &error.to_string()).await;
            }
            Class::Ambiguous | Class::Transient | Class::Throttled | Class::Configuration => {}
        }
        let least = error.retry_after.or((error.class == Class::Throttled).then(|| self.schedule.longest()));
        match self.schedule.after(attempt, least.unwrap_or_default(), random) {
            Some(delay) if delay.total() < expires_in => {
                warn!(id = %job.id, to = %job.to, attempt, delay_ms = millis(delay), error = error as &dyn std::error::Error, "will be tried again");
                self.finish(&job, Finish::Retrying, random).await;
                job.attempts = attempt;
                Outcome::Retry { job, delay }
            }
            next => {
                let why = if next.is_some() { "the code expires before the next attempt" } else { "out of attempts" };
                error!(id = %job.id, to = %job.to, attempt, why, error = error as &dyn std::error::Error, "dead letter");
                self.finish(&job, Finish::Failed, random).await;
                Outcome::Dead { reason: format!("{why}, after attempt {attempt}: {error}") }
            }
        }
    }

    fn hold(&self, mut job: Job, attempt: u32, why: &str) -> Outcome {
        info!(id = %job.id, why, "held back");
        job.attempts = attempt - 1;
        Outcome::Hold { job, delay: self.schedule.first() }
    }

    async fn perhaps_sent(&self, job: &Job, worker: u64, why: &str) -> Outcome {
        error!(id = %job.id, to = %job.to, why, "perhaps sent: dead letter");
        self.finish(job, Finish::Unknown, worker).await;
        Outcome::Dead { reason: format!("perhaps sent, and the policy is at_most_once: {why}") }
    }

    /// The outcome stands whether or not it can be recorded at once.
    async fn finish(&self, job: &Job, outcome: Finish, worker: u64) {
        if let Err(error) = self.store.finish(&job.id, job.send, outcome, worker).await {
            warn!(id = %job.id, error = &error as &dyn std::error::Error, "the outcome cannot be recorded yet");
            self.see_finished(job, outcome, worker);
        }
    }

    /// Records an outcome when the store answers again. If it never does and the message is handed out once more, the
    /// outcome is unknown, and the policy decides.
    fn see_finished(&self, job: &Job, outcome: Finish, worker: u64) {
        let (store, id, send) = (self.store.clone(), job.id.clone(), job.send);
        until_answered(move || {
            let (store, id) = (store.clone(), id.clone());
            async move { store.finish(&id, send, outcome, worker).await }
        });
    }
}

fn millis(delay: Delay) -> u64 {
    u64::try_from(delay.total().as_millis()).unwrap_or(u64::MAX)
}

/// 128 bits of a hash of what names the job, in the 32 hexadecimal digits that CCP's `reqId` has room for.
fn idempotency_key(job: &Job) -> String {
    let hash = Sha256::digest(format!("{}/{}", job.id, job.send));
    hash[..16].iter().map(|byte| format!("{byte:02x}")).collect()
}

/// When to try again: after 3, 6 and 12 s unless `RETRY_BACKOFF` and `MAX_RETRIES` say otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Schedule {
    /// The first wait; each later one is twice the one before.
    pub backoff: Duration,
    /// Attempts after the first.
    pub max_retries: u32,
}

impl Schedule {
    /// The wait after a failed attempt (1 is the first), or nothing when it was the last. If the gateway asks for
    /// `least`, it is doubled until it is at least that: so that waits stay few, each of which is a queue on RabbitMQ.
    /// `random` chooses a jitter of up to 10 %, so that jobs which failed together do not come back together.
    #[must_use]
    pub fn after(self, attempt: u32, least: Duration, random: u64) -> Option<Delay> {
        if attempt > self.max_retries {
            return None;
        }
        let mut base = self.wait(attempt);
        while base < least {
            base = base.saturating_mul(2);
        }
        let thousandths = u32::try_from(random % 101).unwrap_or_default();
        Some(Delay { base, jitter: base / 1000 * thousandths })
    }

    /// The wait before the last attempt.
    #[must_use]
    pub fn longest(self) -> Duration {
        self.wait(self.max_retries)
    }

    fn wait(self, attempt: u32) -> Duration {
        self.backoff.saturating_mul(2_u32.saturating_pow(attempt.saturating_sub(1)))
    }

    /// The shortest wait, for a job that is held back.
    #[must_use]
    pub fn first(self) -> Delay {
        Delay { base: self.backoff, jitter: Duration::ZERO }
    }
}

impl Default for Schedule {
    fn default() -> Self {
        Self { backoff: Duration::from_secs(3), max_retries: 3 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_and_end() {
        let schedule = Schedule::default();
        let base = |attempt| schedule.after(attempt, Duration::ZERO, 0).map(|delay| delay.base.as_secs());
        assert_eq!([base(1), base(2), base(3), base(4)], [Some(3), Some(6), Some(12), None]);
        assert_eq!(base(u32::MAX), None);
        let longest = |random| schedule.after(3, Duration::ZERO, random).expect("a wait").total();
        assert_eq!(longest(100), Duration::from_millis(13_200), "12 s and 10 %");
        assert!((0..1000).all(|random| longest(random) <= longest(100)));
    }

    #[test]
    fn a_gateway_is_given_the_time_that_it_asks_for() {
        let schedule = Schedule::default();
        let base =
            |attempt, least| schedule.after(attempt, Duration::from_secs(least), 0).map(|delay| delay.base.as_secs());
        assert_eq!([base(1, 3), base(1, 4), base(2, 30), base(4, 30)], [Some(3), Some(6), Some(48), None]);
        let endless = schedule.after(1, Duration::MAX, 100).expect("a wait");
        assert!(endless.total() > Duration::from_secs(u64::MAX / 2), "and no overflow: {endless:?}");
        assert_eq!(schedule.longest().as_secs(), 12);
    }
}
