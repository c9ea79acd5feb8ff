//! The façade of Twilio Verify v2: its clients work unchanged but for the host.
//!
//! A service is a purpose, and an account's token is one of the `API_KEYS`. A verification belongs
//! to the service and the key that began it: to all others there is none. Its SID names the number
//! (by its tag) and a part of the ID, so that it is found in the number's record, and needs no key
//! of its own.

pub(crate) mod checks;
pub(crate) mod create;
pub(crate) mod error;
mod form;
pub(crate) mod services;
pub(crate) mod views;

use std::sync::Arc;

use axum::Router;
use sms_app::check_code::CheckCode;
use sms_app::request_code::scope;
use sms_domain::phone::{PhoneNumber, Region};
use sms_domain::secrets::Secrets;
use sms_domain::test_numbers::TestNumbers;
use sms_domain::verification::Status;
use sms_domain::verification_id::{NumberTag, VerificationId};
use sms_store::{LatestVerification, Store};

use self::error::VerifyError;
pub use self::services::VerifyServices;
use self::services::{VerifyService, is_sid};
use super::verifications::RequestApi;
use crate::extract::caller::{Account, Callers};

/// The time of what has none.
const EPOCH: &str = "1970-01-01T00:00:00Z";

/// Bytes of a verification's ID in its SID, beside the number's tag.
const ID_BYTES: usize = 6;

/// The state of the routes that check codes.
pub(crate) struct VerifyApi {
    check_code: CheckCode,
    callers: Callers,
    services: VerifyServices,
}

/// The routes that check codes and read verifications and services.
pub fn check_router(check_code: CheckCode, callers: Callers, services: VerifyServices) -> Router {
    checks::router(Arc::new(VerifyApi { check_code, callers, services }))
}

/// The route that requests a code.
pub fn request_router(api: Arc<RequestApi>) -> Router {
    create::router(api)
}

/// Whoever has verifications to himself: a service and an API key.
fn owner(secrets: &Secrets, service: &VerifyService, account: &Account<'_>) -> String {
    secrets.keyed_hash(["twilio verify", &service.sid, account.tenant].join("\0").as_bytes())
}

/// The SID of a verification.
fn sid(id: &VerificationId) -> String {
    let random = &id.random_part()[..ID_BYTES];
    format!("VE{}{}", id.tag(), hex::encode(random))
}

/// How a verification is named: by its number, or by its SID.
enum Name<'a> {
    Number(PhoneNumber),
    Sid(&'a str),
}

impl<'a> Name<'a> {
    /// Reads a number with `+`, or a SID.
    fn read(text: &'a str, numbers: &TestNumbers) -> Result<Self, VerifyError> {
        if is_sid(text, "VE") {
            return Ok(Self::Sid(text));
        }
        number(text, numbers).map(|(number, _)| Self::Number(number))
    }

    fn tag(&self, secrets: &Secrets) -> Result<NumberTag, VerifyError> {
        match self {
            Self::Number(number) => Ok(secrets.tag(number)),
            Self::Sid(sid) => NumberTag::parse(&sid[2..22]).ok_or(VerifyError::NotFound),
        }
    }

    fn is_of(&self, id: &VerificationId) -> bool {
        match self {
            Self::Number(_) => true,
            Self::Sid(name) => name.eq_ignore_ascii_case(&sid(id)),
        }
    }

    /// The number as its caller has sent it; with a SID, the number masked.
    fn to(&self, found: &LatestVerification) -> String {
        match self {
            Self::Number(number) => number.e164().to_owned(),
            Self::Sid(_) => found.verification.to.clone(),
        }
    }
}

/// Reads a number, which must have its country's code.
fn number(
    text: &str,
    numbers: &TestNumbers,
) -> Result<(PhoneNumber, sms_domain::phone::Country), VerifyError> {
    let international = text.starts_with('+').then(|| numbers.number(text, Region::default()));
    international.and_then(Result::ok).ok_or(VerifyError::Parameter("To"))
}

/// Finds the pending verification of a name, if it is of this service and key. The same question to
/// the store whatever the answer is.
async fn find(
    store: &Store,
    secrets: &Secrets,
    (service, account): (&VerifyService, &Account<'_>),
    name: &Name<'_>,
) -> Result<LatestVerification, VerifyError> {
    let scope = scope(&service.purpose, Some(&owner(secrets, service, account)));
    let found = store.latest(name.tag(secrets)?).await?;
    let is_it = |found: &LatestVerification| {
        found.scope == scope
            && found.verification.status == Status::Pending
            && name.is_of(&found.verification.id)
    };
    found.filter(is_it).ok_or(VerifyError::NotFound)
}
