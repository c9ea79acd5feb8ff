//! Middleware: writes problems in the caller's language, and marks every response as not to be
//! stored.

use axum::extract::Request;
use axum::http::header::{ACCEPT_LANGUAGE, CACHE_CONTROL};
use axum::http::{HeaderMap, HeaderValue};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use sms_domain::locale::Locale;

use super::host;
use crate::problem::Problem;

/// Writes a problem in the caller's language, and marks every answer as not to be stored.
pub(crate) async fn render_problems(request: Request, next: Next) -> Response {
    let asked_for = request.headers().get(ACCEPT_LANGUAGE).cloned();
    let mut response = if host::is_bad(&request) {
        Problem::BadHost.into_response()
    } else {
        next.run(request).await
    };
    if let Some(problem) = response.extensions_mut().remove::<Problem>() {
        let allow = response.headers_mut().remove(axum::http::header::ALLOW);
        response = problem.response(spoken(asked_for.as_ref()).unwrap_or(Locale::En));
        if let Some(allow) = allow {
            response.headers_mut().insert(axum::http::header::ALLOW, allow);
        }
    }
    response.headers_mut().entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}

/// The language that the caller asks for.
#[must_use]
pub fn locale(headers: &HeaderMap) -> Option<Locale> {
    spoken(headers.get(ACCEPT_LANGUAGE))
}

fn spoken(accept_language: Option<&HeaderValue>) -> Option<Locale> {
    Locale::from_accept_language(accept_language?.to_str().ok()?)
}
