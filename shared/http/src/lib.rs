//! The HTTP API as axum routers, used unchanged by the functions and by the server: extractors of
//! requests, middleware, RFC 9457 problem details, and one file of routes for each resource.
//!
//! It calls the application and knows no event of Lambda and no environment. The edges
//! (`sms-lambda` and the server) put its routers together.

/// The routes of a module: `routes` registers them, and `ROUTES` lists them for the test of the
/// API's description.
macro_rules! routes {
    ($state:ty; $($path:literal: $method:ident($handler:expr)$(.head($head:expr))?;)+) => {
        #[cfg(test)]
        pub(crate) const ROUTES: &[(&str, &str)] = &[$((stringify!($method), $path)),+];

        fn routes() -> axum::Router<$state> {
            axum::Router::new()
                $(.route($path, axum::routing::$method($handler)$(.head($head))?))+
        }
    };
}

mod base_path;
#[cfg(test)]
mod document;
mod doors;
mod extract;
mod middleware;
mod problem;
mod routes;
mod views;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use sms_app::check_code::CheckCode;
use sms_domain::phone::Region;
use tracing::warn;

pub use self::base_path::BasePath;
pub use self::doors::{Doors, DoorsError};
pub use self::extract::caller::{
    ApiKeys, Callers, FORWARDED_FOR, SourceIp, TrustedProxies, forwarded, read_address,
};
pub use self::extract::failed_credentials::FailedCredentials;
use self::middleware::DefaultsLayer;
pub use self::middleware::cors::AllowedOrigins;
pub use self::middleware::host::one_host;
pub use self::middleware::problem_body::locale;
pub use self::middleware::request_id::XRAY;
pub use self::problem::Problem;
pub use self::problem::field_error::BodyError;
pub use self::routes::delivery_reports::{DeliveryReports, router as delivery_reports_router};
pub use self::routes::health::{router as health_router, store_router as store_health_router};
pub use self::routes::openapi::{SPECIFICATION, router as specification_router};
pub use self::routes::pictures::router as pictures_router;
pub use self::routes::twilio_verify::VerifyServices;
pub use self::routes::verifications::RequestApi;
use self::routes::{check, meiduo, messages, twilio_verify, verifications};

/// Largest request body in bytes: a request for a code has about 100.
const MAX_BODY: usize = 16 * 1024;

/// Longest time that a request body may take to arrive.
const BODY_TIMEOUT: Duration = Duration::from_secs(5);

/// Maximum length of an idempotency key: a UUID has 36 characters.
const MAX_IDEMPOTENCY_KEY: usize = 255;

/// Settings of the HTTP API.
#[derive(Debug, Clone, Default)]
pub struct HttpSettings {
    /// `DEFAULT_REGION`: the country in which a number without `+` is read.
    pub region: Region,
    /// `TRUSTED_PROXIES` and `API_KEYS`: the identification of callers.
    pub callers: Callers,
    /// `ALLOW_ORIGINS`: origins whose pages may call.
    pub origins: AllowedOrigins,
    /// `BASE_PATH`: the path in front of the API's own.
    pub base_path: BasePath,
    /// `TWILIO_VERIFY_SERVICES`: the services of the façade of Twilio Verify.
    pub verify_services: VerifyServices,
    /// `DOORS`: the doors of identity servers.
    pub doors: Doors,
}

impl HttpSettings {
    /// Logs a warning where services of Twilio Verify are configured, and no key lets anybody in.
    pub fn warn_of_missing_keys(&self) {
        if !self.verify_services.is_empty() && self.callers.keys.is_empty() {
            warn!("TWILIO_VERIFY_SERVICES are not served without API_KEYS");
        }
    }

    /// Without keys, everybody could have codes sent in a service's name.
    fn has_verify_services(&self) -> bool {
        !self.verify_services.is_empty() && !self.callers.keys.is_empty()
    }
}

/// Adds to routes the parts that every application has: 404 and 405, problems in the caller's
/// language, `Cache-Control: no-store`, and CORS for `origins`.
pub fn with_defaults(routes: Router, origins: &AllowedOrigins) -> Router {
    let app = routes
        .fallback(async || Problem::NoSuchPath)
        .method_not_allowed_fallback(async || Problem::NoSuchMethod)
        .layer(DefaultsLayer);
    match origins.layer() {
        Some(cors) => app.layer(cors),
        None => app,
    }
}

/// The routes that request an SMS: the API's own, the tutorial's, Twilio Verify's, and the doors of
/// identity servers. Those that are not configured do not exist.
pub fn request_router(api: RequestApi) -> Router {
    let api = Arc::new(api);
    let mut routes =
        verifications::router(Arc::clone(&api)).merge(meiduo::router(Arc::clone(&api)));
    if !api.settings.callers.keys.is_empty() {
        routes = routes.merge(messages::router(Arc::clone(&api)));
    }
    if !api.settings.doors.is_empty() {
        routes = routes.merge(routes::doors::router(Arc::clone(&api)));
    }
    if api.settings.has_verify_services() {
        routes = routes.merge(twilio_verify::request_router(api));
    }
    routes
}

/// The routes that check codes, and read and cancel verifications: the API's own, and Twilio
/// Verify's.
pub fn check_router(check_code: CheckCode, settings: &HttpSettings) -> Router {
    let HttpSettings { region, callers, verify_services, .. } = settings;
    let routes = check::router(check_code.clone(), *region, callers.clone());
    match settings.has_verify_services() {
        true => routes.merge(twilio_verify::check_router(
            check_code,
            callers.clone(),
            verify_services.clone(),
        )),
        false => routes,
    }
}
