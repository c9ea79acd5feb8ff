//! Calls that limits decide on too: admission, its release, and the check of a code.
//!
//! On one server each is one script. In a cluster each limit is on a shard of its own: there an
//! admission asks all of them at the same time, and rolls back when one of them refuses.

use std::iter;
use std::time::Duration;

use futures_util::future::try_join_all;
use sms_domain::conversion_test::{Conversion, CusumTest};
use sms_domain::quota::{Quota, QuotaRule, Window};
use sms_domain::verification::{DeliveryState, Status, Verification};
use sms_domain::verification_id::{NumberTag, VerificationId};
use sms_telemetry::causes;
use tracing::debug;

use super::RedisStore;
use super::call::{Call, is_cross_slot};
use super::quotas::{QuotaOutcome, consume, refund, slot, with_values};
use super::reply::{ScriptReply, unexpected};
use super::scripts::Shape;
use crate::{
    AdmissionKind, AdmissionRequest, CheckResult, Decision, Release, StoreError, guard_key,
    limit_key, millis, number_key, resend, rounded, timestamp, until, verified_key,
};

/// Flags of the reply of an admission.
const OBSERVED: u8 = 1;
const ALARM: u8 = 2;
const VERIFIED: u8 = 4;
const DEFERRED: u8 = 8;

/// Interval at which a process writes the SMS that it has counted, and the number of calls at once.
const COUNTED_EVERY: Duration = Duration::from_secs(1);
const COUNTED_AT_ONCE: usize = 100;

impl RedisStore {
    pub(crate) async fn admit(&self, candidate: &AdmissionRequest) -> Result<Decision, StoreError> {
        let recent = self.recent_refusals.as_ref();
        // A message of the same number may be one that was admitted before.
        let Some(recent) = recent.filter(|_| candidate.kind == AdmissionKind::Verification) else {
            return self.decide(candidate).await;
        };
        let (tag, quotas, now) = (candidate.id.tag(), &candidate.quotas, self.clock.micros());
        if let Some(refusal) = recent.of(tag, quotas, now) {
            return Ok(Decision::Refused(refusal));
        }
        let decision = self.decide(candidate).await?;
        if let Decision::Refused(refusal) = &decision {
            recent.keep(tag, quotas, refusal, now);
        }
        Ok(decision)
    }

    async fn decide(&self, candidate: &AdmissionRequest) -> Result<Decision, StoreError> {
        let quotas = &candidate.quotas;
        if let Some(answer) =
            self.on_one_server(quotas, |quotas| self.admit_call(candidate, quotas)).await?
        {
            let (decision, _) = self.decision(candidate, quotas, &answer)?;
            if answer.tag()? == "admitted" && answer.number::<u8>(8)? & DEFERRED > 0 {
                self.count_later(quotas, slot(answer.number(3)?));
            }
            return Ok(decision);
        }
        if candidate.kind != AdmissionKind::Verification {
            return self.decide_on_message(candidate).await;
        }
        let (number, consumed) = tokio::join!(self.admit_number(candidate), consume(self, quotas));
        // On an error the caller releases the candidate, which refunds every quota. Roll back here
        // only the part that this release will not see.
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
        if let Some(recent) = &self.recent_refusals {
            recent.forget(candidate.id.tag());
        }
        let (taken_back, quotas) = self.take_back(&candidate.quotas);
        let result = self.release_counted(candidate, &quotas).await;
        if !matches!(result, Ok((Release::Released, true))) {
            for (quota, slot) in taken_back {
                self.count_later([quota], slot);
            }
        }
        result.map(|(release, _)| release)
    }

    /// Rolls back an admission, and what these quotas have counted. Returns true with the result if
    /// this call did it.
    async fn release_counted(
        &self,
        candidate: &AdmissionRequest,
        quotas: &[Quota],
    ) -> Result<(Release, bool), StoreError> {
        if let Some(answer) =
            self.on_one_server(quotas, |quotas| self.release_call(candidate, quotas)).await?
        {
            return released(&answer);
        }
        let (release, by_this_call) = self.release_number(candidate).await?;
        if by_this_call {
            refund(self, quotas).await?;
        }
        Ok((release, by_this_call))
    }

