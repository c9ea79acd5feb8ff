//! Quotas: a limit of one subject, and the rule by which it has room. Values alone; the store counts.

use std::time::Duration;

use crate::conversion_test::CusumTest;

/// What a limit is a limit of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// SMS to one number.
    Number,
    /// SMS that one address asks for; of IPv6, one /64.
    Ip,
    /// SMS to one block of numbers: those that differ in their last four digits alone.
    Prefix,
    /// SMS to one country.
    Country,
    /// SMS that one of those who have a key asks for.
    Tenant,
    /// All SMS.
    Total,
    /// Wrong codes from one address.
    WrongIp,
    /// All wrong codes.
    Wrong,
    /// SMS to a block of numbers whose codes nobody types back: `sms_app::conversion_guard`.
    Conversion,
    /// Money: [`crate::budget`].
    Budget,
    /// The answer to one task: `sms_app::challenge`.
    Proof,
}

impl Scope {
    /// Those that `LIMITS` sets.
    pub const ALL: [Self; 8] = [
        Self::Number,
        Self::Ip,
        Self::Prefix,
        Self::Country,
        Self::Tenant,
        Self::Total,
        Self::WrongIp,
        Self::Wrong,
    ];

    /// Its name in `LIMITS` and in the `violated_policies` of an answer.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Number => "number",
            Self::Ip => "ip",
            Self::Prefix => "prefix",
            Self::Country => "country",
            Self::Tenant => "tenant",
            Self::Total => "total",
            Self::WrongIp => "wrong-ip",
            Self::Wrong => "wrong",
            Self::Conversion => "conversion",
            Self::Budget => "budget",
            Self::Proof => "proof",
        }
    }
}

/// So many in so long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// How many.
    pub max: u32,
    /// In how long.
    pub period: Duration,
}

impl Window {
    /// The time for which one of them counts in a cell rate.
    pub fn interval(self) -> Duration {
        self.period / self.max
    }
}

/// A limit of one subject: this address, that block of numbers.
#[derive(Debug, Clone, PartialEq)]
pub struct Quota {
    /// What it is a limit of.
    pub scope: Scope,
    /// Who or what it is counted for; empty where it is counted for all.
    pub subject: String,
    /// When there is room.
    pub rule: QuotaRule,
}

/// When a limit has room.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum QuotaRule {
    /// While there are no more than so many in so long.
    Rate(Window),
    /// While the codes of a block of numbers are typed back.
    Conversion(CusumTest),
    /// While the codes of a country are typed back as usual: a limit that asks for a challenge and
    /// refuses nothing.
    Country(CusumTest),
    /// While there is money.
    Budget(BudgetRule),
}

/// What one SMS counts on a budget.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BudgetRule {
    /// What the SMS costs.
    pub price: u64,
    /// What may be spent on all numbers.
    pub soft_cap: u64,
    /// What may be spent on numbers that were verified before.
    pub hard_cap: u64,
    /// The hour, or the day.
    pub period: Duration,
}

/// The limit of a block.
#[must_use]
pub fn prefix_quota(subject: String, test: CusumTest) -> Quota {
    Quota { scope: Scope::Conversion, subject, rule: QuotaRule::Conversion(test) }
}

/// The limit of a country.
#[must_use]
pub fn country_quota(subject: String, test: CusumTest) -> Quota {
    Quota { scope: Scope::Conversion, subject, rule: QuotaRule::Country(test) }
}
