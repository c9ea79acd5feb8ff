//! The HTTP client that gateways and the vendors of captchas share, and what its failures mean.

use std::sync::OnceLock;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use jiff::Timestamp;
use jiff::fmt::rfc2822;
use reqwest::header::RETRY_AFTER;
use reqwest::{Client, RequestBuilder, StatusCode, redirect};
use url::Url;

use super::codes::Table;
use super::{Class, SendError, transcript};
use crate::proxy::Proxy;

/// Opening the connection, name and TLS included: a gateway that takes longer is down.
pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// The whole call. Gateways answer within a second; the lease on a job is a little longer than
/// this.
pub(super) const TOTAL_TIMEOUT: Duration = Duration::from_secs(8);

/// Most bytes of an answer that are read: gateways answer with a few hundred. A longer one counts
/// as unreadable.
const MAX_ANSWER: usize = 64 * 1024;

/// A gateway's client, made when the first message goes out, or before: to read the system's
/// certificates takes long.
#[derive(Default)]
pub(crate) struct HttpClient(OnceLock<Client>);

impl HttpClient {
    /// Makes it, unless the first message will say why it cannot be made.
    pub(crate) fn prepare(&self) -> BoxFuture<'_, ()> {
        async {
            if let (None, Ok(client)) = (self.0.get(), build()) {
                self.0.get_or_init(|| client);
            }
        }
        .boxed()
    }

    /// A request to `gateway`.
    pub(crate) fn post(
        &self,
        gateway: &'static str,
        url: Url,
    ) -> Result<RequestBuilder, SendError> {
        if let Some(client) = self.0.get() {
            return Ok(client.post(url));
        }
        let reason = "the HTTP client does not start";
        let client = build().map_err(|source| SendError {
            source: Some(Box::new(source)),
            ..SendError::refused(gateway, Class::Configuration, reason)
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
pub(super) fn authority(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

/// What a gateway answered.
pub(crate) struct Answer {
    pub(super) status: StatusCode,
    pub(crate) body: Vec<u8>,
    retry_after: Option<Duration>,
}

/// Sends a request and reads its answer.
pub(crate) async fn call(
    gateway: &'static str,
    request: RequestBuilder,
) -> Result<Answer, SendError> {
    let broken = |error| transport_error(gateway, error);
    let (client, request) = request.build_split();
    let mut request = request.map_err(broken)?;
    transcript::request(&mut request);
    let mut response = client.execute(request).await.map_err(broken)?;
    let status = response.status();
    let retry_after =
        response.headers().get(RETRY_AFTER).and_then(|value| seconds(value.to_str().ok()?));
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(broken)? {
        if body.len() + chunk.len() > MAX_ANSWER {
            body.clear();
            break;
        }
        body.extend_from_slice(&chunk);
    }
    transcript::answer(status, &body);
    Ok(Answer { status, body, retry_after })
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

/// A call that brought no answer: before the connection stood nothing was sent; after that nobody
/// knows.
fn transport_error(gateway: &'static str, error: reqwest::Error) -> SendError {
    let (class, reason) = if error.is_builder() {
        (Class::Configuration, "not sent")
    } else if error.is_connect() {
        (Class::Transient, "no connection")
    } else if error.is_timeout() {
        (Class::Ambiguous, "no answer in time")
    } else {
        (Class::Ambiguous, "the connection broke")
    };
    // The URL holds an account and a signature.
    SendError {
        source: Some(Box::new(error.without_url())),
        ..SendError::refused(gateway, class, reason)
    }
}

/// A refusal of this class, with the time that the gateway asked for.
pub(super) fn refused(
    gateway: &'static str,
    class: Class,
    reason: impl Into<String>,
    answer: &Answer,
) -> SendError {
    SendError { retry_after: answer.retry_after, ..SendError::refused(gateway, class, reason) }
}

/// A refusal with a code of the gateway's own, which its table explains.
pub(super) fn refused_with(
    gateway: &'static str,
    table: &Table,
    code: &str,
    answer: &Answer,
) -> SendError {
    let (class, meaning) = table.find(code);
    let class = match class {
        // A server's error leaves open how far the request came, whatever code stands in it.
        Class::Transient | Class::Unlisted if answer.status.is_server_error() => {
            class_of_status(answer.status.as_u16())
        }
        class => class,
    };
    SendError {
        meaning,
        for_some: table.is_for_some(code),
        ..refused(gateway, class, code, answer)
    }
}

/// An answer without the gateway's own code in it: then the HTTP status is all there is.
pub(super) fn status_error(gateway: &'static str, answer: &Answer) -> SendError {
    let status = answer.status.as_u16();
    refused(gateway, class_of_status(status), format!("HTTP {status}"), answer)
}

/// What an HTTP status means by itself.
pub(super) fn class_of_status(status: u16) -> Class {
    match status {
        // Not now.
        503 => Class::Transient,
        429 => Class::Throttled,
        // The request was refused as it is: wrong credentials, path or account.
        400..=499 => Class::Configuration,
        // 500, 502 and 504 leave open how far the request came, and so does a 200 that cannot be
        // read. (A proxy answers 502 also when the gateway took the request and its answer broke
        // off.)
        _ => Class::Ambiguous,
    }
}

/// A gateway's own code as it may stand in logs and with dead letters: short, of letters, digits,
/// `.`, `_` and `-`, and no number: of seven digits in a row it may be one.
pub(super) fn plain(code: &str) -> Option<&str> {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
    let is_number = code.split(|c: char| !c.is_ascii_digit()).any(|digits| digits.len() >= 7);
    ((1..=80).contains(&code.len()) && code.bytes().all(allowed) && !is_number).then_some(code)
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
