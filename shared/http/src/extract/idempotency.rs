//! `Idempotency-Key`: a request that is repeated because its response was lost gets that response,
//! and no second SMS.
//!
//! After draft-ietf-httpapi-idempotency-key-header: an accepted request is replayed; 409 while the
//! first call is still in progress, and 422 for another request with the same key. A request that
//! was not accepted had no effect, and may be repeated.

use std::convert::Infallible;

use axum::extract::FromRequestParts;
use axum::http::HeaderName;
use axum::http::request::Parts;
use sms_app::detached::retry_detached;
use sms_domain::random::random_u64;
use sms_domain::secrets::Secrets;
use sms_store::{Claim, ClaimedKey, Store};
use tokio::runtime::Handle;

use crate::MAX_IDEMPOTENCY_KEY;
use crate::problem::Problem;
use crate::views::Body;

pub(crate) const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
pub(crate) const IDEMPOTENT_REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");

/// The `Idempotency-Key` of a request: `None` if it has none, an error if it is invalid.
pub(crate) struct IdempotencyKey(pub(crate) Result<Option<String>, Problem>);

impl<S: Sync> FromRequestParts<S> for IdempotencyKey {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let mut values = parts.headers.get_all(IDEMPOTENCY_KEY).iter();
        Ok(Self(match (values.next(), values.next()) {
            (None, _) => Ok(None),
            (Some(value), None) => {
                let key = value.to_str().ok().and_then(read);
                key.ok_or(Problem::BadIdempotencyKey).map(Some)
            }
            _ => Err(Problem::BadIdempotencyKey),
        }))
    }
}

/// A key that this call claims or holds. It is released if it is dropped without a response,
/// because the caller has hung up or the claim failed.
pub(crate) struct IdempotencyGuard {
    store: Store,
    key: Option<ClaimedKey>,
}

/// The outcome of a claim.
pub(crate) enum Claimed {
    /// The call is the first with its key: it is to be executed.
    First(IdempotencyGuard),
    /// The key was used for this request before, with this response.
    Replay(Body),
}

/// Claims the key of a request. The store learns neither key nor `body`: it
/// gets keyed hashes of them.
pub(crate) async fn claim(
    key: &str,
    tenant: Option<&str>,
    body: &[u8],
    store: &Store,
    secrets: &Secrets,
) -> Result<Claimed, Problem> {
    // No tenant's name holds a slash.
    let subject =
        secrets.keyed_hash(format!("idempotency {}/{key}", tenant.unwrap_or_default()).as_bytes());
    let key = ClaimedKey { subject, fingerprint: secrets.keyed_hash(body), call: random_u64() };
    let mut guard = IdempotencyGuard { store: store.clone(), key: Some(key.clone()) };
    let claim = store.claim(&key).await?;
    if claim == Claim::Acquired {
        return Ok(Claimed::First(guard));
    }
    // Another call holds the key.
    guard.key = None;
    match claim {
        // A response in the format of another release cannot be replayed.
        Claim::Replay(answer) => serde_json::from_str(&answer)
            .map(Claimed::Replay)
            .map_err(|_| Problem::IdempotencyKeyReused),
        Claim::Acquired | Claim::InProgress => Err(Problem::IdempotencyInProgress),
        Claim::KeyReused => Err(Problem::IdempotencyKeyReused),
    }
}

/// The key in a header: as it is, or as the string of RFC 9651 that the draft asks for, in double
/// quotes and with a backslash before each quote and backslash within it.
fn read(value: &str) -> Option<String> {
    let key = match value.strip_prefix('"') {
        Some(rest) => unquoted(rest)?,
        None => {
            Some(value).filter(|key| key.bytes().all(|byte| byte.is_ascii_graphic()))?.to_owned()
        }
    };
    (1..=MAX_IDEMPOTENCY_KEY).contains(&key.len()).then_some(key)
}

/// The text before the closing quote, which has to be the end of the value.
fn unquoted(rest: &str) -> Option<String> {
    let (mut key, mut characters) = (String::new(), rest.chars());
    loop {
        match characters.next()? {
            '"' => return characters.as_str().is_empty().then_some(key),
            '\\' => key.push(characters.next().filter(|escaped| matches!(escaped, '"' | '\\'))?),
            character @ ' '..='~' => key.push(character),
            _ => return None,
        }
    }
}

impl IdempotencyGuard {
    /// Stores the response for later calls, or releases the key if there is none.
    pub(crate) async fn complete(mut self, response: Option<&Body>) {
        let response = response.and_then(|response| serde_json::to_string(response).ok());
        if let Some(key) = self.key.take()
            && self.store.complete(&key, response.as_deref()).await.is_err()
        {
            complete_later(self.store.clone(), key, response);
        }
    }
}

impl Drop for IdempotencyGuard {
    fn drop(&mut self) {
        if let Some(key) = self.key.take()
            && Handle::try_current().is_ok()
        {
            complete_later(self.store.clone(), key, None);
        }
    }
}

/// Completes a claim when the store answers again.
fn complete_later(store: Store, key: ClaimedKey, response: Option<String>) {
    retry_detached(move || {
        let (store, key, response) = (store.clone(), key.clone(), response.clone());
        async move { store.complete(&key, response.as_deref()).await }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_the_same_in_quotes_and_without() {
        let (longest, too_long) = ("x".repeat(255), "x".repeat(256));
        let (quoted, too_long_quoted) = (format!("\"{longest}\""), format!("\"{too_long}\""));
        for (value, expected) in [
            ("abc", Some("abc")),
            ("\"abc\"", Some("abc")),
            (r#"a\b"c"#, Some(r#"a\b"c"#)),
            (r#""a\\b\"c""#, Some(r#"a\b"c"#)),
            ("\"a b\"", Some("a b")),
            (&longest, Some(longest.as_str())),
            (&quoted, Some(longest.as_str())),
            ("", None),
            ("a b", None),
            ("\"", None),
            ("\"\"", None),
            ("\"abc", None),
            ("\"abc\\", None),
            ("\"abc\\\"", None),
            ("\"a\\bc\"", None),
            ("\"abc\"x", None),
            ("\"abc\";a=1", None),
            ("\"abc\", \"abc\"", None),
            ("\"a\tb\"", None),
            (&too_long, None),
            (&too_long_quoted, None),
        ] {
            assert_eq!(read(value).as_deref(), expected, "{value}");
        }
    }
}
