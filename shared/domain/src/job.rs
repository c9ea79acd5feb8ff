//! What is queued: ids and a version, never a code.

use serde::{Deserialize, Serialize};

use crate::locale::Locale;
use crate::message::Autofill;
use crate::phone::PhoneNumber;
use crate::trace_context::{RequestContext, TraceParent};
use crate::verification_id::VerificationId;

/// One SMS to be sent. The code is derived from the id by whoever delivers it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// The verification that the SMS is for.
    pub id: VerificationId,
    /// Which SMS of that verification: 1 for the first, 2 after the first resend. With the id it
    /// names the job, so that a job that is delivered twice is sent once.
    pub sms_number: u32,
    /// Where it goes.
    pub to: PhoneNumber,
    /// In which language.
    pub locale: Locale,
    /// Which page or app may read the code out of the message.
    pub autofill: Option<Autofill>,
    /// Calls to a provider that were made before this message was queued.
    pub attempts: u32,
    /// The turn at a gateway that the job waits for.
    pub rate_slot: Option<RateSlot>,
    /// The accounts at gateways that do not serve the number, as they have answered.
    pub not_here: Vec<String>,
    /// When it was asked for, in milliseconds since 1970: how old it is, is measured.
    pub at: Option<i64>,
    /// What the request is found by.
    pub names: RequestContext,
}

/// A place in the rate of an account at a gateway.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RateSlot {
    /// The account.
    pub account: String,
    /// When it comes, in milliseconds since 1970 by the store's clock.
    pub at: i64,
}

/// Why a message is not a job.
#[derive(Debug, thiserror::Error)]
pub enum JobError {
    /// Not the JSON of a job.
    ///
    /// Where it stops being one, and nothing of what stands there: that may be a number.
    #[error("the message is not a job: see line {line}, column {column}")]
    Json {
        /// Counted from 1.
        line: usize,
        /// Counted from 1; 0 is before the first.
        column: usize,
    },
    /// Nothing at all.
    #[error("the message is empty, and not a job")]
    Empty,
    /// A job of a later release.
    #[error("the job has version {0}, and this release reads version {VERSION}")]
    Version(u32),
    /// JSON with a value that cannot be.
    #[error("the job's {0} is not valid")]
    Field(&'static str),
}

const VERSION: u32 = 1;

/// More attempts than any schedule has.
const MAX_ATTEMPTS: u32 = 1_000;

impl JobError {
    fn of(body: &[u8], error: &serde_json::Error) -> Self {
        if body.trim_ascii().is_empty() {
            return Self::Empty;
        }
        Self::Json { line: error.line(), column: error.column() }
    }
}

/// The job as it stands in a queue.
#[derive(Serialize, Deserialize)]
struct Wire<'a> {
    v: u32,
    id: &'a str,
    #[serde(rename = "send")]
    sms_number: u32,
    to: &'a str,
    locale: &'a str,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    origin: Option<&'a str>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    app_hash: Option<&'a str>,
    #[serde(default)]
    attempts: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    turn: Option<(&'a str, i64)>,
    #[serde(default, borrow, skip_serializing_if = "Vec::is_empty")]
    not_here: Vec<&'a str>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    at: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    request: Option<&'a str>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    trace: Option<&'a str>,
}

impl Job {
    /// The JSON that is queued.
    #[must_use]
    #[expect(clippy::expect_used, reason = "numbers and strings always serialize")]
    pub fn encode(&self) -> String {
        let wire = Wire {
            v: VERSION,
            id: self.id.as_str(),
            sms_number: self.sms_number,
            to: self.to.e164(),
            locale: self.locale.tag(),
            origin: match &self.autofill {
                Some(Autofill::Origin(host)) => Some(host),
                _ => None,
            },
            app_hash: match &self.autofill {
                Some(Autofill::AppHash(hash)) => Some(hash),
                _ => None,
            },
            attempts: self.attempts,
            turn: self.rate_slot.as_ref().map(|turn| (turn.account.as_str(), turn.at)),
            not_here: self.not_here.iter().map(String::as_str).collect(),
            at: self.at,
            request: self.names.request_id.as_deref(),
            trace: self.names.trace.as_ref().map(TraceParent::as_str),
        };
        serde_json::to_string(&wire).expect("numbers and strings always serialize")
    }

