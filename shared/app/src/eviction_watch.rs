//! Whether Redis throws entries away when its memory is full: looked at from the start on, told in
//! the log and as a metric.
//!
//! What it throws away is not seen by anybody: a number that is locked may guess again, a cooldown
//! is over, a limit counts from zero.

use std::time::Duration;

use sms_store::{Eviction, Store};
use sms_telemetry::{causes, emf};
use tracing::{debug, info, warn};

use crate::metrics;

/// How often a process that runs for long looks again.
const EVERY: Duration = Duration::from_secs(60);

/// Looks, and tells what is new.
#[derive(Debug)]
pub struct EvictionWatch {
    store: Store,
    /// `EVICTION=accept`.
    accepted: bool,
    told: Option<Eviction>,
}

impl EvictionWatch {
    /// A watch that has not looked yet.
    #[must_use]
    pub fn new(store: Store, accepted: bool) -> Self {
        Self { store, accepted, told: None }
    }

    /// Looks once a minute, beside all else.
    pub fn begin(mut self) {
        tokio::spawn(async move {
            loop {
                self.look().await;
                tokio::time::sleep(EVERY).await;
            }
        });
    }

    /// Looks once, beside all else, for a function: its environments do not get old.
    pub fn once(mut self) {
        emf::install();
        tokio::spawn(async move { self.look().await });
    }

    async fn look(&mut self) {
        match self.store.eviction().await {
            Ok(found) => self.tell(found),
            // Whoever needs the store says so.
            Err(error) => debug!(error = causes(&error), "it is not known whether Redis evicts"),
        }
    }

    fn tell(&mut self, found: Eviction) {
        match &found {
            Eviction::Never => metrics::evicts(false),
            Eviction::By(_) => metrics::evicts(!self.accepted),
            Eviction::Unknown => {}
        }
        if self.told.as_ref() == Some(&found) {
            return;
        }
        match &found {
            Eviction::Never if matches!(self.told, Some(Eviction::By(_))) => {
                info!("Redis no longer evicts");
            }
            Eviction::Never => {}
            Eviction::By(policy) if self.accepted => {
                info!(policy, "Redis evicts when it is full: accepted by EVICTION");
            }
            Eviction::By(policy) => warn!(
                policy,
                "Redis evicts when its memory is full, and then numbers that are locked, cooldowns and limits are forgotten and \
                 people get further guesses and SMS: set its maxmemory-policy to noeviction \
                 (docs/operations/reliability.md), or EVICTION=accept"
            ),
            Eviction::Unknown => info!(
                "Redis does not tell its maxmemory-policy (INFO memory): see to it that it is noeviction \
                 (docs/operations/reliability.md)"
            ),
        }
        self.told = Some(found);
    }
}
