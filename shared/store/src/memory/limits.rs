//! Limits: cell rates, budgets, the conversion guard, and the times of each number's SMS. The same
//! steps as `limits/*.lua` and `admit.lua`.

use std::collections::HashMap;
use std::hash::Hash;
use std::time::Duration;

use sms_domain::conversion_test::{Conversion, GuardAction};
use sms_domain::quota::{BudgetRule, Quota, QuotaRule, Window};
use sms_domain::refusal::Refusal;
use sms_domain::verification_id::NumberTag;

use super::conversion::GuardState;
use crate::constants::ALARM_PERCENT;
use crate::{guard_key, limit_key, micros, millis, until};

/// Counts of each limit.
#[derive(Debug, Default)]
pub(super) struct Counts {
    /// Time (µs) of each cell rate at which all that was counted is over.
    rates: HashMap<String, i64>,
    sweep_rates_at: usize,
    guarded: HashMap<String, GuardState>,
    sweep_guarded_at: usize,
    /// The latest period of each budget, and the amount spent in it. There is a budget of the hour
    /// and one of the day.
    budgets: HashMap<String, (i64, u64)>,
}

/// Result of evaluating quotas.
#[derive(Debug, Default)]
pub(super) struct QuotaCheck {
    /// Quotas without room for one more.
    pub(super) exceeded: Refusal,
    /// Quotas with room only for numbers that were verified before.
    pub(super) reserved: Refusal,
    /// A quota that only observes is exceeded or suspicious.
    pub(super) observed: bool,
    /// A quota requires a challenge.
    pub(super) suspicious: bool,
    /// A budget reaches its alarm threshold.
    pub(super) alarm: bool,
}

impl Counts {
    pub(super) fn evaluate(&self, quotas: &[Quota], sent: &SentTimes, now: i64) -> QuotaCheck {
        let mut check = QuotaCheck::default();
        for quota in quotas {
            match quota.rule {
                QuotaRule::Rate(window) => {
                    let interval = micros(window.interval());
                    let burst = interval * i64::from(window.max);
                    let late = self.rate_time(quota, now) + interval - now * 1000 - burst;
                    if late > 0 {
                        // In whole milliseconds, rounded up.
                        check.exceeded.add(quota.into(), until(0, (late + 999) / 1000));
                    }
                }
                QuotaRule::Budget(rule) => {
                    self.evaluate_budget(quota, rule, now, &mut check);
                }
                QuotaRule::Conversion(test) => {
                    let (_, wait, suspicious) =
                        self.guarded(&limit_key(quota), now).counted(test, false);
                    match test.action {
                        GuardAction::Observe => check.observed |= wait > 0,
                        _ if wait > 0 => {
                            check.exceeded.add(quota.into(), until(0, wait * 1000));
                        }
                        GuardAction::Refuse => {}
                        GuardAction::Challenge => check.suspicious |= suspicious,
                    }
                }
                QuotaRule::Number(windows) => {
                    let windows: Vec<Window> = windows.for_this().collect();
                    let free_at = sent.free_at(tag(quota), &windows);
                    if now < free_at {
                        check.exceeded.add(quota.into(), until(now, free_at));
                    }
                }
                QuotaRule::Country(test) => {
                    let (_, _, suspicious) =
                        self.guarded(&limit_key(quota), now).counted(test, true);
                    check.observed |= suspicious && test.action == GuardAction::Observe;
                    check.suspicious |= suspicious && test.action == GuardAction::Challenge;
                }
            }
        }
        check
    }

    fn evaluate_budget(&self, quota: &Quota, rule: BudgetRule, now: i64, check: &mut QuotaCheck) {
        let BudgetRule { price, soft_cap, hard_cap, period } = rule;
        let (present, spent) = self.spent(quota, period, now);
        let (after, left) = (spent + price, until(now, (present + 1) * millis(period)));
        if after > hard_cap {
            check.exceeded.add(quota.into(), left);
        } else if after > soft_cap {
            check.reserved.add(quota.into(), left);
        }
        check.alarm |=
            spent * 100 < ALARM_PERCENT * soft_cap && after * 100 >= ALARM_PERCENT * soft_cap;
    }

    pub(super) fn commit(&mut self, quotas: &[Quota], sent: &mut SentTimes, now: i64) {
        sweep(&mut self.rates, &mut self.sweep_rates_at, |time| *time > now * 1000);
        sweep(&mut self.guarded, &mut self.sweep_guarded_at, |guarded| guarded.is_live(now / 1000));
        for quota in quotas {
            let key = limit_key(quota);
            match quota.rule {
                QuotaRule::Rate(window) => {
                    let time = self.rate_time(quota, now) + micros(window.interval());
                    self.rates.insert(key, time);
                }
                QuotaRule::Budget(BudgetRule { price, period, .. }) => {
                    let (present, spent) = self.spent(quota, period, now);
                    self.budgets.insert(key, (present, spent + price));
                }
                QuotaRule::Number(windows) => {
                    sent.add(tag(quota), &windows.all().collect::<Vec<_>>(), now);
                }
                QuotaRule::Conversion(test) | QuotaRule::Country(test) => {
                    let is_country = matches!(quota.rule, QuotaRule::Country(_));
                    let (counted, _, _) = self.guarded(&key, now).counted(test, is_country);
                    self.guarded.insert(key, counted);
                }
            }
        }
    }

