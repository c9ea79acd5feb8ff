//! What went over the wire, for whoever sets a gateway up: `sms-verify provider check`. Secrets, code and number are
//! masked.

use std::cell::RefCell;
use std::fmt::Write;
use std::future::Future;

use reqwest::{Request, StatusCode};
use url::Url;

use super::Sms;

tokio::task_local! {
    /// The calls of the task that watches itself; nothing is kept of others.
    static EXCHANGES: RefCell<Vec<Exchange>>;
}

/// A call to a gateway and its answer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Exchange {
    /// Request line, headers and body.
    pub request: String,
    /// Status and body; empty if none came.
    pub answer: String,
}

/// Headers that hold credentials, or a signature made with them.
const SECRET_HEADERS: [&str; 5] =
    ["authorization", "webhook-signature", "x-acs-security-token", "x-amz-security-token", "x-tc-token"];

/// Makes a call and keeps what went over the wire.
pub(super) async fn of<T>(sms: &Sms, call: impl Future<Output = T>) -> (T, Vec<Exchange>) {
    let watched = async {
        let result = call.await;
        (result, EXCHANGES.with(RefCell::take))
    };
    let (result, exchanges) = EXCHANGES.scope(RefCell::default(), watched).await;
    let masked = |exchange: Exchange| Exchange {
        request: without_secrets(&exchange.request, sms),
        answer: without_secrets(&exchange.answer, sms),
    };
    (result, exchanges.into_iter().map(masked).collect())
}

/// Keeps a request of this task, if it watches itself.
pub(super) fn request(request: &Request) {
    let headers = request.headers().iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap_or("…")));
    let body = request.body().and_then(|body| body.as_bytes()).unwrap_or_default();
    keep(request.method().as_str(), request.url(), headers, body);
}

/// The same for one that is not reqwest's.
pub(super) fn keep<'a>(method: &str, url: &Url, headers: impl Iterator<Item = (&'a str, &'a str)>, body: &[u8]) {
    // Only a task that watches itself has such a list.
    let _ = EXCHANGES.try_with(|exchanges| {
        let mut text = format!("{method} {}\n", without_signature(url));
        for (name, value) in headers {
            let value = if SECRET_HEADERS.contains(&name) { "***" } else { value };
            let _ = writeln!(text, "{name}: {value}");
        }
        let _ = write!(text, "\n{}", String::from_utf8_lossy(body));
        exchanges.borrow_mut().push(Exchange { request: text, answer: String::new() });
    });
}

/// Keeps an answer to the latest request.
pub(super) fn answer(status: StatusCode, body: &[u8]) {
    let _ = EXCHANGES.try_with(|exchanges| {
        if let Some(exchange) = exchanges.borrow_mut().last_mut() {
            exchange.answer = format!("HTTP {}\n\n{}", status.as_u16(), String::from_utf8_lossy(body));
        }
    });
}

/// CCP's signature stands in the query.
fn without_signature(url: &Url) -> Url {
    let pairs = url.query_pairs().map(|(name, value)| if name == "sig" { (name, "***".into()) } else { (name, value) });
    let pairs: Vec<_> = pairs.collect();
    let mut url = url.clone();
    if !pairs.is_empty() {
        url.query_pairs_mut().clear().extend_pairs(pairs);
    }
    url
}

fn without_secrets(text: &str, sms: &Sms) -> String {
    let hidden = "*".repeat(sms.code.expose().len());
    let masked = sms.to.masked();
    let text = text.replace(sms.code.expose(), &hidden);
    [sms.to.e164(), &sms.to.e164().replace('+', "%2B"), &sms.to.e164()[1..], sms.to.national()]
        .iter()
        .fold(text, |text, number| text.replace(number, &masked))
}