    pub(crate) async fn check(
        &self,
        id: &VerificationId,
        right: bool,
        request: u64,
        quotas: &[Quota],
    ) -> Result<CheckResult, StoreError> {
        let call = |quotas: &[Quota]| self.check_call(id, right, request, quotas);
        if let Some(answer) = self.on_one_server(quotas, call).await? {
            return self.check_result(quotas, &answer).await;
        }
        // One after the other: a code must not be compared if the limits have no room.
        if let QuotaOutcome::Refused(refusal) = consume(self, quotas).await? {
            return Ok(CheckResult::Refused(refusal));
        }
        let result = self.check_result(&[], &self.answer(call(&[])).await?).await?;
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

    async fn check_result(
        &self,
        quotas: &[Quota],
        answer: &ScriptReply,
    ) -> Result<CheckResult, StoreError> {
        match answer.tag()? {
            "approved" => {
                self.report_approval(answer.number(1)?, answer.text(2)?).await;
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

    /// Counts an SMS, of this time slot, that a script left to this process to count.
    pub(super) fn count_later<'a>(&self, quotas: impl IntoIterator<Item = &'a Quota>, slot: i64) {
        let Some(counts) = &self.guard_counts else { return };
        if counts.add(quotas, slot) {
            let store = self.clone();
            tokio::spawn(async move {
                tokio::time::sleep(COUNTED_EVERY).await;
                store.flush().await;
            });
        }
    }

    /// Takes back what this process has counted and not written yet. Returns the quotas of that
    /// with their time slots, and those that the scripts have counted.
    fn take_back<'a>(&self, quotas: &'a [Quota]) -> (Vec<(&'a Quota, i64)>, Vec<Quota>) {
        let (mut taken_back, mut counted) = (Vec::new(), Vec::new());
        for quota in quotas {
            match self.guard_counts.as_ref().and_then(|counts| counts.take_back(quota)) {
                Some(slot) => taken_back.push((quota, slot)),
                None => counted.push(quota.clone()),
            }
        }
        (taken_back, counted)
    }

    /// Writes the SMS that this process has counted. What cannot be written is not counted: a write
    /// whose reply was lost would count twice.
    pub(crate) async fn flush(&self) {
        let Some(counts) = &self.guard_counts else { return };
        let mut calls = Vec::new();
        for (subject, count) in counts.drain() {
            for (slot, sms) in count.slots.into_iter().filter(|(_, sms)| *sms > 0) {
                let CusumTest { threshold, miss_weight, hit_weight, .. } = rounded(count.test);
                let call = self.scripts().count.call([guard_key(&subject)]);
                calls.push(
                    call.arg(u8::from(count.is_country))
                        .arg(threshold)
                        .arg(miss_weight)
                        .arg(hit_weight)
                        .arg(slot)
                        .arg(sms),
                );
            }
        }
        while !calls.is_empty() {
            let some = calls.split_off(calls.len().saturating_sub(COUNTED_AT_ONCE));
            let written = try_join_all(some.into_iter().map(|call| self.run::<()>(call))).await;
            if let Err(error) = written {
                debug!(error = causes(&error), "SMS were not counted by the conversion guard");
            }
        }
    }

    /// Reports an approval to the conversion guard. The approval holds even if this fails.
    pub(super) async fn report_approval(&self, created_at: i64, guarded: &str) {
        let calls = guarded.split_whitespace().map(|subject| async move {
            self.run::<()>(self.scripts().approve.call([guard_key(subject)]).arg(created_at)).await
        });
        if let Err(error) = try_join_all(calls).await {
            debug!(%error, "an approval was not reported to the conversion guard");
        }
    }

    /// Calls a script with the number and the limits; `None` if they are on different servers.
    async fn on_one_server(
        &self,
        quotas: &[Quota],
        call: impl Fn(&[Quota]) -> Call,
    ) -> Result<Option<ScriptReply>, StoreError> {
        if !quotas.is_empty() && self.connection.is_cluster() {
            return Ok(None);
        }
        match self.answer(call(quotas)).await {
            Err(StoreError::Redis(error)) if is_cross_slot(&error) => Ok(None),
            result => result.map(Some),
        }
    }

    pub(super) async fn admit_number(
        &self,
        candidate: &AdmissionRequest,
    ) -> Result<(Decision, bool), StoreError> {
        self.decision(candidate, &[], &self.answer(self.admit_call(candidate, &[])).await?)
    }

    pub(super) async fn release_number(
        &self,
        candidate: &AdmissionRequest,
    ) -> Result<(Release, bool), StoreError> {
        released(&self.answer(self.release_call(candidate, &[])).await?)
    }

    fn admit_call(&self, candidate: &AdmissionRequest, quotas: &[Quota]) -> Call {
        let has_budget = |quota: &Quota| matches!(quota.rule, QuotaRule::Budget(_));
        let life = match candidate.kind {
            AdmissionKind::Verification => None,
            AdmissionKind::Message { life } => Some(millis(life)),
        };
        let is_message = life.is_some();
        let verified = !is_message && candidate.quotas.iter().any(has_budget);
        let shape = Shape { verified, ..self.shape(&candidate.windows, quotas) };
        let scripts = self.scripts();
        let script = if is_message { &scripts.admit_message } else { &scripts.admit };
        let call = script
            .of(&shape)
            .call(keys(candidate.id.tag(), verified, quotas))
            .arg(candidate.id.as_str())
            .arg(&candidate.scope)
            .arg(&candidate.to)
            .arg(candidate.guarded.join(" "));
        let call = match life {
            Some(life) => call.arg(life),
            None => call,
        };
        with_values(call, quotas)
    }

    /// The shape of a script for these windows and limits.
    pub(super) fn shape<'a>(&'a self, windows: &'a [Window], quotas: &'a [Quota]) -> Shape<'a> {
        let defers = self.guard_counts.is_some();
        Shape { policy: &self.policy, windows, quotas, verified: false, defers }
    }

    /// Reads a decision from a reply, and returns true with it if the number was verified before.
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
                id: answer.id(1)?.unwrap_or_else(|| candidate.id.clone()),
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
                let (sms_number, flags) = (answer.number(2)?, answer.number::<u8>(8)?);
                let (observed, alarm) = (flags & OBSERVED > 0, flags & ALARM > 0);
                Ok((
                    Decision::Admitted { verification, sms_number, observed, alarm },
                    flags & VERIFIED > 0,
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
            "known" => {
                let verification =
                    admitted(answer.status(8)?, answer.delivery(9)?, answer.number(10)?)?;
                Ok((Decision::Known { verification, is_lost: answer.flag(11)? }, true))
            }
            "refused" => Ok((Decision::Refused(answer.refusal(quotas)?), false)),
            "challenge" => Ok((Decision::Challenged, false)),
            _ => Err(unexpected()),
        }
    }

    fn release_call(&self, candidate: &AdmissionRequest, quotas: &[Quota]) -> Call {
        let script = self.scripts().release.of(&self.shape(&candidate.windows, quotas));
        let call = script.call(keys(candidate.id.tag(), false, quotas));
        with_values(call.arg(candidate.id.as_str()), quotas)
    }

    fn check_call(&self, id: &VerificationId, right: bool, request: u64, quotas: &[Quota]) -> Call {
        let verified = !self.policy.remember.is_zero();
        // An attempt is counted at once.
        let shape = Shape { verified, defers: false, ..self.shape(&[], quotas) };
        let call = self
            .scripts()
            .check
            .of(&shape)
            .call(keys(id.tag(), verified, quotas))
            .arg(id.as_str())
            .arg(u8::from(right))
            .arg(request);
        with_values(call, quotas)
    }
}

/// Reads a release from a reply, and returns true with it if this call rolled back the admission.
fn released(answer: &ScriptReply) -> Result<(Release, bool), StoreError> {
    match answer.tag()? {
        "released" => Ok((Release::Released, answer.flag(1)?)),
        "begun" => Ok((Release::Begun, false)),
        _ => Err(unexpected()),
    }
}

/// Keys of a number's record, of its time as verified before if that is used, and of the limits.
fn keys(tag: NumberTag, verified: bool, quotas: &[Quota]) -> Vec<String> {
    let verified = verified.then(|| verified_key(tag));
    iter::once(number_key(tag)).chain(verified).chain(quotas.iter().map(limit_key)).collect()
}
