//! The store in this process's memory: the same steps as the Redis scripts, under one lock.
//!
//! It serves `cargo run` without services, and forgets everything when the process ends.

mod accounts;
mod admission;
mod conversion;
mod expiring_map;
mod limits;
mod number;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use sms_domain::conversion_test::Conversion;
use sms_domain::picture_id::{self, PictureId};
use sms_domain::sync::lock;
use sms_domain::verification::{DeliveryState, Policy, Status, Verification};
use sms_domain::verification_id::{NumberTag, VerificationId};

use self::expiring_map::ExpiringMap;
use self::limits::{Counts, SentTimes};
use self::number::{ActiveVerification, NumberRecord, SmsState};
use crate::{
    Breaker, CLAIM_HELD, Circuit, Claim, ClaimedKey, Clock, Conclusion, Health, LatestVerification,
    Lease, Permit, PermitRequest, RESPONSE_KEPT, SendOutcome, message_key, millis, resend,
    timestamp, until,
};

#[derive(Debug, Clone)]
pub(super) struct MemoryStore {
    entries: Arc<Mutex<Entries>>,
    accounts: accounts::Accounts,
    policy: Policy,
    clock: Clock,
}

#[derive(Debug, Default)]
struct Entries {
    by_tag: HashMap<NumberTag, NumberRecord>,
    /// Number of entries at which to sweep next.
    sweep_at: usize,
    sent: SentTimes,
    counts: Counts,
    /// Numbers that were verified before.
    verified: ExpiringMap<NumberTag, ()>,
    /// Tags of the recipients of gateways' messages.
    messages: ExpiringMap<String, NumberTag>,
    /// Texts of pictures.
    pictures: ExpiringMap<PictureId, String>,
    /// Idempotency keys, and the responses of their calls.
    claims: ExpiringMap<String, (ClaimedKey, Option<String>)>,
}

impl MemoryStore {
    pub(super) fn new(policy: Policy) -> Self {
        Self {
            entries: Arc::default(),
            accounts: accounts::Accounts::default(),
            policy,
            clock: Clock::default(),
        }
    }

    pub(super) fn with_clock(self, clock: Clock) -> Self {
        Self { clock, ..self }
    }

    pub(super) fn clock(&self) -> &Clock {
        &self.clock
    }

    pub(super) fn keep_message(&self, gateway: &str, message_id: &str, tag: NumberTag) {
        self.lock().messages.insert(
            message_key(gateway, message_id),
            tag,
            self.now(),
            Policy::MAX_LIFE,
        );
    }

    pub(super) fn message(&self, gateway: &str, message_id: &str) -> Option<NumberTag> {
        self.lock().messages.get(&message_key(gateway, message_id), self.now()).copied()
    }

    pub(super) fn keep_picture(&self, uuid: &PictureId, text: &str) {
        self.lock().pictures.insert(*uuid, text.to_owned(), self.now(), picture_id::LIFETIME);
    }

    pub(super) fn take_picture(&self, uuid: &PictureId) -> Option<String> {
        self.lock().pictures.remove(uuid, self.now())
    }

    /// Does nothing: no other program reads this process's memory.
    pub(super) fn put_plain(&self, _key: &str, _value: &str, _life: Duration) {}

    pub(super) fn claim(&self, key: &ClaimedKey) -> Claim {
        let (now, mut entries) = (self.now(), self.lock());
        match entries.claims.get(&key.subject, now) {
            None => {
                entries.claims.insert(key.subject.clone(), (key.clone(), None), now, CLAIM_HELD);
                Claim::Acquired
            }
            Some((first, _)) if first.fingerprint != key.fingerprint => Claim::KeyReused,
            Some((_, Some(response))) => Claim::Replay(response.clone()),
            Some((first, None)) if first.call == key.call => Claim::Acquired,
            Some(_) => Claim::InProgress,
        }
    }

