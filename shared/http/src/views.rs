//! A verification as JSON, as the API returns it and keeps it for an idempotency key.

use serde::{Deserialize, Serialize};
use sms_domain::times::rfc3339;
use sms_domain::verification::Verification;

use crate::problem::whole_seconds;

/// A verification, as its caller sees it
#[derive(Serialize, Deserialize)]
#[cfg_attr(test, derive(utoipa::ToSchema), schema(as = Verification))]
pub(crate) struct Body {
    /// Names the verification: 36 URL-safe characters, more with a purpose
    pub(crate) id: String,
    status: String,
    /// The state of the latest SMS
    delivery: String,
    /// The number, masked
    to: String,
    /// The time until which the code is accepted
    #[cfg_attr(test, schema(format = DateTime))]
    expires_at: String,
    /// Seconds until `expires_at`, rounded down
    expires_in: u64,
    /// Seconds until another SMS to this number may be requested, rounded up
    pub(crate) resend_in: u64,
    /// Wrong codes that may still be typed for this number
    attempts_left: u32,
    /// If none may be: seconds until the lockout ends, rounded up
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) locked_for: Option<u64>,
}

impl From<Verification> for Body {
    fn from(verification: Verification) -> Self {
        Self {
            id: verification.id.to_string(),
            status: verification.status.as_str().to_owned(),
            delivery: verification.delivery.as_str().to_owned(),
            to: verification.to,
            expires_at: rfc3339(verification.expires_at),
            // Rounded down, so that the code is accepted for all of it.
            expires_in: verification.expires_in.as_secs(),
            resend_in: whole_seconds(verification.resend_in),
            attempts_left: verification.attempts_left,
            locked_for: (verification.attempts_left == 0)
                .then(|| whole_seconds(verification.locked_for)),
        }
    }
}
