//! The limits: cell rates, the conversion guard, and the times of each number's SMS. The same steps as `limits.lua` and `admit.lua`.

use std::collections::HashMap;
use std::hash::Hash;

use super::super::{guard_key, limit_key, micros, millis, until};
use super::guard::Guarded;
use crate::guard::Conversion;
use crate::limits::{Quota, Refusal, Rule, Window};
use crate::verification::NumberTag;

/// What was counted on each limit.
#[derive(Debug, Default)]
pub(super) struct Counts {
    /// Until when (µs) what was counted on a rate counts.
    rates: HashMap<String, i64>,
    sweep_rates_at: usize,
    guarded: HashMap<String, Guarded>,
    sweep_guarded_at: usize,
}

impl Counts {
    /// Adds those without room for one more; whether there are such that are not enforced.
    pub(super) fn look(&self, quotas: &[Quota], now: i64, refusal: &mut Refusal) -> bool {
        let mut observed = false;
        for quota in quotas {
            match quota.rule {
                Rule::Rate(window) => {
                    let interval = micros(window.interval());
                    let ahead = interval * i64::from(window.most);
                    let late = self.time(quota, now) + interval - now * 1000 - ahead;
                    if late > 0 {
                        // In whole milliseconds, rounded up.
                        refusal.add(quota.exceeded(), until(0, (late + 999) / 1000));
                    }
                }
                Rule::Conversion(test) => match self.guarded(&limit_key(quota), now).counted(test) {
                    (_, wait) if wait > 0 && test.enforced => refusal.add(quota.exceeded(), until(0, wait * 1000)),
                    (_, wait) => observed |= wait > 0,
                },
            }
        }
        observed
    }

    pub(super) fn count(&mut self, quotas: &[Quota], now: i64) {
        sweep(&mut self.rates, &mut self.sweep_rates_at, |time| *time > now * 1000);
        sweep(&mut self.guarded, &mut self.sweep_guarded_at, |guarded| guarded.matters(now / 1000));
        for quota in quotas {
            let key = limit_key(quota);
            match quota.rule {
                Rule::Rate(window) => {
                    let time = self.time(quota, now) + micros(window.interval());
                    self.rates.insert(key, time);
                }
                Rule::Conversion(test) => {
                    let (counted, _) = self.guarded(&key, now).counted(test);
                    self.guarded.insert(key, counted);
                }
            }
        }
    }

    pub(super) fn give_back(&mut self, quotas: &[Quota]) {
        for quota in quotas {
            let key = limit_key(quota);
            match quota.rule {
                Rule::Rate(window) => {
                    if let Some(time) = self.rates.get_mut(&key) {
                        *time -= micros(window.interval());
                    }
                }
                Rule::Conversion(_) => {
                    if let Some(guarded) = self.guarded.get_mut(&key) {
                        guarded.give_back();
                    }
                }
            }
        }
    }

    pub(super) fn approve(&mut self, subject: &str, began: i64, now: i64) {
        let key = guard_key(subject);
        let mut guarded = self.guarded(&key, now);
        guarded.approve(began / 1000);
        self.guarded.insert(key, guarded);
    }

    pub(super) fn conversion(&self, country: &str, now: i64) -> Conversion {
        self.guarded(&guard_key(country), now).conversion()
    }

    fn time(&self, quota: &Quota, now: i64) -> i64 {
        self.rates.get(&limit_key(quota)).copied().unwrap_or(0).max(now * 1000)
    }

    fn guarded(&self, key: &str, now: i64) -> Guarded {
        let now = now / 1000;
        self.guarded.get(key).cloned().unwrap_or_else(|| Guarded::new(now)).at(now)
    }
}

/// When each number's SMS were sent, the latest first, and until when that matters.
#[derive(Debug, Default)]
pub(super) struct Sent {
    by_tag: HashMap<NumberTag, (Vec<i64>, i64)>,
    sweep_at: usize,
}

impl Sent {
    /// When the windows have room for one more.
    pub(super) fn room(&self, tag: NumberTag, windows: &[Window]) -> i64 {
        let Some((times, _)) = self.by_tag.get(&tag) else { return 0 };
        let room = |window: &Window| Some(times.get(window.most as usize - 1)? + millis(window.span));
        windows.iter().filter_map(room).max().unwrap_or(0)
    }

    pub(super) fn add(&mut self, tag: NumberTag, windows: &[Window], now: i64) {
        let Some(longest) = windows.iter().map(|window| window.span).max() else { return };
        sweep(&mut self.by_tag, &mut self.sweep_at, |(_, until)| *until > now);
        let (times, until) = self.by_tag.entry(tag).or_default();
        times.insert(0, now);
        times.truncate(windows.iter().map(|window| window.most as usize).max().unwrap_or(0));
        *until = now + millis(longest);
    }

    /// Forgets the latest.
    pub(super) fn take_back(&mut self, tag: NumberTag) {
        if let Some((times, _)) = self.by_tag.get_mut(&tag)
            && !times.is_empty()
        {
            times.remove(0);
        }
    }
}

/// Forgets what no longer matters, often enough that memory stays within twice what is needed.
pub(super) fn sweep<K: Eq + Hash, V>(map: &mut HashMap<K, V>, at: &mut usize, matters: impl Fn(&V) -> bool) {
    if map.len() >= *at {
        map.retain(|_, value| matters(value));
        *at = (map.len() * 2).max(1024);
    }
}