    /// Reads what was queued.
    ///
    /// # Errors
    /// [`JobError`] for anything that [`Job::encode`] did not write.
    pub fn decode(body: &[u8]) -> Result<Self, JobError> {
        /// Read first, so that a later version's other fields do not hide that it is a later
        /// version.
        #[derive(Deserialize)]
        struct Versioned {
            v: u32,
        }
        let failed = |error| JobError::of(body, &error);
        let Versioned { v } = serde_json::from_slice(body).map_err(failed)?;
        if v != VERSION {
            return Err(JobError::Version(v));
        }
        let wire: Wire<'_> = serde_json::from_slice(body).map_err(failed)?;
        if wire.attempts > MAX_ATTEMPTS {
            return Err(JobError::Field("attempts"));
        }
        let autofill = match (wire.origin, wire.app_hash) {
            (Some(host), None) => Some(Autofill::origin(host).ok_or(JobError::Field("origin"))?),
            (None, Some(hash)) => {
                Some(Autofill::app_hash(hash).ok_or(JobError::Field("app_hash"))?)
            }
            (None, None) => None,
            (Some(_), Some(_)) => return Err(JobError::Field("origin")),
        };
        Ok(Self {
            id: VerificationId::parse(wire.id).ok_or(JobError::Field("id"))?,
            sms_number: wire.sms_number,
            to: PhoneNumber::from_e164(wire.to).ok_or(JobError::Field("to"))?,
            locale: Locale::parse(wire.locale).ok_or(JobError::Field("locale"))?,
            autofill,
            attempts: wire.attempts,
            rate_slot: wire.turn.map(|(account, at)| RateSlot { account: account.to_owned(), at }),
            not_here: wire.not_here.into_iter().map(ToOwned::to_owned).collect(),
            at: wire.at,
            names: RequestContext {
                request_id: wire.request.map(ToOwned::to_owned),
                trace: wire.trace.and_then(TraceParent::parse),
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verification_id::{NumberTag, Purpose};

    fn job() -> Job {
        Job {
            id: VerificationId::new(
                1,
                NumberTag::from_hash(&[2; 32]),
                [3; 16],
                &Purpose::default(),
            ),
            sms_number: 2,
            to: PhoneNumber::from_e164("+8613800138000").expect("valid"),
            locale: Locale::ZhCn,
            autofill: Autofill::origin("example.com"),
            attempts: 1,
            rate_slot: Some(RateSlot { account: "a1".to_owned(), at: 1_700_000_000_000 }),
            not_here: vec!["a2".to_owned()],
            at: Some(1_700_000_000_000),
            names: RequestContext {
                request_id: Some("request-1".to_owned()),
                trace: TraceParent::parse(
                    "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
                ),
            },
        }
    }

    #[test]
    fn a_job_reads_back() {
        assert_eq!(Job::decode(job().encode().as_bytes()).expect("reads back"), job());
    }

    #[test]
    fn what_is_no_job_says_why() {
        let good = job().encode();
        for (body, reason) in [
            ("", "empty, and not a job"),
            (" ", "empty, and not a job"),
            (r#"{"+8613800138000":1}"#, "not a job: see line 1"),
            ("[]", "not a job"),
            ("{\"v\":1}", "not a job"),
            ("{\"v\":2,\"new\":true}", "version 2"),
            (good.replace("+8613800138000", "13800138000").as_str(), "to is not valid"),
            (good.replace(job().id.as_str(), "x").as_str(), "id is not valid"),
            (good.replace("example.com", "a b").as_str(), "origin is not valid"),
            (good.replace("zh-CN", "tlh").as_str(), "locale is not valid"),
            (
                good.replace("\"attempts\":1", "\"attempts\":4294967295").as_str(),
                "attempts is not valid",
            ),
            (good.replace("\"+8613800138000\"", "8613800138000").as_str(), "not a job"),
        ] {
            let error = Job::decode(body.as_bytes()).expect_err(body).to_string();
            assert!(error.contains(reason), "{error}");
            assert!(!error.contains("13800138000"), "{error}");
        }
    }
}
