//! The budget: how much money the SMS of an hour and of a day may cost.
//!
//! What an SMS costs, its country says. When the budget of the present hour or day is spent, a
//! reserve is left for numbers that were verified before; when that is spent too, no SMS is sent
//! until the hour or the day (of UTC) is over.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use tracing::warn;

use crate::phone::{Countries, Country, Region};
use crate::quota::{BudgetRule, Quota, QuotaRule, Scope};

/// The default prices: `PRICES` overrides them.
const PRICES: &str = include_str!("../prices.toml");

/// Periods by name, in seconds.
const PERIODS: [(&str, u64); 2] = [("hour", 3600), ("day", 86_400)];

/// Reserve beyond the budget, for numbers that were verified before: a fifth of it.
const RESERVE: u64 = 5;

/// Largest budget, in USD: a thousand million.
const MAX_BUDGET: f64 = 1e9;

/// Money, in millionths of a USD.
type Micros = u64;

/// `BUDGET`, with `PRICES`.
#[derive(Debug, Clone, Default)]
pub struct Budget(Arc<Spending>);

#[derive(Debug, Default)]
struct Spending {
    caps: Vec<(Micros, Duration)>,
    prices: HashMap<String, Micros>,
    /// Codes of the countries whose price `PRICES` sets.
    own: HashSet<String>,
    other: Micros,
    network: Micros,
}

/// An invalid `BUDGET` or `PRICES`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BudgetError {
    /// A budget in another form than `20/hour`.
    #[error("{0:?} is not of the form 20/hour or 12.50/day")]
    Form(String),
    /// A period that occurs twice.
    #[error("duplicate {0:?}")]
    Duplicate(String),
    /// A price in another form than `CN=0.05`.
    #[error("{0:?} is not of the form CN=0.05, +881=0.10, or other=0.10 for all other countries")]
    Price(String),
    /// A price of a region without mobile numbers of its own: no SMS would have it.
    #[error(
        "{0:?} names a region without mobile numbers of its own, which are counted to {main}",
        main = .1.code()
    )]
    Within(String, Region),
}

impl BudgetError {
    /// Name of the variable that is invalid.
    #[must_use]
    pub fn variable(&self) -> &'static str {
        match self {
            Self::Price(_) | Self::Within(..) => "PRICES",
            Self::Form(_) | Self::Duplicate(_) => "BUDGET",
        }
    }
}

impl Budget {
    /// No budget: no limit on what SMS cost.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// Reads a list such as `20/hour,100/day` in USD, and prices such as `CN=0.05,other=0.10`,
    /// which replace the default ones.
    ///
    /// # Errors
    /// [`BudgetError`] quotes the invalid part.
    pub fn parse(budget: &str, prices: &str) -> Result<Self, BudgetError> {
        let mut spending = Spending::with_prices(prices)?;
        for item in items(budget) {
            let form = || BudgetError::Form(item.to_owned());
            let (amount, period) = item.split_once('/').ok_or_else(form)?;
            let amount = money(amount).filter(|amount| *amount > 0).ok_or_else(form)?;
            let (_, seconds) =
                PERIODS.into_iter().find(|(name, _)| *name == period).ok_or_else(form)?;
            let period = Duration::from_secs(seconds);
            if spending.caps.iter().any(|(_, other)| *other == period) {
                return Err(BudgetError::Duplicate(item.to_owned()));
            }
            spending.caps.push((amount, period));
        }
        Ok(Self(Arc::new(spending)))
    }

    /// Returns true if there is a budget.
    #[must_use]
    pub fn is_set(&self) -> bool {
        !self.0.caps.is_empty()
    }

    /// The assumed prices, as `CN=0.1,HK=0.07`: those of allowed countries that `PRICES` does not
    /// set. `None` without a budget, or if `PRICES` sets all of them.
    #[must_use]
    pub fn assumed(&self, countries: &Countries) -> Option<String> {
        if !self.is_set() {
            return None;
        }
        let Some(codes) = countries.codes() else {
            return self.0.own.is_empty().then(|| "every country".to_owned());
        };
        let assumed = codes
            .iter()
            .filter(|code| !self.0.own.contains(**code))
            .filter_map(|code| Country::parse(code));
        let shown: Vec<String> =
            assumed.map(|country| format!("{}={}", country.code(), self.usd(country))).collect();
        (!shown.is_empty()).then(|| shown.join(","))
    }

