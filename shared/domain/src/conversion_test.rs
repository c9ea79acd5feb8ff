//! The conversion guard: SMS whose codes nobody types back.
//!
//! Bots that are paid for each SMS ask for codes and have no use for them; people type them back.
//! So it is counted, for each country, how many of the SMS of the past days were; and Page's test
//! (CUSUM) weighs the one hypothesis, that codes are typed back as often as that, against another,
//! that fewer are. An SMS without an approval adds `ln((1 - q) / (1 - p))` to a score, one with an
//! approval `ln(q / p)`, which is negative; the score does not fall below 0.
//!
//! - For each *block of numbers* the other hypothesis is that a quarter as many are typed back.
//!   From a half of the threshold on the block is suspicious, and requests for its numbers have to
//!   solve a challenge. At the threshold it is refused, but for one SMS after two hours, and then
//!   after four, eight and sixteen if those before were in vain, by which it can recover; the score
//!   halves in a day.
//! - For each *country* it is that three quarters as many are. At the threshold its requests have
//!   to solve a challenge, for two hours, and for four, eight and sixteen if it happens again
//!   within a day. No country is refused.
//!
//! Of a block or a country whose codes are typed back as usual, the score reaches the threshold
//! `-ln(ERROR)` once in 1 / ERROR SMS or less often (Lorden 1971): that is the error rate.

/// How often a block is taken for one that is abused although it is not: once in so many SMS, or
/// less often.
const ERROR: f64 = 1e-4;

/// Of a block that is abused, so many of the codes that are typed back elsewhere are.
const ABUSED: f64 = 0.25;

/// The same of a country, which has many more SMS.
const COUNTRY_ERROR: f64 = 1e-6;

const COUNTRY_ABUSED: f64 = 0.75;

/// Fewest SMS of a country whose outcome is known, before anything is concluded from them.
const LEAST: f64 = 200.0;

/// Where fewer codes than that are typed back, the guard knows nothing: nobody tells it of
/// approvals, or all is abuse.
const LEAST_RATE: f64 = 0.3;

/// A rate very close to 1 would make a suspect of everybody who mistypes a number.
const MOST_RATE: f64 = 0.95;

/// `GUARD`: what is done about a block that is abused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum GuardMode {
    /// Nothing is counted.
    Off,
    /// It is logged.
    Observe,
    /// It is refused.
    #[default]
    Enforce,
}

impl GuardMode {
    /// Reads the word for it.
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

/// What is done where codes are not typed back as usual.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum GuardAction {
    /// It is told.
    #[default]
    Observe,
    /// A block that is abused is refused.
    Refuse,
    /// A block that is abused is refused, and what is suspicious has to solve a challenge first.
    Challenge,
}

/// How SMS and approvals are weighed. Where there is nothing to weigh them against, they are only
/// counted, and all is 0.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct CusumTest {
    /// What is done about it.
    pub answer: GuardAction,
    /// The score from which on something is wrong.
    pub threshold: f64,
    /// What an SMS without an approval adds.
    pub miss_weight: f64,
    /// What one with an approval adds.
    pub hit_weight: f64,
}

impl CusumTest {
    /// The test of a block against the base rate of its country; nothing where there is none to
    /// test against.
    #[must_use]
    pub fn for_prefix(rate: f64, answer: GuardAction) -> Option<Self> {
        Self::against(rate, ABUSED, ERROR, answer)
    }

    /// The test of a country against its own base rate.
    #[must_use]
    pub fn for_country(rate: f64, answer: GuardAction) -> Option<Self> {
        Self::against(rate, COUNTRY_ABUSED, COUNTRY_ERROR, answer)
    }

    fn against(rate: f64, abused: f64, error: f64, answer: GuardAction) -> Option<Self> {
        let good = rate.min(MOST_RATE);
        let bad = good * abused;
        let test = Self {
            answer,
            threshold: -error.ln(),
            miss_weight: ((1.0 - bad) / (1.0 - good)).ln(),
            hit_weight: (bad / good).ln(),
        };
        (rate >= LEAST_RATE).then_some(test)
    }
}

/// What became of the SMS to a country in the past days.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Conversion {
    /// SMS whose outcome is known.
    pub sent: f64,
    /// Those whose code was typed back.
    pub approved: f64,
}

impl Conversion {
    /// The share whose code was typed back, once there are enough to tell.
    #[must_use]
    pub fn rate(self) -> Option<f64> {
        (self.sent >= LEAST).then(|| self.approved / self.sent)
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
        let of_block = |rate| (CusumTest::for_prefix(rate, GuardAction::Refuse), 100);
        let of_country = |rate| (CusumTest::for_country(rate, GuardAction::Refuse), 1);
        for (rate, (test, most)) in [0.5, 0.8, 0.9]
            .into_iter()
            .flat_map(|rate| [(rate, of_block(rate)), (rate, of_country(rate))])
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
            assert!(alarms <= most, "{alarms} of a million at {rate}");
        }
    }
}
