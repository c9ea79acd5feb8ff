//! What limits decide on, besides the number itself: admission, its release, and the check of a code.
//!
//! On one server each is one script. In a cluster each limit stands on a shard of its own: there an admission asks all of them
//! at the same time, and takes back what some have written when another refuses.

use futures_util::future::{join_all, try_join_all};
use redis::{ErrorKind, ServerErrorKind};

use super::super::{
    Candidate, CheckResult, Decision, Release, StoreError, key, limit_key, micros, millis, sent_key, timestamp, until,
};
use super::answer::{Answer, unexpected};
use super::connection::Call;
use super::{RedisStore, SCRIPTS};
use crate::limits::{Quota, Refusal};
use crate::verification::{DeliveryState, Status, Verification, VerificationId};

impl RedisStore {
    pub(in super::super) async fn admit(&self, candidate: &Candidate) -> Result<Decision, StoreError> {
        let quotas = &candidate.quotas;
        if let Some(answer) = self.together(quotas, |quotas| self.admit_call(candidate, quotas)).await? {
            return self.decision(candidate, quotas, &answer);
        }
        let (number, refusal) = tokio::join!(self.admit_number(candidate), take(self, quotas));
        match (number?, refusal?) {
            (decision, None) => {
                if matches!(decision, Decision::Refused(_)) {
                    give_back(self, quotas).await?;
                }
                Ok(decision)
            }
            (Decision::Refused(mut refusal), Some(limits)) => {
                refusal.add_all(&limits);
                Ok(Decision::Refused(refusal))
            }
            (Decision::Admitted { .. }, Some(limits)) => {
                self.release_number(candidate).await?;
                Ok(Decision::Refused(limits))
            }
        }
    }

    pub(in super::super) async fn release(&self, candidate: &Candidate) -> Result<Release, StoreError> {
        let quotas = &candidate.quotas;
        if let Some(answer) = self.together(quotas, |quotas| release_call(candidate, quotas)).await? {
            return Ok(released(&answer)?.0);
        }
        let (release, by_this_call) = self.release_number(candidate).await?;
        if by_this_call {
            give_back(self, quotas).await?;
        }
        Ok(release)
    }

    pub(in super::super) async fn check(
        &self,
        id: &VerificationId,
        right: bool,
        request: u64,
        quotas: &[Quota],
    ) -> Result<CheckResult, StoreError> {
        let call = |quotas: &[Quota]| self.check_call(id, right, request, quotas);
        if let Some(answer) = self.together(quotas, call).await? {
            return checked(quotas, &answer);
        }
        // One after the other: a code that the limits leave no room for must not be compared.
        if let Some(refusal) = take(self, quotas).await? {
            return Ok(CheckResult::Refused(refusal));
        }
        let result = checked(&[], &self.answer(&call(&[])).await?)?;
        if !matches!(result, CheckResult::Wrong { .. }) {
            give_back(self, quotas).await?;
        }
        Ok(result)
    }

    /// Calls a script with the number and the limits, unless they stand on different servers.
    async fn together(&self, quotas: &[Quota], call: impl Fn(&[Quota]) -> Call) -> Result<Option<Answer>, StoreError> {
        if !quotas.is_empty() && self.connection.is_cluster() {
            return Ok(None);
        }
        match self.answer(&call(quotas)).await {
            Err(StoreError::Redis(error)) if error.kind() == ErrorKind::Server(ServerErrorKind::CrossSlot) => Ok(None),
            result => result.map(Some),
        }
    }

    async fn answer(&self, call: &Call) -> Result<Answer, StoreError> {
        Ok(Answer::of(self.connection.run(call).await?))
    }

    async fn admit_number(&self, candidate: &Candidate) -> Result<Decision, StoreError> {
        self.decision(candidate, &[], &self.answer(&self.admit_call(candidate, &[])).await?)
    }

    async fn release_number(&self, candidate: &Candidate) -> Result<(Release, bool), StoreError> {
        released(&self.answer(&release_call(candidate, &[])).await?)
    }

    fn admit_call(&self, candidate: &Candidate, quotas: &[Quota]) -> Call {
        let policy = &self.policy;
        let mut call = SCRIPTS
            .admit
            .call(keys(candidate, quotas))
            .arg(candidate.id.as_str())
            .arg(candidate.id.purpose().as_str())
            .arg(&candidate.to)
            .arg(millis(policy.ttl))
            .arg(millis(policy.resend_interval))
            .arg(millis(policy.max_life))
            .arg(policy.max_attempts)
            .arg(candidate.windows.len());
        for window in &candidate.windows {
            call = call.arg(window.most).arg(millis(window.span));
        }
        with_rates(call, quotas)
    }

