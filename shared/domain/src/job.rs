//! Jobs, as they are queued: ids and a version, and no code in clear.

use serde::{Deserialize, Serialize};

use crate::custom_code::SealedCode;
use crate::locale::Locale;
use crate::message::Autofill;
use crate::phone::PhoneNumber;
use crate::trace_context::{RequestContext, TraceParent};
use crate::verification_id::VerificationId;

/// One SMS to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// The verification that the SMS is for.
    pub id: VerificationId,
    /// Number of the SMS within its verification: 1 for the first, 2 after the first resend. With
    /// the id it identifies the job, so that a job that is delivered twice is sent once.
    pub sms_number: u32,
    /// The recipient.
    pub to: PhoneNumber,
    /// The code.
    pub code: JobCode,
    /// Language of the text.
    pub locale: Locale,
    /// The page or app that may read the code out of the message.
    pub autofill: Option<Autofill>,
    /// Calls to gateways before this message was queued.
    pub attempts: u32,
    /// The rate slot at a gateway that the job waits for.
    pub rate_slot: Option<RateSlot>,
    /// Accounts at gateways that answered that they do not serve the number.
    pub not_here: Vec<String>,
    /// Time of the request, in milliseconds since 1970: metrics show the job's age.
    pub requested_at: Option<i64>,
    /// The holder of the API key that requested it, where callers have keys.
    pub tenant: Option<String>,
    /// Request ID and trace context of the request.
    pub context: RequestContext,
}

/// The code of a job.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum JobCode {
    /// The worker derives it from the ID.
    #[default]
    Derived,
    /// Somebody else made it.
    Sealed(SealedCode),
    /// Somebody else made it, and it was taken out when the job became a dead letter.
    Removed,
}

/// A time slot within the rate limit of an account at a gateway.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RateSlot {
    /// The account.
    pub account: String,
    /// Time of the slot, in milliseconds since 1970 by the store's clock.
    pub at: i64,
}

/// Reason why a message is not a job.
#[derive(Debug, thiserror::Error)]
pub enum JobError {
    /// Not the JSON of a job.
    ///
    /// It tells the position of the error, and quotes nothing, since that may be a phone number.
    #[error("the message is not a job: see line {line}, column {column}")]
    Json {
        /// Line, counted from 1.
        line: usize,
        /// Column, counted from 1; 0 is before the first.
        column: usize,
    },
    /// An empty message.
    #[error("the message is empty, and not a job")]
    Empty,
    /// A job of a later release.
    #[error(
        "the job has version {0}, and this release reads versions {VERSION} and {CUSTOM_VERSION}"
    )]
    Version(u32),
    /// JSON with an invalid value.
    #[error("the job's {0} is not valid")]
    Field(&'static str),
}

/// Version 2 is a message of several jobs: see [`job_batch`](crate::job_batch).
const VERSION: u32 = 1;

/// The version of jobs whose code somebody else made: a release that does not know them would
/// derive another code.
const CUSTOM_VERSION: u32 = 3;

/// Longest name of a tenant.
const MAX_TENANT: usize = 128;

/// Returns true for a name that a tenant may have: 1 to 128 letters, digits, `_` and `-`.
#[must_use]
pub fn is_tenant(name: &str) -> bool {
    (1..=MAX_TENANT).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte))
}

/// Highest valid number of attempts, more than any schedule has.
const MAX_ATTEMPTS: u32 = 1_000;

impl JobError {
    fn of(body: &[u8], error: &serde_json::Error) -> Self {
        if body.trim_ascii().is_empty() {
            return Self::Empty;
        }
        Self::Json { line: error.line(), column: error.column() }
    }
}

/// The JSON of a job in a queue.
#[derive(Serialize, Deserialize)]
struct Wire<'a> {
    v: u32,
    id: &'a str,
    #[serde(rename = "send")]
    sms_number: u32,
    to: &'a str,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sealed: Option<(&'a str, i64)>,
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
    tenant: Option<&'a str>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    request: Option<&'a str>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    trace: Option<&'a str>,
}

