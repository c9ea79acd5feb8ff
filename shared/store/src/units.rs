//! Units of the stores: durations and times as numbers, and waits as durations.

use std::time::Duration;

use jiff::Timestamp;
use sms_domain::conversion_test::CusumTest;
use sms_domain::quota::Scope;
use sms_domain::refusal::Exceeded;

/// Converts a duration to milliseconds.
pub(crate) fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

/// Converts a duration to microseconds, the unit of limits.
pub(crate) fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

/// Rounds the values of a test to four decimals, in both stores: that is precise enough, and each
/// further digit costs a script time.
pub(crate) fn rounded(test: CusumTest) -> CusumTest {
    let round = |value: f64| (value * 1e4).round() / 1e4;
    let CusumTest { action, threshold, miss_weight, hit_weight } = test;
    CusumTest {
        action,
        threshold: round(threshold),
        miss_weight: round(miss_weight),
        hit_weight: round(hit_weight),
    }
}

/// The time from `now` until `then`, both in milliseconds; zero if it has passed.
pub(crate) fn until(now: i64, then: i64) -> Duration {
    Duration::from_millis(then.saturating_sub(now).max(0).unsigned_abs())
}

/// The policy that another SMS to a number waits for, and the wait: the cooldown, the windows, or
/// the lock. Arguments are in milliseconds.
pub(crate) fn resend(
    now: i64,
    cooldown: i64,
    windows: i64,
    locked_until: i64,
) -> (Exceeded, Duration) {
    let waits = [
        (Exceeded::Cooldown, cooldown),
        (Exceeded::Limit(Scope::Number), windows),
        (Exceeded::Attempts, locked_until),
    ];
    // Of equal ones the first.
    let (policy, then) = waits.into_iter().rev().max_by_key(|(_, then)| *then).unwrap_or(waits[0]);
    (policy, until(now, then))
}

/// Converts a store's milliseconds since 1970 to a timestamp.
pub(crate) fn timestamp(millis: i64) -> Timestamp {
    Timestamp::from_millisecond(millis).unwrap_or(Timestamp::MAX)
}
