//! The HTTP client of SMS gateways and captcha vendors: timeouts, no redirects, bounded responses,
//! and the class of a call that brings no response.

use std::sync::OnceLock;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use jiff::Timestamp;
use jiff::fmt::rfc2822;
use reqwest::header::RETRY_AFTER;
use reqwest::{Client, RequestBuilder, StatusCode, redirect};
use sms_domain::failure::FailureClass;
use url::Url;

use crate::proxy::Proxy;
use crate::transcript;

/// Timeout of connecting, DNS and TLS included: a gateway that takes longer is down.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// Timeout of the whole call. Gateways respond within a second; the lease on a job is a little
/// longer than this.
pub const TOTAL_TIMEOUT: Duration = Duration::from_secs(8);

/// Maximum size of a response in bytes: gateways send a few hundred. A longer one counts as
/// unreadable.
const MAX_RESPONSE: usize = 64 * 1024;

/// A gateway's client, made by the first message or in advance, since reading the system's
/// certificates is slow.
#[derive(Default)]
pub struct HttpClient(OnceLock<Client>);

impl HttpClient {
    /// Makes the client in advance. Errors are not reported here: the first message meets them
    /// again.
    pub fn warm_up(&self) -> BoxFuture<'_, ()> {
        async {
            if let (None, Ok(client)) = (self.0.get(), build()) {
                self.0.get_or_init(|| client);
            }
        }
        .boxed()
    }

    /// A POST request to `url`.
    ///
    /// # Errors
    /// When the client cannot be made, as without certificates.
    pub fn post(&self, url: Url) -> Result<RequestBuilder, CallError> {
        if let Some(client) = self.0.get() {
            return Ok(client.post(url));
        }
        let client = build().map_err(|source| CallError {
            class: FailureClass::Configuration,
            reason: "the HTTP client cannot be created",
            source,
        })?;
        Ok(self.0.get_or_init(|| client).post(url))
    }
}

/// Makes a client that follows no redirects: a message must not be sent to a host that a response
/// names.
fn build() -> Result<Client, reqwest::Error> {
    crate::tls::install();
    let client = Client::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        .timeout(TOTAL_TIMEOUT)
        .redirect(redirect::Policy::none())
        .no_proxy();
    match Proxy::from_env() {
        Some(proxy) => client.proxy(proxy.reqwest()?).build(),
        None => client.build(),
    }
}

/// A URL's host as the header names it: with a port if it is not the usual one.
#[must_use]
pub fn authority(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

/// A vendor's response.
#[derive(Debug)]
pub struct HttpResponse {
    /// The status.
    pub status: StatusCode,
    /// The body; empty where it was too long to be read.
    pub body: Vec<u8>,
    /// `Retry-After`, from now on.
    pub retry_after: Option<Duration>,
}

/// Error of a call that got no response.
#[derive(Debug, thiserror::Error)]
#[error("{reason}")]
pub struct CallError {
    /// Failure class, which decides what happens to the message.
    pub class: FailureClass,
    /// Description of the error.
    pub reason: &'static str,
    /// The transport's error, without the URL, which holds an account and a signature.
    pub source: reqwest::Error,
}

/// Sends a request and reads its response.
///
/// # Errors
/// [`CallError`] if there is no response.
pub async fn call(request: RequestBuilder) -> Result<HttpResponse, CallError> {
    let (client, request) = request.build_split();
    let mut request = request.map_err(CallError::from)?;
    transcript::record_and_redirect(&mut request);
    let mut response = client.execute(request).await.map_err(CallError::from)?;
    let status = response.status();
    let retry_after = response
        .headers()
        .get(RETRY_AFTER)
        .and_then(|value| parse_retry_after(value.to_str().ok()?));
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(CallError::from)? {
        if body.len() + chunk.len() > MAX_RESPONSE {
            body.clear();
            break;
        }
        body.extend_from_slice(&chunk);
    }
    transcript::record_response(status, &body);
    Ok(HttpResponse { status, body, retry_after })
}

/// Parses `Retry-After`, which is in seconds or an HTTP date.
fn parse_retry_after(text: &str) -> Option<Duration> {
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = rfc2822::DateTimeParser::new().parse_timestamp(text).ok()?;
    #[expect(clippy::disallowed_methods, reason = "a date means something only against the clock")]
    let wait = date.duration_since(Timestamp::now());
    Some(Duration::try_from(wait).unwrap_or_default())
}

impl From<reqwest::Error> for CallError {
    /// Until the connection is established nothing is sent; after that the outcome is unknown.
    fn from(error: reqwest::Error) -> Self {
        let (class, reason) = if error.is_builder() {
            (FailureClass::Configuration, "not sent")
        } else if error.is_connect() {
            (FailureClass::Transient, "no connection")
        } else if error.is_timeout() {
            (FailureClass::Ambiguous, "timed out")
        } else {
            (FailureClass::Ambiguous, "connection lost")
        };
        Self { class, reason, source: error.without_url() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_a_number_of_seconds_or_a_date() {
        assert_eq!(parse_retry_after("120"), Some(Duration::from_secs(120)));
        assert_eq!(
            parse_retry_after("Fri, 31 Dec 1999 23:59:59 GMT"),
            Some(Duration::ZERO),
            "long ago"
        );
        let far = parse_retry_after("Tue, 31 Dec 2999 23:59:59 GMT").expect("a date");
        assert!(far > Duration::from_secs(900 * 365 * 86_400), "{far:?}");
        for nonsense in ["", "soon", "-1", "1.5", "99999999999999999999"] {
            assert_eq!(parse_retry_after(nonsense), None, "{nonsense}");
        }
    }
}
