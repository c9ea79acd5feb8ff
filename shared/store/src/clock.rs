//! A store's clock: the system's, or a virtual one for simulations and tests.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use jiff::Timestamp;

use crate::micros;

/// A store's clock. Clones of a virtual clock share its time.
#[derive(Debug, Clone, Default)]
pub struct Clock(Option<Arc<AtomicI64>>);

impl Clock {
    /// A virtual clock, which moves only by [`Clock::advance`]. Redis still expires keys by its own
    /// clock: start at the present.
    #[must_use]
    pub fn virtual_from(start: Timestamp) -> Self {
        Self(Some(Arc::new(AtomicI64::new(start.as_microsecond()))))
    }

    /// Advances a virtual clock.
    pub fn advance(&self, by: Duration) {
        if let Some(time) = &self.0 {
            time.fetch_add(micros(by), Ordering::Relaxed);
        }
    }

    pub(super) fn is_virtual(&self) -> bool {
        self.0.is_some()
    }

    /// Microseconds since 1970.
    #[expect(clippy::disallowed_methods, reason = "the memory store's time is the system's")]
    #[must_use]
    pub fn micros(&self) -> i64 {
        self.0
            .as_ref()
            .map_or_else(|| Timestamp::now().as_microsecond(), |time| time.load(Ordering::Relaxed))
    }
}
