//! `CheckCode`: compares a typed code, and reads or cancels a verification.

use std::net::IpAddr;

use sms_domain::code::Code;
use sms_domain::code_settings::CodeSettings;
use sms_domain::limits::Limits;
use sms_domain::phone::PhoneNumber;
use sms_domain::token::TokenKeys;
use sms_domain::verification::Verification;
use sms_domain::verification_id::{NumberTag, VerificationId};
use sms_store::{CheckResult, Conclusion, LatestVerification, Store, StoreError};
use tracing::info;

use crate::metrics;

/// The use case `CheckCode`: a typed code is compared, and the attempt counted.
#[derive(Debug, Clone)]
pub struct CheckCode {
    /// The store, which counts attempts and keeps the verification.
    pub store: Store,
    /// Secrets, length and test numbers.
    pub codes: CodeSettings,
    /// `LIMITS`, of which those of wrong codes are used.
    pub limits: Limits,
}

impl CheckCode {
    /// Checks a typed code. `ip` is the caller's address, if it is known and counted. The store
    /// counts the attempt before it acts on the result. `request` is a random number, drawn for
    /// this call.
    ///
    /// # Errors
    /// If the store did not answer. The check may have been counted all the same:
    /// [`CheckCode::find`] shows it.
    pub async fn check(
        &self,
        id: &VerificationId,
        typed: &Code,
        ip: Option<IpAddr>,
        request: u64,
    ) -> Result<CheckResult, StoreError> {
        let Some(code) = self.codes.secrets.derive(id, self.codes.length) else {
            metrics::HANDLES.checked(&CheckResult::Gone);
            return Ok(CheckResult::Gone);
        };
        let code = self.codes.test_numbers.code(&self.codes.secrets, id.tag()).unwrap_or(&code);
        let result = self
            .store
            .check(id, code.matches(typed), request, &self.limits.check(ip, &self.codes.secrets))
            .await?;
        metrics::HANDLES.checked(&result);
        info!(%id, result = result.as_str(), attempts_left = result.attempts_left(), "checked");
        Ok(result)
    }

    /// Returns true if the verification is of this number.
    #[must_use]
    pub fn is_of(&self, id: &VerificationId, number: &PhoneNumber) -> bool {
        self.codes.secrets.tag(number) == id.tag()
    }

    /// Counts a number that is not the verification's as a wrong code, against the guessing of
    /// numbers.
    ///
    /// # Errors
    /// As [`CheckCode::check`].
    pub async fn wrong_number(
        &self,
        id: &VerificationId,
        ip: Option<IpAddr>,
        request: u64,
    ) -> Result<CheckResult, StoreError> {
        self.wrong(id, ip, request, "another number").await
    }

    /// Counts text that no code can be as a wrong code.
    ///
    /// # Errors
    /// As [`CheckCode::check`].
    pub async fn no_code(
        &self,
        id: &VerificationId,
        ip: Option<IpAddr>,
        request: u64,
    ) -> Result<CheckResult, StoreError> {
        self.wrong(id, ip, request, "no code").await
    }

    async fn wrong(
        &self,
        id: &VerificationId,
        ip: Option<IpAddr>,
        request: u64,
        typed: &'static str,
    ) -> Result<CheckResult, StoreError> {
        let result = self
            .store
            .check(id, false, request, &self.limits.check(ip, &self.codes.secrets))
            .await?;
        metrics::HANDLES.checked(&result);
        info!(
            %id,
            result = result.as_str(),
            attempts_left = result.attempts_left(),
            typed,
            "checked"
        );
        Ok(result)
    }

    /// Issues a signed token that the number was verified, for backends without access to the
    /// store.
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

    /// Cancels a verification. Returns true if it was pending.
    ///
    /// # Errors
    /// If the store does not answer.
    pub async fn cancel(&self, id: &VerificationId) -> Result<bool, StoreError> {
        let cancelled = self.store.conclude(id, Conclusion::Cancelled).await?;
        info!(%id, cancelled, "cancelled by its caller");
        Ok(cancelled)
    }

    /// Approves a verification without its code, which its caller answers for: it gives no token,
    /// and teaches the conversion guard nothing. Returns true if it was pending.
    ///
    /// # Errors
    /// If the store does not answer.
    pub async fn approve(&self, id: &VerificationId) -> Result<bool, StoreError> {
        let approved = self.store.conclude(id, Conclusion::Approved).await?;
        info!(%id, approved, "approved by its caller");
        Ok(approved)
    }

    /// Returns a number's latest verification; `None` if it is expired or there is none.
    ///
    /// # Errors
    /// If the store does not answer.
    pub async fn latest(&self, tag: NumberTag) -> Result<Option<LatestVerification>, StoreError> {
        self.store.latest(tag).await
    }

    /// Returns a verification; `None` if it is unknown, expired or replaced.
    ///
    /// # Errors
    /// If the store does not answer.
    pub async fn find(&self, id: &VerificationId) -> Result<Option<Verification>, StoreError> {
        self.store.find(id).await
    }
}
