//! A number's record: what the scripts keep in its hash.

use std::collections::HashMap;
use std::time::Duration;

use sms_domain::verification::{DeliveryState, Status};
use sms_domain::verification_id::VerificationId;

use crate::{AdmissionRequest, CheckResult, until};

/// All that is known of one number. Times are milliseconds since 1970, as in the scripts.
#[derive(Debug, Default, Clone)]
pub(super) struct NumberRecord {
    pub(super) current: Option<ActiveVerification>,
    pub(super) failed_attempts: u32,
    pub(super) wrong_until: i64,
}

/// The number's latest verification.
#[derive(Debug, Clone)]
pub(super) struct ActiveVerification {
    pub(super) id: VerificationId,
    pub(super) to: String,
    pub(super) status: Status,
    pub(super) delivery: DeliveryState,
    pub(super) created_at: i64,
    pub(super) expires: i64,
    pub(super) resend_at: i64,
    /// When the number's windows have room again.
    pub(super) limits_free_at: i64,
    pub(super) sms_number: u32,
    /// The SMS whose delivery is shown: the latest that was not released.
    pub(super) reported_sms: u32,
    /// What a release goes back to: `expires`, `reported_sms` and `delivery`.
    pub(super) previous: Option<(i64, u32, DeliveryState)>,
    pub(super) candidate: Option<VerificationId>,
    pub(super) cancelled: bool,
    /// The subjects of the conversion guard, which is to be told of an approval.
    pub(super) guarded: Vec<String>,
    pub(super) checked: Option<u64>,
    pub(super) sms: HashMap<u32, SmsState>,
    /// Which SMS a gateway's name for a message means.
    pub(super) messages: HashMap<String, u32>,
    /// Receipts that overtook the record of the call that they follow.
    pub(super) receipts: HashMap<String, DeliveryState>,
}

/// Where one SMS is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SmsState {
    Sent,
    Released,
    Unknown,
    /// `unknown` if an earlier call never told its outcome: that stays so, whoever takes the lease
    /// over or gives it back.
    Leased {
        worker: u64,
        until: i64,
        unknown: bool,
    },
}

impl NumberRecord {
    pub(super) fn forget_wrong(&mut self, now: i64) {
        if now >= self.wrong_until {
            self.failed_attempts = 0;
        }
    }

    /// What is said of a wrong code that was counted.
    pub(super) fn is_wrong(&self, most: u32, now: i64) -> CheckResult {
        let attempts_left = most.saturating_sub(self.failed_attempts);
        let locked_for =
            if attempts_left == 0 { until(now, self.wrong_until) } else { Duration::ZERO };
        CheckResult::Wrong { attempts_left, locked_for }
    }

    pub(super) fn is_live(&self, now: i64) -> bool {
        let counts = self.failed_attempts > 0 && now < self.wrong_until;
        counts
            || self
                .current
                .as_ref()
                .is_some_and(|current| now < current.expires.max(current.resend_at))
    }
}

impl ActiveVerification {
    pub(super) fn begin(candidate: &AdmissionRequest, now: i64) -> Self {
        Self {
            id: candidate.id.clone(),
            to: candidate.to.clone(),
            status: Status::Pending,
            delivery: DeliveryState::Queued,
            created_at: now,
            expires: now,
            resend_at: now,
            limits_free_at: 0,
            sms_number: 1,
            reported_sms: 1,
            previous: None,
            candidate: None,
            cancelled: false,
            guarded: Vec::new(),
            checked: None,
            sms: HashMap::new(),
            messages: HashMap::new(),
            receipts: HashMap::new(),
        }
    }
}
