//! `GET /sms_codes/{mobile}/`: the path that the tutorial's pages call, with the responses of its
//! view: always 200, and a `code` of its table.

use std::collections::HashMap;
use std::sync::Arc;

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, RawQuery, State};
use axum::http::HeaderMap;
use axum::http::header::ORIGIN;
use axum::{Json, Router};
use sms_app::challenge::Challenge;
use sms_domain::locale::Locale;
use sms_domain::phone::PhoneError;
use url::form_urlencoded;

use super::verifications::{CreateVerification, RequestApi};
#[cfg(test)]
use crate::document;
use crate::extract::caller::Caller;
use crate::middleware::problem_body::locale;
use crate::problem::{Problem, Retcode};

/// The routes.
pub fn router(api: Arc<RequestApi>) -> Router {
    routes().with_state(api)
}

routes! {
    Arc<RequestApi>;
    "/sms_codes/{mobile}/": get(sms_codes).head(no_head);
    "/sms_codes/{mobile}": get(sms_codes).head(no_head);
}

/// Request a code, as the tutorial's pages do
///
/// Works without the slash at its end too. `errmsg` is Chinese unless `Accept-Language` asks for
/// English.
#[cfg_attr(test, utoipa::path(
    get,
    path = "/sms_codes/{mobile}/",
    operation_id = "sendSmsCode",
    tag = "tutorial",
    security((), ("apiKey" = [])),
    params(document::Mobile, document::PictureAnswer, document::AcceptLanguage),
    responses((
        status = 200,
        description = "Always; `code` is the outcome.",
        body = Retcode,
        examples(
            ("sent" = (value = json!(sent(Locale::ZhCn)))),
            ("too frequent" = (value = json!(document::retcode("quota-exceeded")))),
            ("bad number" = (value = json!(document::retcode("bad-number")))),
            ("picture" = (value = json!(document::retcode("challenge-failed")))),
            ("missing" = (value = json!(document::retcode("missing-field")))),
            ("store" = (value = json!(document::retcode("unavailable")))),
        ),
    )),
))]
pub(crate) async fn sms_codes(
    State(api): State<Arc<RequestApi>>,
    mobile: Result<Path<String>, PathRejection>,
    RawQuery(query): RawQuery,
    caller: Caller,
    headers: HeaderMap,
) -> Json<Retcode> {
    let mobile =
        mobile.map(|Path(mobile)| mobile).map_err(|_| Problem::BadNumber(PhoneError::Invalid));
    let asked = mobile.map(|mobile| read(&api, mobile, &query.unwrap_or_default()));
    let language = locale(&headers).unwrap_or(Locale::ZhCn);
    Json(match send(&api, asked, caller, &headers).await {
        Ok(()) => sent(language),
        Err(problem) => problem.retcode(language),
    })
}

fn sent(language: Locale) -> Retcode {
    Retcode { code: "0", errmsg: language.choose("OK", "发送短信成功", "傳送簡訊成功") }
}

/// Refuses HEAD, which would send an SMS as GET does: programs that check links send it.
async fn no_head() -> Problem {
    Problem::NoSuchMethod
}

/// Reads a request. An empty parameter counts as missing, as in the tutorial. The parameters of a
/// picture, which the tutorial's pages always send, are ignored where none is required.
fn read(api: &RequestApi, mobile: String, query: &str) -> CreateVerification {
    let pictures = api.request_code.abuse.challenge.as_ref().is_some_and(Challenge::is_picture);
    let filled =
        form_urlencoded::parse(query.as_bytes()).filter(|(_, value)| pictures && !value.is_empty());
    let mut query: HashMap<_, _> =
        filled.map(|(name, value)| (name.into_owned(), value.into_owned())).collect();
    CreateVerification::by_path(mobile, query.remove("uuid"), query.remove("image_code"))
}

async fn send(
    api: &Arc<RequestApi>,
    asked: Result<CreateVerification, Problem>,
    caller: Caller,
    headers: &HeaderMap,
) -> Result<(), Problem> {
    if is_of_another_site(headers)
        && !headers.get(ORIGIN).is_some_and(|origin| api.settings.origins.has(origin))
    {
        return Err(Problem::CrossSite);
    }
    let tenant = caller.tenant(&api.settings.callers)?;
    let request = api.read(asked?, caller, tenant, locale(headers))?;
    api.admit(request, None).await.map(|_| ())
}

/// True if a page of another site sent the request from a visitor's browser: a GET needs no
/// preflight, an `<img>` is enough.
pub(crate) fn is_of_another_site(headers: &HeaderMap) -> bool {
    headers.get("sec-fetch-site").is_some_and(|site| site == "cross-site")
}
