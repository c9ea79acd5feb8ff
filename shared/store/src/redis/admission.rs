//! What limits decide on, besides the number itself: admission, its release, and the check of a
//! code.
//!
//! On one server each is one script. In a cluster each limit stands on a shard of its own: there an
//! admission asks all of them at the same time, and takes back what some have written when another
//! refuses.

use futures_util::future::{join_all, try_join_all};
use redis::{ErrorKind, ServerErrorKind};
use sms_domain::conversion_test::{Conversion, CusumTest, GuardAction};
use sms_domain::quota::{BudgetRule, Quota, QuotaRule};
use sms_domain::refusal::Refusal;
use sms_domain::verification::{DeliveryState, Status, Verification};
use sms_domain::verification_id::VerificationId;
use tracing::debug;

use super::RedisStore;
use super::connection::Call;
use super::reply::{ScriptReply, unexpected};
use crate::constants::{CHALLENGE, OBSERVE, REFUSE};
use crate::{
    AdmissionRequest, CheckResult, Decision, Release, StoreError, as_weighed, guard_key, key,
    limit_key, micros, millis, resend, sent_key, timestamp, until, verified_key,
};

impl RedisStore {
    pub(crate) async fn admit(&self, candidate: &AdmissionRequest) -> Result<Decision, StoreError> {
        let quotas = &candidate.quotas;
        if let Some(answer) =
            self.together(quotas, |quotas| self.admit_call(candidate, quotas)).await?
        {
            return Ok(self.decision(candidate, quotas, &answer)?.0);
        }
        let (number, consumed) = tokio::join!(self.admit_number(candidate), consume(self, quotas));
        // Whoever is told of an error releases the candidate, and then all that was counted is
        // given back. Here it is seen to that this happens once.
        let consumed = match (consumed, &number) {
            (Ok(consumed), _) => consumed,
            (Err(error), Ok((Decision::Admitted { .. }, _))) => {
                self.release_number(candidate).await?;
                return Err(error);
            }
            (Err(error), _) => return Err(error),
        };
        let (decision, verified) = match (number, &consumed) {
            (Ok(number), _) => number,
            (Err(error), QuotaOutcome::Counted { .. }) => {
                if let (Release::Released, _) = self.release_number(candidate).await? {
                    refund(self, quotas).await?;
                }
                return Err(error);
            }
            (Err(error), _) => return Err(error),
        };
        let consumed = match consumed {
            QuotaOutcome::Counted { reserved: Some(refusal), .. } if !verified => {
                refund(self, quotas).await?;
                QuotaOutcome::Refused(refusal)
            }
            consumed => consumed,
        };
        match (decision, consumed) {
            (
                Decision::Admitted { verification, sms_number, .. },
                QuotaOutcome::Counted { observed, alarm, .. },
            ) => Ok(Decision::Admitted { verification, sms_number, observed, alarm }),
            (Decision::Admitted { .. }, consumed) => {
                self.release_number(candidate).await?;
                Ok(match consumed {
                    QuotaOutcome::Refused(limits) => Decision::Refused(limits),
                    _ => Decision::Challenged,
                })
            }
            (decision, QuotaOutcome::Counted { .. }) => {
                refund(self, quotas).await?;
                Ok(decision)
            }
            (Decision::Refused(mut refusal), QuotaOutcome::Refused(limits)) => {
                refusal.add_all(&limits);
                Ok(Decision::Refused(refusal))
            }
            (decision, _) => Ok(decision),
        }
    }

    pub(crate) async fn release(
        &self,
        candidate: &AdmissionRequest,
    ) -> Result<Release, StoreError> {
        let quotas = &candidate.quotas;
        if let Some(answer) =
            self.together(quotas, |quotas| self.release_call(candidate, quotas)).await?
        {
            return Ok(released(&answer)?.0);
        }
        let (release, by_this_call) = self.release_number(candidate).await?;
        if by_this_call {
            refund(self, quotas).await?;
        }
        Ok(release)
    }

