//! SMS that the conversion guard left to this process to count: those to prefixes and countries
//! where nothing is suspicious. They are summed up, and written once a second.
//!
//! An SMS that is not written yet when the process is killed is not counted: the guard learns of
//! one second less of this process's SMS. No limit depends on it.

use std::collections::HashMap;
use std::mem;
use std::sync::{Arc, Mutex};

use sms_domain::conversion_test::CusumTest;
use sms_domain::quota::{Quota, QuotaRule};
use sms_domain::sync::lock;

#[derive(Clone, Default)]
pub(super) struct GuardCounts(Arc<Mutex<HashMap<String, Count>>>);

/// SMS to a prefix or a country.
pub(super) struct Count {
    pub(super) test: CusumTest,
    pub(super) is_country: bool,
    /// Number of SMS by time slot, the latest last.
    pub(super) slots: Vec<(i64, u32)>,
}

impl GuardCounts {
    /// Counts one SMS for each prefix and country among `quotas`. Returns true if nothing was
    /// waiting to be written before.
    pub(super) fn add<'a>(&self, quotas: impl IntoIterator<Item = &'a Quota>, slot: i64) -> bool {
        let mut counts = lock(&self.0);
        let (was_empty, mut added) = (counts.is_empty(), false);
        for (quota, test, is_country) in quotas.into_iter().filter_map(guarded) {
            added = true;
            match counts.get_mut(&quota.subject) {
                Some(count) => {
                    count.test = test;
                    match count.slots.last_mut() {
                        Some((latest, sms)) if *latest == slot => *sms += 1,
                        _ => count.slots.push((slot, 1)),
                    }
                }
                None => {
                    let count = Count { test, is_country, slots: vec![(slot, 1)] };
                    counts.insert(quota.subject.clone(), count);
                }
            }
        }
        was_empty && added
    }

    /// Takes back one SMS of a prefix or a country, and returns its slot; `None` if none waits to
    /// be written.
    pub(super) fn take_back(&self, quota: &Quota) -> Option<i64> {
        guarded(quota)?;
        let mut counts = lock(&self.0);
        let slots = &mut counts.get_mut(&quota.subject)?.slots;
        let (slot, sms) = slots.iter_mut().rev().find(|(_, sms)| *sms > 0)?;
        *sms -= 1;
        Some(*slot)
    }

    /// Removes and returns all counts.
    pub(super) fn drain(&self) -> HashMap<String, Count> {
        mem::take(&mut *lock(&self.0))
    }
}

/// The test of a quota of the conversion guard, and true if it is a country's.
fn guarded(quota: &Quota) -> Option<(&Quota, CusumTest, bool)> {
    match quota.rule {
        QuotaRule::Conversion(test) => Some((quota, test, false)),
        QuotaRule::Country(test) => Some((quota, test, true)),
        QuotaRule::Rate(_) | QuotaRule::Budget(_) | QuotaRule::Number(_) => None,
    }
}
