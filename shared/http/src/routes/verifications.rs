//! `POST /v1/verifications`: request a code.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::header::LOCATION;
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::{Json as JsonAnswer, Router};
use serde::{Deserialize, Serialize};
use sms_app::admission::{Request, RequestCode};
use sms_app::challenge::Proof;
use sms_app::detached::DetachOnDrop;
use sms_domain::locale::Locale;
use sms_domain::message::{AllowedAutofill, Autofill};
use sms_domain::phone::Region;
use sms_domain::picture_id::PictureId;
use sms_domain::random::random_bytes;
use sms_domain::refusal::Exceeded;
use sms_domain::test_numbers::TestNumbers;
use sms_domain::verification_id::Purpose;

use crate::HttpSettings;
#[cfg(test)]
use crate::document;
use crate::extract::caller::Caller;
use crate::extract::idempotency::{
    self, Claimed, IDEMPOTENCY_KEY, IDEMPOTENT_REPLAYED, IdempotencyGuard,
};
use crate::extract::json::Json;
use crate::middleware::problem_body::locale;
use crate::problem::field_error::FieldError;
use crate::problem::{Problem, RATE_LIMIT, bad, rate_limit};
use crate::views::Body;

/// The state of the routes.
pub struct RequestApi {
    /// The use case.
    pub admissions: RequestCode,
    /// `TEST_NUMBERS`, which are taken although nobody may have them.
    pub test_numbers: TestNumbers,
    /// The pages and apps that may have the code filled in.
    pub autofill: AllowedAutofill,
    /// Region, callers and origins.
    pub settings: HttpSettings,
}

// Serialized again, whatever its spelling was, it tells whether two requests are the same.
/// The fields of a request for a code
#[derive(Default, Deserialize, Serialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub(crate) struct CreateVerification {
    /// The number: international (`+86…`, `0086…`, or with the prefix that is dialled in
    /// `region`), or national within `region`
    #[cfg_attr(test, schema(required = true))]
    to: Option<String>,
    /// The country of a national number, ISO 3166-1 alpha-2; `DEFAULT_REGION` otherwise
    #[cfg_attr(test, schema(examples("CN")))]
    region: Option<String>,
    /// The SMS's language, as a BCP 47 tag: English, or Chinese in simplified or traditional
    /// (`zh-Hant`, `zh-TW`, `zh-HK`) characters. By `Accept-Language` otherwise, and where it is
    /// another
    locale: Option<String>,
    /// The purpose of the proof. A code for one purpose is worth nothing for another
    #[cfg_attr(test, schema(examples("login")))]
    purpose: Option<String>,
    /// The page that may fill the code in, such as `example.com`: one of `WEBOTP_ORIGINS`
    origin: Option<String>,
    /// The app that may, such as `FA+9qCX9VSu`: one of `ANDROID_APP_HASHES`
    app_hash: Option<String>,
    /// The answer to the task of a 403: of proof of work, or a captcha's token
    proof: Option<String>,
    /// The UUID of the picture of a 403
    uuid: Option<String>,
    /// The characters read in the picture
    image_code: Option<String>,
}

/// The routes.
pub fn router(api: Arc<RequestApi>) -> Router {
    routes().with_state(api)
}

routes! {
    Arc<RequestApi>;
    "/v1/verifications": post(request);
}

/// Ask for a code
///
/// Asking again after `resend_in` seconds, while the verification is pending, continues it: the
/// same `id`, the same code.
#[cfg_attr(test, utoipa::path(
    post,
    path = "/v1/verifications",
    operation_id = "askForCode",
    tag = "verifications",
    security((), ("apiKey" = [])),
    params(document::IdempotencyKey, document::AcceptLanguage),
    request_body(content = CreateVerification, examples(
        ("number" = (value = json!({ "to": "+8613800138000" }))),
        ("national" = (value = json!({
            "to": "138 0013 8000",
            "region": "CN",
            "purpose": "login",
        }))),
    )),
    responses(
        (status = 202, response = document::Accepted),
        (status = 400, response = document::BadRequest),
        (status = 401, response = document::Unauthorized),
        (status = 403, response = document::ChallengeRequired),
        (status = 408, response = document::RequestTimeout),
        (status = 409, response = document::IdempotencyInProgress),
        (status = 413, response = document::ContentTooLarge),
        (status = 415, response = document::UnsupportedMediaType),
        (status = 422, response = document::Unprocessable),
        (status = 429, response = document::TooManyRequests),
        (status = 503, response = document::ServiceUnavailable),
    ),
))]
pub(crate) async fn request(
    State(api): State<Arc<RequestApi>>,
    caller: Caller,
    headers: HeaderMap,
    Json(asked): Json<CreateVerification>,
) -> Result<Response, Problem> {
    let tenant = caller.tenant(&api.settings.callers.keys)?;
    let body = headers
        .get(IDEMPOTENCY_KEY)
        .and_then(|_| serde_json::to_vec(&asked).ok())
        .unwrap_or_default();
    let request = api.read(asked, caller, tenant, locale(&headers))?;
    let RequestCode { store, secrets, .. } = &api.admissions;
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

impl CreateVerification {
    /// A request out of a path and its query.
    pub(crate) fn by_path(to: String, uuid: Option<String>, image_code: Option<String>) -> Self {
        Self { to: Some(to), uuid, image_code, ..Self::default() }
    }
}

impl RequestApi {
    /// The request in the domain's terms.
    pub(crate) fn read(
        &self,
        asked: CreateVerification,
        caller: Caller,
        tenant: Option<&str>,
        language: Option<Locale>,
    ) -> Result<Request, Problem> {
        let region = match asked.region {
            Some(code) => Region::parse(&code).ok_or(bad("region", FieldError::InvalidCountry))?,
            None => self.settings.region,
        };
        let to = asked.to.ok_or(Problem::MissingField("to"))?;
        let (to, country) = self.test_numbers.number(&to, region).map_err(Problem::BadNumber)?;
        let locale = match asked.locale {
            Some(tag) if !Locale::is_tag(&tag) => {
                return Err(bad("locale", FieldError::InvalidLanguage));
            }
            // What is not spoken here is as if it had not been asked for, as in the header.
            tag => tag
                .as_deref()
                .and_then(Locale::parse)
                .or(language)
                .unwrap_or_else(|| Locale::of(&to)),
        };
        let purpose = Purpose::parse(&asked.purpose.unwrap_or_default())
            .ok_or(bad("purpose", FieldError::InvalidPurpose))?;
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
    pub(crate) async fn admit(
        self: &Arc<Self>,
        request: Request,
        key: Option<IdempotencyGuard>,
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
        Ok(DetachOnDrop::new(admission).await?)
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
            let uuid = PictureId::parse(uuid).ok_or(bad("uuid", FieldError::InvalidPicture))?;
            Ok(Some(Proof::Picture { uuid, text }))
        }
        (None, None, Some(_)) => Err(Problem::MissingField("uuid")),
        (None, Some(_), None) => Err(Problem::MissingField("image_code")),
        (Some(_), _, _) => Err(bad("proof", FieldError::Excludes("uuid"))),
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
        (Some(_), Some(_)) => return Err(bad("app_hash", FieldError::Excludes("origin"))),
    };
    match autofill.filter(|autofill| allowed.has(autofill)) {
        Some(autofill) => Ok(Some(autofill)),
        None => Err(bad(field, FieldError::NotConfigured)),
    }
}