    pub(crate) async fn check(
        &self,
        id: &VerificationId,
        right: bool,
        request: u64,
        quotas: &[Quota],
    ) -> Result<CheckResult, StoreError> {
        let call = |quotas: &[Quota]| self.check_call(id, right, request, quotas);
        if let Some(answer) = self.together(quotas, call).await? {
            return self.checked(quotas, &answer).await;
        }
        // One after the other: a code that the limits leave no room for must not be compared.
        if let QuotaOutcome::Refused(refusal) = consume(self, quotas).await? {
            return Ok(CheckResult::Refused(refusal));
        }
        let result = self.checked(&[], &self.answer(call(&[])).await?).await?;
        if !matches!(result, CheckResult::Wrong { .. }) {
            refund(self, quotas).await?;
        }
        Ok(result)
    }

    pub(crate) async fn conversion(&self, country: &str) -> Result<Conversion, StoreError> {
        let answer = self.answer(self.scripts().conversion.call([guard_key(country)])).await?;
        let thousandths = |index| answer.number::<i64>(index).map(|number| number as f64 / 1000.0);
        Ok(Conversion { sent: thousandths(0)?, approved: thousandths(1)? })
    }

    async fn checked(
        &self,
        quotas: &[Quota],
        answer: &ScriptReply,
    ) -> Result<CheckResult, StoreError> {
        match answer.tag()? {
            "approved" => {
                self.tell_guard(answer.number(1)?, answer.text(2)?).await;
                Ok(CheckResult::Approved)
            }
            "wrong" => Ok(CheckResult::Wrong {
                attempts_left: answer.number(1)?,
                locked_for: answer.wait(2)?,
            }),
            "refused" => Ok(CheckResult::Refused(answer.refusal(quotas)?)),
            "gone" => Ok(CheckResult::Gone),
            _ => Err(unexpected()),
        }
    }

    /// The number is approved, whatever comes of this.
    async fn tell_guard(&self, began: i64, guarded: &str) {
        let told = guarded.split_whitespace().map(|subject| async move {
            self.run::<()>(self.scripts().approve.call([guard_key(subject)]).arg(began)).await
        });
        if let Err(error) = try_join_all(told).await {
            debug!(%error, "the conversion guard does not know of an approval");
        }
    }

    /// Calls a script with the number and the limits, unless they stand on different servers.
    async fn together(
        &self,
        quotas: &[Quota],
        call: impl Fn(&[Quota]) -> Call,
    ) -> Result<Option<ScriptReply>, StoreError> {
        if !quotas.is_empty() && self.connection.is_cluster() {
            return Ok(None);
        }
        match self.answer(call(quotas)).await {
            Err(StoreError::Redis(error))
                if error.kind() == ErrorKind::Server(ServerErrorKind::CrossSlot) =>
            {
                Ok(None)
            }
            result => result.map(Some),
        }
    }

    async fn admit_number(
        &self,
        candidate: &AdmissionRequest,
    ) -> Result<(Decision, bool), StoreError> {
        self.decision(candidate, &[], &self.answer(self.admit_call(candidate, &[])).await?)
    }

    async fn release_number(
        &self,
        candidate: &AdmissionRequest,
    ) -> Result<(Release, bool), StoreError> {
        released(&self.answer(self.release_call(candidate, &[])).await?)
    }

    fn admit_call(&self, candidate: &AdmissionRequest, quotas: &[Quota]) -> Call {
        let policy = &self.policy;
        let mut call = self
            .scripts()
            .admit
            .call(keys(candidate, quotas))
            .arg(candidate.id.as_str())
            .arg(candidate.id.purpose().as_str())
            .arg(&candidate.to)
            .arg(millis(policy.ttl))
            .arg(millis(policy.resend_interval))
            .arg(millis(policy.max_life))
            .arg(policy.max_attempts)
            .arg(candidate.guarded.join(" "))
            .arg(candidate.windows.len());
        for window in &candidate.windows {
            call = call.arg(window.max).arg(millis(window.period));
        }
        with_values(call, quotas)
    }

