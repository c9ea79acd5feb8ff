//! Addresses whose credentials fail too often: theirs are not looked at for a while.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use sms_domain::sync::lock;
use tracing::warn;

/// Failures of an address within [`PERIOD`] after which its credentials are not looked at.
const MOST: u32 = 20;

/// Time for which failures count, from the first one on.
const PERIOD: Duration = Duration::from_secs(60);

/// Addresses that are remembered: enough for those of one attack, and some megabytes at most.
const ADDRESSES: usize = 50_000;

/// The failures of this process's callers, by address.
#[derive(Debug, Clone, Default)]
pub struct FailedCredentials(Arc<Mutex<HashMap<IpAddr, Failures>>>);

#[derive(Debug)]
struct Failures {
    count: u32,
    since: Instant,
}

impl FailedCredentials {
    /// The time for which the credentials of an address are not looked at; `None` if they are.
    pub(crate) fn wait(&self, ip: Option<IpAddr>, now: Instant) -> Option<Duration> {
        let all = lock(&self.0);
        let failures = all.get(&network(ip?)).filter(|failures| failures.count >= MOST)?;
        let wait = PERIOD.saturating_sub(now.duration_since(failures.since));
        (!wait.is_zero()).then_some(wait)
    }

    /// Counts credentials that have failed.
    pub(crate) fn add(&self, ip: Option<IpAddr>, now: Instant) {
        let Some(ip) = ip.map(network) else { return };
        let mut all = lock(&self.0);
        if all.len() >= ADDRESSES && !all.contains_key(&ip) {
            all.retain(|_, failures| now.duration_since(failures.since) < PERIOD);
            // Who has that many addresses is not stopped by what one of them may do.
            if all.len() >= ADDRESSES {
                all.clear();
            }
        }
        let failures = all.entry(ip).or_insert(Failures { count: 0, since: now });
        if now.duration_since(failures.since) >= PERIOD {
            *failures = Failures { count: 0, since: now };
        }
        failures.count += 1;
        if failures.count == MOST {
            warn!(
                "{MOST} wrong credentials from one address: for a minute none of it is looked at"
            );
        }
    }
}

/// One host usually has a whole /64.
fn network(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V4(ip) => IpAddr::V4(ip),
        IpAddr::V6(ip) => IpAddr::V6(Ipv6Addr::from_bits(ip.to_bits() & !u128::from(u64::MAX))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> Option<IpAddr> {
        Some(text.parse().expect("an address"))
    }

    #[test]
    fn an_address_waits_for_a_minute_after_twenty_failures() {
        let (failed, now) = (FailedCredentials::default(), Instant::now());
        for _ in 1..MOST {
            failed.add(ip("2001:db8::1"), now);
        }
        assert_eq!(failed.wait(ip("2001:db8::1"), now), None);
        failed.add(ip("2001:db8::2"), now);
        assert_eq!(failed.wait(ip("2001:db8::3"), now), Some(PERIOD), "one /64");
        assert_eq!(failed.wait(ip("2001:db8:0:1::1"), now), None, "another");
        assert_eq!(failed.wait(None, now), None);
        let later = now + PERIOD;
        assert_eq!(failed.wait(ip("2001:db8::1"), later), None);
        failed.add(ip("2001:db8::1"), later);
        assert_eq!(failed.wait(ip("2001:db8::1"), later), None, "counted anew");
    }

    #[test]
    fn memory_is_bounded() {
        let (failed, now) = (FailedCredentials::default(), Instant::now());
        for address in 0..u32::try_from(ADDRESSES).expect("fits") + 10 {
            failed.add(Some(IpAddr::V4(address.into())), now);
        }
        assert!(lock(&failed.0).len() <= ADDRESSES);
    }
}
