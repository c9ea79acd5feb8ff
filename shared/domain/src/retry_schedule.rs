//! The schedule of retries, and delays of messages.

use std::time::Duration;

/// Retry schedule, `RETRY_BACKOFF` and `MAX_RETRIES`: by default after 3, 6 and 12 s.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Schedule {
    /// The first wait; each later one is twice the previous one.
    pub backoff: Duration,
    /// Attempts after the first.
    pub max_retries: u32,
}

impl Schedule {
    /// The wait after a failed attempt (1 is the first); `None` if it was the last. It is doubled
    /// until it is at least `min_wait`, which the gateway may ask for: so that there are few
    /// different waits, each of which is a queue on RabbitMQ. `random` selects a jitter of up to
    /// 10 %, so that jobs that failed together are not retried together.
    #[must_use]
    pub fn after(self, attempt: u32, min_wait: Duration, random: u64) -> Option<Delay> {
        if attempt > self.max_retries {
            return None;
        }
        let mut base = self.wait(attempt);
        while base < min_wait {
            base = base.saturating_mul(2);
        }
        let thousandths = u32::try_from(random % 101).unwrap_or_default();
        Some(Delay { base, jitter: base / 1000 * thousandths })
    }

    /// The wait before the last attempt.
    #[must_use]
    pub fn longest(self) -> Duration {
        self.wait(self.max_retries)
    }

    fn wait(self, attempt: u32) -> Duration {
        self.backoff.saturating_mul(2_u32.saturating_pow(attempt.saturating_sub(1)))
    }

    /// The shortest wait, for a job that is requeued without an attempt.
    #[must_use]
    pub fn first(self) -> Delay {
        Delay { base: self.backoff, jitter: Duration::ZERO }
    }
}

impl Default for Schedule {
    fn default() -> Self {
        Self { backoff: Duration::from_secs(3), max_retries: 3 }
    }
}

/// Delay of a message before it is delivered: a base of which there are few different ones, plus a
/// jitter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Delay {
    /// The delay of the wait queue on RabbitMQ.
    pub base: Duration,
    /// At most a tenth of the base.
    pub jitter: Duration,
}

impl Delay {
    /// No delay.
    pub const NONE: Self = Self { base: Duration::ZERO, jitter: Duration::ZERO };

    /// The longest of 1, 2, 4, 8, … s within `wait`, for a wait that may be resumed: so that there
    /// are few different delays, each of which is a queue on RabbitMQ.
    #[must_use]
    pub fn within(wait: Duration) -> Self {
        let seconds = wait.as_secs().max(1);
        Self { base: Duration::from_secs(1 << seconds.ilog2()), jitter: Duration::ZERO }
    }

    /// The base plus the jitter.
    #[must_use]
    pub fn total(self) -> Duration {
        self.base.saturating_add(self.jitter)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_and_end() {
        let schedule = Schedule::default();
        let base =
            |attempt| schedule.after(attempt, Duration::ZERO, 0).map(|delay| delay.base.as_secs());
        assert_eq!([base(1), base(2), base(3), base(4)], [Some(3), Some(6), Some(12), None]);
        assert_eq!(base(u32::MAX), None);
        let longest = |random| schedule.after(3, Duration::ZERO, random).expect("a wait").total();
        assert_eq!(longest(100), Duration::from_millis(13_200), "12 s and 10 %");
        assert!((0..1000).all(|random| longest(random) <= longest(100)));
    }

    #[test]
    fn a_gateway_is_given_the_time_that_it_asks_for() {
        let schedule = Schedule::default();
        let base = |attempt, least| {
            schedule.after(attempt, Duration::from_secs(least), 0).map(|delay| delay.base.as_secs())
        };
        assert_eq!(
            [base(1, 3), base(1, 4), base(2, 30), base(4, 30)],
            [Some(3), Some(6), Some(48), None]
        );
        let endless = schedule.after(1, Duration::MAX, 100).expect("a wait");
        assert!(
            endless.total() > Duration::from_secs(u64::MAX / 2),
            "and no overflow: {endless:?}"
        );
        assert_eq!(schedule.longest().as_secs(), 12);
    }
}
