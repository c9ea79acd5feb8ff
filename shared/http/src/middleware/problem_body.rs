//! Middleware: writes problems in the caller's language, and marks every response `no-store`.

use std::convert::Infallible;

use axum::extract::{FromRequestParts, Request};
use axum::http::header::{ACCEPT_LANGUAGE, ALLOW, CACHE_CONTROL};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue};
use axum::response::Response;
use sms_domain::locale::Locale;

use crate::problem::Problem;

/// Writes the problem of a request's response.
pub(crate) struct ProblemWriter {
    accept_language: Option<HeaderValue>,
}

impl ProblemWriter {
    pub(crate) fn of(request: &Request) -> Self {
        Self { accept_language: request.headers().get(ACCEPT_LANGUAGE).cloned() }
    }

    /// Writes a problem in the caller's language, and marks every response `no-store`.
    pub(crate) fn write(&self, mut response: Response) -> Response {
        if let Some(problem) = response.extensions_mut().remove::<Problem>() {
            let allow = response.headers_mut().remove(ALLOW);
            let locale = negotiate(self.accept_language.as_ref()).unwrap_or(Locale::En);
            response = problem.response(locale);
            if let Some(allow) = allow {
                response.headers_mut().insert(ALLOW, allow);
            }
        }
        response.headers_mut().entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
        response
    }
}

/// The language that the caller accepts, if it is one of ours.
#[derive(Clone, Copy)]
pub(crate) struct Language(pub(crate) Option<Locale>);

impl<S: Sync> FromRequestParts<S> for Language {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self(locale(&parts.headers)))
    }
}

/// The language that the caller accepts, if it is one of ours.
#[must_use]
pub fn locale(headers: &HeaderMap) -> Option<Locale> {
    negotiate(headers.get(ACCEPT_LANGUAGE))
}

fn negotiate(accept_language: Option<&HeaderValue>) -> Option<Locale> {
    Locale::from_accept_language(accept_language?.to_str().ok()?)
}
