//! Limits: the number of SMS that one number, one caller, one prefix, one country, or all together
//! may cause in a period, and the number of wrong codes.
//!
//! The limits of a number itself use an exact sliding window. All others are cell rates (GCRA):
//! `max` may come at once, and then one in every `period / max`; so each is a single timestamp in
//! the store, whatever it counts.

use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;
use std::time::Duration;

use crate::phone::{Country, PhoneNumber};
use crate::quota::{NumberWindows, Quota, QuotaRule, Scope, Window};
use crate::secrets::Secrets;

/// The default limits.
const DEFAULT: &str = "number=5/hour,10/day ip=100/hour prefix=300/hour wrong-ip=100/hour";

/// Periods by name, in seconds.
const PERIODS: [(&str, u64); 4] = [("second", 1), ("minute", 60), ("hour", 3600), ("day", 86_400)];

/// Shortest interval of a cell rate, which is kept in microseconds: here, rounding makes it wrong
/// by a thousandth at most.
const MIN_INTERVAL: Duration = Duration::from_millis(1);

/// Highest limit of a number's window: the store keeps the time of each SMS.
const MAX_PER_NUMBER: u32 = 100;

/// `LIMITS`: a list such as `number=5/hour,10/day ip=100/hour country=off`. Scopes that it does not
/// name keep their defaults; `off` alone means no limits at all.
///
/// ```
/// use std::time::Duration;
///
/// use sms_domain::limits::{Limits, LimitsError};
/// use sms_domain::quota::{Scope, Window};
///
/// let limits = Limits::parse("ip=20/hour prefix=off")?;
/// let twenty = Window { max: 20, period: Duration::from_secs(3600) };
/// assert_eq!(limits.of(Scope::Ip).collect::<Vec<_>>(), [twenty]);
/// assert_eq!(limits.of(Scope::Prefix).count(), 0);
/// assert_eq!(limits.of(Scope::Number).count(), 2, "by default: in an hour, and in a day");
/// # Ok::<(), LimitsError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits(Arc<[(Scope, Window)]>);

/// An invalid `LIMITS`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LimitsError {
    /// A limit in another form than `ip=100/hour`.
    #[error("{0:?} is not of the form ip=100/hour or ip=off")]
    Form(String),
    /// No such scope.
    #[error(
        "unknown scope {0:?}: use number, ip, prefix, country, tenant, total, wrong-ip or wrong"
    )]
    Scope(String),
    /// A maximum of 0, or one that is too high for its period.
    #[error(
        "limit {0:?} must allow at least 1, and at most 1000 per second \
         (at most {MAX_PER_NUMBER} for number)"
    )]
    OutOfRange(String),
    /// A scope or a period that occurs twice.
    #[error("duplicate {0:?}")]
    Duplicate(String),
}

impl Limits {
    /// No limits at all.
    #[must_use]
    pub fn none() -> Self {
        Self(Arc::new([]))
    }

    /// Reads a list.
    ///
    /// # Errors
    /// [`LimitsError`] quotes the invalid part.
    pub fn parse(text: &str) -> Result<Self, LimitsError> {
        if text.trim() == "off" {
            return Ok(Self::none());
        }
        let List { named, mut windows } = List::parse(text)?;
        let defaults = List::parse(DEFAULT)?;
        windows.extend(defaults.windows.into_iter().filter(|(scope, _)| !named.contains(scope)));
        Ok(Self(windows.into()))
    }

    /// The windows of a scope.
    pub fn of(&self, scope: Scope) -> impl Iterator<Item = Window> {
        self.0.iter().filter(move |(of, _)| *of == scope).map(|(_, window)| *window)
    }

    /// The windows of a number for SMS whose code somebody else made: at least five an hour, since
    /// nobody else may count them.
    #[must_use]
    pub fn of_message(&self) -> NumberWindows {
        let mut windows = self.of(Scope::Number).peekable();
        match windows.peek() {
            Some(_) => NumberWindows::new(windows),
            None => {
                NumberWindows::new([Window { max: 5, period: Duration::from_secs(3600) }]).own()
            }
        }
    }

