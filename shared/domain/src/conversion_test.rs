//! The statistical test of the conversion guard, against SMS whose codes nobody types back.
//!
//! Bots that are paid for each SMS request codes and do not use them; people type them back. So the
//! guard counts, for each country, the share of the SMS of the past days whose code was typed back
//! (the base rate p). Page's test (CUSUM) weighs the hypothesis that codes are typed back at that
//! rate against the one that they are at a lower rate q. An SMS without an approval adds
//! `ln((1 - q) / (1 - p))` to a score, one with an approval `ln(q / p)`, which is negative; the
//! score does not fall below 0.
//!
//! - For each *prefix* (a block of numbers), q is a quarter of p. From half of the threshold on the
//!   prefix is suspicious, and requests for its numbers have to solve a challenge. At the threshold
//!   the prefix is refused, except for one SMS (a probe) after two hours, by which it can recover;
//!   after failed probes, the next is sent after four, eight and sixteen hours. The score halves in
//!   a day.
//! - For each *country*, q is three quarters of p. At the threshold its requests have to solve a
//!   challenge, for two hours, and for four, eight and sixteen if it happens again within a day. No
//!   country is refused.
//!
//! For a prefix or a country whose codes are typed back as usual, the score reaches the threshold
//! `-ln(E)` at most once in 1 / E SMS (Lorden 1971): E is the error rate.

/// Error rate of a prefix: false alarms per SMS, at most.
const PREFIX_ERROR_RATE: f64 = 1e-4;

/// Conversion rate of an abused prefix, as a share of its country's base rate.
const ABUSED_PREFIX_RATIO: f64 = 0.25;

/// Error rate of a country, lower than that of a prefix, since it has many more SMS.
const COUNTRY_ERROR_RATE: f64 = 1e-6;

/// Conversion rate of an abused country, as a share of its base rate.
const ABUSED_COUNTRY_RATIO: f64 = 0.75;

/// Fewest SMS of a country with a known outcome before there is a base rate.
const MIN_SENT: f64 = 200.0;

/// Lowest base rate that is tested against. Below it, approvals are not reported to the guard, or
/// everything is abuse.
const MIN_RATE: f64 = 0.3;

/// Highest base rate that is tested against: with one close to 1, a few mistyped numbers would
/// count as abuse.
const MAX_RATE: f64 = 0.95;

/// `GUARD`: what is done about an abused prefix.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum GuardMode {
    /// The guard is off: nothing is counted.
    Off,
    /// Abuse is logged only.
    Observe,
    /// Abuse is refused.
    #[default]
    Enforce,
}

impl GuardMode {
    /// Reads `off`, `observe` or `enforce`.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        match word {
            "off" => Some(Self::Off),
            "observe" => Some(Self::Observe),
            "enforce" => Some(Self::Enforce),
            _ => None,
        }
    }
}

/// Action of the guard where codes are not typed back as usual.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum GuardAction {
    /// Log it only.
    #[default]
    Observe,
    /// Refuse an abused prefix.
    Refuse,
    /// Refuse an abused prefix, and require a challenge where something is suspicious.
    Challenge,
}

/// Threshold and weights of a CUSUM test. Without a base rate, SMS are only counted, and all values
/// are 0.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct CusumTest {
    /// Action when the test fails.
    pub action: GuardAction,
    /// Lowest score that counts as abuse.
    pub threshold: f64,
    /// Weight of an SMS without an approval.
    pub miss_weight: f64,
    /// Weight of an SMS with an approval; negative.
    pub hit_weight: f64,
}

impl CusumTest {
    /// The test of a prefix against the base rate of its country; `None` if that is too low.
    #[must_use]
    pub fn for_prefix(rate: f64, action: GuardAction) -> Option<Self> {
        Self::against(rate, ABUSED_PREFIX_RATIO, PREFIX_ERROR_RATE, action)
    }

    /// The test of a country against its own base rate; `None` if that is too low.
    #[must_use]
    pub fn for_country(rate: f64, action: GuardAction) -> Option<Self> {
        Self::against(rate, ABUSED_COUNTRY_RATIO, COUNTRY_ERROR_RATE, action)
    }

    fn against(rate: f64, ratio: f64, error_rate: f64, action: GuardAction) -> Option<Self> {
        let good = rate.min(MAX_RATE);
        let bad = good * ratio;
        let test = Self {
            action,
            threshold: -error_rate.ln(),
            miss_weight: ((1.0 - bad) / (1.0 - good)).ln(),
            hit_weight: (bad / good).ln(),
        };
        (rate >= MIN_RATE).then_some(test)
    }
}

/// Conversion of the SMS to a country in the past days; older ones fade.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Conversion {
    /// SMS whose outcome is known.
    pub sent: f64,
    /// SMS whose code was typed back.
    pub approved: f64,
}

impl Conversion {
    /// The share whose code was typed back; `None` while there are too few SMS.
    #[must_use]
    pub fn rate(self) -> Option<f64> {
        (self.sent >= MIN_SENT).then(|| self.approved / self.sent)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_concluded_from_little_or_from_nothing_typed_back() {
        assert_eq!(Conversion { sent: 199.0, approved: 180.0 }.rate(), None);
        assert_eq!(Conversion { sent: 200.0, approved: 180.0 }.rate(), Some(0.9));
        assert_eq!(CusumTest::for_prefix(0.0, GuardAction::Refuse), None, "a load test");
        assert_eq!(CusumTest::for_prefix(0.29, GuardAction::Refuse), None);
        let strictest = CusumTest::for_prefix(1.0, GuardAction::Refuse).expect("a test");
        assert!(
            strictest.miss_weight * 3.0 < strictest.threshold,
            "three who mistyped are no abuse: {strictest:?}"
        );
    }

    #[test]
    fn what_is_like_all_others_is_rarely_taken_for_abused() {
        let mut random = 7_u64;
        let prefix = |rate| (CusumTest::for_prefix(rate, GuardAction::Refuse), 100);
        let country = |rate| (CusumTest::for_country(rate, GuardAction::Refuse), 1);
        for (rate, (test, max_alarms)) in [0.5, 0.8, 0.9]
            .into_iter()
            .flat_map(|rate| [(rate, prefix(rate)), (rate, country(rate))])
        {
            let test = test.expect("a test");
            let (mut score, mut alarms) = (0.0_f64, 0);
            for _ in 0..1_000_000 {
                // A linear congruential generator (Knuth's MMIX).
                random = random
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1_442_695_040_888_963_407);
                let typed_back = (random >> 40) as f64 / (1_u64 << 24) as f64 <= rate;
                score =
                    (score + if typed_back { test.hit_weight } else { test.miss_weight }).max(0.0);
                if score >= test.threshold {
                    (score, alarms) = (0.0, alarms + 1);
                }
            }
            assert!(alarms <= max_alarms, "{alarms} of a million at {rate}");
        }
    }
}
