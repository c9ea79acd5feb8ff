//! `POST /v1/verifications`, and `GET /sms_codes/{mobile}/` for the tutorial's pages: ask for a
//! code.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::header::LOCATION;
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json as JsonAnswer, Router};
use serde::{Deserialize, Serialize};

use super::body::Json;
use super::client::Caller;
use super::flaw::FieldFlaw;
use super::idempotency::{self, Claimed, Held, IDEMPOTENCY_KEY, IDEMPOTENT_REPLAYED};
use super::problem::{Problem, RATE_LIMIT, bad, rate_limit};
use super::verification::Body;
use super::{HttpSettings, locale, meiduo};
use crate::admission::{Admissions, Request};
use crate::afterwards::ToTheEnd;
use crate::challenge::{PictureId, Proof};
use crate::entropy::random_bytes;
use crate::limits::Exceeded;
use crate::message::{AllowedAutofill, Autofill, Locale};
use crate::phone::Region;
use crate::test_numbers::TestNumbers;
use crate::verification::Purpose;

/// What the routes need.
pub struct RequestApi {
    /// The use case.
    pub admissions: Admissions,
    /// `TEST_NUMBERS`, which are taken although nobody may have them.
    pub test_numbers: TestNumbers,
    /// The pages and apps that may have the code filled in.
    pub autofill: AllowedAutofill,
    /// Region, callers and origins.
    pub settings: HttpSettings,
}

/// The fields of a request. Serialized again, whatever its spelling was, it tells whether two are
/// the same.
#[derive(Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Asked {
    to: Option<String>,
    region: Option<String>,
    locale: Option<String>,
    purpose: Option<String>,
    origin: Option<String>,
    app_hash: Option<String>,
    proof: Option<String>,
    uuid: Option<String>,
    image_code: Option<String>,
}

/// The routes.
pub fn router(api: RequestApi) -> Router {
    Router::new()
        .route("/v1/verifications", post(request))
        .route("/sms_codes/{mobile}/", get(meiduo::sms_codes).head(meiduo::no_head))
        .route("/sms_codes/{mobile}", get(meiduo::sms_codes).head(meiduo::no_head))
        .with_state(Arc::new(api))
}

async fn request(
    State(api): State<Arc<RequestApi>>,
    caller: Caller,
    headers: HeaderMap,
    Json(asked): Json<Asked>,
) -> Result<Response, Problem> {
    let tenant = caller.tenant(&api.settings.callers.keys)?;
    let body = headers
        .get(IDEMPOTENCY_KEY)
        .and_then(|_| serde_json::to_vec(&asked).ok())
        .unwrap_or_default();
    let request = api.read(asked, caller, tenant, locale(&headers))?;
    let Admissions { store, secrets, .. } = &api.admissions;
    match idempotency::claim(&headers, tenant, &body, store, secrets).await? {
        Claimed::First(key) => {
            let (verification, wait) = api.admit(request, key).await?;
            Ok(([(RATE_LIMIT, rate_limit([wait]))], accepted(&verification)).into_response())
        }
        Claimed::Answered(answer) => {
            Ok(([(IDEMPOTENT_REPLAYED, HeaderValue::from_static("true"))], accepted(&answer))
                .into_response())
        }
    }
}

/// Relative to the path that was asked (RFC 9110 §10.2.2): a proxy may have it below another one.
fn accepted(verification: &Body) -> Response {
    let location = format!("verifications/{}", verification.id);
    (StatusCode::ACCEPTED, [(LOCATION, location)], JsonAnswer(verification)).into_response()
}

impl Asked {
    /// What a path and its query can ask for.
    pub(super) fn by_path(to: String, uuid: Option<String>, image_code: Option<String>) -> Self {
        Self { to: Some(to), uuid, image_code, ..Self::default() }
    }
}

