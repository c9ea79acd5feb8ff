//! What goes over the wire, for whoever sets a gateway up: `sms-verify gateway check`. Secrets and
//! code are masked, and the number in the middle. What is percent-encoded is decoded, so that it
//! can be read and compared.

use std::borrow::Cow;
use std::cell::RefCell;
use std::fmt::Write;
use std::future::Future;
use std::net::SocketAddr;

use reqwest::header::CONTENT_TYPE;
use reqwest::{Request, StatusCode};
use sms_domain::code::Code;
use sms_domain::phone::PhoneNumber;
use url::{Url, form_urlencoded};

tokio::task_local! {
    /// What is kept of the calls of the task that watches itself; nothing is kept of others.
    static WATCHED: Watched;
}

#[derive(Default)]
struct Watched {
    exchanges: RefCell<Vec<Exchange>>,
    stub: Option<SocketAddr>,
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
const SECRET_HEADERS: [&str; 5] = [
    "authorization",
    "webhook-signature",
    "x-acs-security-token",
    "x-amz-security-token",
    "x-tc-token",
];

/// Makes a call and keeps what goes over the wire: to the gateway, or to a stub on this machine in
/// its place.
pub async fn of<T>(
    to: &PhoneNumber,
    code: &Code,
    stub: Option<SocketAddr>,
    call: impl Future<Output = T>,
) -> (T, Vec<Exchange>) {
    let watched = async {
        let result = call.await;
        (result, WATCHED.with(|watched| watched.exchanges.take()))
    };
    let (result, exchanges) = WATCHED.scope(Watched { stub, ..Watched::default() }, watched).await;
    let masked = |exchange: Exchange| Exchange {
        request: without_secrets(&exchange.request, to, code),
        answer: without_secrets(&exchange.answer, to, code),
    };
    (result, exchanges.into_iter().map(masked).collect())
}

/// Keeps a request of this task, if it watches itself, and leads it to the stub, if there is one.
pub fn request(request: &mut Request) {
    let headers = request
        .headers()
        .iter()
        .map(|(name, value)| (name.as_str(), value.to_str().unwrap_or("…")));
    let body = request.body().and_then(|body| body.as_bytes()).unwrap_or_default();
    keep(request.method().as_str(), request.url(), headers, body);
    if let Some(url) = stub(request.url()) {
        *request.url_mut() = url;
    }
}

/// Keeps one that is not reqwest's.
pub fn keep<'a>(
    method: &str,
    url: &Url,
    headers: impl Iterator<Item = (&'a str, &'a str)>,
    body: &[u8],
) {
    // Only a task that watches itself has such a list.
    let _ = WATCHED.try_with(|watched| {
        let (mut text, mut is_form) = (format!("{method} {}\n", readable(url)), false);
        for (name, value) in headers {
            is_form |= name == CONTENT_TYPE.as_str()
                && value.starts_with("application/x-www-form-urlencoded");
            let value = if SECRET_HEADERS.contains(&name) { "***" } else { value };
            let _ = writeln!(text, "{name}: {value}");
        }
        let body = if is_form {
            pairs(form_urlencoded::parse(body), "\n")
        } else {
            String::from_utf8_lossy(body).into()
        };
        let _ = write!(text, "\n{body}");
        watched.exchanges.borrow_mut().push(Exchange { request: text, answer: String::new() });
    });
}

/// Where the stub of this task takes what is meant for this URL, if it has one.
pub fn stub(url: &Url) -> Option<Url> {
    let address = WATCHED.try_with(|watched| watched.stub).ok().flatten()?;
    let mut stubbed = Url::parse(&format!("http://{address}")).ok()?;
    stubbed.set_path(url.path());
    stubbed.set_query(url.query());
    Some(stubbed)
}

/// Keeps an answer to the latest request.
pub fn answer(status: StatusCode, body: &[u8]) {
    let _ = WATCHED.try_with(|watched| {
        if let Some(exchange) = watched.exchanges.borrow_mut().last_mut() {
            exchange.answer =
                format!("HTTP {}\n\n{}", status.as_u16(), String::from_utf8_lossy(body));
        }
    });
}

/// A URL as it is to be compared. CCP's signature stands in the query.
fn readable(url: &Url) -> String {
    let mut path = url.clone();
    path.set_query(None);
    let query = url
        .query_pairs()
        .map(|(name, value)| if name == "sig" { (name, "***".into()) } else { (name, value) });
    match pairs(query, "&") {
        query if query.is_empty() => path.to_string(),
        query => format!("{path}?{query}"),
    }
}

fn pairs<'a>(pairs: impl Iterator<Item = (Cow<'a, str>, Cow<'a, str>)>, separator: &str) -> String {
    pairs.map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(separator)
}

/// What stands before a number stays: vendors want it with a plus, with the country code alone, or
/// without.
fn without_secrets(text: &str, to: &PhoneNumber, code: &Code) -> String {
    let hidden = "*".repeat(code.expose().len());
    text.replace(to.national(), &without_middle(to)).replace(code.expose(), &hidden)
}

fn without_middle(number: &PhoneNumber) -> String {
    let national = number.national();
    let (first, last) = if national.len() >= 8 { (1, 4) } else { (0, 2) };
    format!("{}****{}", &national[..first], &national[national.len() - last..])
}
