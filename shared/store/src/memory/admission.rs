//! What limits decide on too: admission, its release, and the check of a code.

use std::time::Duration;

use sms_domain::quota::{Quota, Scope};
use sms_domain::refusal::Exceeded;
use sms_domain::verification::{DeliveryState, Status};
use sms_domain::verification_id::VerificationId;

use super::limits::{QuotaCheck, free_numbers, sweep};
use super::number::{ActiveVerification, SmsState};
use super::{Entries, MemoryStore};
use crate::constants::QUEUED_WITHIN;
use crate::{AdmissionKind, AdmissionRequest, CheckResult, Decision, Release, millis, until};

impl MemoryStore {
    pub(crate) fn admit(&self, candidate: &AdmissionRequest) -> Decision {
        if let AdmissionKind::Message { life } = candidate.kind {
            return self.admit_message(candidate, life);
        }
        let (now, policy) = (self.now(), &self.policy);
        let tag = candidate.id.tag();
        let mut entries = self.lock();
        let Entries { by_tag, sweep_at, sent, counts, verified, .. } = &mut *entries;
        sweep(by_tag, sweep_at, |entry| entry.is_live(now));
        let entry = by_tag.entry(tag).or_default();
        entry.expire_failures(now);
        if let Some(current) = &entry.current
            && current.candidate.as_ref() == Some(&candidate.id)
        {
            let verification = self.view(entry, current, now);
            return Decision::Admitted {
                verification,
                sms_number: current.sms_number,
                observed: false,
                alarm: false,
            };
        }
        let QuotaCheck { exceeded: mut refusal, reserved, observed, suspicious, alarm } =
            counts.evaluate(&candidate.quotas, sent, now);
        if !verified.contains(&tag, now) {
            refusal.add_all(&reserved);
        }
        let mut refuse = |exceeded, at| {
            if now < at {
                refusal.add(exceeded, until(now, at));
            }
        };
        if entry.failed_attempts >= policy.max_attempts {
            refuse(Exceeded::Attempts, entry.wrong_until);
        }
        refuse(Exceeded::Cooldown, entry.current.as_ref().map_or(0, |current| current.resend_at));
        refuse(Exceeded::Limit(Scope::Number), sent.free_at(tag, &candidate.windows));
        if !refusal.is_empty() {
            return Decision::Refused(refusal);
        }
        if suspicious {
            return Decision::Challenged;
        }
        let (life, ttl, interval) =
            (millis(policy.max_life), millis(policy.ttl), millis(policy.resend_interval));
        let mut current = match entry.current.take() {
            Some(mut current)
                if current.scope == candidate.scope
                    && current.status == Status::Pending
                    && now < current.expires
                    && current.created_at + life - now >= interval.min(ttl) =>
            {
                current.previous = Some((current.expires, current.reported_sms, current.delivery));
                current.sms_number += 1;
                current.reported_sms = current.sms_number;
                current.delivery = DeliveryState::Queued;
                current
            }
            _ => ActiveVerification::begin(candidate, now),
        };
        current.expires = (now + ttl).min(current.created_at + life);
        current.resend_at = now + interval;
        current.candidate = Some(candidate.id.clone());
        sent.add(tag, &candidate.windows, now);
        current.limits_free_at = sent.free_at(tag, &candidate.windows);
        current.guarded.clone_from(&candidate.guarded);
        counts.commit(&candidate.quotas, sent, now);
        let verification = self.view(entry, &current, now);
        let decision =
            Decision::Admitted { verification, sms_number: current.sms_number, observed, alarm };
        entry.current = Some(current);
        decision
    }

