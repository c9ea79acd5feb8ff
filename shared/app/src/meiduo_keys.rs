//! `MEIDUO_KEYS`: what the tutorial's register view reads from Redis, so that it can stay as it is
//! while it moves here.
//!
//! This puts numbers and codes into the store in clear, and whoever reads them there is under no
//! limit of attempts.

use sms_domain::code::CodeLength;
use sms_domain::phone::PhoneNumber;
use sms_domain::secrets::Secrets;
use sms_domain::test_numbers::TestNumbers;
use sms_domain::verification::Verification;
use sms_domain::verification_id::{Purpose, VerificationId};
use sms_store::{Store, StoreError};

/// The tutorial's numbers have no country code: it knows this one alone.
const HOME: &str = "86";

/// What it takes to write the keys.
#[derive(Debug, Clone)]
pub struct MeiduoKeys {
    /// How long codes are.
    pub code_length: CodeLength,
    /// Numbers whose code is known beforehand.
    pub test_numbers: TestNumbers,
}

impl MeiduoKeys {
    /// Writes `sms_{mobile}`, the code, for as long as it is accepted, and `send_flag_{mobile}` for
    /// the time of the cooldown. A code for a purpose is worth nothing there, and is not written:
    /// the site's own view has to wait all the same.
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
