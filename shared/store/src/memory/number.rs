//! A number's record, which the scripts keep as a hash.

use std::collections::HashMap;
use std::time::Duration;

use sms_domain::verification::{DeliveryState, Status};
use sms_domain::verification_id::VerificationId;

use crate::MESSAGE_SCOPE;
use crate::{AdmissionRequest, CheckResult, Conclusion, until};

/// The record of one number. Times are milliseconds since 1970, as in the scripts.
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
    pub(super) scope: String,
    pub(super) to: String,
    pub(super) status: Status,
    pub(super) delivery: DeliveryState,
    pub(super) created_at: i64,
    pub(super) expires: i64,
    pub(super) resend_at: i64,
    /// Time at which the number's windows have room again.
    pub(super) limits_free_at: i64,
    pub(super) sms_number: u32,
    /// The SMS whose delivery is shown: the latest that was not released.
    pub(super) reported_sms: u32,
    /// State that a release restores: `expires`, `reported_sms` and `delivery`.
    pub(super) previous: Option<(i64, u32, DeliveryState)>,
    pub(super) candidate: Option<VerificationId>,
    pub(super) concluded: Option<Conclusion>,
    /// Subjects of the conversion guard, which an approval is reported for.
    pub(super) guarded: Vec<String>,
    pub(super) checked: Option<u64>,
    pub(super) sms: HashMap<u32, SmsState>,
    /// True once a worker has had a job of it.
    pub(super) was_leased: bool,
    /// SMS numbers by the gateway's message ID.
    pub(super) messages: HashMap<String, u32>,
    /// Delivery reports that arrived before the outcome of the call to the gateway, by message ID.
    pub(super) early_reports: HashMap<String, DeliveryState>,
}

/// State of one SMS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SmsState {
    Sent,
    Released,
    Unknown,
    /// `unknown` if the outcome of an earlier call is unknown: this remains when another worker
    /// takes over the lease or releases it.
    Leased {
        worker: u64,
        until: i64,
        unknown: bool,
    },
}

impl NumberRecord {
    pub(super) fn expire_failures(&mut self, now: i64) {
        if now >= self.wrong_until {
            self.failed_attempts = 0;
        }
    }

    /// The result for a wrong code, after it was counted.
    pub(super) fn wrong_code(&self, max_attempts: u32, now: i64) -> CheckResult {
        let attempts_left = max_attempts.saturating_sub(self.failed_attempts);
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
    pub(super) fn is_message(&self) -> bool {
        self.scope.starts_with(MESSAGE_SCOPE)
    }

    pub(super) fn begin(candidate: &AdmissionRequest, now: i64) -> Self {
        Self {
            id: candidate.id.clone(),
            scope: candidate.scope.clone(),
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
            concluded: None,
            guarded: Vec::new(),
            checked: None,
            sms: HashMap::new(),
            was_leased: false,
            messages: HashMap::new(),
            early_reports: HashMap::new(),
        }
    }
}
