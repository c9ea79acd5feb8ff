//! `CustomMessage`: an SMS with a code that somebody else made and will check. It is admitted,
//! queued and sent as those of our own are, with limits of its own.

use std::net::IpAddr;
use std::time::Instant;

use sms_domain::custom_code::CustomCode;
use sms_domain::job::{Job, JobCode};
use sms_domain::locale::Locale;
use sms_domain::phone::{Country, PhoneNumber};
use sms_domain::quota::{Scope, number_quota};
use sms_domain::random::random_bytes;
use sms_domain::refusal::{Exceeded, Refusal};
use sms_domain::trace_context::RequestContext;
use sms_domain::verification::{DeliveryState, Verification};
use sms_domain::verification_id::{Purpose, VerificationId};
use sms_store::{AdmissionKind, AdmissionRequest, Conclusion, Decision, StoreError};
use tracing::{error, info, warn};

use crate::metrics;
use crate::request_code::{RELEASE_WAIT_LONG, RequestCode, RequestCodeError};

/// A request to send a code that somebody else made.
#[derive(Debug, Clone)]
pub struct CustomMessage {
    /// The number that the code is sent to.
    pub to: PhoneNumber,
    /// The country of the number.
    pub country: Country,
    /// The code, and what is known of it.
    pub custom: CustomCode,
    /// The person's address; `None` if it is unknown.
    pub ip: Option<IpAddr>,
    /// Whoever sends it: the holder of an API key, or a door.
    pub tenant: String,
    /// The language of our text.
    pub locale: Locale,
    /// The purpose, which selects our text.
    pub purpose: Purpose,
    /// True if the sender will report the codes that were brought to him: only then the conversion
    /// guard counts the SMS, and refuses.
    pub is_reported: bool,
    /// Request ID and trace context, for its log lines and its job.
    pub context: RequestContext,
}

impl RequestCode {
    /// Admits a message and queues its SMS. The same code for the same number is the same message
    /// for [`Policy::MAX_LIFE`](sms_domain::verification::Policy::MAX_LIFE), unless it failed.
    ///
    /// There are no challenges: what the conversion guard finds suspicious has half of the number's
    /// windows. A cooldown and wrong codes of a verification do not hold it.
    ///
    /// # Errors
    /// As [`RequestCode::request`].
    pub async fn send_message(
        &self,
        message: CustomMessage,
    ) -> Result<Verification, RequestCodeError> {
        let (began, country) = (Instant::now(), message.country);
        let result = self.decide_on_message(message).await;
        match &result {
            Ok(_) => {
                let price = self.abuse.budget.price(country);
                metrics::HANDLES.accepted(country, price, began.elapsed());
            }
            Err(error) => metrics::HANDLES.rejected(error.outcome(), error.refusal()),
        }
        result
    }

