//! A verification as JSON.

use serde::Serialize;

use super::problem::whole_seconds;
use crate::verification::Verification;

/// The body of a 202 and of a status answer. Times are in seconds.
#[derive(Serialize)]
pub(super) struct Body {
    id: String,
    status: &'static str,
    delivery: &'static str,
    to: String,
    expires_at: String,
    expires_in: u64,
    resend_in: u64,
    attempts_left: u32,
}

impl From<Verification> for Body {
    fn from(verification: Verification) -> Self {
        Self {
            id: verification.id.to_string(),
            status: verification.status.as_str(),
            delivery: verification.delivery.as_str(),
            to: verification.to,
            expires_at: verification.expires_at.to_string(),
            // Rounded down: nobody is promised a time that is not there.
            expires_in: verification.expires_in.as_secs(),
            resend_in: whole_seconds(verification.resend_in),
            attempts_left: verification.attempts_left,
        }
    }
}
