//! Transcript of the calls to a gateway, for `sms-verify gateway check`. Secrets, the code and the
//! middle of the number are masked. Percent-encoding is decoded, so that requests can be read and
//! compared.

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
    /// Recording of the current task's calls; unset in tasks that are not recorded.
    static RECORDING: Recording;
}

#[derive(Default)]
struct Recording {
    exchanges: RefCell<Vec<Exchange>>,
    stub: Option<SocketAddr>,
}

/// A request to a gateway and its response.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Exchange {
    /// Request line, headers and body.
    pub request: String,
    /// Status and body; empty if there was no response.
    pub response: String,
}

/// Headers that hold credentials, or a signature made with them.
const SECRET_HEADERS: [&str; 5] = [
    "authorization",
    "webhook-signature",
    "x-acs-security-token",
    "x-amz-security-token",
    "x-tc-token",
];

/// Runs a call and records its requests and responses. They go to the gateway, or to a stub on this
/// machine instead.
pub async fn record<T>(
    to: &PhoneNumber,
    code: &Code,
    stub: Option<SocketAddr>,
    call: impl Future<Output = T>,
) -> (T, Vec<Exchange>) {
    let recorded = async {
        let result = call.await;
        (result, RECORDING.with(|recording| recording.exchanges.take()))
    };
    let (result, exchanges) =
        RECORDING.scope(Recording { stub, ..Recording::default() }, recorded).await;
    let masked = |exchange: Exchange| Exchange {
        request: without_secrets(&exchange.request, to, code),
        response: without_secrets(&exchange.response, to, code),
    };
    (result, exchanges.into_iter().map(masked).collect())
}

/// Records a request, if this task is recorded, and redirects it to the stub, if there is one.
pub fn record_and_redirect(request: &mut Request) {
    let headers = request
        .headers()
        .iter()
        .map(|(name, value)| (name.as_str(), value.to_str().unwrap_or("…")));
    let body = request.body().and_then(|body| body.as_bytes()).unwrap_or_default();
    record_request(request.method().as_str(), request.url(), headers, body);
    if let Some(url) = stub(request.url()) {
        *request.url_mut() = url;
    }
}

/// Records a request of any HTTP client.
pub fn record_request<'a>(
    method: &str,
    url: &Url,
    headers: impl Iterator<Item = (&'a str, &'a str)>,
    body: &[u8],
) {
    // An error means that this task is not recorded.
    let _ = RECORDING.try_with(|recording| {
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
        recording.exchanges.borrow_mut().push(Exchange { request: text, response: String::new() });
    });
}

/// The URL at this task's stub that replaces `url`, if there is a stub.
pub fn stub(url: &Url) -> Option<Url> {
    let address = RECORDING.try_with(|recording| recording.stub).ok().flatten()?;
    let mut stubbed = Url::parse(&format!("http://{address}")).ok()?;
    stubbed.set_path(url.path());
    stubbed.set_query(url.query());
    Some(stubbed)
}

/// Records the response to the latest request.
pub fn record_response(status: StatusCode, body: &[u8]) {
    let _ = RECORDING.try_with(|recording| {
        if let Some(exchange) = recording.exchanges.borrow_mut().last_mut() {
            exchange.response =
                format!("HTTP {}\n\n{}", status.as_u16(), String::from_utf8_lossy(body));
        }
    });
}

/// A URL with its query decoded. CCP's signature, which is in the query, is masked.
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

/// Masks the code and the national number. A prefix stays visible: vendors want a plus and the
/// country code, the country code alone, or neither.
fn without_secrets(text: &str, to: &PhoneNumber, code: &Code) -> String {
    let hidden = "*".repeat(code.expose().len());
    text.replace(to.national(), &without_middle(to)).replace(code.expose(), &hidden)
}

fn without_middle(number: &PhoneNumber) -> String {
    let national = number.national();
    let (first, last) = if national.len() >= 8 { (1, 4) } else { (0, 2) };
    format!("{}****{}", &national[..first], &national[national.len() - last..])
}
