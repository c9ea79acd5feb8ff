//! `MEIDUO_KEYS`: the keys that the tutorial's register view reads from Redis, so that a site can
//! migrate without a change of that view.
//!
//! Numbers and codes are then in the store in clear text, and no limit of attempts applies to a
//! program that reads them there.

use sms_domain::code::CodeLength;
use sms_domain::phone::PhoneNumber;
use sms_domain::secrets::Secrets;
use sms_domain::test_numbers::TestNumbers;
use sms_domain::verification::Verification;
use sms_domain::verification_id::{Purpose, VerificationId};
use sms_store::{Store, StoreError};

/// The country code of the tutorial's numbers, which are written without one.
const HOME: &str = "86";

/// Writes the tutorial's keys.
#[derive(Debug, Clone)]
pub struct MeiduoKeys {
    /// The length of codes.
    pub code_length: CodeLength,
    /// Numbers with a fixed code.
    pub test_numbers: TestNumbers,
}

impl MeiduoKeys {
    /// Writes `sms_{mobile}`, the code, for as long as it is accepted, and `send_flag_{mobile}` for
    /// the time of the cooldown. A code with a purpose is not valid there, and is not written; the
    /// cooldown applies all the same.
    pub(crate) async fn write(
        &self,
        store: &Store,
        secrets: &Secrets,
        number: &PhoneNumber,
        verification: &Verification,
    ) -> Result<(), StoreError> {
        let for_any = *verification.id.purpose() == Purpose::default();
        let code = self.code(secrets, &verification.id).filter(|_| for_any);
        let mobile = if number.country_code() == HOME { number.national() } else { number.e164() };
        let (sms, flag) = (format!("sms_{mobile}"), format!("send_flag_{mobile}"));
        let sms = async {
            match code {
                Some(code) => store.put_plain(&sms, &code, verification.expires_in).await,
                None => Ok(()),
            }
        };
        let (sms, flag) = tokio::join!(sms, store.put_plain(&flag, "1", verification.resend_in));
        sms.and(flag)
    }

    fn code(&self, secrets: &Secrets, id: &VerificationId) -> Option<String> {
        let code = secrets.derive(id, self.code_length)?;
        Some(self.test_numbers.code(secrets, id.tag()).unwrap_or(&code).expose().to_owned())
    }
}
