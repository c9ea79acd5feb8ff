//! Middleware: refuses requests without exactly one valid `Host` (RFC 9112 §3.2), since a proxy in
//! front may have used another one of several.

use std::net::SocketAddr;

use axum::extract::{ConnectInfo, Request};
use axum::http::Version;
use axum::http::header::HOST;
use axum::http::uri::Authority;
use axum::middleware::Next;
use axum::response::Response;
use sms_domain::locale::Locale;

use super::problem_body::locale;
use crate::problem::Problem;

/// Refuses a request whose `Host` is missing, repeated or malformed. For routes that are served
/// without [`crate::with_defaults`], which checks it too.
pub async fn one_host(request: Request, next: Next) -> Response {
    if is_bad(&request) {
        return Problem::BadHost.response(locale(request.headers()).unwrap_or(Locale::En));
    }
    next.run(request).await
}

/// True if a request that came over a connection to this server lacks one valid `Host`. On Lambda
/// the gateway in front has checked it.
pub(crate) fn is_bad(request: &Request) -> bool {
    if request.extensions().get::<ConnectInfo<SocketAddr>>().is_none() {
        return false;
    }
    let mut hosts = request.headers().get_all(HOST).iter();
    match (hosts.next(), hosts.next()) {
        (None, _) => request.version() == Version::HTTP_11,
        (Some(host), None) => {
            let is_name = |host: Authority| !host.as_str().contains('@');
            !host.is_empty() && !Authority::try_from(host.as_bytes()).is_ok_and(is_name)
        }
        _ => true,
    }
}