    #[expect(clippy::cast_precision_loss, reason = "prices are small")]
    fn usd(&self, country: Country) -> f64 {
        self.price(country) as f64 / 1e6
    }

    /// Logs a warning with the assumed prices, if there are any: they are an international
    /// vendor's, and may be far from the gateway's own.
    pub fn warn_of_assumed(&self, countries: &Countries) {
        if let Some(prices) = self.assumed(countries) {
            warn!(
                prices,
                "BUDGET counts an international vendor's list prices, which within China are about \
                fifteen times a gateway's own: set PRICES to what yours charges, such as \
                PRICES=CN=0.008 (docs/operations/abuse.md)"
            );
        }
    }

    /// Price of an SMS to a country, in millionths of a USD.
    pub fn price(&self, country: Country) -> u64 {
        let Spending { prices, other, network, .. } = &*self.0;
        let otherwise = if country.is_network() { network } else { other };
        prices.get(country.code()).copied().unwrap_or(*otherwise)
    }

    /// The quotas that an SMS to a country counts against.
    #[must_use]
    pub fn quotas(&self, country: Country) -> Vec<Quota> {
        let price = self.price(country);
        let quota = |&(soft_cap, period): &(Micros, Duration)| {
            let rule = QuotaRule::Budget(BudgetRule {
                price,
                soft_cap,
                hard_cap: soft_cap + soft_cap / RESERVE,
                period,
            });
            Quota { scope: Scope::Budget, subject: String::new(), rule }
        };
        self.0.caps.iter().map(quota).collect()
    }
}

impl Spending {
    fn with_prices(own: &str) -> Result<Self, BudgetError> {
        let mut spending = Self::default();
        for (country, price) in table() {
            match country {
                "other" => spending.other = micros(price),
                "network" => spending.network = micros(price),
                code => drop(spending.prices.insert(code.to_owned(), micros(price))),
            }
        }
        for item in items(own) {
            let form = || BudgetError::Price(item.to_owned());
            let (country, price) = item.split_once('=').ok_or_else(form)?;
            let price = money(price.trim()).ok_or_else(form)?;
            match country.trim() {
                "other" => spending.other = price,
                code => {
                    let code = priced(code, item)?.code();
                    spending.own.insert(code.to_owned());
                    spending.prices.insert(code.to_owned(), price);
                }
            }
        }
        Ok(spending)
    }
}

/// Reads the country that a price is for.
fn priced(code: &str, item: &str) -> Result<Country, BudgetError> {
    if let Some(main) = Region::parse(code).and_then(Region::within) {
        return Err(BudgetError::Within(code.to_owned(), main));
    }
    Country::parse(code).ok_or_else(|| BudgetError::Price(item.to_owned()))
}

/// The prices of `prices.toml`. It uses only this much of TOML, because a full parser would slow
/// the start.
fn table() -> impl Iterator<Item = (&'static str, f64)> {
    let lines = PRICES.lines().filter(|line| !line.starts_with('#'));
    lines
        .filter_map(|line| line.split_once(" = "))
        .filter_map(|(name, price)| Some((name, price.parse().ok()?)))
}

fn items(list: &str) -> impl Iterator<Item = &str> {
    list.split(',').map(str::trim).filter(|item| !item.is_empty())
}

fn money(text: &str) -> Option<Micros> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    text.parse().ok().filter(|usd: &f64| plain && *usd <= MAX_BUDGET).map(micros)
}

/// Converts USD to millionths, rounded up.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "prices and budgets are neither large nor negative"
)]
fn micros(usd: f64) -> Micros {
    (usd * 1e6).ceil() as Micros
}

#[cfg(test)]
mod tests {
    use super::*;

    fn country(code: &str) -> Country {
        Country::parse(code).expect(code)
    }

