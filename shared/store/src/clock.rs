//! A store's clock: the server's own, or one that is moved by hand, for simulations and tests.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use jiff::Timestamp;

use crate::micros;

/// The time, in a store. Clones of a virtual clock are one clock.
#[derive(Debug, Clone, Default)]
pub struct Clock(Option<Arc<AtomicI64>>);

impl Clock {
    /// A clock that stands still until it is moved. Redis still forgets by its own clock: begin at
    /// the present.
    #[must_use]
    pub fn virtual_from(start: Timestamp) -> Self {
        Self(Some(Arc::new(AtomicI64::new(start.as_microsecond()))))
    }

    /// Moves a virtual clock.
    pub fn advance(&self, by: Duration) {
        if let Some(time) = &self.0 {
            time.fetch_add(micros(by), Ordering::Relaxed);
        }
    }

    pub(super) fn is_virtual(&self) -> bool {
        self.0.is_some()
    }

    /// Microseconds since 1970.
    #[expect(
        clippy::disallowed_methods,
        reason = "a store's time is its own, and this is the store"
    )]
    #[must_use]
    pub fn micros(&self) -> i64 {
        self.0
            .as_ref()
            .map_or_else(|| Timestamp::now().as_microsecond(), |time| time.load(Ordering::Relaxed))
    }
}
