//! `POST /v1/doors/{door}`, and `POST /2010-04-01/Accounts/{account}/Messages.json`: codes of
//! identity servers, in their own formats.

use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use axum::extract::{Path, RawQuery, Request, State};
use axum::http::header::{CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::json;
use sms_domain::locale::Locale;
use tokio::time::timeout;

use super::check::IdInPath;
use super::meiduo::is_of_another_site;
use super::messages::send;
use super::verifications::RequestApi;
use crate::BODY_TIMEOUT;
use crate::doors::fields::{Asked, values};
use crate::doors::{Door, DoorKind};
use crate::extract::caller::Caller;
use crate::extract::json::{is_encoded, read};
use crate::problem::Problem;
use crate::views::json_response;

/// Maximum size of a body in bytes: servers send all that they know of a person.
const MAX_DOOR_BODY: usize = 64 * 1024;

routes! {
    Arc<RequestApi>;
    "/v1/doors/{door}": post(receive);
    "/v1/doors/{door}": get(receive_query).head(async || Problem::NoSuchMethod);
    "/2010-04-01/Accounts/{account}/Messages.json": post(receive_twilio);
}

/// The routes.
pub(crate) fn router(api: Arc<RequestApi>) -> Router {
    routes().with_state(api)
}

/// A code of an identity server
///
/// In the server's own format, with the credentials that `DOORS` gives it.
#[cfg_attr(test, utoipa::path(
    post,
    path = "/v1/doors/{door}",
    operation_id = "receiveDoor",
    tag = "messages",
    params(("door" = String, Path, description = "The name of a door in `DOORS`")),
    responses(
        (status = 200, description = "The SMS is on its way: `id`, and again as `sid` and \
            `data.id`. Supabase's refusals have `error`."),
        (status = 400, description = "The body is not in the server's format."),
        (status = 401, description = "Not the door's credentials."),
        (status = 404, description = "There is no such door."),
        (status = 422, description = "The number, or the code, is not valid."),
        (status = 429, description = "Limits are exceeded."),
        (status = 503, description = "A part is down: no SMS is on its way."),
    ),
))]
pub(crate) async fn receive(
    State(api): State<Arc<RequestApi>>,
    name: IdInPath,
    caller: Caller,
    request: Request,
) -> Response {
    let name = name.map(|Path(name)| name).unwrap_or_default();
    match api.settings.doors.get(&name) {
        Some(door) => answer(&api, door, caller, None, request).await,
        None => Problem::NoSuchPath.into_response(),
    }
}

/// A code of privacyIDEA, in the query
#[cfg_attr(test, utoipa::path(
    get,
    path = "/v1/doors/{door}",
    operation_id = "receiveDoorQuery",
    tag = "messages",
    params(("door" = String, Path, description = "The name of a door of `privacyidea`")),
    responses(
        (status = 200, description = "As of POST."),
        (status = 401, description = "Not the door's credentials."),
        (status = 404, description = "There is no such door, or it takes POST alone."),
    ),
))]
pub(crate) async fn receive_query(
    State(api): State<Arc<RequestApi>>,
    name: IdInPath,
    RawQuery(query): RawQuery,
    caller: Caller,
    request: Request,
) -> Response {
    let name = name.map(|Path(name)| name).unwrap_or_default();
    match api.settings.doors.get(&name).filter(|door| door.kind == DoorKind::PrivacyIdea) {
        Some(door) => answer(&api, door, caller, query.as_deref(), request).await,
        None => Problem::NoSuchPath.into_response(),
    }
}

/// A code in Twilio's form of a message
///
/// Form-encoded: `To` and `Body`, for clients whose base URL can be set.
#[cfg_attr(test, utoipa::path(
    post,
    path = "/2010-04-01/Accounts/{account}/Messages.json",
    operation_id = "twilioCreateMessage",
    tag = "messages",
    security(("basic" = [])),
    params(("account" = String, Path, description = "`AC…`: any")),
    responses(
        (status = 200, description = "The SMS is on its way: `sid`."),
        (status = 401, description = "Not the door's token."),
        (status = 404, description = "`DOORS` has no door `twilio`."),
        (status = 422, description = "The number, or the text, is not valid."),
        (status = 429, description = "Limits are exceeded."),
    ),
))]
pub(crate) async fn receive_twilio(
    State(api): State<Arc<RequestApi>>,
    caller: Caller,
    request: Request,
) -> Response {
    match api.settings.doors.twilio() {
        Some(door) => answer(&api, door, caller, None, request).await,
        None => Problem::NoSuchPath.into_response(),
    }
}

async fn answer(
    api: &Arc<RequestApi>,
    door: &Door,
    caller: Caller,
    query: Option<&str>,
    request: Request,
) -> Response {
    let result = match asked(api, door, &caller, query, request).await {
        Ok(asked) => {
            let sender = door.sender();
            let purpose = door.purpose.clone();
            send(api, asked, sender, purpose, door.is_reported, caller.context).await
        }
        Err(problem) => Err(problem),
    };
    match result {
        Ok(verification) => {
            let id = verification.id.as_str();
            // The names under which one or the other server looks for it.
            let body = json!({ "id": id, "sid": id, "data": { "id": id } });
            json_response(StatusCode::OK, HeaderMap::new(), &body)
        }
        Err(problem) => refused(door, &problem),
    }
}

/// Checks the credentials, and reads the request.
async fn asked(
    api: &RequestApi,
    door: &Door,
    caller: &Caller,
    query: Option<&str>,
    request: Request,
) -> Result<Asked, Problem> {
    let callers = &api.settings.callers;
    let (ip, now) = (caller.ip(callers.proxies), Instant::now());
    if let Some(wait) = callers.failed.wait(ip, now) {
        return Err(Problem::TooManyFailures(wait));
    }
    let (parts, body) = request.into_parts();
    // A browser sends a password that it remembers, too.
    if is_of_another_site(&parts.headers) {
        return Err(Problem::CrossSite);
    }
    if is_encoded(&parts.headers) {
        return Err(Problem::Encoded);
    }
    let body = timeout(BODY_TIMEOUT, read(body, MAX_DOOR_BODY)).await;
    let body = body.map_err(|_| Problem::TooSlow)??;
    let seconds = api.request_code.store.clock().micros() / 1_000_000;
    if !door.credentials.match_request(&parts.headers, &body, seconds) {
        // (A call without credentials guesses none.)
        if door.credentials.are_in(&parts.headers) {
            callers.failed.add(ip, now);
        }
        return Err(Problem::WrongCredentials);
    }
    door.read(&values(&parts.headers, &body, query)?, &api.test_numbers)
}

/// A refusal as the server reads it.
fn refused(door: &Door, problem: &Problem) -> Response {
    let status = problem.kind().status;
    let detail = problem.detail(Locale::En);
    match door.kind {
        // It reads bodies of 200 alone, and tries again at once where it is told when.
        DoorKind::Supabase if status != StatusCode::UNAUTHORIZED => {
            let error = json!({ "error": { "http_code": status.as_u16(), "message": detail } });
            json_response(StatusCode::OK, HeaderMap::new(), &error)
        }
        // It shows the answer to the person.
        DoorKind::Authentik => {
            let plain = HeaderValue::from_static("text/plain; charset=utf-8");
            (status, [(CONTENT_TYPE, plain)], detail.into_owned()).into_response()
        }
        _ => {
            let mut response = problem.response(Locale::En);
            if door.kind == DoorKind::Supabase {
                response.headers_mut().remove(RETRY_AFTER);
            }
            response
        }
    }
}
