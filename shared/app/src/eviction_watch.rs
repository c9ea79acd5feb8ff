//! Watches whether Redis may evict entries when its memory is full, and reports it in the log and
//! as a metric.
//!
//! An eviction goes unnoticed otherwise: a locked number may guess again, a cooldown ends early, a
//! limit counts from zero.

use std::time::Duration;

use sms_store::{Eviction, Store};
use sms_telemetry::{causes, emf};
use tracing::{debug, info, warn};

use crate::metrics;

/// Interval between two looks at the eviction policy.
const INTERVAL: Duration = Duration::from_secs(60);

/// Watches the eviction policy of the store, and reports its changes.
#[derive(Debug)]
pub struct EvictionWatch {
    store: Store,
    /// `EVICTION=accept`.
    accepted: bool,
    reported: Option<Eviction>,
}

impl EvictionWatch {
    /// A watch that has not read the policy yet.
    #[must_use]
    pub fn new(store: Store, accepted: bool) -> Self {
        Self { store, accepted, reported: None }
    }

    /// Reads the policy once a minute, in a task of its own.
    pub fn begin(mut self) {
        tokio::spawn(async move {
            loop {
                self.check().await;
                tokio::time::sleep(INTERVAL).await;
            }
        });
    }

    /// Reads the policy once, in a task of its own, for a function: its environments are
    /// short-lived.
    pub fn once(mut self) {
        emf::install();
        tokio::spawn(async move { self.check().await });
    }

    async fn check(&mut self) {
        match self.store.eviction().await {
            Ok(found) => self.report(found),
            // Only at `debug`: callers that need the store log the error.
            Err(error) => debug!(error = causes(&error), "cannot read the eviction policy"),
        }
    }

    fn report(&mut self, found: Eviction) {
        match &found {
            Eviction::Never => metrics::evicts(false),
            Eviction::By(_) => metrics::evicts(!self.accepted),
            Eviction::Unknown => {}
        }
        if self.reported.as_ref() == Some(&found) {
            return;
        }
        match &found {
            Eviction::Never if matches!(self.reported, Some(Eviction::By(_))) => {
                info!("Redis no longer evicts");
            }
            Eviction::Never => {}
            Eviction::By(policy) if self.accepted => {
                info!(policy, "Redis evicts when it is full: accepted by EVICTION");
            }
            Eviction::By(policy) => warn!(
                policy,
                "Redis evicts keys when its memory is full: lockouts, cooldowns and limits would \
                 be lost, and people would get further guesses and SMS; set its maxmemory-policy \
                 to noeviction (docs/operations/reliability.md), or EVICTION=accept"
            ),
            Eviction::Unknown => info!(
                "Redis does not show its maxmemory-policy (INFO memory): make sure that it is \
                 noeviction (docs/operations/reliability.md)"
            ),
        }
        self.reported = Some(found);
    }
}
