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

/// Opening the connection, name and TLS included: a gateway that takes longer is down.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// The whole call. Gateways answer within a second; the lease on a job is a little longer than
/// this.
pub const TOTAL_TIMEOUT: Duration = Duration::from_secs(8);

/// Most bytes of an answer that are read: gateways answer with a few hundred. A longer one counts
/// as unreadable.
const MAX_ANSWER: usize = 64 * 1024;

/// A gateway's client, made when the first message goes out, or before: to read the system's
/// certificates takes long.
#[derive(Default)]
pub struct HttpClient(OnceLock<Client>);

impl HttpClient {
    /// Makes it, unless the first message will say why it cannot be made.
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
            reason: "the HTTP client does not start",
            source,
        })?;
        Ok(self.0.get_or_init(|| client).post(url))
    }
}

/// A client that follows no redirect: a message is not sent to where an answer points.
fn build() -> Result<Client, reqwest::Error> {
    crate::tls::install();
    let client = Client::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        .timeout(TOTAL_TIMEOUT)
        .redirect(redirect::Policy::none())
        .no_proxy();
    match Proxy::of_environment() {
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

/// A call that brought no response.
#[derive(Debug, thiserror::Error)]
#[error("{reason}")]
pub struct CallError {
    /// What it means for the message.
    pub class: FailureClass,
    /// In words.
    pub reason: &'static str,
    /// The transport's error, without the URL: that holds an account and a signature.
    pub source: reqwest::Error,
}

/// Sends a request and reads its response.
///
/// # Errors
/// [`CallError`] when none came.
pub async fn call(request: RequestBuilder) -> Result<HttpResponse, CallError> {
    let (client, request) = request.build_split();
    let mut request = request.map_err(CallError::from)?;
    transcript::request(&mut request);
    let mut response = client.execute(request).await.map_err(CallError::from)?;
    let status = response.status();
    let retry_after =
        response.headers().get(RETRY_AFTER).and_then(|value| seconds(value.to_str().ok()?));
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(CallError::from)? {
        if body.len() + chunk.len() > MAX_ANSWER {
            body.clear();
            break;
        }
        body.extend_from_slice(&chunk);
    }
    transcript::answer(status, &body);
    Ok(HttpResponse { status, body, retry_after })
}

/// `Retry-After` in seconds, or as the date that HTTP allows as well.
fn seconds(text: &str) -> Option<Duration> {
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = rfc2822::DateTimeParser::new().parse_timestamp(text).ok()?;
    #[expect(clippy::disallowed_methods, reason = "a date means something only against the clock")]
    let wait = date.duration_since(Timestamp::now());
    Some(Duration::try_from(wait).unwrap_or_default())
}

impl From<reqwest::Error> for CallError {
    /// Before the connection stood nothing was sent; after that nobody knows.
    fn from(error: reqwest::Error) -> Self {
        let (class, reason) = if error.is_builder() {
            (FailureClass::Configuration, "not sent")
        } else if error.is_connect() {
            (FailureClass::Transient, "no connection")
        } else if error.is_timeout() {
            (FailureClass::Ambiguous, "no answer in time")
        } else {
            (FailureClass::Ambiguous, "the connection broke")
        };
        Self { class, reason, source: error.without_url() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_a_number_of_seconds_or_a_date() {
        assert_eq!(seconds("120"), Some(Duration::from_secs(120)));
        assert_eq!(seconds("Fri, 31 Dec 1999 23:59:59 GMT"), Some(Duration::ZERO), "long ago");
        let far = seconds("Tue, 31 Dec 2999 23:59:59 GMT").expect("a date");
        assert!(far > Duration::from_secs(900 * 365 * 86_400), "{far:?}");
        for nonsense in ["", "soon", "-1", "1.5", "99999999999999999999"] {
            assert_eq!(seconds(nonsense), None, "{nonsense}");
        }
    }
}
