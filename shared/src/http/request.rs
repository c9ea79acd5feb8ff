//! `POST /v1/verifications`: ask for a code.

use std::sync::Arc;

use axum::extract::State;
use axum::http::header::LOCATION;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json as JsonAnswer, Router};
use serde::Deserialize;

use super::body::Json;
use super::client::{Caller, Callers};
use super::problem::Problem;
use super::{locale, verification};
use crate::admission::{Admissions, Request};
use crate::afterwards::ToTheEnd;
use crate::challenge::{PictureId, Proof};
use crate::entropy::random_bytes;
use crate::message::{AllowedAutofill, Autofill, Locale};
use crate::phone::{PhoneNumber, Region};
use crate::verification::Purpose;

struct Api {
    admissions: Admissions,
    default_region: Region,
    allowed: AllowedAutofill,
    callers: Callers,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
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

/// The route. `allowed` are the pages and apps that may have the code filled in.
pub fn router(admissions: Admissions, default_region: Region, allowed: AllowedAutofill, callers: Callers) -> Router {
    let api = Api { admissions, default_region, allowed, callers };
    Router::new().route("/v1/verifications", post(request)).with_state(Arc::new(api))
}

async fn request(
    State(api): State<Arc<Api>>,
    caller: Caller,
    headers: HeaderMap,
    Json(asked): Json<Asked>,
) -> Result<Response, Problem> {
    let tenant = caller.tenant(&api.callers.keys)?.map(ToOwned::to_owned);
    let region = match asked.region {
        Some(code) => Region::parse(&code).ok_or(bad("region", "the field must be a country code such as CN"))?,
        None => api.default_region,
    };
    let to = asked.to.ok_or(Problem::MissingField("to"))?;
    let (to, country) = PhoneNumber::parse_with_country(&to, region).map_err(Problem::BadNumber)?;
    let locale = match asked.locale {
        Some(tag) => Locale::parse(&tag).ok_or(bad("locale", "the field must be zh-CN or en"))?,
        None => locale(&headers).unwrap_or_else(|| Locale::of(&to)),
    };
    let purpose = Purpose::parse(&asked.purpose.unwrap_or_default())
        .ok_or(bad("purpose", "the field must be up to 32 of a-z, 0-9, _ and -"))?;
    let autofill = autofill(asked.origin.as_deref(), asked.app_hash.as_deref(), &api.allowed)?;

    let proof = proof(asked.proof, asked.uuid.as_deref(), asked.image_code)?;

    let ip = caller.ip(api.callers.proxies);
    let request = Request { to, country, ip, tenant, locale, purpose, autofill, proof };
    // A caller who hangs up does not stop it between admission and queue.
    let admission = async move { api.admissions.request(request, random_bytes()).await };
    let verification = ToTheEnd::new(admission).await?;
    let location = format!("/v1/verifications/{}", verification.id);
    let body = JsonAnswer(verification::Body::from(verification));
    Ok((StatusCode::ACCEPTED, [(LOCATION, location)], body).into_response())
}

/// The answer to a task: a token, or what was read in a picture.
fn proof(token: Option<String>, uuid: Option<&str>, text: Option<String>) -> Result<Option<Proof>, Problem> {
    match (token, uuid, text) {
        (None, None, None) => Ok(None),
        (Some(token), None, None) => Ok(Some(Proof::Token(token))),
        (None, Some(uuid), Some(text)) => {
            let uuid = PictureId::parse(uuid).ok_or(bad("uuid", "the field must be the UUID of a picture"))?;
            Ok(Some(Proof::Picture { uuid, text }))
        }
        (None, None, Some(_)) => Err(Problem::MissingField("uuid")),
        (None, Some(_), None) => Err(Problem::MissingField("image_code")),
        (Some(_), _, _) => Err(bad("proof", "give proof, or uuid and image_code, not both")),
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
        (Some(_), Some(_)) => return Err(bad("app_hash", "give origin or app_hash, not both")),
    };
    match autofill.filter(|autofill| allowed.has(autofill)) {
        Some(autofill) => Ok(Some(autofill)),
        None => Err(bad(field, "the field must be one of those that this installation is configured for")),
    }
}

fn bad(field: &str, detail: &str) -> Problem {
    Problem::BadField { field: field.to_owned(), detail: detail.to_owned() }
}
