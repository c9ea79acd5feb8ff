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

/// How old a base rate may be, in microseconds.
const FRESH: i64 = 60_000_000;

/// The guard of a process. Clones share what they have learned.
#[derive(Debug, Clone)]
pub struct ConversionGuard {
    mode: GuardMode,
    /// By country, with the time at which the store said so.
    learned: Arc<Mutex<HashMap<String, (Conversion, i64)>>>,
}

impl ConversionGuard {
    /// A guard that has learned nothing yet.
    #[must_use]
    pub fn new(mode: GuardMode) -> Self {
        Self { mode, learned: Arc::default() }
    }

    /// What an SMS to a number counts on. `challenges`: something can be asked of whoever is
    /// suspicious, and nothing has been solved yet.
    ///
    /// # Errors
    /// When the store cannot be asked for what became of the SMS to the country.
    pub async fn quotas(
        &self,
        store: &Store,
        to: &PhoneNumber,
        country: Country,
        secrets: &Secrets,
        challenges: bool,
    ) -> Result<Vec<Quota>, StoreError> {
        let answer = match self.mode {
            GuardMode::Off => return Ok(Vec::new()),
            GuardMode::Observe => GuardAction::Observe,
            GuardMode::Enforce if challenges => GuardAction::Challenge,
            GuardMode::Enforce => GuardAction::Refuse,
        };
        let country = country.code();
        let rate = self.conversion(store, &country).await?.rate();
        let of_block = rate.and_then(|rate| CusumTest::for_prefix(rate, answer));
        let of_country =
            rate.and_then(|rate| CusumTest::for_country(rate, answer)).unwrap_or_default();
        let block = of_block.map(|test| prefix_quota(block(to, secrets), test));
        Ok(block.into_iter().chain([country_quota(country, of_country)]).collect())
    }

    /// What is known of a country. One request in a minute asks the store anew.
    async fn conversion(&self, store: &Store, country: &str) -> Result<Conversion, StoreError> {
        let now = store.clock().micros();
        let known = self.learned().get(country).copied();
        if let Some((conversion, since)) = known {
            if now - since < FRESH {
                return Ok(conversion);
            }
            self.learned().insert(country.to_owned(), (conversion, now));
        }
        let conversion = store.conversion(country).await?;
        self.learned().insert(country.to_owned(), (conversion, now));
        Ok(conversion)
    }

    /// Whole also if a thread panicked: every change is an insertion.
    fn learned(&self) -> MutexGuard<'_, HashMap<String, (Conversion, i64)>> {
        lock(&self.learned)
    }
}

/// How the guard knows the block of a number. It stands beside the masked number, which shows the
/// other digits.
#[must_use]
pub fn block(to: &PhoneNumber, secrets: &Secrets) -> String {
    secrets.keyed_hash(to.prefix().as_bytes())
}