    async fn decide_on_message(
        &self,
        message: CustomMessage,
    ) -> Result<Verification, RequestCodeError> {
        if !self.abuse.countries.contains(message.country) {
            return Err(RequestCodeError::Country(message.country));
        }
        let CustomMessage { to, tenant, .. } = &message;
        let mut candidate = self.candidate(&message, false).await?;
        let mut decision = self.store.admit(&candidate).await;
        if matches!(decision, Ok(Decision::Challenged)) {
            candidate = self.candidate(&message, true).await?;
            decision = self.store.admit(&candidate).await;
        }
        let (verification, sms_number) = match decision {
            Ok(Decision::Admitted { verification, sms_number, observed, alarm }) => {
                if observed {
                    warn!(id = %verification.id, to = %to, "conversion is unusually low");
                }
                if alarm {
                    error!("80 % of the budget of this hour or day is spent");
                }
                (verification, sms_number)
            }
            Ok(Decision::Refused(refusal)) => {
                if refusal.contains(Exceeded::Limit(Scope::Budget)) {
                    error!(to = %to, "the budget of this hour or day is spent: refused");
                }
                return Err(RequestCodeError::Refused(refusal));
            }
            // Only what was asked with challenges is challenged.
            Ok(Decision::Challenged) => {
                return Err(RequestCodeError::Refused(Refusal::default()));
            }
            Err(error) => {
                self.release(candidate, RELEASE_WAIT_LONG).await;
                return Err(error.into());
            }
        };
        let is_known = verification.id != candidate.id;
        info!(id = %verification.id, to = %to, sender = tenant, is_known, "message admitted");
        // A job that is queued twice is sent once; one that was lost with its process is queued
        // now.
        let is_open =
            matches!(verification.delivery, DeliveryState::Queued | DeliveryState::Retrying);
        if is_known && !is_open {
            return Ok(verification);
        }
        let (id, now) = (verification.id.clone(), self.now_ms());
        let sealed = self.secrets.seal(&message.custom, &id, to, now, random_bytes());
        let job = Job {
            id,
            sms_number,
            to: message.to,
            code: JobCode::Sealed(sealed),
            locale: message.locale,
            autofill: None,
            attempts: 0,
            rate_slot: None,
            not_here: Vec::new(),
            requested_at: Some(now),
            tenant: Some(message.tenant),
            context: message.context,
        };
        self.enqueue(&job, candidate).await?;
        Ok(verification)
    }

    /// The request to the store. `is_suspicious`: the guard has asked for a challenge.
    async fn candidate(
        &self,
        message: &CustomMessage,
        is_suspicious: bool,
    ) -> Result<AdmissionRequest, StoreError> {
        let CustomMessage { to, country, tenant, purpose, .. } = message;
        let guard = match message.is_reported {
            true => {
                let (abuse, asks) = (&self.abuse, !is_suspicious);
                abuse.guard.quotas(&self.store, to, *country, &self.secrets, asks).await?
            }
            false => Vec::new(),
        };
        let windows = self.abuse.limits.of_message();
        let windows = if is_suspicious { windows.halved() } else { windows };
        let guarded = guard.iter().map(|quota| quota.subject.clone()).collect();
        let mut quotas = vec![number_quota(self.secrets.tag(to), windows)];
        quotas.extend(self.abuse.limits.request(
            to,
            *country,
            message.ip,
            Some(tenant),
            &self.secrets,
        ));
        quotas.extend(guard);
        quotas.extend(self.abuse.budget.quotas(*country));
        let tag = self.secrets.message_tag(tenant, to, &message.custom);
        Ok(AdmissionRequest {
            kind: AdmissionKind::Message,
            id: VerificationId::new(self.secrets.newest_key_id(), tag, random_bytes(), purpose),
            scope: self.message_scope(tenant),
            to: to.masked(),
            windows: Vec::new(),
            quotas,
            guarded,
        })
    }

    /// The scope of a sender's messages.
    fn message_scope(&self, tenant: &str) -> String {
        ["message/", &self.secrets.keyed_hash(tenant.as_bytes())].concat()
    }

    /// Returns a sender's message; `None` if it is unknown, over, or another sender's.
    ///
    /// # Errors
    /// If the store does not answer.
    pub async fn message(
        &self,
        id: &VerificationId,
        tenant: &str,
    ) -> Result<Option<Verification>, StoreError> {
        let scope = self.message_scope(tenant);
        let found = self.store.latest(id.tag()).await?;
        let found = found.filter(|found| found.scope == scope && found.verification.id == *id);
        Ok(found.map(|found| found.verification))
    }

    /// Records that a message's code was brought to its sender. Returns false for a message that is
    /// unknown, over, or another sender's.
    ///
    /// # Errors
    /// If the store does not answer.
    pub async fn report_converted(
        &self,
        id: &VerificationId,
        tenant: &str,
    ) -> Result<bool, StoreError> {
        if self.message(id, tenant).await?.is_none() {
            return Ok(false);
        }
        let converted = self.store.conclude(id, Conclusion::Converted).await?;
        info!(%id, converted, "its code was brought to its sender");
        Ok(converted)
    }
}