    fn allowances(budget: &Budget, code: &str) -> Vec<BudgetRule> {
        let allowance = |quota: Quota| match quota.rule {
            QuotaRule::Budget(allowance) => allowance,
            other => panic!("{other:?}"),
        };
        budget.quotas(country(code)).into_iter().map(allowance).collect()
    }

    #[test]
    fn an_sms_costs_what_its_country_does() {
        let budget = Budget::parse("20/hour, 12.50/day", "CN=0.05, other=0.2").expect("valid");
        let [hour, day] = allowances(&budget, "CN")[..] else { panic!("two") };
        assert_eq!((hour.price, hour.soft_cap, hour.hard_cap), (50_000, 20_000_000, 24_000_000));
        assert_eq!((day.soft_cap, day.period.as_secs()), (12_500_000, 86_400));
        assert_eq!(allowances(&budget, "FO")[0].price, 200_000, "any other");
        let network = allowances(&budget, "+881")[0].price;
        assert!(network > 0 && network != 200_000, "no country has it: {network}");
        let named = Budget::parse("20/hour", "+881=2.50,other=0.2").expect("valid");
        assert_eq!(
            ["+881", "+870"].map(|code| allowances(&named, code)[0].price),
            [2_500_000, network]
        );
        assert!(!Budget::none().is_set() && Budget::none().quotas(country("CN")).is_empty());
        assert!(!Budget::parse("", "").expect("none").is_set());
    }

    #[test]
    fn prices_that_are_only_assumed_are_told() {
        let assumed = |budget, prices, countries| {
            let countries = Countries::parse(countries).expect(countries);
            Budget::parse(budget, prices).expect(budget).assumed(&countries)
        };
        assert_eq!(assumed("5/day", "", "CN").as_deref(), Some("CN=0.1082"));
        assert_eq!(
            assumed("5/day", "CN=0.008", "CN,HK,+881").as_deref(),
            Some("HK=0.0723,+881=0.1")
        );
        assert_eq!(
            assumed("5/day", "other=0.2", "CN").as_deref(),
            Some("CN=0.1082"),
            "which is no other"
        );
        assert_eq!(assumed("5/day", "", "all").as_deref(), Some("every country"));
        for (budget, prices, countries) in
            [("", "", "CN"), ("5/day", "CN=0.008", "CN"), ("5/day", "CN=0.008", "all")]
        {
            assert_eq!(assumed(budget, prices, countries), None, "{budget} {prices} {countries}");
        }
    }

    #[test]
    fn the_table_is_read_as_toml_reads_it() {
        let toml: toml::Table = toml::from_str(PRICES).expect("TOML");
        let countries = toml["countries"].as_table().expect("a table");
        let read: HashMap<&str, f64> = table().collect();
        assert_eq!(read.len(), countries.len() + 2);
        assert_eq!(
            ["other", "network"].map(|name| toml[name].as_float()),
            ["other", "network"].map(|name| Some(read[name]))
        );
        for (code, price) in countries {
            assert_eq!(price.as_float(), Some(read[code.as_str()]), "{code}");
            assert_eq!(
                Region::parse(code).map(|region| (region.code(), region.within())),
                Some((code.as_str(), None))
            );
            assert!((0.0005..1.0).contains(&read[code.as_str()]), "{code}");
        }
    }

    #[test]
    fn what_is_wrong_is_quoted() {
        for (budget, prices, part) in [
            ("20", "", "\"20\""),
            ("20/week", "", "\"20/week\""),
            ("0/day", "", "\"0/day\""),
            ("-5/day", "", "\"-5/day\""),
            ("1e3/day", "", "\"1e3/day\""),
            ("5/day,6/day", "", "duplicate \"6/day\""),
            ("5/day", "CN", "\"CN\""),
            ("5/day", "China=1", "\"China=1\""),
            ("5/day", "CN=free", "\"CN=free\""),
            ("5/day", "+99=1", "\"+99=1\""),
            ("5/day", "881=1", "\"881=1\""),
            (
                "5/day",
                "AX=1",
                "\"AX\" names a region without mobile numbers of its own, which are counted to FI",
            ),
        ] {
            let error = Budget::parse(budget, prices).expect_err(budget).to_string();
            assert!(error.contains(part), "{budget} {prices}: {error}");
        }
    }
}