    /// The quotas that a request for an SMS counts against, without those of the number itself.
    #[must_use]
    pub fn request(
        &self,
        to: &PhoneNumber,
        country: Country,
        ip: Option<IpAddr>,
        tenant: Option<&str>,
        secrets: &Secrets,
    ) -> Vec<Quota> {
        self.quotas(|scope| match scope {
            Scope::Ip => ip.map(|ip| address(ip, secrets)),
            Scope::Prefix => Some(to.prefix().to_owned()),
            Scope::Country => Some(country.code().to_owned()),
            Scope::Tenant => tenant.map(ToOwned::to_owned),
            Scope::Total => Some(String::new()),
            _ => None,
        })
    }

    /// The quotas that a wrong code counts against, without that of the number itself.
    #[must_use]
    pub fn check(&self, ip: Option<IpAddr>, secrets: &Secrets) -> Vec<Quota> {
        self.quotas(|scope| match scope {
            Scope::WrongIp => ip.map(|ip| address(ip, secrets)),
            Scope::Wrong => Some(String::new()),
            _ => None,
        })
    }

    fn quotas(&self, subject: impl Fn(Scope) -> Option<String>) -> Vec<Quota> {
        let quotas = self.0.iter().map(|&(scope, window)| {
            Some(Quota { scope, subject: subject(scope)?, rule: QuotaRule::Rate(window) })
        });
        quotas.flatten().collect()
    }
}

impl Default for Limits {
    fn default() -> Self {
        // A test reads the text.
        Self::parse("").unwrap_or_else(|_| Self::none())
    }
}

/// The scopes that a text names, and their windows.
#[derive(Default)]
struct List {
    named: Vec<Scope>,
    windows: Vec<(Scope, Window)>,
}

impl List {
    fn parse(text: &str) -> Result<Self, LimitsError> {
        let mut list = Self::default();
        for item in text.split_whitespace() {
            let (name, values) =
                item.split_once('=').ok_or_else(|| LimitsError::Form(item.to_owned()))?;
            let scope = Scope::ALL.into_iter().find(|scope| scope.as_str() == name);
            let scope = scope.ok_or_else(|| LimitsError::Scope(name.to_owned()))?;
            if list.named.contains(&scope) {
                return Err(LimitsError::Duplicate(name.to_owned()));
            }
            list.named.push(scope);
            for value in values.split(',').filter(|_| values != "off") {
                let window = window(scope, value)?;
                if list
                    .windows
                    .iter()
                    .any(|&(of, Window { period, .. })| (of, period) == (scope, window.period))
                {
                    return Err(LimitsError::Duplicate(value.to_owned()));
                }
                list.windows.push((scope, window));
            }
        }
        Ok(list)
    }
}

/// Reads `100/hour`.
fn window(scope: Scope, text: &str) -> Result<Window, LimitsError> {
    let form = || LimitsError::Form(format!("{}={text}", scope.as_str()));
    let (max, period) = text.split_once('/').ok_or_else(form)?;
    let max: u32 = max.parse().map_err(|_| form())?;
    let (_, seconds) = PERIODS.into_iter().find(|(name, _)| *name == period).ok_or_else(form)?;
    let period = Duration::from_secs(seconds);
    let fits = max > 0
        && match scope {
            Scope::Number => max <= MAX_PER_NUMBER,
            _ => period / max >= MIN_INTERVAL,
        };
    fits.then_some(Window { max, period }).ok_or_else(|| LimitsError::OutOfRange(text.to_owned()))
}

