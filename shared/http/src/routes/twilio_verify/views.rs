//! A verification as Twilio's clients read it.

use jiff::Timestamp;
use serde::Serialize;
use sms_domain::verification_id::VerificationId;
use sms_store::LatestVerification;

use super::error::VerifyError;
use super::services::{VerifyService, sid_of};
use super::sid;
use crate::extract::caller::Account;

/// What is shown of a verification.
pub(super) struct Shown {
    pub(super) id: VerificationId,
    pub(super) began_at: Timestamp,
    /// The times of its latest SMS, as far as they are known, the latest first.
    pub(super) sms_at: Vec<Timestamp>,
    /// The number of its latest SMS.
    pub(super) sms_number: u32,
}

impl Shown {
    /// What is shown of a verification just after its admission, by what the store has found then.
    /// If it was ended since, or the store did not answer, its SMS is on its way all the same, and
    /// whoever was told otherwise would ask again.
    pub(super) fn after_admission(
        id: VerificationId,
        found: Result<LatestVerification, VerifyError>,
        now_micros: i64,
    ) -> Self {
        match found {
            Ok(found) if found.verification.id == id => (&found).into(),
            _ => Self {
                id,
                began_at: Timestamp::from_microsecond(now_micros).unwrap_or_default(),
                sms_at: Vec::new(),
                sms_number: 1,
            },
        }
    }
}

impl From<&LatestVerification> for Shown {
    fn from(found: &LatestVerification) -> Self {
        Self {
            id: found.verification.id.clone(),
            began_at: found.began_at,
            sms_at: found.sms_at.clone(),
            sms_number: found.sms_number,
        }
    }
}

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
fn time(at: Timestamp) -> String {
    format!("{at:.0}")
}

impl Common {
    fn of(
        shown: &Shown,
        to: String,
        service: &VerifyService,
        account: &Account<'_>,
        status: &'static str,
    ) -> Self {
        let updated = shown.sms_at.first().copied().unwrap_or(shown.began_at);
        Self {
            sid: sid(&shown.id),
            service_sid: service.sid.clone(),
            account_sid: account.sid.clone(),
            to,
            channel: "sms",
            status,
            valid: status == "approved",
            amount: None,
            payee: None,
            date_created: time(shown.began_at),
            date_updated: time(updated),
        }
    }
}

impl VerificationBody {
    pub(super) fn of(
        shown: &Shown,
        to: String,
        service: &VerifyService,
        account: &Account<'_>,
        status: &'static str,
    ) -> Self {
        let common = Common::of(shown, to, service, account, status);
        let id = shown.id.as_str();
        // Where the number's windows do not remember an SMS, its verification's beginning stands.
        let attempts = (1..=shown.sms_number).map(|sms| {
            let index = usize::try_from(shown.sms_number - sms).unwrap_or(usize::MAX);
            Attempt {
                time: time(shown.sms_at.get(index).copied().unwrap_or(shown.began_at)),
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
        shown: &Shown,
        to: String,
        service: &VerifyService,
        account: &Account<'_>,
        status: &'static str,
    ) -> Self {
        let common = Common::of(shown, to, service, account, status);
        Self { common, sna_attempts_error_codes: [] }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use sms_domain::phone::{PhoneNumber, Region};
    use sms_domain::random::random_bytes;
    use sms_domain::secrets::Secrets;
    use sms_domain::verification::Policy;
    use sms_domain::verification_id::Purpose;
    use sms_store::{AdmissionKind, AdmissionRequest, Clock, Store};

    use super::*;

    #[tokio::test]
    async fn an_admitted_verification_is_shown_whatever_becomes_of_it() {
        let (began, now) = (1_700_000_000_000_000, 1_700_000_001_000_000);
        let clock = Clock::virtual_from(Timestamp::from_microsecond(began).expect("a time"));
        let store = Store::memory(Policy::default()).with_clock(clock.clone());
        let secrets = Secrets::from_random(random_bytes());
        let number = PhoneNumber::parse("+8613800138000", Region::default()).expect("a number");
        let tag = secrets.tag(&number);
        let id = VerificationId::new(0, tag, random_bytes(), &Purpose::default());
        let request = AdmissionRequest {
            id: id.clone(),
            scope: String::new(),
            to: number.masked(),
            windows: Vec::new(),
            quotas: Vec::new(),
            kind: AdmissionKind::Verification,
            guarded: Vec::new(),
        };
        store.admit(&request).await.expect("an answer");
        clock.advance(Duration::from_secs(1));
        let found = || async { store.latest(tag).await.expect("an answer").expect("it is there") };
        let began_at = |id: &VerificationId, found| {
            let shown = Shown::after_admission(id.clone(), found, now);
            assert_eq!((&shown.id, shown.sms_number), (id, 1));
            shown.began_at.as_microsecond()
        };
        assert_eq!(began_at(&id, Ok(found().await)), began);
        let other = VerificationId::new(0, tag, random_bytes(), &Purpose::default());
        assert_eq!(began_at(&other, Ok(found().await)), now, "it was replaced");
        for error in [VerifyError::NotFound, VerifyError::Unavailable] {
            assert_eq!(began_at(&id, Err(error)), now);
        }
    }
}