    fn decision(&self, candidate: &Candidate, quotas: &[Quota], answer: &Answer) -> Result<Decision, StoreError> {
        match answer.word()? {
            "admitted" => {
                let now = answer.number(3)?;
                let verification = Verification {
                    id: answer.id(1)?,
                    to: candidate.to.clone(),
                    status: Status::Pending,
                    delivery: DeliveryState::Queued,
                    expires_at: timestamp(answer.number(4)?),
                    expires_in: until(now, answer.number(4)?),
                    resend_in: until(now, answer.number(5)?),
                    attempts_left: self.attempts_left(answer.number(6)?),
                };
                Ok(Decision::Admitted { verification, send: answer.number(2)? })
            }
            "refused" => Ok(Decision::Refused(answer.refusal(quotas)?)),
            _ => Err(unexpected()),
        }
    }

    fn check_call(&self, id: &VerificationId, right: bool, request: u64, quotas: &[Quota]) -> Call {
        let keys: Vec<String> = [key(id.tag())].into_iter().chain(quotas.iter().map(limit_key)).collect();
        let call = SCRIPTS
            .check
            .call(keys)
            .arg(id.as_str())
            .arg(u8::from(right))
            .arg(request)
            .arg(self.policy.max_attempts)
            .arg(millis(self.policy.max_life));
        with_rates(call, quotas)
    }
}

fn release_call(candidate: &Candidate, quotas: &[Quota]) -> Call {
    let call = SCRIPTS.release.call(keys(candidate, quotas)).arg(candidate.id.as_str()).arg(candidate.windows.len());
    with_rates(call, quotas)
}

/// The second is whether this call did it.
fn released(answer: &Answer) -> Result<(Release, bool), StoreError> {
    match answer.word()? {
        "released" => Ok((Release::Released, answer.number::<u8>(1)? == 1)),
        "begun" => Ok((Release::Begun, false)),
        _ => Err(unexpected()),
    }
}

fn checked(quotas: &[Quota], answer: &Answer) -> Result<CheckResult, StoreError> {
    match answer.word()? {
        "approved" => Ok(CheckResult::Approved),
        "wrong" => Ok(CheckResult::Wrong { attempts_left: answer.number(1)? }),
        "refused" => Ok(CheckResult::Refused(answer.refusal(quotas)?)),
        "gone" => Ok(CheckResult::Gone),
        _ => Err(unexpected()),
    }
}

/// Counts one on each of these limits, all at the same time, or on none and says why.
async fn take(store: &RedisStore, quotas: &[Quota]) -> Result<Option<Refusal>, StoreError> {
    let answers = join_all(quotas.iter().map(|quota| take_call(store, "take", quota))).await;
    let (mut refusal, mut taken, mut failed) = (Refusal::default(), Vec::new(), None);
    for (quota, answer) in quotas.iter().zip(answers) {
        match answer.and_then(|answer| taken_or_refused(quota, &answer)) {
            Ok(None) => taken.push(quota),
            Ok(Some(full)) => refusal.add_all(&full),
            Err(error) => failed = Some(error),
        }
    }
    if failed.is_none() && refusal.exceeded.is_empty() {
        return Ok(None);
    }
    give_back(store, taken).await?;
    failed.map_or(Ok(Some(refusal)), Err)
}

fn taken_or_refused(quota: &Quota, answer: &Answer) -> Result<Option<Refusal>, StoreError> {
    match answer.word()? {
        "done" => Ok(None),
        "refused" => answer.refusal(std::slice::from_ref(quota)).map(Some),
        _ => Err(unexpected()),
    }
}

async fn give_back(store: &RedisStore, quotas: impl IntoIterator<Item = &Quota>) -> Result<(), StoreError> {
    try_join_all(quotas.into_iter().map(|quota| take_call(store, "give back", quota))).await.map(drop)
}

async fn take_call(store: &RedisStore, what: &str, quota: &Quota) -> Result<Answer, StoreError> {
    let call = SCRIPTS.take.call([limit_key(quota)]).arg(what);
    store.answer(&with_rates(call, std::slice::from_ref(quota))).await
}

fn keys(candidate: &Candidate, quotas: &[Quota]) -> Vec<String> {
    let tag = candidate.id.tag();
    [key(tag), sent_key(tag)].into_iter().chain(quotas.iter().map(limit_key)).collect()
}

/// The two values that a script needs of each limit.
fn with_rates(mut call: Call, quotas: &[Quota]) -> Call {
    for Quota { window, .. } in quotas {
        let interval = micros(window.interval());
        call = call.arg(interval).arg(interval.saturating_mul(i64::from(window.most)));
    }
    call
}
