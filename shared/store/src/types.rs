//! What a store is asked, and what it answers.

use std::num::NonZeroU32;
use std::time::Duration;

use sms_domain::quota::{Quota, Window};
use sms_domain::refusal::Refusal;
use sms_domain::verification::{DeliveryState, Verification};
use sms_domain::verification_id::VerificationId;

/// A request for a code, before the store has decided on it.
#[derive(Debug, Clone)]
pub struct AdmissionRequest {
    /// The id that the verification gets if a new one begins. Drawn anew for every request, it also
    /// names the request: a repeated call with the same candidate is the same request.
    pub id: VerificationId,
    /// The number, masked.
    pub to: String,
    /// Most SMS to the number, in any time of this length.
    pub windows: Vec<Window>,
    /// What else the SMS counts on.
    pub quotas: Vec<Quota>,
    /// The subjects of the conversion guard, to be told when the code is typed back; none where it
    /// is off.
    pub guarded: Vec<String>,
}

/// What the store decided on a [`AdmissionRequest`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// A verification began or goes on, and its SMS number `sms_number` may be queued.
    Admitted {
        /// The verification, as it now is.
        verification: Verification,
        /// Which SMS of this verification.
        sms_number: u32,
        /// The conversion guard finds it suspicious, and does nothing about it.
        observed: bool,
        /// It is the one that brings a budget to the share at which that is told.
        alarm: bool,
    },
    /// Nothing was written, and nothing counted.
    Refused(Refusal),
    /// The same, since a challenge has to be solved first: nothing else stands in the way.
    Challenged,
}

/// What came of a typed code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CheckResult {
    /// It was right, and this call is the one that used it.
    Approved,
    /// It was wrong.
    Wrong {
        /// Further tries until the number is locked.
        attempts_left: u32,
        /// The time for which it is, if there is none.
        locked_for: Duration,
    },
    /// It was not looked at: too many wrong ones before.
    Refused(Refusal),
    /// There is no such verification: unknown, expired, replaced or used.
    Gone,
}

impl CheckResult {
    /// The word for it in metrics and logs.
    /// As logs and metrics have it.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Approved => "right",
            Self::Wrong { .. } => "wrong",
            Self::Refused(_) => "locked",
            Self::Gone => "gone",
        }
    }

    /// Further tries, after a wrong code.
    /// As logs and metrics have it.
    #[must_use]
    pub fn attempts_left(&self) -> Option<u32> {
        if let Self::Wrong { attempts_left, .. } = self { Some(*attempts_left) } else { None }
    }
}

/// Whether a job's SMS may be sent now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lease {
    /// Yes, and for the length of the lease nobody else may.
    Granted {
        /// The time for which the code will still be accepted.
        expires_in: Duration,
        /// An earlier call to a gateway never told its outcome: another may be the second SMS.
        uncertain: bool,
    },
    /// Another delivery of the same job is at it.
    Busy,
    /// A gateway has accepted it already.
    AlreadySent,
    /// The verification is approved, expired, replaced, or was never admitted.
    Gone,
}

/// What came of a call to a gateway.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SendOutcome {
    /// The gateway accepted the message: never send this job again.
    Sent {
        /// The gateway's name for it, which its receipts refer to.
        message_id: Option<String>,
    },
    /// It did not; it will be tried again.
    Retrying,
    /// No gateway was called: the job is back in the queue.
    Requeued,
    /// It did not, and it will not be tried again unless an operator redrives it.
    Failed,
    /// Nobody knows, and it will not be tried again: whoever redrives it is told so.
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

    /// What callers see of it.
    pub(super) fn state(&self) -> DeliveryState {
        match self {
            Self::Sent { .. } => DeliveryState::Sent,
            Self::Retrying => DeliveryState::Retrying,
            Self::Requeued => DeliveryState::Queued,
            Self::Failed | Self::Unknown => DeliveryState::Failed,
        }
    }
}

/// What came of taking an admission back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Release {
    /// It is undone: its SMS will not be sent.
    Released,
    /// It is not: the job was queued after all, and a worker is already calling the gateway, or
    /// has.
    Begun,
}

/// What a message needs to know of an account before a gateway is called.
#[derive(Debug, Clone, Copy)]
pub struct PermitRequest {
    /// Messages that the account takes in a second, if there is a limit.
    pub rate: Option<NonZeroU32>,
    /// The turn that the message was given before, in milliseconds since 1970.
    pub slot: Option<i64>,
    /// The longest wait that makes sense: no turn is taken that comes later.
    pub max_wait: Duration,
}

/// Whether a gateway may be called now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Permit {
    /// Yes.
    Granted {
        /// It has failed lately: [`Store::report`](crate::Store::report) is to be told if it does not this time.
        report_success: bool,
    },
    /// Not now: the account takes so many in a second, and this message's turn comes later.
    Wait {
        /// The time until then.
        wait: Duration,
        /// The slot, to be asked with again.
        slot: i64,
    },
    /// Not in time: there is no turn before the message's max_wait ends.
    Full,
    /// Its circuit is open: it has failed several times in a row.
    Open {
        /// The time after which it is worth asking again.
        retry_in: Duration,
    },
}

/// What a call to a gateway has shown of the gateway itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Health {
    /// It is up.
    Up,
    /// It has failed.
    Down,
    /// Nothing: its answer was about one number or one country. A trial is over, and another
    /// message may try.
    Unknown,
}

/// Where an account's circuit stands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Circuit {
    /// Failures in a row.
    pub failures: u32,
    /// The time until it is tried again; zero if it is closed.
    pub open_for: Duration,
}

/// When an account's circuit opens, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Breaker {
    /// Failures in a row that open it.
    pub failures: u32,
    /// How long it stays open. Then one message at a time tries.
    pub open: Duration,
    /// Longest time that such a trial takes; if nothing is heard of it by then, another message
    /// tries.
    pub trial: Duration,
}

/// An idempotency key, and the call that came with it.
#[derive(Debug, Clone)]
pub struct ClaimedKey {
    /// A keyed hash of it.
    pub subject: String,
    /// A keyed hash of the request.
    pub fingerprint: String,
    /// Drawn anew for each call: a call that is repeated on a new connection is the same one.
    pub call: u64,
}

/// What a store knows of an idempotency key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Claim {
    /// Nothing: the call is the first, and [`Store::complete`](crate::Store::complete) is to be told what came of it.
    Acquired,
    /// The first call with it is at work.
    InProgress,
    /// It was used for another request.
    KeyReused,
    /// The request was answered before.
    Replay(String),
}
