//! Delivery: one job's way to a gateway, and what is to be done with its message afterwards.

use std::time::{Duration, Instant};

use sha2::{Digest, Sha256};
use tracing::{error, info, warn};

use crate::code::{CodeLength, Secrets};
use crate::job::Job;
use crate::provider::{Class, Provider, SendError, Sms};
use crate::queue::{Delay, Queue, QueueError};
use crate::store::{Begin, Finish, Store, StoreError};

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
        if error.class == Class::Permanent {
            warn!(id = %job.id, to = %job.to, attempt, error = error as &dyn std::error::Error, "refused for good");
            self.finish(&job, Finish::Failed, random).await;
            return Outcome::Done;
        }
        match self.schedule.after(attempt, random) {
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

    /// The outcome stands whether or not it can be recorded: at worst the state shown is behind, or, if the message
    /// is handed out twice as well, the same code arrives twice.
    async fn finish(&self, job: &Job, outcome: Finish, worker: u64) {
        if let Err(error) = self.store.finish(&job.id, job.send, outcome, worker).await {
            report(&error, job);
        }
    }
}

fn report(error: &StoreError, job: &Job) {
    warn!(id = %job.id, error = error as &dyn std::error::Error, "the outcome could not be recorded");
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
    /// The wait after a failed attempt (1 is the first), or nothing when it was the last. `random` chooses a jitter of
    /// up to 10 %, so that jobs which failed together do not come back together.
    #[must_use]
    pub fn after(self, attempt: u32, random: u64) -> Option<Delay> {
        if attempt > self.max_retries {
            return None;
        }
        let base = self.backoff.saturating_mul(2_u32.saturating_pow(attempt.saturating_sub(1)));
        let thousandths = u32::try_from(random % 101).unwrap_or_default();
        Some(Delay { base, jitter: base / 1000 * thousandths })
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
        let base = |attempt| schedule.after(attempt, 0).map(|delay| delay.base.as_secs());
        assert_eq!([base(1), base(2), base(3), base(4)], [Some(3), Some(6), Some(12), None]);
        assert_eq!(base(u32::MAX), None);
        let most = schedule.after(3, 100).expect("a wait").total();
        assert_eq!(most, Duration::from_millis(13_200), "12 s and 10 %");
        assert!((0..1000).all(|random| schedule.after(3, random).expect("a wait").total() <= most));
    }
}