impl Job {
    /// Encodes the job as the JSON that is queued.
    #[must_use]
    #[expect(clippy::expect_used, reason = "numbers and strings always serialize")]
    pub fn encode(&self) -> String {
        let wire = Wire {
            v: if self.code == JobCode::Derived { VERSION } else { CUSTOM_VERSION },
            id: self.id.as_str(),
            sms_number: self.sms_number,
            to: self.to.e164(),
            sealed: match &self.code {
                JobCode::Sealed(sealed) => Some((&sealed.text, sealed.sealed_at)),
                JobCode::Derived | JobCode::Removed => None,
            },
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
            turn: self.rate_slot.as_ref().map(|slot| (slot.account.as_str(), slot.at)),
            not_here: self.not_here.iter().map(String::as_str).collect(),
            at: self.requested_at,
            tenant: self.tenant.as_deref(),
            request: self.context.request_id.as_deref(),
            trace: self.context.trace.as_ref().map(TraceParent::as_str),
        };
        serde_json::to_string(&wire).expect("numbers and strings always serialize")
    }

    /// The body of a message without the code that somebody else made; `None` if it has none. Dead
    /// letters are kept for days.
    #[must_use]
    pub fn without_code(body: &[u8]) -> Option<String> {
        let job = Self::decode(body).ok()?;
        let sealed = matches!(job.code, JobCode::Sealed(_));
        sealed.then(|| Self { code: JobCode::Removed, ..job }.encode())
    }

    /// Decodes the JSON of a queued job.
    ///
    /// # Errors
    /// [`JobError`] for anything that [`Job::encode`] did not write.
    pub fn decode(body: &[u8]) -> Result<Self, JobError> {
        /// The version alone, read first: other fields of a later version must not hide it.
        #[derive(Deserialize)]
        struct Versioned {
            v: u32,
        }
        let failed = |error| JobError::of(body, &error);
        let Versioned { v } = serde_json::from_slice(body).map_err(failed)?;
        if v != VERSION && v != CUSTOM_VERSION {
            return Err(JobError::Version(v));
        }
        let wire: Wire<'_> = serde_json::from_slice(body).map_err(failed)?;
        if wire.attempts > MAX_ATTEMPTS {
            return Err(JobError::Field("attempts"));
        }
        if !wire.tenant.is_none_or(is_tenant) {
            return Err(JobError::Field("tenant"));
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
            code: match (v, wire.sealed) {
                (VERSION, _) => JobCode::Derived,
                (_, Some((text, sealed_at))) => {
                    JobCode::Sealed(SealedCode { text: text.to_owned(), sealed_at })
                }
                (_, None) => JobCode::Removed,
            },
            locale: Locale::parse(wire.locale).ok_or(JobError::Field("locale"))?,
            autofill,
            attempts: wire.attempts,
            rate_slot: wire.turn.map(|(account, at)| RateSlot { account: account.to_owned(), at }),
            not_here: wire.not_here.into_iter().map(ToOwned::to_owned).collect(),
            requested_at: wire.at,
            tenant: wire.tenant.map(ToOwned::to_owned),
            context: RequestContext {
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
            code: JobCode::Derived,
            locale: Locale::ZhCn,
            autofill: Autofill::origin("example.com"),
            attempts: 1,
            rate_slot: Some(RateSlot { account: "a1".to_owned(), at: 1_700_000_000_000 }),
            not_here: vec!["a2".to_owned()],
            requested_at: Some(1_700_000_000_000),
            tenant: Some("shop".to_owned()),
            context: RequestContext {
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
    fn a_job_with_a_sealed_code_is_none_of_an_older_release_and_loses_it_as_a_dead_letter() {
        let sealed = SealedCode { text: "c2VhbGVk".to_owned(), sealed_at: 1_700_000_000_000 };
        let job = Job { code: JobCode::Sealed(sealed), ..job() };
        let body = job.encode();
        assert!(body.starts_with("{\"v\":3,"), "{body}");
        assert_eq!(Job::decode(body.as_bytes()).expect("reads back"), job);
        let buried = Job::without_code(body.as_bytes()).expect("it had one");
        assert!(!buried.contains("c2VhbGVk"), "{buried}");
        let removed = Job { code: JobCode::Removed, ..job };
        assert_eq!(Job::decode(buried.as_bytes()).expect("reads back"), removed);
        assert_eq!(Job::without_code(buried.as_bytes()), None);
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
            (good.replace("shop", "the shop").as_str(), "tenant is not valid"),
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
