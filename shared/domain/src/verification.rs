//! A verification: one attempt to prove a number, with an id, a state and an expiry.

use std::time::Duration;

use jiff::Timestamp;

use crate::refusal::Exceeded;
use crate::verification_id::VerificationId;

/// Status of a verification. An expired or replaced one no longer exists, and has none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// The code was requested and not yet typed back.
    Pending,
    /// The right code was typed back.
    Approved,
}

impl Status {
    /// Name of the status in responses and in the store.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Approved => "approved",
        }
    }
}

/// Delivery state of a verification's latest SMS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeliveryState {
    /// The job waits in the queue.
    Queued,
    /// A gateway accepted the message.
    Sent,
    /// A gateway could not take the message; it will be tried again.
    Retrying,
    /// The message was not sent, and will not be tried again.
    Failed,
    /// The gateway reported that the phone has it.
    Delivered,
}

impl DeliveryState {
    /// Every state.
    pub const ALL: [Self; 5] =
        [Self::Queued, Self::Sent, Self::Retrying, Self::Failed, Self::Delivered];

    /// Name of the state in responses and in the store.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Sent => "sent",
            Self::Retrying => "retrying",
            Self::Failed => "failed",
            Self::Delivered => "delivered",
        }
    }

    /// Parses the output of [`DeliveryState::as_str`].
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == word)
    }
}

/// A verification as its caller sees it. Durations count from the store's reply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verification {
    /// Its ID.
    pub id: VerificationId,
    /// The number, masked: the store keeps no other form of it.
    pub to: String,
    /// Pending or approved.
    pub status: Status,
    /// Delivery state of the latest SMS.
    pub delivery: DeliveryState,
    /// Expiry of the code, by the store's clock.
    pub expires_at: Timestamp,
    /// Time until then.
    pub expires_in: Duration,
    /// Time until another SMS may be requested.
    pub resend_in: Duration,
    /// The policy that determines that time.
    pub waits_for: Exceeded,
    /// Attempts left before the number is locked.
    pub attempts_left: u32,
    /// Time until the number is unlocked, if no attempts are left.
    pub locked_for: Duration,
}

/// The rules for the lifetime of a verification.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// Lifetime of a code after the latest SMS was requested: `CODE_TTL`.
    pub ttl: Duration,
    /// The cooldown between two SMS to one number: `RESEND_INTERVAL`.
    pub resend_interval: Duration,
    /// Wrong codes for a number before it is locked: `MAX_ATTEMPTS`.
    pub max_attempts: u32,
    /// Longest lifetime of a code, resends included, and the time for which wrong codes count, from
    /// the first one on. Always [`Policy::MAX_LIFE`] outside of tests.
    pub max_life: Duration,
    /// Time for which a number counts as verified before; zero without a `BUDGET`, which is the
    /// only user of it.
    pub remember: Duration,
}

impl Policy {
    /// Time for which a number counts as verified before, with a `BUDGET`: a quarter of a year, in
    /// which most users of a product verify their number again.
    pub const REMEMBER: Duration = Duration::from_secs(90 * 86_400);

    /// Longest lifetime of a code: 10 minutes, NIST's limit for an out-of-band secret (SP 800-63B,
    /// revision 4 §3.1.3.2, revision 3 §5.1.3.2).
    pub const MAX_LIFE: Duration = Duration::from_secs(600);
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            ttl: Duration::from_secs(300),
            resend_interval: Duration::from_secs(60),
            max_attempts: 5,
            max_life: Self::MAX_LIFE,
            remember: Duration::ZERO,
        }
    }
}
