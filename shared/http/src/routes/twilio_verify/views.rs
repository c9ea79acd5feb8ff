//! A verification as Twilio's clients read it.

use serde::Serialize;
use sms_store::LatestVerification;

use super::services::{VerifyService, sid_of};
use super::sid;
use crate::extract::caller::Account;

/// A verification, as Twilio Verify has it
#[derive(Serialize)]
#[cfg_attr(test, derive(utoipa::ToSchema), schema(as = TwilioVerification))]
pub(crate) struct VerificationBody {
    #[serde(flatten)]
    common: Common,
    /// Not done: empty
    #[cfg_attr(test, schema(value_type = Object))]
    lookup: Lookup,
    /// The SMS, the first one first
    send_code_attempts: Vec<Attempt>,
    sna: Option<String>,
    url: String,
}

/// A checked verification, as Twilio Verify has it
#[derive(Serialize)]
#[cfg_attr(test, derive(utoipa::ToSchema), schema(as = TwilioVerificationCheck))]
pub(crate) struct CheckBody {
    #[serde(flatten)]
    common: Common,
    sna_attempts_error_codes: [u8; 0],
}

#[derive(Serialize)]
struct Lookup {}

#[derive(Serialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
struct Common {
    /// `VE` and 32 hexadecimal digits
    sid: String,
    service_sid: String,
    account_sid: String,
    /// The number; masked where it was not in the request
    to: String,
    channel: &'static str,
    /// `pending`, `approved` or `canceled`
    status: &'static str,
    /// True if this request's code was right
    valid: bool,
    amount: Option<String>,
    payee: Option<String>,
    date_created: String,
    date_updated: String,
}

#[derive(Serialize)]
#[cfg_attr(test, derive(utoipa::ToSchema), schema(as = TwilioSendCodeAttempt))]
pub(crate) struct Attempt {
    time: String,
    channel: &'static str,
    attempt_sid: String,
}

/// A time as Twilio writes it, without a fraction: its client for Python leaves others as text.
fn time(at: jiff::Timestamp) -> String {
    format!("{at:.0}")
}

impl Common {
    fn of(
        found: &LatestVerification,
        to: String,
        service: &VerifyService,
        account: &Account<'_>,
        status: &'static str,
    ) -> Self {
        let updated = found.sms_at.first().copied().unwrap_or(found.began_at);
        Self {
            sid: sid(&found.verification.id),
            service_sid: service.sid.clone(),
            account_sid: account.sid.clone(),
            to,
            channel: "sms",
            status,
            valid: status == "approved",
            amount: None,
            payee: None,
            date_created: time(found.began_at),
            date_updated: time(updated),
        }
    }
}

impl VerificationBody {
    pub(super) fn of(
        found: &LatestVerification,
        to: String,
        service: &VerifyService,
        account: &Account<'_>,
        status: &'static str,
    ) -> Self {
        let common = Common::of(found, to, service, account, status);
        let id = found.verification.id.as_str();
        // Where the number's windows do not remember an SMS, its verification's beginning stands.
        let attempts = (1..=found.sms_number).map(|sms| {
            let index = usize::try_from(found.sms_number - sms).unwrap_or(usize::MAX);
            Attempt {
                time: time(found.sms_at.get(index).copied().unwrap_or(found.began_at)),
                channel: "sms",
                attempt_sid: sid_of("VL", &format!("{id} {sms}")),
            }
        });
        Self {
            lookup: Lookup {},
            send_code_attempts: attempts.collect(),
            sna: None,
            url: format!("/v2/Services/{}/Verifications/{}", service.sid, common.sid),
            common,
        }
    }
}

impl CheckBody {
    pub(super) fn of(
        found: &LatestVerification,
        to: String,
        service: &VerifyService,
        account: &Account<'_>,
        status: &'static str,
    ) -> Self {
        let common = Common::of(found, to, service, account, status);
        Self { common, sna_attempts_error_codes: [] }
    }
}
