//! JSON bodies. A problem names the field that is invalid.

use axum::body::{Body, Bytes, HttpBody};
use axum::extract::{FromRequest, Request};
use axum::http::HeaderMap;
use axum::http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde::de::DeserializeOwned;
use tokio::time::timeout;

use crate::problem::field_error::{BodyError, FieldError};
use crate::problem::{Problem, bad};
use crate::{BODY_TIMEOUT, MAX_BODY};

/// A request body read as JSON.
pub(crate) struct Json<T>(pub(crate) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        // Without this check a page of any origin could send the request from its visitors'
        // browsers: only the content type of JSON needs a preflight.
        let content_type =
            request.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
        if !content_type.is_some_and(is_json) {
            return Err(Problem::NotJson);
        }
        if is_encoded(request.headers()) {
            return Err(Problem::Encoded);
        }
        // A body that announces its length need not be read to be refused.
        if request.body().size_hint().lower() > MAX_BODY as u64 {
            return Err(Problem::TooLarge(MAX_BODY));
        }
        let reading = timeout(BODY_TIMEOUT, read(request.into_body(), MAX_BODY)).await;
        parse(&reading.map_err(|_| Problem::TooSlow)??).map(Self)
    }
}

/// Reads a body of up to `most` bytes.
pub(crate) async fn read(body: Body, most: usize) -> Result<Bytes, Problem> {
    match Limited::new(body, most).collect().await {
        Ok(body) => Ok(body.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(Problem::TooLarge(most)),
        Err(_) => Err(Problem::BadJson(BodyError::Unreadable)),
    }
}

/// True if a body is compressed or otherwise encoded (`Content-Encoding`).
pub(crate) fn is_encoded(headers: &HeaderMap) -> bool {
    let names = headers
        .get_all(CONTENT_ENCODING)
        .iter()
        .flat_map(|list| list.as_bytes().split(|byte| *byte == b','));
    // Empty elements of a list do not count.
    names
        .map(<[u8]>::trim_ascii)
        .any(|name| !name.is_empty() && !name.eq_ignore_ascii_case(b"identity"))
}

fn is_json(content_type: &str) -> bool {
    let media_type = content_type.split(';').next().unwrap_or_default().trim();
    media_type.eq_ignore_ascii_case("application/json") || {
        let media_type = media_type.to_ascii_lowercase();
        media_type.starts_with("application/") && media_type.ends_with("+json")
    }
}

fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    // Serde takes an array for a struct too.
    if bytes.trim_ascii_start().first() != Some(&b'{') {
        return Err(not_an_object());
    }
    // Only an error needs the path to its field, which is costly to keep.
    if let Ok(value) = serde_json::from_slice(bytes) {
        return Ok(value);
    }
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let value = serde_path_to_error::deserialize(&mut reader).map_err(|error| {
        let path = error.path().to_string();
        problem(&path, &error.into_inner())
    })?;
    reader.end().map_err(|_| Problem::BadJson(BodyError::TrailingData))?;
    Ok(value)
}

/// Converts a parser's error into a problem. The parser's own message is not used: it quotes the
/// value, and a phone number or a code must not be returned or logged.
fn problem(path: &str, error: &serde_json::Error) -> Problem {
    if !error.is_data() {
        return Problem::BadJson(BodyError::InvalidJson {
            line: error.line(),
            column: error.column(),
        });
    }
    let text = error.to_string();
    let duplicate = text.strip_prefix("duplicate field `").and_then(|rest| rest.split('`').next());
    match duplicate {
        Some(field) => bad(field, FieldError::Duplicate),
        None if text.starts_with("unknown field") => bad(path, FieldError::Unknown),
        None => bad(path, FieldError::ExpectedString),
    }
}

fn not_an_object() -> Problem {
    Problem::BadJson(BodyError::ExpectedObject)
}
