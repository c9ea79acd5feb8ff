//! The edge of the two HTTP functions: converts an event of API Gateway, a function URL or a load
//! balancer into a request for the routes, and the response into the sender's format.
//!
//! No caller can make a function fail: parts of an event that are not valid in a request are
//! encoded or answered with 400. [`crate::invocation`] answers events of other sources.

mod event;
mod path;
mod response;

use std::net::IpAddr;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, Uri};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;
use sms_domain::locale::Locale;
use sms_http::{
    BasePath, BodyError, FORWARDED_FOR, Problem, SourceIp, XRAY, forwarded, locale, read_address,
};
use tower::ServiceExt;

pub use self::event::Event;
use self::event::HttpEvent;
use self::response::Response;
use crate::invocation::{Unexpected, Warm, answer_other};

/// The events that a function of the API takes, for error messages.
const TAKES: &str = "HTTP requests of API Gateway, a function URL or an Application Load Balancer";

/// A function that answers HTTP requests.
#[derive(Debug)]
pub struct Function {
    app: Router,
    base_path: BasePath,
}

/// The result of an invocation.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum Answer {
    /// A response.
    Http(Response),
    /// The response to a warm-up.
    Warm(Warm),
}

impl Function {
    /// Creates a function that serves `app` below `base_path`.
    #[must_use]
    pub fn new(app: Router, base_path: BasePath) -> Self {
        Self { app, base_path }
    }

    /// Answers an invocation. `trace` is the X-Ray header that Lambda passes.
    ///
    /// # Errors
    /// [`Unexpected`] for an event that is no request.
    pub async fn answer(&self, event: Event, trace: Option<String>) -> Result<Answer, Unexpected> {
        let event = match event {
            Event::Http(event) => event,
            Event::Other(event) => return answer_other(&event, TAKES).map(Answer::Warm),
        };
        let form = event.form();
        let mut headers = HeaderMap::new();
        let read = headers_of(&event, &mut headers);
        let language = locale(&headers).unwrap_or(Locale::En);
        let response = match read.and_then(|()| self.request(*event, headers, trace)) {
            Ok(request) => {
                let Ok(response) = self.app.clone().oneshot(request).await;
                response
            }
            Err(problem) => problem.response(language),
        };
        Ok(Answer::Http(Response::new(response, form).await))
    }

    /// Builds the request of an event.
    fn request(
        &self,
        event: HttpEvent,
        mut headers: HeaderMap,
        trace: Option<String>,
    ) -> Result<Request, Problem> {
        let method =
            Method::from_bytes(event.method().as_bytes()).map_err(|_| Problem::NotARequest)?;
        let uri =
            path::uri(&event, &self.base_path).parse::<Uri>().map_err(|_| Problem::NotARequest)?;
        let peer = event.source_ip().and_then(read_address);
        // The list of addresses is read from its end, which must be the caller that the event
        // names.
        if let Some(peer) = peer {
            let forwarded = forwarded_to(&headers, peer)?;
            headers.try_insert(FORWARDED_FOR, forwarded).map_err(|_| Problem::NotARequest)?;
        }
        if let Some(trace) = trace.and_then(|trace| HeaderValue::try_from(trace).ok()) {
            headers.try_insert(XRAY, trace).map_err(|_| Problem::NotARequest)?;
        }
        let mut request = Request::new(body(event)?);
        (*request.method_mut(), *request.uri_mut(), *request.headers_mut()) =
            (method, uri, headers);
        if let Some(peer) =
            peer.or_else(|| forwarded(request.headers()).next_back().and_then(read_address))
        {
            request.extensions_mut().insert(SourceIp(peer));
        }
        Ok(request)
    }
}

fn body(event: HttpEvent) -> Result<Body, Problem> {
    let text = event.body.unwrap_or_default();
    if !event.is_base64_encoded.unwrap_or_default() {
        return Ok(text.into());
    }
    STANDARD.decode(text).map(Body::from).map_err(|_| Problem::BadJson(BodyError::Unreadable))
}

/// Reads every valid header of an event. Senders write repeated headers into the multi-value map
/// alone.
fn headers_of(event: &HttpEvent, headers: &mut HeaderMap) -> Result<(), Problem> {
    let (single, multiple) =
        (event.headers.iter().flatten(), event.multi_value_headers.iter().flatten());
    let multiple =
        multiple.flat_map(|(name, values)| values.iter().flatten().map(move |value| (name, value)));
    let single = single.filter_map(|(name, value)| Some((name, value.as_ref()?)));
    let mut read = Ok(());
    for (name, value) in multiple {
        read = read.and(add(headers, name, value));
    }
    let several = !headers.is_empty();
    for (name, value) in single {
        if !(several && headers.contains_key(name)) {
            read = read.and(add(headers, name, value));
        }
    }
    read
}

fn add(headers: &mut HeaderMap, name: &str, value: &str) -> Result<(), Problem> {
    let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| Problem::NotARequest)?;
    let value = HeaderValue::from_bytes(value.as_bytes()).map_err(|_| Problem::NotARequest)?;
    headers.try_append(name, value).map(|_| ()).map_err(|_| Problem::NotARequest)
}

/// `X-Forwarded-For` up to the caller that the event names. AWS adds further addresses: an
/// edge-optimised REST API appends the edge's.
fn forwarded_to(headers: &HeaderMap, peer: IpAddr) -> Result<HeaderValue, Problem> {
    let (peers, mut addresses) = (peer.to_string(), forwarded(headers).collect::<Vec<_>>());
    match addresses.iter().rposition(|address| read_address(address) == Some(peer)) {
        Some(last) => addresses.truncate(last + 1),
        None => addresses.push(&peers),
    }
    HeaderValue::try_from(addresses.join(", ")).map_err(|_| Problem::NotARequest)
}

#[cfg(test)]
mod tests;
