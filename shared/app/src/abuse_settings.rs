//! `AbuseSettings`: the protection against abuse, as it is configured.

use sms_domain::budget::Budget;
use sms_domain::conversion_test::GuardMode;
use sms_domain::limits::Limits;
use sms_domain::phone::Countries;

use crate::challenge::Challenge;
use crate::conversion_guard::ConversionGuard;

/// Protection against abuse, as it is configured.
#[derive(Debug, Clone)]
pub struct AbuseSettings {
    /// `LIMITS`: limits of SMS and of wrong codes.
    pub limits: Limits,
    /// `ALLOWED_COUNTRIES`: the countries to which codes are sent.
    pub countries: Countries,
    /// `GUARD`: the conversion guard.
    pub guard: ConversionGuard,
    /// `CHALLENGE`: the challenge that a suspicious request has to solve.
    pub challenge: Option<Challenge>,
    /// `BUDGET` and `PRICES`: the most that SMS may cost.
    pub budget: Budget,
}

impl AbuseSettings {
    /// No protection but the cooldown.
    #[must_use]
    pub fn none() -> Self {
        Self {
            limits: Limits::none(),
            countries: Countries::all(),
            guard: ConversionGuard::new(GuardMode::Off),
            challenge: None,
            budget: Budget::none(),
        }
    }

    /// Logs a warning for each allowed country whose price is only assumed.
    pub fn warn_of_assumed_prices(&self) {
        self.budget.warn_of_assumed(&self.countries);
    }

    /// Prepares the first challenge.
    pub async fn warm_up(&self) {
        if let Some(challenge) = &self.challenge {
            challenge.warm_up().await;
        }
    }
}
