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