    pub(super) fn complete(&self, key: &ClaimedKey, response: Option<&str>) {
        let (now, mut entries) = (self.now(), self.lock());
        let claims = &mut entries.claims;
        if claims.get(&key.subject, now).is_none_or(|(first, _)| first.call != key.call) {
            return;
        }
        if let (Some((first, _)), Some(response)) = (claims.remove(&key.subject, now), response) {
            let completed = (first, Some(response.to_owned()));
            claims.insert(key.subject.clone(), completed, now, RESPONSE_KEPT);
        }
    }

    pub(super) fn conversion(&self, country: &str) -> Conversion {
        self.lock().counts.conversion(country, self.now())
    }

    pub(super) fn find(&self, id: &VerificationId) -> Option<Verification> {
        let now = self.now();
        let mut entries = self.lock();
        let entry = entries.by_tag.get_mut(&id.tag())?;
        entry.expire_failures(now);
        let current = entry.current.as_ref().filter(|current| {
            current.id == *id && now < current.expires && !current.is_message()
        })?;
        Some(self.view(entry, current, now))
    }

    pub(super) fn latest(&self, tag: NumberTag) -> Option<LatestVerification> {
        let now = self.now();
        let mut entries = self.lock();
        let Entries { by_tag, sent, .. } = &mut *entries;
        let entry = by_tag.get_mut(&tag)?;
        entry.expire_failures(now);
        let current = entry.current.as_ref().filter(|current| now < current.expires)?;
        let sms_at = sent.latest(tag).take(current.sms_number as usize).map(timestamp).collect();
        Some(LatestVerification {
            verification: self.view(entry, current, now),
            scope: current.scope.clone(),
            began_at: timestamp(current.created_at),
            sms_at,
            sms_number: current.sms_number,
        })
    }

    pub(super) fn conclude(&self, id: &VerificationId, conclusion: Conclusion) -> bool {
        let now = self.now();
        let mut entries = self.lock();
        let Entries { by_tag, counts, .. } = &mut *entries;
        let current = by_tag.get_mut(&id.tag()).and_then(|entry| entry.current.as_mut());
        let is_one = |current: &&mut ActiveVerification| {
            current.id == *id && current.is_message() == (conclusion == Conclusion::Converted)
        };
        let Some(current) = current.filter(is_one) else { return false };
        let is_pending = current.status == Status::Pending && now < current.expires;
        if is_pending && current.concluded.is_none() {
            current.concluded = Some(conclusion);
            match conclusion {
                Conclusion::Cancelled => current.expires = now,
                Conclusion::Approved | Conclusion::Converted => {
                    current.status = Status::Approved;
                }
            }
            if conclusion == Conclusion::Converted {
                for subject in &current.guarded {
                    counts.approve(subject, current.created_at, now);
                }
            }
        }
        current.concluded == Some(conclusion)
    }

    pub(super) fn acquire_lease(
        &self,
        id: &VerificationId,
        sms_number: u32,
        lease: Duration,
        worker: u64,
    ) -> Lease {
        let now = self.now();
        let mut entries = self.lock();
        let Some(current) = entries.current(id).filter(|current| sms_number <= current.sms_number)
        else {
            return Lease::Gone;
        };
        let state = current.sms.get(&sms_number).copied();
        match state {
            Some(SmsState::Sent) => return Lease::AlreadySent,
            Some(SmsState::Released) => return Lease::Gone,
            _ => {}
        }
        if current.status != Status::Pending || now >= current.expires {
            return Lease::Gone;
        }
        // A message that failed is not redriven: it is admitted anew.
        if current.delivery == DeliveryState::Failed && current.is_message() {
            return Lease::Gone;
        }
        let unknown = match state {
            Some(SmsState::Leased { worker: holder, until, .. })
                if holder != worker && now < until =>
            {
                return Lease::Busy;
            }
            Some(SmsState::Leased { worker: holder, unknown, .. }) => holder != worker || unknown,
            Some(SmsState::Unknown) => true,
            _ => false,
        };
        current.was_leased = true;
        current
            .sms
            .insert(sms_number, SmsState::Leased { worker, until: now + millis(lease), unknown });
        Lease::Granted { expires_in: until(now, current.expires), uncertain: unknown }
    }

