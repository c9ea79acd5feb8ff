//! Middleware: writes problems in the caller's language, and marks every response `no-store`.

use axum::extract::Request;
use axum::http::header::{ACCEPT_LANGUAGE, CACHE_CONTROL};
use axum::http::{HeaderMap, HeaderValue};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use sms_domain::locale::Locale;

use super::host;
use crate::problem::Problem;

/// Writes a problem in the caller's language, and marks every response `no-store`.
pub(crate) async fn render_problems(request: Request, next: Next) -> Response {
    let accept_language = request.headers().get(ACCEPT_LANGUAGE).cloned();
    let mut response = if host::is_bad(&request) {
        Problem::BadHost.into_response()
    } else {
        next.run(request).await
    };
    if let Some(problem) = response.extensions_mut().remove::<Problem>() {
        let allow = response.headers_mut().remove(axum::http::header::ALLOW);
        response = problem.response(negotiate(accept_language.as_ref()).unwrap_or(Locale::En));
        if let Some(allow) = allow {
            response.headers_mut().insert(axum::http::header::ALLOW, allow);
        }
    }
    response.headers_mut().entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}

/// The language that the caller accepts, if it is one of ours.
#[must_use]
pub fn locale(headers: &HeaderMap) -> Option<Locale> {
    negotiate(headers.get(ACCEPT_LANGUAGE))
}

fn negotiate(accept_language: Option<&HeaderValue>) -> Option<Locale> {
    Locale::from_accept_language(accept_language?.to_str().ok()?)
}
