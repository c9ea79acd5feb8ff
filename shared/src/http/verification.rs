//! A verification as JSON, as it is answered, and kept for an idempotency key.

use serde::{Deserialize, Serialize};

use super::problem::whole_seconds;
use crate::times::rfc3339;
use crate::verification::Verification;

/// The body of a 202 and of a status answer. Times are in seconds.
#[derive(Serialize, Deserialize)]
#[cfg_attr(test, derive(Default))]
pub(super) struct Body {
    pub(super) id: String,
    status: String,
    delivery: String,
    to: String,
    expires_at: String,
    expires_in: u64,
    pub(super) resend_in: u64,
    attempts_left: u32,
    /// While none is left.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) locked_for: Option<u64>,
}

impl From<Verification> for Body {
    fn from(verification: Verification) -> Self {
        Self {
            id: verification.id.to_string(),
            status: verification.status.as_str().to_owned(),
            delivery: verification.delivery.as_str().to_owned(),
            to: verification.to,
            expires_at: rfc3339(verification.expires_at),
            // Rounded down: nobody is promised a time that is not there.
            expires_in: verification.expires_in.as_secs(),
            resend_in: whole_seconds(verification.resend_in),
            attempts_left: verification.attempts_left,
            locked_for: (verification.attempts_left == 0)
                .then(|| whole_seconds(verification.locked_for)),
        }
    }
}
