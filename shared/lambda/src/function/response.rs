//! Responses in the format that the sender of the event understands.

use std::collections::HashMap;

use axum::body::to_bytes;
use axum::http::HeaderMap;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;

use super::event::Form;

/// A response to an event.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Response {
    status_code: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    status_description: Option<String>,
    #[serde(flatten)]
    headers: Headers,
    /// Always empty; `cargo lambda watch` requires the list.
    #[serde(skip_serializing_if = "Option::is_none")]
    cookies: Option<[String; 0]>,
    body: String,
    is_base64_encoded: bool,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
enum Headers {
    /// One line for each name, with all its values.
    Headers(HashMap<String, String>),
    MultiValueHeaders(HashMap<String, Vec<String>>),
}

impl Response {
    pub(super) async fn new(response: axum::response::Response, form: Form) -> Self {
        let (parts, body) = response.into_parts();
        let status_description =
            matches!(form, Form::LoadBalancer { .. }).then(|| parts.status.to_string());
        let headers = match form {
            Form::One | Form::LoadBalancer { multiple: true } => {
                Headers::MultiValueHeaders(lines(&parts.headers))
            }
            Form::Two | Form::LoadBalancer { multiple: false } => {
                let lines = lines(&parts.headers).into_iter();
                Headers::Headers(lines.map(|(name, values)| (name, values.join(", "))).collect())
            }
        };
        let cookies = matches!(form, Form::Two).then_some([]);
        // All bodies are in memory, so that reading them cannot fail.
        let bytes = to_bytes(body, usize::MAX).await.unwrap_or_default();
        let (body, is_base64_encoded) = match String::from_utf8(bytes.into()) {
            Ok(text) => (text, false),
            Err(error) => (STANDARD.encode(error.as_bytes()), true),
        };
        Self {
            status_code: parts.status.as_u16(),
            status_description,
            headers,
            cookies,
            body,
            is_base64_encoded,
        }
    }
}

fn lines(headers: &HeaderMap) -> HashMap<String, Vec<String>> {
    let mut lines: HashMap<String, Vec<String>> = HashMap::with_capacity(headers.keys_len());
    for (name, value) in headers {
        let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
        lines.entry(name.as_str().to_owned()).or_default().push(value);
    }
    lines
}
