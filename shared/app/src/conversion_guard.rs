//! The conversion guard: asks the store how many codes of a country are typed back, and tests
//! requests against that. The statistics are [`sms_domain::conversion_test::CusumTest`].

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};

use sms_domain::conversion_test::{Conversion, CusumTest, GuardAction, GuardMode};
use sms_domain::phone::{Country, PhoneNumber};
use sms_domain::quota::{Quota, country_quota, prefix_quota};
use sms_domain::secrets::Secrets;
use sms_domain::sync::lock;
use sms_store::{Store, StoreError};

/// Longest time for which a country's base rate is cached, in microseconds.
const MAX_AGE: i64 = 60_000_000;

/// The conversion guard of a process. Clones share the cached rates.
#[derive(Debug, Clone)]
pub struct ConversionGuard {
    mode: GuardMode,
    /// Conversion by country, each with the time at which the store returned it.
    cache: Arc<Mutex<HashMap<&'static str, (Conversion, i64)>>>,
}

impl ConversionGuard {
    /// A guard with an empty cache.
    #[must_use]
    pub fn new(mode: GuardMode) -> Self {
        Self { mode, cache: Arc::default() }
    }

    /// Returns the quotas that an SMS to a number counts on: its prefix and its country.
    /// `challenges`: a suspicious request can be challenged, and has not solved one yet.
    ///
    /// # Errors
    /// If the store does not return the country's conversion.
    pub async fn quotas(
        &self,
        store: &Store,
        to: &PhoneNumber,
        country: Country,
        secrets: &Secrets,
        challenges: bool,
    ) -> Result<Vec<Quota>, StoreError> {
        let action = match self.mode {
            GuardMode::Off => return Ok(Vec::new()),
            GuardMode::Observe => GuardAction::Observe,
            GuardMode::Enforce if challenges => GuardAction::Challenge,
            GuardMode::Enforce => GuardAction::Refuse,
        };
        let country = country.code();
        let rate = self.conversion(store, country).await?.rate();
        let of_prefix = rate.and_then(|rate| CusumTest::for_prefix(rate, action));
        let of_country =
            rate.and_then(|rate| CusumTest::for_country(rate, action)).unwrap_or_default();
        let prefix = of_prefix.map(|test| prefix_quota(prefix_hash(to, secrets), test));
        Ok(prefix.into_iter().chain([country_quota(country.to_owned(), of_country)]).collect())
    }

    /// Returns a country's conversion from the cache. One request in a minute refreshes it.
    async fn conversion(
        &self,
        store: &Store,
        country: &'static str,
    ) -> Result<Conversion, StoreError> {
        let now = store.clock().micros();
        let known = self.cache().get(country).copied();
        if let Some((conversion, since)) = known {
            if now - since < MAX_AGE {
                return Ok(conversion);
            }
            self.cache().insert(country, (conversion, now));
        }
        let conversion = store.conversion(country).await?;
        self.cache().insert(country, (conversion, now));
        Ok(conversion)
    }

    /// Locks the cache. It is consistent even if a thread panicked: every change is an insertion.
    fn cache(&self) -> MutexGuard<'_, HashMap<&'static str, (Conversion, i64)>> {
        lock(&self.cache)
    }
}

/// Keyed hash of a number's prefix, the subject of its quota. The prefix is not stored in clear
/// text, since it stands beside the masked number, which shows the other digits.
#[must_use]
pub fn prefix_hash(to: &PhoneNumber, secrets: &Secrets) -> String {
    secrets.keyed_hash(to.prefix().as_bytes())
}
