//! The SMS of a job: with the code that is derived from its ID, or with somebody else's.

use std::fmt;
use std::time::Duration;

use sms_domain::code::Code;
use sms_domain::custom_code::{CustomCode, OpenError};
use sms_domain::job::{Job, JobCode};
use sms_gateways::gateway::Sms;
use sms_queue::dead_letter::DeadLetterReason;
use sms_store::SendOutcome;
use tracing::{error, info};

use super::{Outcome, SendSms, held, idempotency_key};
use crate::metrics::{self, DeliveryOutcome};

/// The code of a job was taken out when it became a dead letter.
#[derive(Debug, thiserror::Error)]
#[error("the code of somebody else was removed from the dead letter: it has to be requested anew")]
struct CodeRemoved;

impl SendSms {
    /// Builds the SMS of a job for an attempt; or what becomes of a job whose code is not known.
    pub(super) async fn sms(
        &self,
        job: Box<Job>,
        number: u32,
        expires_in: Duration,
        worker: u64,
    ) -> Result<(Box<Job>, Sms), Outcome> {
        let sms = match &job.code {
            JobCode::Derived => match self.codes.secrets.derive(&job.id, self.codes.length) {
                Some(code) => sms(&job, code, expires_in),
                None => return Err(self.hold_without_secret(job, number, worker).await),
            },
            JobCode::Sealed(sealed) => match self.codes.secrets.open(sealed, &job.id, &job.to) {
                Ok(custom) => match self.custom_sms(&job, custom, expires_in) {
                    Some(sms) => sms,
                    None => return Err(self.drop_late(&job, worker).await),
                },
                Err(OpenError::NoSecret) if self.schedule.first().total() < expires_in => {
                    return Err(self.hold_without_secret(job, number, worker).await);
                }
                Err(error) => return Err(self.bury(&job, number, worker, error).await),
            },
            JobCode::Removed => return Err(self.bury(&job, number, worker, CodeRemoved).await),
        };
        Ok((job, sms))
    }

    /// The SMS of a code that somebody else made; `None` if he no longer accepts it.
    fn custom_sms(&self, job: &Job, custom: CustomCode, expires_in: Duration) -> Option<Sms> {
        let now = self.store.clock().micros() / 1_000;
        let left = custom.valid_until.map(|until| until.saturating_sub(now));
        if left.is_some_and(|left| left <= 0) {
            return None;
        }
        Some(Sms {
            custom_text: custom.text,
            lifetime: left.map_or(expires_in, |left| Duration::from_millis(left.unsigned_abs())),
            names_lifetime: left.is_some(),
            ..sms(job, custom.code, expires_in)
        })
    }

    /// Requeues a job whose secret is not known here: during a rotation `request-code` may have the
    /// new one first. If a secret was removed too early, the jobs end with their codes.
    async fn hold_without_secret(&self, job: Box<Job>, number: u32, worker: u64) -> Outcome {
        error!(id = %job.id, "CODE_SECRET does not hold the secret of this id");
        self.record_outcome(&job, SendOutcome::Requeued, worker).await;
        held(job, number, self.schedule.first(), "CODE_SECRET lacks its secret")
    }

    /// Drops a job whose code its maker no longer accepts.
    async fn drop_late(&self, job: &Job, worker: u64) -> Outcome {
        info!(id = %job.id, "dropped: its maker no longer accepts the code");
        self.record_outcome(job, SendOutcome::Failed, worker).await;
        metrics::HANDLES.delivered(DeliveryOutcome::Expired);
        Outcome::Done
    }

    /// Buries a job whose code cannot be opened: nobody can send it any more.
    async fn bury(&self, job: &Job, number: u32, worker: u64, why: impl fmt::Display) -> Outcome {
        let reason = why.to_string();
        error!(id = %job.id, to = %job.to, reason, "dead letter");
        metrics::HANDLES.delivered(DeliveryOutcome::Dead);
        self.record_outcome(job, SendOutcome::Failed, worker).await;
        Outcome::Dead(DeadLetterReason { text: reason, class: None, attempts: number - 1 })
    }
}

fn sms(job: &Job, code: Code, lifetime: Duration) -> Sms {
    Sms {
        to: job.to.clone(),
        code,
        locale: job.locale,
        purpose: job.id.purpose().clone(),
        autofill: job.autofill.clone(),
        custom_text: None,
        lifetime,
        names_lifetime: true,
        idempotency_key: idempotency_key(job),
    }
}
