//! Arguments and results of the store's methods.

use std::num::NonZeroU32;
use std::time::Duration;

use jiff::Timestamp;
use sms_domain::quota::{Quota, Window};
use sms_domain::refusal::Refusal;
use sms_domain::verification::{DeliveryState, Verification};
use sms_domain::verification_id::VerificationId;

/// A request for a code, before the store has decided on it.
#[derive(Debug, Clone)]
pub struct AdmissionRequest {
    /// ID of the verification if a new one begins. It is random for every request and identifies
    /// it: a repeated call with the same ID is the same request.
    pub id: VerificationId,
    /// A pending verification continues with requests of the same scope: its purpose, and whoever
    /// keeps it to himself.
    pub scope: String,
    /// The number, masked.
    pub to: String,
    /// Sliding windows that limit the SMS to the number.
    pub windows: Vec<Window>,
    /// Other quotas that the SMS counts against.
    pub quotas: Vec<Quota>,
    /// Subjects of the conversion guard, which an approval is reported for; empty if it is off.
    pub guarded: Vec<String>,
    /// What is admitted.
    pub kind: AdmissionKind,
}

/// What is admitted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum AdmissionKind {
    /// An SMS of a verification: a pending one of the same scope continues.
    #[default]
    Verification,
    /// A message with a code that somebody else made. Its tag is of number and code, and it lives
    /// for [`Policy::MAX_LIFE`](sms_domain::verification::Policy::MAX_LIFE): the same again
    /// meanwhile is the same message, unless it failed.
    Message,
}

/// Decision on an [`AdmissionRequest`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// A verification began or continues, and its SMS may be queued.
    Admitted {
        /// The verification after this admission.
        verification: Verification,
        /// Number of the SMS within this verification.
        sms_number: u32,
        /// The conversion guard finds the request suspicious, and only observes.
        observed: bool,
        /// This SMS brings a budget to its alarm threshold.
        alarm: bool,
    },
    /// Limits refuse the request: nothing was written or counted.
    Refused(Refusal),
    /// A challenge has to be solved first, and nothing else is in the way: nothing was written or
    /// counted.
    Challenged,
}

/// The latest verification of a number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LatestVerification {
    /// The verification.
    pub verification: Verification,
    /// Its [`AdmissionRequest::scope`].
    pub scope: String,
    /// The time of its first request.
    pub began_at: Timestamp,
    /// The times of its latest SMS, as far as the number's windows remember them, the latest first.
    pub sms_at: Vec<Timestamp>,
    /// The number of its latest SMS.
    pub sms_number: u32,
}

/// How a pending verification ends without a code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Conclusion {
    /// Its code is no longer accepted.
    Cancelled,
    /// Its caller has verified the number otherwise.
    Approved,
    /// Its caller was brought the code, and the conversion guard learns of it.
    Converted,
}

impl Conclusion {
    /// Its digit in the record.
    pub(super) fn digit(self) -> u8 {
        match self {
            Self::Cancelled => 0,
            Self::Approved => 1,
            Self::Converted => 2,
        }
    }
}

/// Result of the check of a typed code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CheckResult {
    /// The code was right, and this call used it.
    Approved,
    /// The code was wrong.
    Wrong {
        /// Attempts left before the number is locked.
        attempts_left: u32,
        /// Time for which the number is locked, if none is left.
        locked_for: Duration,
    },
    /// The code was not compared: there were too many wrong ones before.
    Refused(Refusal),
    /// No such verification: it is unknown, expired, replaced or used.
    Gone,
}

impl CheckResult {
    /// Name of the result in metrics and logs.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Approved => "right",
            Self::Wrong { .. } => "wrong",
            Self::Refused(_) => "locked",
            Self::Gone => "gone",
        }
    }

    /// Attempts left after a wrong code.
    #[must_use]
    pub fn attempts_left(&self) -> Option<u32> {
        if let Self::Wrong { attempts_left, .. } = self { Some(*attempts_left) } else { None }
    }
}

/// Result of acquiring the lease on an SMS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lease {
    /// The caller holds the lease: nobody else may send the SMS until it ends.
    Granted {
        /// Time until the code expires.
        expires_in: Duration,
        /// The outcome of an earlier call to a gateway is unknown: another call may send a second
        /// SMS.
        uncertain: bool,
    },
    /// Another worker holds the lease.
    Busy,
    /// A gateway has already accepted the SMS.
    AlreadySent,
    /// The verification is approved, expired, replaced, or was never admitted.
    Gone,
}