impl RequestApi {
    /// What is asked for, in the domain's terms.
    pub(super) fn read(
        &self,
        asked: Asked,
        caller: Caller,
        tenant: Option<&str>,
        language: Option<Locale>,
    ) -> Result<Request, Problem> {
        let region = match asked.region {
            Some(code) => Region::parse(&code).ok_or(bad("region", FieldFlaw::NoCountry))?,
            None => self.settings.region,
        };
        let to = asked.to.ok_or(Problem::MissingField("to"))?;
        let (to, country) = self.test_numbers.number(&to, region).map_err(Problem::BadNumber)?;
        let locale = match asked.locale {
            Some(tag) if !Locale::is_tag(&tag) => return Err(bad("locale", FieldFlaw::NoLanguage)),
            // What is not spoken here is as if it had not been asked for, as in the header.
            tag => tag
                .as_deref()
                .and_then(Locale::parse)
                .or(language)
                .unwrap_or_else(|| Locale::of(&to)),
        };
        let purpose = Purpose::parse(&asked.purpose.unwrap_or_default())
            .ok_or(bad("purpose", FieldFlaw::NoPurpose))?;
        let autofill =
            autofill(asked.origin.as_deref(), asked.app_hash.as_deref(), &self.autofill)?;
        let proof = proof(asked.proof, asked.uuid.as_deref(), asked.image_code)?;
        let ip = caller.ip(self.settings.callers.proxies);
        let tenant = tenant.map(ToOwned::to_owned);
        Ok(Request {
            to,
            country,
            ip,
            tenant,
            locale,
            purpose,
            autofill,
            proof,
            names: caller.names,
        })
    }

    /// Asks for the code, and tells what another SMS waits for, too. A caller who hangs up does not
    /// stop it between admission and queue.
    pub(super) async fn admit(
        self: &Arc<Self>,
        request: Request,
        key: Option<Held>,
    ) -> Result<(Body, (Exceeded, Duration)), Problem> {
        let api = Arc::clone(self);
        let admission = async move {
            let admitted = api.admissions.request(request, random_bytes()).await;
            let admitted = admitted.map(|verification| {
                let wait = (verification.waits_for, verification.resend_in);
                (Body::from(verification), wait)
            });
            if let Some(key) = key {
                key.settle(admitted.as_ref().ok().map(|(answer, _)| answer)).await;
            }
            admitted
        };
        Ok(ToTheEnd::new(admission).await?)
    }
}

/// The answer to a task: a token, or what was read in a picture.
fn proof(
    token: Option<String>,
    uuid: Option<&str>,
    text: Option<String>,
) -> Result<Option<Proof>, Problem> {
    match (token, uuid, text) {
        (None, None, None) => Ok(None),
        (Some(token), None, None) => Ok(Some(Proof::Token(token))),
        (None, Some(uuid), Some(text)) => {
            let uuid = PictureId::parse(uuid).ok_or(bad("uuid", FieldFlaw::NoPicture))?;
            Ok(Some(Proof::Picture { uuid, text }))
        }
        (None, None, Some(_)) => Err(Problem::MissingField("uuid")),
        (None, Some(_), None) => Err(Problem::MissingField("image_code")),
        (Some(_), _, _) => Err(bad("proof", FieldFlaw::Excludes("uuid"))),
    }
}

fn autofill(
    origin: Option<&str>,
    app_hash: Option<&str>,
    allowed: &AllowedAutofill,
) -> Result<Option<Autofill>, Problem> {
    let (field, autofill) = match (origin, app_hash) {
        (None, None) => return Ok(None),
        (Some(host), None) => ("origin", Autofill::origin(host)),
        (None, Some(hash)) => ("app_hash", Autofill::app_hash(hash)),
        (Some(_), Some(_)) => return Err(bad("app_hash", FieldFlaw::Excludes("origin"))),
    };
    match autofill.filter(|autofill| allowed.has(autofill)) {
        Some(autofill) => Ok(Some(autofill)),
        None => Err(bad(field, FieldFlaw::NotConfigured)),
    }
}
