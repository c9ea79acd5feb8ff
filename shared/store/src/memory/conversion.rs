//! The conversion guard's state of a prefix or of a country. The same steps and fields as in
//! `guard.lua` and `approve.lua`, whose comments explain them.

use std::collections::BTreeMap;

use sms_domain::conversion_test::{Conversion, CusumTest};

use crate::constants::{
    BASE_HALF_LIFE, COUNTRY_KEPT, DAY, LAG, MAX_DOUBLINGS, PREFIX_KEPT, PROBE_WAIT,
    SCORE_HALF_LIFE, SLOT,
};
use crate::rounded;

/// The guard's state of one subject. Times are in seconds since 1970.
#[derive(Debug, Clone, Default)]
pub(super) struct GuardState {
    score: f64,
    sent: f64,
    approved: f64,
    as_of: i64,
    probe_at: i64,
    /// Failed probes in a row; of a country, times in a row that it became suspicious.
    failed_probes: u32,
    is_country: bool,
    test: CusumTest,
    /// SMS of the last minutes by time slot; a slot is counted once all its outcomes are known.
    recent: BTreeMap<i64, Slot>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Slot {
    /// SMS without an approval so far; less than 0 if approvals came before their SMS were counted.
    misses: i32,
    approved: u32,
}

impl Slot {
    /// Adds the slot to a score. (In the same order as the script: the order may change the sum.)
    fn added_to(self, score: f64, test: CusumTest) -> f64 {
        score
            + test.miss_weight * f64::from(self.misses)
            + test.hit_weight * f64::from(self.approved)
    }
}

impl GuardState {
    pub(super) fn new(now: i64) -> Self {
        Self { as_of: now, ..Self::default() }
    }

    /// Brings the state up to date.
    pub(super) fn at(mut self, now: i64) -> Self {
        while let Some(entry) =
            self.recent.first_entry().filter(|entry| (entry.key() + 1) * SLOT + LAG <= now)
        {
            let known = (entry.key() + 1) * SLOT + LAG;
            let mut slot = entry.remove();
            slot.misses = slot.misses.max(0);
            self.score = slot.added_to(self.score, self.test).max(0.0);
            self.sent += f64::from(slot.misses) + f64::from(slot.approved);
            self.approved += f64::from(slot.approved);
            if self.is_country { self.judge_country(known) } else { self.judge_prefix(known, slot) }
        }
        // If the clock was set back, nothing grows.
        let age = (now - self.as_of).max(0) as f64;
        self.score *= 0.5_f64.powf(age / SCORE_HALF_LIFE);
        self.sent *= 0.5_f64.powf(age / BASE_HALF_LIFE);
        self.approved *= 0.5_f64.powf(age / BASE_HALF_LIFE);
        self.as_of = now;
        self
    }

    fn judge_prefix(&mut self, known: i64, slot: Slot) {
        if slot.approved > 0 {
            (self.probe_at, self.failed_probes) = (0, 0);
        }
        // An SMS that was sent before the prefix was refused is no probe.
        let was_probe = known - LAG > self.probe_at - PROBE_WAIT;
        if slot.misses > 0 && was_probe && self.is_abused(self.score) {
            self.wait_longer(known);
        }
    }

    fn judge_country(&mut self, known: i64) {
        if self.test.threshold > 0.0 && self.score >= self.test.threshold {
            if known > self.probe_at + DAY {
                self.failed_probes = 0;
            }
            self.score = 0.0;
            self.wait_longer(known);
        }
    }

    fn wait_longer(&mut self, known: i64) {
        self.probe_at = self.probe_at.max(known + (PROBE_WAIT << self.failed_probes));
        self.failed_probes = (self.failed_probes + 1).min(MAX_DOUBLINGS);
    }

    /// Counts one more SMS. Returns the new state, the wait (s) if it should not be sent now, and
    /// true if it is suspicious.
    pub(super) fn counted(mut self, test: CusumTest, is_country: bool) -> (Self, i64, bool) {
        (self.test, self.is_country) = (rounded(test), is_country);
        let (wait, suspicious) =
            if is_country { (0, self.as_of < self.probe_at) } else { self.check_prefix() };
        self.recent.entry(self.as_of / SLOT).or_default().misses += 1;
        (self, wait, suspicious)
    }

    fn check_prefix(&mut self) -> (i64, bool) {
        let threshold = self.test.threshold;
        let (mut score, mut wait) = (self.score, 0);
        let suspicious = threshold > 0.0 && score > threshold / 2.0;
        // Of a suspicious prefix, an SMS whose outcome is not known yet counts as a miss.
        if suspicious {
            score = self.recent.values().fold(score, |sum, slot| slot.added_to(sum, self.test));
        }
        if self.as_of < self.probe_at {
            wait = self.probe_at - self.as_of;
        } else if self.is_abused(score) {
            self.probe_at = self.as_of + PROBE_WAIT;
        }
        (wait, suspicious)
    }

    /// Returns true from the threshold on, until the score falls to half of it.
    fn is_abused(&self, score: f64) -> bool {
        let threshold = self.test.threshold;
        threshold > 0.0 && (score >= threshold || (self.probe_at > 0 && score > threshold / 2.0))
    }

    pub(super) fn refund(&mut self, now: i64) {
        if let Some((at, slot)) = self.recent.iter_mut().rev().find(|(_, slot)| slot.misses > 0) {
            slot.misses -= 1;
            // If it was a probe, another may be sent.
            if !self.is_country && (self.probe_at - PROBE_WAIT).div_euclid(SLOT) == *at {
                self.probe_at = now;
            }
        }
    }

    pub(super) fn approve(&mut self, created_at: i64) {
        let slot = created_at / SLOT;
        if (slot + 1) * SLOT + LAG > self.as_of {
            let slot = self.recent.entry(slot).or_default();
            slot.misses -= 1;
            slot.approved += 1;
            return;
        }
        // It took so long that the SMS was counted as a miss.
        self.score = (self.score - self.test.miss_weight + self.test.hit_weight).max(0.0);
        self.approved += 1.0;
        if !self.is_country {
            (self.probe_at, self.failed_probes) = (0, 0);
        }
    }

    pub(super) fn conversion(&self) -> Conversion {
        Conversion { sent: self.sent, approved: self.approved }
    }

    /// Returns true while the state is kept.
    pub(super) fn is_live(&self, now: i64) -> bool {
        now - self.as_of < if self.is_country { COUNTRY_KEPT } else { PREFIX_KEPT }
    }
}
