//! Checking: a code that was typed back, and where a verification stands.

use std::net::IpAddr;

use sms_domain::code::Code;
use sms_domain::code_settings::CodeSettings;
use sms_domain::limits::Limits;
use sms_domain::phone::PhoneNumber;
use sms_domain::token::TokenKeys;
use sms_domain::verification::Verification;
use sms_domain::verification_id::VerificationId;
use sms_store::{CheckResult, Store, StoreError};
use tracing::info;

use crate::metrics;

/// The use case: everything that a check needs.
#[derive(Debug, Clone)]
pub struct CheckCode {
    /// Counts and remembers.
    pub store: Store,
    /// The codes.
    pub codes: CodeSettings,
    /// How many wrong codes there may be.
    pub limits: Limits,
}

impl CheckCode {
    /// Judges a typed code, which came from `ip` if that is known and counted. The store counts the
    /// attempt before it acts on whether the code was right. `request` is a random number, drawn
    /// for this call.
    ///
    /// # Errors
    /// When the store did not answer. It may have judged the code all the same: [`CheckCode::find`]
    /// tells.
    pub async fn check(
        &self,
        id: &VerificationId,
        typed: &Code,
        ip: Option<IpAddr>,
        request: u64,
    ) -> Result<CheckResult, StoreError> {
        let Some(code) = self.codes.secrets.derive(id, self.codes.length) else {
            metrics::checked(&CheckResult::Gone);
            return Ok(CheckResult::Gone);
        };
        let code = self.codes.test_numbers.code(&self.codes.secrets, id.tag()).unwrap_or(&code);
        let result = self
            .store
            .check(id, code.matches(typed), request, &self.limits.check(ip, &self.codes.secrets))
            .await?;
        metrics::checked(&result);
        info!(%id, result = result.as_str(), attempts_left = result.attempts_left(), "checked");
        Ok(result)
    }

    /// Whether it is this number that a verification is of.
    #[must_use]
    pub fn is_of(&self, id: &VerificationId, number: &PhoneNumber) -> bool {
        self.codes.secrets.tag(number) == id.tag()
    }

    /// Counts a number that is not the verification's as a wrong code, so that nobody tries numbers
    /// out.
    ///
    /// # Errors
    /// As [`CheckCode::check`].
    pub async fn wrong_number(
        &self,
        id: &VerificationId,
        ip: Option<IpAddr>,
        request: u64,
    ) -> Result<CheckResult, StoreError> {
        let result = self
            .store
            .check(id, false, request, &self.limits.check(ip, &self.codes.secrets))
            .await?;
        metrics::checked(&result);
        info!(%id, result = result.as_str(), attempts_left = result.attempts_left(), "checked with another number");
        Ok(result)
    }

    /// A token that says that a number was verified, for whoever cannot ask the store.
    #[must_use]
    pub fn token(
        &self,
        keys: &TokenKeys,
        id: &VerificationId,
        number: &PhoneNumber,
        tenant: Option<&str>,
    ) -> String {
        keys.sign(id, number, tenant, self.store.clock().micros() / 1_000_000)
    }

    /// Ends a verification that nobody waits for any more; whether there was one.
    ///
    /// # Errors
    /// When the store cannot be asked.
    pub async fn cancel(&self, id: &VerificationId) -> Result<bool, StoreError> {
        let cancelled = self.store.cancel(id).await?;
        info!(%id, cancelled, "cancelled by its caller");
        Ok(cancelled)
    }

    /// Where a verification stands; nothing if it is unknown, expired or replaced.
    ///
    /// # Errors
    /// When the store cannot be asked.
    pub async fn find(&self, id: &VerificationId) -> Result<Option<Verification>, StoreError> {
        self.store.find(id).await
    }
}
