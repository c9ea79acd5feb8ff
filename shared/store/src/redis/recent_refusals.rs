//! Refusals that this process was told of in the last second. Until they end it refuses the same
//! number, or the same address, by itself: a flood on one number costs Redis one call a second.
//!
//! They hold for a second at most, since another process may release the number meanwhile, and on
//! the clock that goes on while a function's environment is frozen.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use sms_domain::quota::{Quota, Scope};
use sms_domain::refusal::{Exceeded, Refusal};
use sms_domain::sync::lock;
use sms_domain::verification_id::NumberTag;

use crate::{micros, until};

/// Longest time (µs) for which a refusal is repeated without asking the store.
const KEPT: i64 = 1_000_000;

/// Maximum number of refusals in memory, of less than 200 bytes each.
const MAX_KEPT: usize = 10_000;

#[derive(Clone, Default)]
pub(super) struct RecentRefusals(Arc<Mutex<HashMap<Subject, Vec<Told>>>>);

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Subject {
    Number(NumberTag),
    Address(String),
}

/// A policy that refused, as the store told it. Times are in microseconds.
#[derive(Debug, Clone, Copy)]
struct Told {
    exceeded: Exceeded,
    at: i64,
    ends: i64,
}

impl Told {
    fn is_recent(&self, now: i64) -> bool {
        // Also not if the clock was set back.
        (self.at..self.at + KEPT).contains(&now) && now < self.ends
    }
}

impl RecentRefusals {
    /// The refusal of a request that the store would still refuse; `None` if it must be asked.
    pub(super) fn of(&self, tag: NumberTag, quotas: &[Quota], now: i64) -> Option<Refusal> {
        let kept = lock(&self.0);
        if kept.is_empty() {
            return None;
        }
        let addresses = quotas.iter().filter_map(address);
        let mut refusal = Refusal::default();
        let told = std::iter::once(Subject::Number(tag)).chain(addresses);
        for told in told.filter_map(|subject| kept.get(&subject)).flatten() {
            if told.is_recent(now) {
                refusal.add(told.exceeded, until(now / 1_000, (told.ends + 999) / 1_000));
            }
        }
        (!refusal.is_empty()).then_some(refusal)
    }

    /// Keeps the policies of a refusal that depend on the number or on the address alone.
    pub(super) fn keep(&self, tag: NumberTag, quotas: &[Quota], refusal: &Refusal, now: i64) {
        let mut kept = lock(&self.0);
        if kept.len() >= MAX_KEPT {
            kept.retain(|_, told| told.iter().any(|one| one.is_recent(now)));
            if kept.len() >= MAX_KEPT {
                return;
            }
        }
        for (exceeded, wait) in refusal.waits() {
            let subject = match exceeded {
                Exceeded::Cooldown | Exceeded::Attempts | Exceeded::Limit(Scope::Number) => {
                    Some(Subject::Number(tag))
                }
                Exceeded::Limit(Scope::Ip) => quotas.iter().find_map(address),
                Exceeded::Limit(_) => None,
            };
            if let Some(subject) = subject {
                let told = kept.entry(subject).or_default();
                told.retain(|one| one.exceeded != exceeded && one.is_recent(now));
                told.push(Told { exceeded, at: now, ends: now + micros(wait) });
            }
        }
    }

    /// Forgets what refuses a number: it was released.
    pub(super) fn forget(&self, tag: NumberTag) {
        lock(&self.0).remove(&Subject::Number(tag));
    }
}

/// The subject of the limit of an address.
fn address(quota: &Quota) -> Option<Subject> {
    (quota.scope == Scope::Ip).then(|| Subject::Address(quota.subject.clone()))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use sms_domain::phone::{PhoneNumber, Region};
    use sms_domain::secrets::Secrets;

    use super::*;

    fn tag(number: &str) -> NumberTag {
        let number = PhoneNumber::parse(number, Region::default()).expect("a number");
        Secrets::from_random([7; 32]).tag(&number)
    }

    fn refused(exceeded: Exceeded, seconds: u64) -> Refusal {
        let mut refusal = Refusal::default();
        refusal.add(exceeded, Duration::from_secs(seconds));
        refusal
    }

    const NOW: i64 = 1_800_000_000_000_000;
    const HALF: i64 = KEPT / 2;

    #[test]
    fn a_refusal_holds_for_a_second_with_what_remains_of_its_wait() {
        let (kept, tag) = (RecentRefusals::default(), tag("+8613800138000"));
        kept.keep(tag, &[], &refused(Exceeded::Cooldown, 60), NOW);
        let wait = |now| kept.of(tag, &[], now).map(|refusal| refusal.retry_after());
        assert_eq!(wait(NOW), Some(Duration::from_secs(60)));
        assert_eq!(wait(NOW + HALF), Some(Duration::from_millis(59_500)));
        assert_eq!(wait(NOW + KEPT), None, "the store is asked again");
        assert_eq!(wait(NOW - 1), None, "the clock was set back");
    }

    #[test]
    fn a_refusal_ends_in_time() {
        let (kept, tag) = (RecentRefusals::default(), tag("+8613800138000"));
        let wait = Duration::from_millis(300);
        let mut refusal = Refusal::default();
        refusal.add(Exceeded::Attempts, wait);
        kept.keep(tag, &[], &refusal, NOW);
        assert!(kept.of(tag, &[], NOW + micros(wait) - 1).is_some());
        assert_eq!(kept.of(tag, &[], NOW + micros(wait)), None);
    }

    #[test]
    fn only_policies_of_the_number_and_of_the_address_are_kept() {
        let (kept, [tag, other]) =
            (RecentRefusals::default(), ["+8613800138000", "+8613900139000"].map(tag));
        for scope in [Scope::Budget, Scope::Tenant, Scope::Total, Scope::Conversion, Scope::Prefix]
        {
            kept.keep(tag, &[], &refused(Exceeded::Limit(scope), 60), NOW);
        }
        assert_eq!(kept.of(tag, &[], NOW), None);
        kept.keep(tag, &[], &refused(Exceeded::Limit(Scope::Number), 60), NOW);
        assert!(kept.of(tag, &[], NOW).is_some());
        assert_eq!(kept.of(other, &[], NOW), None);
        kept.forget(tag);
        assert_eq!(kept.of(tag, &[], NOW), None);
    }

    #[test]
    fn memory_is_bounded() {
        let kept = RecentRefusals::default();
        let number = |index: usize| tag(&format!("+86138{index:08}"));
        let refusal = refused(Exceeded::Cooldown, 60);
        (0..=MAX_KEPT).for_each(|index| kept.keep(number(index), &[], &refusal, NOW));
        assert_eq!(lock(&kept.0).len(), MAX_KEPT);
        assert_eq!(kept.of(number(MAX_KEPT), &[], NOW), None);
        kept.keep(number(MAX_KEPT), &[], &refusal, NOW + KEPT);
        assert_eq!(lock(&kept.0).len(), 1, "what is over makes room");
    }
}
