//! CORS: the pages of other origins that may call the API from a browser.

use std::time::Duration;

use axum::http::header::{ACCEPT_ENCODING, AUTHORIZATION, CONTENT_TYPE, LOCATION, RETRY_AFTER};
use axum::http::{HeaderName, HeaderValue, Method};
use tower_http::cors::{AllowOrigin, CorsLayer};
use url::Url;

use super::request_id::{REQUEST_ID, TRACE_PARENT, TRACE_STATE};
use crate::extract::idempotency::{IDEMPOTENCY_KEY, IDEMPOTENT_REPLAYED};
use crate::problem::RATE_LIMIT;

/// Lifetime of a preflight's response in a browser's cache: Chromium's maximum.
const MAX_AGE: Duration = Duration::from_secs(7200);

/// `ALLOW_ORIGINS`. Without any, pages of other origins cannot call.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AllowedOrigins {
    any: bool,
    listed: Vec<HeaderValue>,
}

impl AllowedOrigins {
    /// Reads `https://shop.example,http://localhost:5173`, or `*`; `None` if one of them is not an
    /// origin as browsers send it.
    #[must_use]
    pub fn parse(list: &str) -> Option<Self> {
        if list.trim() == "*" {
            return Some(Self { any: true, listed: Vec::new() });
        }
        let origins = list.split(',').map(str::trim).filter(|item| !item.is_empty());
        let listed = origins.map(|item| {
            let url =
                Url::parse(item).ok().filter(|url| matches!(url.scheme(), "http" | "https"))?;
            (url.origin().ascii_serialization() == item)
                .then(|| HeaderValue::try_from(item).ok())?
        });
        Some(Self { any: false, listed: listed.collect::<Option<_>>()? })
    }

    /// True if a page of this origin may call.
    pub(crate) fn has(&self, origin: &HeaderValue) -> bool {
        self.any || self.listed.contains(origin)
    }

    /// The layer that answers preflights and adds CORS headers; `None` if no page of another origin
    /// may call.
    pub(crate) fn layer(&self) -> Option<CorsLayer> {
        let origins =
            if self.any { AllowOrigin::any() } else { AllowOrigin::list(self.listed.clone()) };
        let layer = CorsLayer::new()
            .allow_origin(origins)
            .allow_methods([Method::GET, Method::POST, Method::DELETE])
            .allow_headers(allowed())
            .expose_headers(exposed())
            .max_age(MAX_AGE);
        (self.any || !self.listed.is_empty()).then_some(layer)
    }
}

/// Request headers that a page's script may send, besides those that it always may.
fn allowed() -> [HeaderName; 6] {
    [CONTENT_TYPE, AUTHORIZATION, IDEMPOTENCY_KEY, REQUEST_ID, TRACE_PARENT, TRACE_STATE]
}

/// Response headers that a page's script may read, besides those that it always may.
fn exposed() -> [HeaderName; 6] {
    [LOCATION, RETRY_AFTER, RATE_LIMIT, IDEMPOTENT_REPLAYED, REQUEST_ID, ACCEPT_ENCODING]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_are_compared_as_browsers_send_them() {
        let origins =
            AllowedOrigins::parse("https://shop.example, http://localhost:5173").expect("a list");
        assert!(origins.has(&HeaderValue::from_static("http://localhost:5173")));
        for other in
            ["https://shop.example:8443", "http://shop.example", "https://evil.example", "null"]
        {
            assert!(!origins.has(&HeaderValue::from_static(other)), "{other}");
        }
        for wrong in [
            "shop.example",
            "https://shop.example/",
            "https://Shop.example",
            "ftp://shop.example",
            "*,*",
        ] {
            assert_eq!(AllowedOrigins::parse(wrong), None, "{wrong}");
        }
        assert!(AllowedOrigins::parse("").expect("none").layer().is_none());
        assert!(
            AllowedOrigins::parse("*")
                .expect("any")
                .has(&HeaderValue::from_static("https://any.example"))
        );
    }
}
