//! What the conversion guard knows of a block of numbers or of a country. The same steps as in
//! `limits.lua` and `approve.lua`, whose comments say what the values are.

use std::collections::BTreeMap;

use sms_domain::conversion_test::{Conversion, CusumTest};

use crate::as_weighed;
use crate::constants::{
    BASE_HALF_LIFE, COUNTRY_KEPT, DAY, LAG, MAX_DOUBLINGS, PREFIX_KEPT, PROBE_WAIT,
    SCORE_HALF_LIFE, SLOT,
};

/// Times are in seconds since 1970.
#[derive(Debug, Clone, Default)]
pub(super) struct Guarded {
    score: f64,
    sent: f64,
    approved: f64,
    time: i64,
    probe: i64,
    /// Probes in vain, one after the other; of a country, times that it was suspicious.
    probes_in_vain: u32,
    is_country: bool,
    test: CusumTest,
    /// Of the last minutes, by slots of time, which are not counted before all of a slot are known.
    recent: BTreeMap<i64, Slot>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Slot {
    /// SMS of which nobody knows yet.
    unknown: u32,
    approved: u32,
}

impl Slot {
    /// A score with it, if what nobody knows is in vain. (Added as the script adds it: a sum in
    /// another order may be another.)
    fn added_to(self, score: f64, test: CusumTest) -> f64 {
        score
            + test.miss_weight * f64::from(self.unknown)
            + test.hit_weight * f64::from(self.approved)
    }
}

impl Guarded {
    pub(super) fn new(now: i64) -> Self {
        Self { time: now, ..Self::default() }
    }

    /// As it is now.
    pub(super) fn at(mut self, now: i64) -> Self {
        while let Some(entry) =
            self.recent.first_entry().filter(|entry| (entry.key() + 1) * SLOT + LAG <= now)
        {
            let known = (entry.key() + 1) * SLOT + LAG;
            let slot = entry.remove();
            self.score = slot.added_to(self.score, self.test).max(0.0);
            self.sent += f64::from(slot.unknown + slot.approved);
            self.approved += f64::from(slot.approved);
            if self.is_country { self.judge_country(known) } else { self.judge_block(known, slot) }
        }
        // A clock that was set back makes nothing of the past grow.
        let passed = (now - self.time).max(0) as f64;
        self.score *= 0.5_f64.powf(passed / SCORE_HALF_LIFE);
        self.sent *= 0.5_f64.powf(passed / BASE_HALF_LIFE);
        self.approved *= 0.5_f64.powf(passed / BASE_HALF_LIFE);
        self.time = now;
        self
    }

    fn judge_block(&mut self, known: i64, slot: Slot) {
        if slot.approved > 0 {
            (self.probe, self.probes_in_vain) = (0, 0);
        }
        // What was sent before it was refused is no probe.
        let was_probe = known - LAG > self.probe - PROBE_WAIT;
        if slot.unknown > 0 && was_probe && self.is_abused(self.score) {
            self.wait_longer(known);
        }
    }

    fn judge_country(&mut self, known: i64) {
        if self.test.threshold > 0.0 && self.score >= self.test.threshold {
            if known > self.probe + DAY {
                self.probes_in_vain = 0;
            }
            self.score = 0.0;
            self.wait_longer(known);
        }
    }

    fn wait_longer(&mut self, known: i64) {
        self.probe = self.probe.max(known + (PROBE_WAIT << self.probes_in_vain));
        self.probes_in_vain = (self.probes_in_vain + 1).min(MAX_DOUBLINGS);
    }

    /// Counts one more SMS. Besides, how long to wait (seconds) if there should not be one now, and
    /// whether it is suspicious.
    pub(super) fn counted(mut self, test: CusumTest, is_country: bool) -> (Self, i64, bool) {
        (self.test, self.is_country) = (as_weighed(test), is_country);
        let (wait, suspicious) =
            if is_country { (0, self.time < self.probe) } else { self.look_at_block() };
        self.recent.entry(self.time / SLOT).or_default().unknown += 1;
        (self, wait, suspicious)
    }

    fn look_at_block(&mut self) -> (i64, bool) {
        let threshold = self.test.threshold;
        let (mut score, mut wait) = (self.score, 0);
        let suspicious = threshold > 0.0 && score > threshold / 2.0;
        // Where something is wrong already, what nobody knows yet counts as what it will be.
        if suspicious {
            score = self.recent.values().fold(score, |sum, slot| slot.added_to(sum, self.test));
        }
        if self.time < self.probe {
            wait = self.probe - self.time;
        } else if self.is_abused(score) {
            self.probe = self.time + PROBE_WAIT;
        }
        (wait, suspicious)
    }

    /// From the threshold on, and then until the score is below a half of it.
    fn is_abused(&self, score: f64) -> bool {
        let threshold = self.test.threshold;
        threshold > 0.0 && (score >= threshold || (self.probe > 0 && score > threshold / 2.0))
    }

    pub(super) fn refund(&mut self, now: i64) {
        if let Some((at, slot)) = self.recent.iter_mut().rev().find(|(_, slot)| slot.unknown > 0) {
            slot.unknown -= 1;
            // If it was a probe, another may be sent.
            if !self.is_country && (self.probe - PROBE_WAIT).div_euclid(SLOT) == *at {
                self.probe = now;
            }
        }
    }

    pub(super) fn approve(&mut self, began: i64) {
        match self.recent.get_mut(&(began / SLOT)).filter(|slot| slot.unknown > 0) {
            Some(slot) => {
                slot.unknown -= 1;
                slot.approved += 1;
            }
            // It took so long that it was taken for one that never is.
            None => {
                self.score = (self.score - self.test.miss_weight + self.test.hit_weight).max(0.0);
                self.approved += 1.0;
                if !self.is_country {
                    (self.probe, self.probes_in_vain) = (0, 0);
                }
            }
        }
    }

    pub(super) fn conversion(&self) -> Conversion {
        Conversion { sent: self.sent, approved: self.approved }
    }

    /// Whether there is something in it still.
    pub(super) fn is_live(&self, now: i64) -> bool {
        now - self.time < if self.is_country { COUNTRY_KEPT } else { PREFIX_KEPT }
    }
}