/// Outcome of a job's attempt to send its SMS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SendOutcome {
    /// The gateway accepted the message: never send this job again.
    Sent {
        /// The gateway's message ID, which delivery reports refer to.
        message_id: Option<String>,
    },
    /// The gateway did not accept the message; the job will be retried.
    Retrying,
    /// No gateway was called: the job is back in the queue.
    Requeued,
    /// The gateway did not accept the message; the job will not be retried unless an operator
    /// redrives it.
    Failed,
    /// It is unknown if the gateway accepted the message, and the job will not be retried: a later
    /// lease is `uncertain`.
    Unknown,
}

impl SendOutcome {
    pub(super) fn as_str(&self) -> &'static str {
        match self {
            Self::Sent { .. } => "sent",
            Self::Retrying => "retrying",
            Self::Requeued => "queued",
            Self::Failed => "failed",
            Self::Unknown => "unknown",
        }
    }

    pub(super) fn message_id(&self) -> Option<&str> {
        match self {
            Self::Sent { message_id } => message_id.as_deref(),
            _ => None,
        }
    }

    /// The delivery state that callers see.
    pub(super) fn state(&self) -> DeliveryState {
        match self {
            Self::Sent { .. } => DeliveryState::Sent,
            Self::Retrying => DeliveryState::Retrying,
            Self::Requeued => DeliveryState::Queued,
            Self::Failed | Self::Unknown => DeliveryState::Failed,
        }
    }
}

/// Result of rolling back an admission.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Release {
    /// The admission is rolled back: its SMS will not be sent.
    Released,
    /// The admission stays: its job was queued after all, and a worker is calling the gateway or
    /// has called it.
    Begun,
}

/// Request for permission to call an account at a gateway.
#[derive(Debug, Clone, Copy)]
pub struct PermitRequest {
    /// Rate limit of the account, in messages per second, if there is one.
    pub rate: Option<NonZeroU32>,
    /// Slot that the message was given before, in milliseconds since 1970.
    pub slot: Option<i64>,
    /// Longest acceptable wait: no later slot is reserved.
    pub max_wait: Duration,
}

/// Permission to call a gateway.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Permit {
    /// The gateway may be called now.
    Granted {
        /// The account has failed lately: a success must be reported by
        /// [`Store::report`](crate::Store::report).
        report_success: bool,
    },
    /// The account's rate limit requires a wait: the message's slot comes later.
    Wait {
        /// Time until the slot.
        wait: Duration,
        /// The slot, for the next request.
        slot: i64,
    },
    /// The account's rate limit has no slot within `max_wait`.
    Full,
    /// The account's circuit is open: it has failed several times in a row.
    Open {
        /// Time after which to ask again.
        retry_in: Duration,
    },
}

/// Health of an account at a gateway, as a call showed it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Health {
    /// The gateway works.
    Up,
    /// The gateway failed.
    Down,
    /// The call showed nothing about the gateway: its response was about one number or one country.
    /// It ends a trial, so that another message may try.
    Unknown,
}

/// State of an account's circuit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Circuit {
    /// Failures in a row.
    pub failures: u32,
    /// Time until the next trial; zero if the circuit is closed.
    pub open_for: Duration,
}

/// Settings of an account's circuit breaker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Breaker {
    /// Failures in a row that open the circuit.
    pub failures: u32,
    /// Time for which the circuit stays open. Afterwards it is half open: one message at a time is
    /// a trial.
    pub open: Duration,
    /// Longest time of a trial; if it is not reported by then, another message tries.
    pub trial: Duration,
}

/// An idempotency key, and the call that uses it.
#[derive(Debug, Clone)]
pub struct ClaimedKey {
    /// Keyed hash of the idempotency key.
    pub subject: String,
    /// Keyed hash of the request.
    pub fingerprint: String,
    /// Random identifier of the call: one that is repeated on a new connection is the same call.
    pub call: u64,
}

/// Result of claiming an idempotency key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Claim {
    /// The call is the first with this key, and must end with
    /// [`Store::complete`](crate::Store::complete).
    Acquired,
    /// The first call with this key is in progress.
    InProgress,
    /// The key was used for another request.
    KeyReused,
    /// The request was answered before, with this response.
    Replay(String),
}
