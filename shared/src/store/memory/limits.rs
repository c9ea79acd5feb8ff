//! The limits: cell rates, and the times of each number's SMS. The same steps as `limits.lua` and `admit.lua`.

use std::collections::HashMap;
use std::hash::Hash;

use super::super::{limit_key, micros, millis, until};
use crate::limits::{Quota, Refusal, Window};
use crate::verification::NumberTag;

/// Until when (µs) what was counted on each limit counts.
#[derive(Debug, Default)]
pub(super) struct Rates {
    times: HashMap<String, i64>,
    sweep_at: usize,
}

impl Rates {
    /// Adds those without room for one more.
    pub(super) fn look(&self, quotas: &[Quota], now: i64, refusal: &mut Refusal) {
        for quota in quotas {
            let interval = micros(quota.window.interval());
            let ahead = interval * i64::from(quota.window.most);
            let late = self.time(quota, now) + interval - now * 1000 - ahead;
            if late > 0 {
                // In whole milliseconds, rounded up.
                refusal.add(quota.exceeded(), until(0, (late + 999) / 1000));
            }
        }
    }

    pub(super) fn count(&mut self, quotas: &[Quota], now: i64) {
        sweep(&mut self.times, &mut self.sweep_at, |time| *time > now * 1000);
        for quota in quotas {
            let time = self.time(quota, now) + micros(quota.window.interval());
            self.times.insert(limit_key(quota), time);
        }
    }

    pub(super) fn give_back(&mut self, quotas: &[Quota]) {
        for quota in quotas {
            if let Some(time) = self.times.get_mut(&limit_key(quota)) {
                *time -= micros(quota.window.interval());
            }
        }
    }

    fn time(&self, quota: &Quota, now: i64) -> i64 {
        self.times.get(&limit_key(quota)).copied().unwrap_or(0).max(now * 1000)
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
