//! Messages in a cluster, where their records, the windows of their numbers and other limits are on
//! different servers. (On one server an admission is one script.)

use super::RedisStore;
use super::quotas::{QuotaOutcome, consume, refund};
use crate::{AdmissionRequest, Decision, Release, StoreError};

impl RedisStore {
    /// Decides on a message: the limits first, since a repetition that comes before
    /// they answer would keep what they refuse. (Of repetitions at the same instant some are
    /// refused here, since each counts until it is known as one.)
    pub(super) async fn decide_on_message(
        &self,
        candidate: &AdmissionRequest,
    ) -> Result<Decision, StoreError> {
        let quotas = &candidate.quotas;
        if self.latest(candidate.id.tag()).await?.is_some() {
            let (decision, _) = self.admit_number(candidate).await?;
            if let Decision::Known { .. } = decision {
                return Ok(decision);
            }
            // It failed, or was forgotten meanwhile: nothing was asked of the limits.
            self.release_number(candidate).await?;
        }
        let (observed, alarm) = match consume(self, quotas).await? {
            QuotaOutcome::Counted { observed, alarm, reserved: None } => (observed, alarm),
            QuotaOutcome::Counted { reserved: Some(refusal), .. } => {
                refund(self, quotas).await?;
                return Ok(Decision::Refused(refusal));
            }
            QuotaOutcome::Refused(refusal) => return Ok(Decision::Refused(refusal)),
            QuotaOutcome::Challenged => return Ok(Decision::Challenged),
        };
        let admitted = match self.admit_number(candidate).await {
            Ok((decision, _)) => decision,
            Err(error) => {
                if let (Release::Released, _) = self.release_number(candidate).await? {
                    refund(self, quotas).await?;
                }
                return Err(error);
            }
        };
        match admitted {
            Decision::Admitted { verification, sms_number, .. } => {
                Ok(Decision::Admitted { verification, sms_number, observed, alarm })
            }
            decision => {
                refund(self, quotas).await?;
                Ok(decision)
            }
        }
    }
}
