//! Quotas: the limit of one subject, and the rule by which it has room. Values only: the store
//! counts.

use std::time::Duration;

use crate::conversion_test::CusumTest;
use crate::verification_id::NumberTag;

/// Scope of a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// SMS to one number.
    Number,
    /// SMS that one IP address requests; of IPv6, one /64.
    Ip,
    /// SMS to one prefix: the numbers that differ in their last four digits only.
    Prefix,
    /// SMS to one country.
    Country,
    /// SMS that one tenant (the holder of an API key) requests.
    Tenant,
    /// All SMS.
    Total,
    /// Wrong codes from one address.
    WrongIp,
    /// All wrong codes.
    Wrong,
    /// SMS to a prefix or country whose codes nobody types back: [`crate::conversion_test`].
    Conversion,
    /// Money: [`crate::budget`].
    Budget,
    /// The solution of one challenge, which counts once: [`crate::proof_of_work`].
    Proof,
}

impl Scope {
    /// Scopes that `LIMITS` sets.
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

    /// Name of the scope in `LIMITS` and in the `violated_policies` of a response.
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

/// A maximum in a period.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// The maximum.
    pub max: u32,
    /// The period.
    pub period: Duration,
}

impl Window {
    /// The interval at which a cell rate allows one more.
    pub fn interval(self) -> Duration {
        self.period / self.max
    }
}

/// The limit of one subject, such as an address or a prefix.
#[derive(Debug, Clone, PartialEq)]
pub struct Quota {
    /// Its scope.
    pub scope: Scope,
    /// The subject that it is counted for; empty if it is counted for all.
    pub subject: String,
    /// The rule by which it has room.
    pub rule: QuotaRule,
}

/// The rule by which a limit has room.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum QuotaRule {
    /// Room while the maximum of the period is not reached.
    Rate(Window),
    /// Room while the codes of a prefix are typed back.
    Conversion(CusumTest),
    /// Room while the codes of a country are typed back as usual. This rule requires a challenge
    /// and refuses nothing.
    Country(CusumTest),
    /// Room while there is money.
    Budget(BudgetRule),
    /// Room while the windows of a number have room. The subject is the number's tag: its
    /// verifications count on the same windows.
    Number(NumberWindows),
}

/// The windows of a number, for SMS that are of no verification.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct NumberWindows {
    /// One for each period that a limit can have, at most.
    windows: [Option<Window>; 4],
    /// True if half of each maximum is left for this SMS.
    halved: bool,
    /// True if verifications do not count on them.
    own: bool,
}

impl NumberWindows {
    /// These windows, of which four are kept: as many periods as a limit can have.
    #[must_use]
    pub fn new(windows: impl IntoIterator<Item = Window>) -> Self {
        let mut kept = Self::default();
        for (place, window) in kept.windows.iter_mut().zip(windows) {
            *place = Some(window);
        }
        kept
    }

    /// The same windows with half of each maximum for this SMS, and at least one.
    #[must_use]
    pub fn halved(self) -> Self {
        Self { halved: true, ..self }
    }

    /// The same windows, on which verifications do not count.
    #[must_use]
    pub fn own(self) -> Self {
        Self { own: true, ..self }
    }

    /// True if verifications do not count on them.
    #[must_use]
    pub fn is_own(&self) -> bool {
        self.own
    }

    /// The windows in which SMS are remembered.
    pub fn all(&self) -> impl Iterator<Item = Window> {
        self.windows.into_iter().flatten()
    }

    /// The windows that must have room for this SMS.
    pub fn for_this(&self) -> impl Iterator<Item = Window> {
        let halved = self.halved;
        self.all().map(move |window| match halved {
            true => Window { max: (window.max / 2).max(1), ..window },
            false => window,
        })
    }
}

/// One SMS on a budget. Amounts are in millionths of a USD.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BudgetRule {
    /// Price of the SMS.
    pub price: u64,
    /// Amount that may be spent on any number.
    pub soft_cap: u64,
    /// Amount that may be spent when the number was verified before: the budget and its reserve.
    pub hard_cap: u64,
    /// The hour, or the day.
    pub period: Duration,
}

/// The conversion limit of a prefix.
#[must_use]
pub fn prefix_quota(subject: String, test: CusumTest) -> Quota {
    Quota { scope: Scope::Conversion, subject, rule: QuotaRule::Conversion(test) }
}

/// The windows of a number.
#[must_use]
pub fn number_quota(tag: NumberTag, windows: NumberWindows) -> Quota {
    Quota { scope: Scope::Number, subject: tag.to_string(), rule: QuotaRule::Number(windows) }
}

/// The conversion limit of a country.
#[must_use]
pub fn country_quota(subject: String, test: CusumTest) -> Quota {
    Quota { scope: Scope::Conversion, subject, rule: QuotaRule::Country(test) }
}