    pub(super) fn refund(&mut self, quotas: &[Quota], sent: &mut SentTimes, now: i64) {
        for quota in quotas {
            let key = limit_key(quota);
            match quota.rule {
                QuotaRule::Rate(window) => {
                    if let Some(time) = self.rates.get_mut(&key) {
                        *time -= micros(window.interval());
                    }
                }
                QuotaRule::Budget(BudgetRule { price, period, .. }) => {
                    let (present, spent) = self.spent(quota, period, now);
                    self.budgets.insert(key, (present, spent.saturating_sub(price)));
                }
                QuotaRule::Number(_) => sent.remove_latest(tag(quota)),
                QuotaRule::Conversion(_) | QuotaRule::Country(_) => {
                    if self.guarded.contains_key(&key) {
                        let mut guarded = self.guarded(&key, now);
                        guarded.refund(now / 1000);
                        self.guarded.insert(key, guarded);
                    }
                }
            }
        }
    }

    pub(super) fn approve(&mut self, subject: &str, created_at: i64, now: i64) {
        let key = guard_key(subject);
        let mut guarded = self.guarded(&key, now);
        guarded.approve(created_at / 1000);
        self.guarded.insert(key, guarded);
    }

    pub(super) fn conversion(&self, country: &str, now: i64) -> Conversion {
        self.guarded(&guard_key(country), now).conversion()
    }

    /// The present period of a budget, counted since 1970, and the amount spent in it.
    fn spent(&self, quota: &Quota, period: Duration, now: i64) -> (i64, u64) {
        let present = now / millis(period);
        let latest = self.budgets.get(&limit_key(quota)).filter(|(latest, _)| *latest == present);
        (present, latest.map_or(0, |(_, spent)| *spent))
    }

    fn rate_time(&self, quota: &Quota, now: i64) -> i64 {
        self.rates.get(&limit_key(quota)).copied().unwrap_or(0).max(now * 1000)
    }

    fn guarded(&self, key: &str, now: i64) -> GuardState {
        let now = now / 1000;
        self.guarded.get(key).cloned().unwrap_or_else(|| GuardState::new(now)).at(now)
    }
}

/// The numbers whose windows these quotas share with verifications, and the times at which they
/// have room.
pub(super) fn free_numbers(
    quotas: &[Quota],
    sent: &SentTimes,
) -> impl Iterator<Item = (NumberTag, i64)> {
    quotas.iter().filter_map(|quota| match quota.rule {
        QuotaRule::Number(windows) if !windows.is_own() => {
            let windows: Vec<Window> = windows.all().collect();
            Some((tag(quota), sent.free_at(tag(quota), &windows)))
        }
        _ => None,
    })
}

/// The tag of a number whose windows count.
fn tag(quota: &Quota) -> NumberTag {
    NumberTag::parse(&quota.subject).unwrap_or_else(|| NumberTag::from_hash(&[0; 32]))
}

/// Times of each number's SMS, the latest first, and their expiry.
#[derive(Debug, Default)]
pub(super) struct SentTimes {
    by_tag: HashMap<NumberTag, (Vec<i64>, i64)>,
    sweep_at: usize,
}

impl SentTimes {
    /// Time at which the windows have room for one more.
    pub(super) fn free_at(&self, tag: NumberTag, windows: &[Window]) -> i64 {
        let Some((times, _)) = self.by_tag.get(&tag) else { return 0 };
        let free_at =
            |window: &Window| Some(times.get(window.max as usize - 1)? + millis(window.period));
        windows.iter().filter_map(free_at).max().unwrap_or(0)
    }

    /// The times that are remembered, the latest first.
    pub(super) fn latest(&self, tag: NumberTag) -> impl Iterator<Item = i64> {
        self.by_tag.get(&tag).into_iter().flat_map(|(times, _)| times.iter().copied())
    }

    pub(super) fn add(&mut self, tag: NumberTag, windows: &[Window], now: i64) {
        let Some(longest) = windows.iter().map(|window| window.period).max() else { return };
        sweep(&mut self.by_tag, &mut self.sweep_at, |(_, until)| *until > now);
        let (times, until) = self.by_tag.entry(tag).or_default();
        times.insert(0, now);
        times.truncate(windows.iter().map(|window| window.max as usize).max().unwrap_or(0));
        *until = now + millis(longest);
    }

    /// Removes the latest time.
    pub(super) fn remove_latest(&mut self, tag: NumberTag) {
        if let Some((times, _)) = self.by_tag.get_mut(&tag)
            && !times.is_empty()
        {
            times.remove(0);
        }
    }
}

/// Removes entries that are no longer live, when the map has `at` entries. It then doubles `at`
/// from the rest, so that memory stays within twice what is needed.
pub(super) fn sweep<K: Eq + Hash, V>(
    map: &mut HashMap<K, V>,
    at: &mut usize,
    is_live: impl Fn(&V) -> bool,
) {
    if map.len() >= *at {
        map.retain(|_, value| is_live(value));
        *at = (map.len() * 2).max(1024);
    }
}
