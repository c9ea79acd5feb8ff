//! `POST /v1/verifications`: request a code.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::header::LOCATION;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::Response;
use serde::{Deserialize, Serialize};
use sms_app::challenge::Proof;
use sms_app::detached::DetachOnDrop;
use sms_app::request_code::{Request, RequestCode};
use sms_domain::locale::Locale;
use sms_domain::message::{AllowedAutofill, Autofill};
use sms_domain::phone::{Country, PhoneNumber, Region};
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
    self, Claimed, IDEMPOTENT_REPLAYED, IdempotencyGuard, IdempotencyKey,
};
use crate::extract::json::Json;
use crate::middleware::problem_body::Language;
use crate::problem::field_error::FieldError;
use crate::problem::{Problem, RATE_LIMIT, bad, rate_limit};
use crate::views::{Body, HEADERS, json_response};

/// The state of the routes.
pub struct RequestApi {
    /// The use case `RequestCode`.
    pub request_code: RequestCode,
    /// `TEST_NUMBERS`, which are accepted although they are not valid numbers.
    pub test_numbers: TestNumbers,
    /// The pages and apps that may fill in the code.
    pub autofill: AllowedAutofill,
    /// Region, callers and origins.
    pub settings: HttpSettings,
}

// It is serialized again to compare two requests whatever their formatting.
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
    /// (`zh-Hant`, `zh-TW`, `zh-HK`) characters; `Accept-Language` otherwise, and for any other
    /// language
    locale: Option<String>,
    /// The purpose of the verification. A code for one purpose is not valid for another
    #[cfg_attr(test, schema(examples("login")))]
    purpose: Option<String>,
    /// The page that may fill in the code, such as `example.com`: one of `WEBOTP_ORIGINS`
    origin: Option<String>,
    /// The app that may fill in the code, such as `FA+9qCX9VSu`: one of `ANDROID_APP_HASHES`
    app_hash: Option<String>,
    /// The solution of the task of a 403: of proof of work, or a captcha's token
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

/// Request a code
///
/// Another request after `resend_in` seconds, while the verification is pending, continues it: the
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
    language: Language,
    key: IdempotencyKey,
    Json(asked): Json<CreateVerification>,
) -> Response {
    let answer = answer(&api, asked, caller, language.0, key).await;
    // Written here, since many requests are throttled: one that is left to the middleware passes
    // through the response's extensions.
    answer.unwrap_or_else(|problem| problem.response(language.0.unwrap_or(Locale::En)))
}

async fn answer(
    api: &Arc<RequestApi>,
    asked: CreateVerification,
    caller: Caller,
    language: Option<Locale>,
    key: IdempotencyKey,
) -> Result<Response, Problem> {
    let tenant = caller.tenant(&api.settings.callers)?;
    let body = match &key.0 {
        Ok(None) => None,
        _ => Some(serde_json::to_vec(&asked).unwrap_or_default()),
    };
    let request = api.read(asked, caller, tenant, language)?;
    let guard = match (key.0?, body) {
        (Some(key), Some(body)) => {
            let RequestCode { store, secrets, .. } = &api.request_code;
            // Boxed, as what is seldom called: its future would make that of each request larger.
            match Box::pin(idempotency::claim(&key, tenant, &body, store, secrets)).await? {
                Claimed::First(guard) => Some(guard),
                Claimed::Replay(response) => {
                    let replayed = HeaderValue::from_static("true");
                    return Ok(accepted(&response, IDEMPOTENT_REPLAYED, replayed));
                }
            }
        }
        _ => None,
    };
    let (verification, wait) = api.admit(request, guard).await?;
    Ok(accepted(&verification, RATE_LIMIT, rate_limit([wait])))
}

/// The response 202. `Location` is relative to the request's path (RFC 9110 §10.2.2), since a proxy
/// may serve the API below another one.
fn accepted(verification: &Body, name: HeaderName, value: HeaderValue) -> Response {
    let mut headers = HeaderMap::with_capacity(HEADERS);
    headers.insert(name, value);
    if let Ok(location) = HeaderValue::try_from(["verifications/", &verification.id].concat()) {
        headers.insert(LOCATION, location);
    }
    json_response(StatusCode::ACCEPTED, headers, verification)
}

impl CreateVerification {
    /// A request for a code to a number.
    pub(crate) fn of_number(
        to: String,
        locale: Option<String>,
        purpose: String,
        app_hash: Option<String>,
    ) -> Self {
        Self { to: Some(to), locale, purpose: Some(purpose), app_hash, ..Self::default() }
    }

    /// A request made of a path and its query.
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
        let (to, country) = self.number(asked.to.as_deref(), asked.region.as_deref())?;
        let locale = language_of(asked.locale.as_deref())?;
        let locale = locale.or(language).unwrap_or_else(|| Locale::of(&to));
        let purpose = Purpose::parse(&asked.purpose.unwrap_or_default())
            .ok_or_else(|| bad("purpose", FieldError::InvalidPurpose))?;
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
            owner: None,
            autofill,
            proof,
            context: caller.context,
        })
    }

    /// Reads a number, in its country or in that of the settings.
    pub(crate) fn number(
        &self,
        to: Option<&str>,
        region: Option<&str>,
    ) -> Result<(PhoneNumber, Country), Problem> {
        let region = match region {
            Some(code) => {
                Region::parse(code).ok_or_else(|| bad("region", FieldError::InvalidCountry))?
            }
            None => self.settings.region,
        };
        let to = to.ok_or(Problem::MissingField("to"))?;
        self.test_numbers.number(to, region).map_err(Problem::BadNumber)
    }

    /// Requests the code. Returns the verification, and the policy and time that another SMS has to
    /// wait for. A caller who hangs up does not stop it between admission and queue.
    pub(crate) async fn admit(
        self: &Arc<Self>,
        request: Request,
        key: Option<IdempotencyGuard>,
    ) -> Result<(Body, (Exceeded, Duration)), Problem> {
        let api = Arc::clone(self);
        let admission = async move {
            let admitted = api.request_code.request(request, random_bytes()).await;
            let admitted = admitted.map(|verification| {
                let wait = (verification.waits_for, verification.resend_in);
                (Body::from(verification), wait)
            });
            if let Some(key) = key {
                key.complete(admitted.as_ref().ok().map(|(response, _)| response)).await;
            }
            admitted
        };
        Ok(DetachOnDrop::new(admission).await?)
    }
}

/// Reads a language tag. A language that is not available is ignored, as in the header.
pub(crate) fn language_of(tag: Option<&str>) -> Result<Option<Locale>, Problem> {
    match tag {
        Some(tag) if !Locale::is_tag(tag) => Err(bad("locale", FieldError::InvalidLanguage)),
        tag => Ok(tag.and_then(Locale::parse)),
    }
}

/// Reads the solution of a task: a token, or the characters of a picture.
fn proof(
    token: Option<String>,
    uuid: Option<&str>,
    text: Option<String>,
) -> Result<Option<Proof>, Problem> {
    match (token, uuid, text) {
        (None, None, None) => Ok(None),
        (Some(token), None, None) => Ok(Some(Proof::Token(token))),
        (None, Some(uuid), Some(text)) => {
            let uuid =
                PictureId::parse(uuid).ok_or_else(|| bad("uuid", FieldError::InvalidPicture))?;
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
    match autofill.filter(|autofill| allowed.contains(autofill)) {
        Some(autofill) => Ok(Some(autofill)),
        None => Err(bad(field, FieldError::NotConfigured)),
    }
}