    /// The second is whether the number was verified before.
    fn decision(
        &self,
        candidate: &AdmissionRequest,
        quotas: &[Quota],
        answer: &ScriptReply,
    ) -> Result<(Decision, bool), StoreError> {
        let admitted = |status, delivery, wrong_until| {
            let attempts_left = self.attempts_left(answer.number(7)?);
            let locked_until = if attempts_left == 0 { wrong_until } else { 0 };
            let (now, expires) = (answer.number(3)?, answer.number(4)?);
            let (waits_for, resend_in) =
                resend(now, answer.number(5)?, answer.number(6)?, locked_until);
            Ok::<_, StoreError>(Verification {
                id: answer.id(1)?,
                to: candidate.to.clone(),
                status,
                delivery,
                expires_at: timestamp(expires),
                expires_in: until(now, expires),
                resend_in,
                waits_for,
                attempts_left,
                locked_for: until(now, locked_until),
            })
        };
        match answer.tag()? {
            "admitted" => {
                let verification = admitted(Status::Pending, DeliveryState::Queued, 0)?;
                let (sms_number, observed, alarm) =
                    (answer.number(2)?, answer.flag(8)?, answer.flag(9)?);
                Ok((
                    Decision::Admitted { verification, sms_number, observed, alarm },
                    answer.flag(10)?,
                ))
            }
            "again" => {
                let verification =
                    admitted(answer.status(8)?, answer.delivery(9)?, answer.number(10)?)?;
                let sms_number = answer.number(2)?;
                let decision =
                    Decision::Admitted { verification, sms_number, observed: false, alarm: false };
                Ok((decision, true))
            }
            "refused" => Ok((Decision::Refused(answer.refusal(quotas)?), false)),
            "challenge" => Ok((Decision::Challenged, false)),
            _ => Err(unexpected()),
        }
    }

    fn release_call(&self, candidate: &AdmissionRequest, quotas: &[Quota]) -> Call {
        let call = self.scripts().release.call(keys(candidate, quotas));
        with_values(call.arg(candidate.id.as_str()).arg(candidate.windows.len()), quotas)
    }

    fn check_call(&self, id: &VerificationId, right: bool, request: u64, quotas: &[Quota]) -> Call {
        let entry = key(id.tag());
        let verified = verified_key(&entry);
        let keys: Vec<String> =
            [entry, verified].into_iter().chain(quotas.iter().map(limit_key)).collect();
        let call = self
            .scripts()
            .check
            .call(keys)
            .arg(id.as_str())
            .arg(u8::from(right))
            .arg(request)
            .arg(self.policy.max_attempts)
            .arg(millis(self.policy.max_life))
            .arg(millis(self.policy.remember));
        with_values(call, quotas)
    }
}

/// The second is whether this call did it.
fn released(answer: &ScriptReply) -> Result<(Release, bool), StoreError> {
    match answer.tag()? {
        "released" => Ok((Release::Released, answer.flag(1)?)),
        "begun" => Ok((Release::Begun, false)),
        _ => Err(unexpected()),
    }
}

/// What came of counting one on limits.
enum QuotaOutcome {
    /// It counts.
    Counted {
        /// It should not, by what only observes.
        observed: bool,
        /// A budget is spent to the share at which that is told.
        alarm: bool,
        /// Why it does not count, if the number was not verified before.
        reserved: Option<Refusal>,
    },
    /// It counts on none.
    Refused(Refusal),
    /// It counts on none before a challenge is solved.
    Challenged,
}

/// Counts one on each of these limits, all at the same time, or on none and says why.
async fn consume(store: &RedisStore, quotas: &[Quota]) -> Result<QuotaOutcome, StoreError> {
    let answers = join_all(quotas.iter().map(|quota| quota_call(store, "consume", quota))).await;
    let (mut refusal, mut reopens) = (Refusal::default(), Refusal::default());
    let (mut counted, mut challenged, mut failed) = (Vec::new(), false, None);
    let (mut any_observed, mut any_alarm) = (false, false);
    for (quota, answer) in quotas.iter().zip(answers) {
        match answer.and_then(|answer| quota_outcome(quota, &answer)) {
            Ok(QuotaOutcome::Counted { observed, alarm, reserved }) => {
                counted.push(quota);
                (any_observed, any_alarm) = (any_observed | observed, any_alarm | alarm);
                reserved.iter().for_each(|one| reopens.add_all(one));
            }
            Ok(QuotaOutcome::Refused(full)) => refusal.add_all(&full),
            Ok(QuotaOutcome::Challenged) => challenged = true,
            Err(error) => failed = Some(error),
        }
    }
    if failed.is_none() && refusal.is_empty() && !challenged {
        let reserved = (!reopens.is_empty()).then_some(reopens);
        return Ok(QuotaOutcome::Counted { observed: any_observed, alarm: any_alarm, reserved });
    }
    refund(store, counted).await?;
    match failed {
        Some(error) => Err(error),
        None if refusal.is_empty() => Ok(QuotaOutcome::Challenged),
        None => Ok(QuotaOutcome::Refused(refusal)),
    }
}

