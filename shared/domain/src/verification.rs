//! A verification: one attempt to prove a number, with an id, a state and an expiry.

use std::time::Duration;

use jiff::Timestamp;

use crate::refusal::Exceeded;
use crate::verification_id::VerificationId;

/// Where a verification stands. What is expired or replaced is gone and has no status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// The code was asked for and not yet typed back.
    Pending,
    /// The right code was typed back.
    Approved,
}

impl Status {
    /// The word for it in answers and in the store.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Approved => "approved",
        }
    }
}

/// How far the latest SMS of a verification has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeliveryState {
    /// The job waits in the queue.
    Queued,
    /// A gateway accepted the message.
    Sent,
    /// A gateway could not take it; it will be tried again.
    Retrying,
    /// It will not be tried again.
    Failed,
    /// The gateway reported that the phone has it.
    Delivered,
}

impl DeliveryState {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::Queued, Self::Sent, Self::Retrying, Self::Failed, Self::Delivered];

    /// The word for it in answers and in the store.
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

    /// Reads the store's word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == word)
    }
}

/// A verification as its caller sees it. Durations count from the moment at which the store
/// answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verification {
    /// Its name.
    pub id: VerificationId,
    /// The number, masked: the store keeps no other form of it.
    pub to: String,
    /// Pending or approved.
    pub status: Status,
    /// The latest SMS.
    pub delivery: DeliveryState,
    /// When the code stops being accepted, by the store's clock.
    pub expires_at: Timestamp,
    /// The time left until then.
    pub expires_in: Duration,
    /// The time after which another SMS may be asked for.
    pub resend_in: Duration,
    /// What that is the wait of.
    pub waits_for: Exceeded,
    /// Wrong codes that may still be tried.
    pub attempts_left: u32,
    /// The time until wrong codes are forgotten, if none may be tried.
    pub locked_for: Duration,
}

/// The rules of a verification's life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// How long a code is accepted after the latest SMS was asked for: `CODE_TTL`.
    pub ttl: Duration,
    /// The cooldown between two SMS to one number: `RESEND_INTERVAL`.
    pub resend_interval: Duration,
    /// Wrong codes per number before it is locked: `MAX_ATTEMPTS`.
    pub max_attempts: u32,
    /// Longest life of a code, resends included, and the time for which wrong codes are remembered,
    /// counted from the first. Always [`Policy::MAX_LIFE`] outside of tests.
    pub max_life: Duration,
    /// How long it is remembered that a number was verified; not at all where nobody asks for it,
    /// which is without a `BUDGET`.
    pub remember: Duration,
}

impl Policy {
    /// A quarter of a year: in that time most of those who use a product verify their number again.
    pub const REMEMBER: Duration = Duration::from_secs(90 * 86_400);

    /// 10 minutes: NIST's limit for an out-of-band secret (SP 800-63B, revision 4 §3.1.3.2,
    /// revision 3 §5.1.3.2).
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
