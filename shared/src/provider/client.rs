//! The HTTP client that gateways share, and what its failures mean.

use std::time::Duration;

use reqwest::{Client, StatusCode, redirect};

use super::{Class, SendError};

/// Opening the connection, name and TLS included: a gateway that takes longer is down.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// The whole call. Gateways answer within a second; the lease on a job is a little longer than this.
pub(super) const TOTAL_TIMEOUT: Duration = Duration::from_secs(8);

/// A client that follows no redirect (a message is not sent to where an answer points) and uses no proxy.
pub(super) fn http_client() -> Result<Client, reqwest::Error> {
    crate::tls::install();
    Client::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        .timeout(TOTAL_TIMEOUT)
        .redirect(redirect::Policy::none())
        .no_proxy()
        .build()
}

/// A call that brought no answer: before the connection stood nothing was sent; after that nobody knows.
pub(super) fn transport_error(gateway: &'static str, error: reqwest::Error) -> SendError {
    let (class, reason) = if error.is_connect() {
        (Class::Transient, "no connection")
    } else if error.is_timeout() {
        (Class::Ambiguous, "no answer in time")
    } else {
        (Class::Ambiguous, "the connection broke")
    };
    // The URL holds an account and a signature.
    SendError { gateway, class, reason: reason.to_owned(), source: Some(error.without_url()) }
}

/// An answer without the gateway's own code in it: then the HTTP status is all there is.
pub(super) fn status_error(gateway: &'static str, status: StatusCode) -> SendError {
    let class = match status.as_u16() {
        // A proxy in front of the gateway says that it did not reach it, or not to come now.
        502 | 503 => Class::Transient,
        429 => Class::Throttled,
        // The request was refused as it is: wrong credentials, path or account.
        400..=499 => Class::Configuration,
        // 500 and 504 leave open how far the request came, and so does a 200 that cannot be read.
        _ => Class::Ambiguous,
    };
    SendError { gateway, class, reason: format!("HTTP {}", status.as_u16()), source: None }
}