fn quota_outcome(quota: &Quota, answer: &ScriptReply) -> Result<QuotaOutcome, StoreError> {
    match answer.tag()? {
        "done" => {
            let reopens = answer.wait(2)?;
            let reserved = (!reopens.is_zero()).then(|| {
                let mut refusal = Refusal::default();
                refusal.add(quota.into(), reopens);
                refusal
            });
            Ok(QuotaOutcome::Counted {
                observed: answer.flag(1)?,
                alarm: answer.flag(3)?,
                reserved,
            })
        }
        "refused" => answer.refusal(std::slice::from_ref(quota)).map(QuotaOutcome::Refused),
        "challenge" => Ok(QuotaOutcome::Challenged),
        _ => Err(unexpected()),
    }
}

async fn refund(
    store: &RedisStore,
    quotas: impl IntoIterator<Item = &Quota>,
) -> Result<(), StoreError> {
    try_join_all(quotas.into_iter().map(|quota| quota_call(store, "refund", quota))).await.map(drop)
}

async fn quota_call(
    store: &RedisStore,
    what: &str,
    quota: &Quota,
) -> Result<ScriptReply, StoreError> {
    let call = store.scripts().consume.call([limit_key(quota)]).arg(what);
    store.answer(with_values(call, std::slice::from_ref(quota))).await
}

fn keys(candidate: &AdmissionRequest, quotas: &[Quota]) -> Vec<String> {
    let entry = key(candidate.id.tag());
    let (sent, verified) = (sent_key(&entry), verified_key(&entry));
    [entry, sent, verified].into_iter().chain(quotas.iter().map(limit_key)).collect()
}

/// The values that a script needs of each limit: [`VALUES`](crate::constants::VALUES).
fn with_values(mut call: Call, quotas: &[Quota]) -> Call {
    for Quota { rule, .. } in quotas {
        call = match rule {
            QuotaRule::Rate(window) => {
                let interval = micros(window.interval());
                call.arg("rate")
                    .arg(interval)
                    .arg(interval.saturating_mul(i64::from(window.max)))
                    .arg(0)
                    .arg(0)
            }
            QuotaRule::Budget(BudgetRule { price, soft_cap, hard_cap, period }) => {
                call.arg("budget").arg(price).arg(soft_cap).arg(hard_cap).arg(micros(*period))
            }
            QuotaRule::Conversion(test) => with_test(call.arg("conversion"), test),
            QuotaRule::Country(test) => with_test(call.arg("country"), test),
        };
    }
    call
}

fn with_test(call: Call, test: &CusumTest) -> Call {
    let CusumTest { answer, threshold, miss_weight, hit_weight } = as_weighed(*test);
    let answer = match answer {
        GuardAction::Observe => OBSERVE,
        GuardAction::Refuse => REFUSE,
        GuardAction::Challenge => CHALLENGE,
    };
    call.arg(answer).arg(threshold).arg(miss_weight).arg(hit_weight)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use sms_domain::quota::{Scope, Window};

    use super::*;
    use crate::constants::VALUES;
    use crate::redis::scripts::REAL;

    #[test]
    fn each_limit_has_as_many_values_as_the_scripts_expect() {
        let minute = Duration::from_secs(60);
        let rules = [
            QuotaRule::Rate(Window { max: 1, period: minute }),
            QuotaRule::Budget(BudgetRule { price: 1, soft_cap: 1, hard_cap: 1, period: minute }),
            QuotaRule::Conversion(CusumTest::default()),
            QuotaRule::Country(CusumTest::default()),
        ];
        for rule in rules {
            let quota = Quota { scope: Scope::Total, subject: String::new(), rule };
            let call = |quotas: &[Quota]| with_values(REAL.consume.call([String::new()]), quotas);
            assert_eq!(call(&[quota]).len(), call(&[]).len() + VALUES, "{rule:?}");
        }
    }
}
