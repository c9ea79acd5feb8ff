//! The HTTP edge: axum routers, used unchanged by the functions and by the server of local mode.

/// The routes of a module: `routes` registers them, and `ROUTES` lists them for the test of the
/// API's description.
macro_rules! routes {
    ($state:ty; $($path:literal: $method:ident($handler:expr)$(.head($head:expr))?;)+) => {
        #[cfg(test)]
        pub(super) const ROUTES: &[(&str, &str)] = &[$((stringify!($method), $path)),+];

        fn routes() -> axum::Router<$state> {
            axum::Router::new()
                $(.route($path, axum::routing::$method($handler)$(.head($head))?))+
        }
    };
}

mod body;
mod check;
mod client;
mod cors;
mod details;
#[cfg(test)]
mod document;
mod flaw;
mod function;
mod health;
mod host;
mod idempotency;
mod kinds;
mod meiduo;
mod named;
mod pictures;
mod problem;
mod receipts;
mod request;
mod specification;
mod texts;
mod verification;

use std::time::Duration;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request};
use axum::http::header::{ACCEPT_LANGUAGE, CACHE_CONTROL};
use axum::http::{HeaderMap, HeaderValue};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};

pub use self::check::router as check_router;
pub use self::client::{ApiKeys, Callers, TrustedProxies};
pub use self::cors::AllowedOrigins;
pub use self::function::{BasePath, Event, Function};
pub use self::health::{router as health_router, store_router as store_health_router};
pub use self::host::one_host;
pub use self::pictures::router as pictures_router;
use self::problem::Problem;
pub use self::receipts::{Receipts, router as receipts_router};
pub use self::request::{RequestApi, router as request_router};
pub use self::specification::{SPECIFICATION, router as specification_router};
use crate::message::Locale;
use crate::phone::Region;
use crate::telemetry::emf;

/// Largest request body in bytes: a request for a code has about 100.
const MAX_BODY: usize = 16 * 1024;

/// Longest time that a request body may take to arrive.
const BODY_TIMEOUT: Duration = Duration::from_secs(5);

/// How the API is served, and to whom.
#[derive(Debug, Clone, Default)]
pub struct HttpSettings {
    /// `DEFAULT_REGION`: the country in which a number without `+` is read.
    pub region: Region,
    /// `TRUSTED_PROXIES` and `API_KEYS`: how callers are told apart.
    pub callers: Callers,
    /// `ALLOW_ORIGINS`: origins whose pages may call.
    pub origins: AllowedOrigins,
    /// `BASE_PATH`: the path in front of the API's own.
    pub base_path: BasePath,
}

/// A whole application out of its routes: with answers for what no route takes, problems in the
/// caller's language, nothing kept in caches, and open to pages of `origins`.
pub fn app(routes: Router, origins: &AllowedOrigins) -> Router {
    let app = routes
        .fallback(async || Problem::NoSuchPath)
        .method_not_allowed_fallback(async || Problem::NoSuchMethod)
        // One layer, of which the first is the outer one: for each, axum copies and boxes what is
        // below.
        .layer((from_fn(named::named), DefaultBodyLimit::max(MAX_BODY)));
    match origins.layer() {
        Some(cors) => app.layer(cors),
        None => app,
    }
}

/// An application of a function: what it has measured is told before each answer, since it is
/// frozen then.
pub fn measured(app: Router) -> Router {
    emf::install();
    app.layer(from_fn(async |request: Request, next: Next| {
        let response = next.run(request).await;
        emf::flush();
        response
    }))
}

/// Writes a problem in the caller's language, and marks every answer as not to be stored.
async fn finish(request: Request, next: Next) -> Response {
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

fn locale(headers: &HeaderMap) -> Option<Locale> {
    spoken(headers.get(ACCEPT_LANGUAGE))
}

fn spoken(accept_language: Option<&HeaderValue>) -> Option<Locale> {
    Locale::from_accept_language(accept_language?.to_str().ok()?)
}