    pub(super) fn record_outcome(
        &self,
        id: &VerificationId,
        sms_number: u32,
        outcome: &SendOutcome,
        worker: u64,
    ) {
        let mut entries = self.lock();
        let Some(current) = entries.current(id) else { return };
        let held = match current.sms.get(&sms_number) {
            Some(SmsState::Leased { worker: holder, unknown, .. }) if *holder == worker => {
                Some(*unknown)
            }
            _ => None,
        };
        match (outcome, held) {
            (SendOutcome::Sent { .. }, _) => current.sms.insert(sms_number, SmsState::Sent),
            // The lease expired: the next worker's outcome counts.
            (_, None) => return,
            (SendOutcome::Unknown, _) | (_, Some(true)) => {
                current.sms.insert(sms_number, SmsState::Unknown)
            }
            (SendOutcome::Retrying | SendOutcome::Requeued | SendOutcome::Failed, Some(false)) => {
                current.sms.remove(&sms_number)
            }
        };
        current.was_leased = true;
        let mut state = outcome.state();
        if let Some(message_id) = outcome.message_id() {
            current.messages.insert(message_id.to_owned(), sms_number);
            state = current.early_reports.get(message_id).copied().unwrap_or(state);
        }
        if current.reported_sms == sms_number && current.delivery != DeliveryState::Delivered {
            current.delivery = state;
        }
    }

    pub(super) fn record_delivery_report(
        &self,
        tag: NumberTag,
        message_id: &str,
        delivered: bool,
    ) -> bool {
        let state = if delivered { DeliveryState::Delivered } else { DeliveryState::Failed };
        let mut entries = self.lock();
        let Some(current) = entries.by_tag.get_mut(&tag).and_then(|entry| entry.current.as_mut())
        else {
            return false;
        };
        match current.messages.get(message_id) {
            None => {
                if let Some(SmsState::Leased { .. }) = current.sms.get(&current.reported_sms) {
                    current.early_reports.insert(message_id.to_owned(), state);
                }
                false
            }
            Some(sms_number) => {
                if *sms_number == current.reported_sms
                    && current.delivery != DeliveryState::Delivered
                {
                    current.delivery = state;
                }
                true
            }
        }
    }

    pub(super) fn permit(&self, account: &str, request: PermitRequest, breaker: Breaker) -> Permit {
        self.accounts.permit(account, request, breaker, self.now())
    }

    pub(super) fn circuit(&self, account: &str) -> Circuit {
        self.accounts.circuit(account, self.now())
    }

    pub(super) fn report(&self, account: &str, health: Health, breaker: Breaker) {
        self.accounts.report(account, health, breaker, self.now());
    }

    #[expect(clippy::unused_self, reason = "both stores have the same methods")]
    pub(super) fn ping(&self) {}

    /// Milliseconds since 1970.
    fn now(&self) -> i64 {
        self.clock.micros() / 1000
    }

    /// Locks the entries. They stay consistent if a thread panicked: every change to them is a
    /// plain assignment.
    fn lock(&self) -> MutexGuard<'_, Entries> {
        lock(&self.entries)
    }

    fn view(&self, entry: &NumberRecord, current: &ActiveVerification, now: i64) -> Verification {
        let attempts_left = self.policy.max_attempts.saturating_sub(entry.failed_attempts);
        let locked_until = if attempts_left == 0 { entry.wrong_until } else { 0 };
        let (waits_for, resend_in) =
            resend(now, current.resend_at, current.limits_free_at, locked_until);
        Verification {
            id: current.id.clone(),
            to: current.to.clone(),
            status: current.status,
            delivery: current.delivery,
            expires_at: timestamp(current.expires),
            expires_in: until(now, current.expires),
            resend_in,
            waits_for,
            attempts_left,
            locked_for: until(now, locked_until),
        }
    }
}

impl Entries {
    fn current(&mut self, id: &VerificationId) -> Option<&mut ActiveVerification> {
        self.by_tag.get_mut(&id.tag())?.current.as_mut().filter(|current| current.id == *id)
    }
}