    fn admit_message(&self, candidate: &AdmissionRequest, life: Duration) -> Decision {
        let (now, tag) = (self.now(), candidate.id.tag());
        let mut entries = self.lock();
        let Entries { by_tag, sweep_at, sent, counts, .. } = &mut *entries;
        sweep(by_tag, sweep_at, |entry| entry.is_live(now));
        let entry = by_tag.entry(tag).or_default();
        let is_this =
            |current: &ActiveVerification| current.candidate.as_ref() == Some(&candidate.id);
        let known = entry.current.take_if(|current| {
            // One that was perhaps sent is not sent again.
            let is_unknown = current.sms.get(&1) == Some(&SmsState::Unknown);
            let is_over = current.delivery == DeliveryState::Failed && !is_unknown;
            now < current.expires && (is_this(current) || !is_over)
        });
        if let Some(mut known) = known {
            let (is_this, sms_number) = (is_this(&known), known.sms_number);
            // If no worker has seen its job for a while, that may have been lost with the process
            // that was to queue it.
            let is_lost = !is_this && !known.was_leased && now >= known.resend_at;
            if is_lost {
                known.resend_at = now + QUEUED_WITHIN;
            }
            // Two requests have it now: neither may roll it back.
            known.candidate.take_if(|_| !is_this);
            let verification = self.view(entry, &known, now);
            entry.current = Some(known);
            return match is_this {
                true => {
                    Decision::Admitted { verification, sms_number, observed: false, alarm: false }
                }
                false => Decision::Known { verification, is_lost },
            };
        }
        let QuotaCheck { exceeded: mut refusal, reserved, observed, suspicious, alarm } =
            counts.evaluate(&candidate.quotas, sent, now);
        refusal.add_all(&reserved);
        if !refusal.is_empty() {
            return Decision::Refused(refusal);
        }
        if suspicious {
            return Decision::Challenged;
        }
        let mut current = ActiveVerification::begin(candidate, now);
        current.expires = now + millis(life);
        current.resend_at = now + QUEUED_WITHIN;
        current.candidate = Some(candidate.id.clone());
        current.guarded.clone_from(&candidate.guarded);
        counts.commit(&candidate.quotas, sent, now);
        entry.failed_attempts = 0;
        let verification = self.view(entry, &current, now);
        // No code is checked here: all attempts are used up.
        entry.failed_attempts = self.policy.max_attempts;
        entry.wrong_until = current.expires;
        entry.current = Some(current);
        for (tag, free_at) in free_numbers(&candidate.quotas, sent) {
            if let Some(of_number) = by_tag.get_mut(&tag).and_then(|entry| entry.current.as_mut()) {
                of_number.limits_free_at = free_at;
            }
        }
        Decision::Admitted { verification, sms_number: 1, observed, alarm }
    }

    pub(crate) fn release(&self, candidate: &AdmissionRequest) -> Release {
        let mut entries = self.lock();
        let Entries { by_tag, sent, counts, .. } = &mut *entries;
        let Some(entry) = by_tag.get_mut(&candidate.id.tag()) else { return Release::Released };
        match &mut entry.current {
            // Others were told of this message: it stays, and has failed unless a worker has it.
            Some(current)
                if current.id == candidate.id
                    && current.candidate.is_none()
                    && current.is_message() =>
            {
                if current.was_leased {
                    return Release::Begun;
                }
                current.delivery = DeliveryState::Failed;
            }
            Some(current) if current.candidate.as_ref() == Some(&candidate.id) => {
                if current.sms.contains_key(&current.sms_number) {
                    return Release::Begun;
                }
                if let Some(previous) = current.previous.take() {
                    let (expires, reported_sms, delivery) = previous;
                    (current.reported_sms, current.delivery) = (reported_sms, delivery);
                    // If it was cancelled meanwhile, it stays so.
                    if current.concluded.is_none() {
                        current.expires = expires;
                    }
                    current.sms.insert(current.sms_number, SmsState::Released);
                    (current.resend_at, current.limits_free_at) = (0, 0);
                    current.candidate = None;
                } else {
                    entry.current = None;
                }
                if !candidate.windows.is_empty() {
                    sent.remove_latest(candidate.id.tag());
                }
                counts.refund(&candidate.quotas, sent, self.now());
                for (tag, _) in free_numbers(&candidate.quotas, sent) {
                    let of_number = by_tag.get_mut(&tag).and_then(|entry| entry.current.as_mut());
                    of_number.into_iter().for_each(|current| current.limits_free_at = 0);
                }
            }
            _ => {}
        }
        Release::Released
    }

    pub(crate) fn check(
        &self,
        id: &VerificationId,
        right: bool,
        request: u64,
        quotas: &[Quota],
    ) -> CheckResult {
        let now = self.now();
        let max_attempts = self.policy.max_attempts;
        let mut entries = self.lock();
        let Entries { by_tag, sent, counts, verified, .. } = &mut *entries;
        let Some(entry) = by_tag.get_mut(&id.tag()) else { return CheckResult::Gone };
        entry.expire_failures(now);
        let Some(current) =
            entry.current.as_mut().filter(|current| current.id == *id && now < current.expires)
        else {
            return CheckResult::Gone;
        };
        let again = current.checked == Some(request);
        if current.status == Status::Approved {
            return if again { CheckResult::Approved } else { CheckResult::Gone };
        }
        if again {
            return entry.wrong_code(max_attempts, now);
        }
        let mut refusal = counts.evaluate(quotas, sent, now).exceeded;
        if entry.failed_attempts >= max_attempts {
            refusal.add(Exceeded::Attempts, until(now, entry.wrong_until));
        }
        if !refusal.is_empty() {
            return CheckResult::Refused(refusal);
        }
        entry.failed_attempts += 1;
        if entry.failed_attempts == 1 {
            entry.wrong_until = now + millis(self.policy.max_life);
        }
        current.checked = Some(request);
        if right {
            current.status = Status::Approved;
            entry.failed_attempts = 0;
            if !self.policy.remember.is_zero() {
                verified.insert(id.tag(), (), now, self.policy.remember);
            }
            for subject in &current.guarded {
                counts.approve(subject, current.created_at, now);
            }
            return CheckResult::Approved;
        }
        counts.commit(quotas, sent, now);
        entry.wrong_code(max_attempts, now)
    }
}