/// Subject of the limits of an address: a keyed hash, since the store holds no address.
fn address(ip: IpAddr, secrets: &Secrets) -> String {
    let network = match ip.to_canonical() {
        IpAddr::V4(ip) => IpAddr::V4(ip),
        // One host usually has a whole /64.
        IpAddr::V6(ip) => IpAddr::V6(Ipv6Addr::from_bits(ip.to_bits() & !u128::from(u64::MAX))),
    };
    secrets.keyed_hash(network.to_string().as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::phone::Region;

    fn secrets() -> Secrets {
        Secrets::from_random([1; 32])
    }

    #[test]
    fn what_is_not_named_stays_and_what_is_named_takes_its_place() {
        let default = Limits::default();
        assert_eq!(Limits::parse(""), Ok(default.clone()));
        assert_eq!(default.0.len(), DEFAULT.split([' ', ',']).count(), "all of it is read");
        let limits = Limits::parse(" ip=7/minute  number=off country=100/day,5/second wrong=9/day")
            .expect("valid");
        let windows = |scope| {
            limits.of(scope).map(|window| (window.max, window.period.as_secs())).collect::<Vec<_>>()
        };
        assert_eq!((windows(Scope::Ip), windows(Scope::Number)), (vec![(7, 60)], vec![]));
        assert_eq!(windows(Scope::Country), [(100, 86_400), (5, 1)]);
        assert_eq!(
            (windows(Scope::WrongIp), windows(Scope::Wrong)),
            (vec![(100, 3600)], vec![(9, 86_400)])
        );
        assert_eq!(Limits::parse("off"), Ok(Limits::none()));
    }

    #[test]
    fn what_is_wrong_is_quoted() {
        for (text, part) in [
            ("ip", "\"ip\" is not of the form"),
            ("ip=5", "\"ip=5\" is not of the form"),
            ("ip=5/week", "\"ip=5/week\""),
            ("ip=-5/hour", "\"ip=-5/hour\""),
            ("adress=5/hour", "unknown scope \"adress\""),
            ("ip=0/hour", "limit \"0/hour\" must allow at least 1"),
            ("total=1001/second", "at most 1000 per second"),
            ("number=101/day", "at most 100 for number"),
            ("ip=5/hour ip=6/hour", "duplicate \"ip\""),
            ("ip=5/hour,6/hour", "duplicate \"6/hour\""),
            ("ip=off,5/hour", "\"ip=off\" is not of the form"),
        ] {
            let error = Limits::parse(text).expect_err(text).to_string();
            assert!(error.contains(part), "{text}: {error}");
        }
    }

    #[test]
    fn a_subject_names_neither_a_number_nor_an_address() {
        let limits = Limits::parse("country=1/day total=1/day wrong=1/day").expect("valid");
        let home = Region::default();
        let (to, country) =
            (PhoneNumber::parse("13800138000", home).expect("a number"), Country::from(home));
        let subjects = |ip: &str| {
            let ip = Some(ip.parse().expect("an address"));
            let [requests, checks] =
                [limits.request(&to, country, ip, None, &secrets()), limits.check(ip, &secrets())];
            requests
                .into_iter()
                .chain(checks)
                .map(|quota| (quota.scope, quota.subject))
                .collect::<Vec<_>>()
        };
        let of = |ip: &str, scope| {
            subjects(ip).into_iter().find(|(of, _)| *of == scope).map(|(_, subject)| subject)
        };
        assert_eq!(of("192.0.2.1", Scope::Prefix), Some("+861380013".to_owned()));
        assert_eq!(of("192.0.2.1", Scope::Country), Some("CN".to_owned()));
        assert!(!format!("{:?}", subjects("192.0.2.1")).contains("192.0"));
        let ip = |text| of(text, Scope::Ip);
        assert_ne!(ip("192.0.2.1"), ip("192.0.2.2"));
        assert_eq!(ip("192.0.2.1"), ip("::ffff:192.0.2.1"));
        assert_eq!(ip("192.0.2.1"), of("192.0.2.1", Scope::WrongIp));
        assert_eq!(ip("2001:db8:0:1::1"), ip("2001:db8:0:1:ffff::2"), "one /64");
        assert_ne!(ip("2001:db8:0:1::1"), ip("2001:db8:0:2::1"), "another");
        assert_eq!(
            limits.request(&to, country, None, None, &secrets()).len(),
            3,
            "nobody is not limited"
        );
    }
}
