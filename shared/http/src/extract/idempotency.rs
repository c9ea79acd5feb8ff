//! `Idempotency-Key`: a request that is repeated because its answer was lost gets that answer, and
//! no second SMS.
//!
//! After draft-ietf-httpapi-idempotency-key-header: what was accepted is answered again as it was;
//! 409 while the first call is still at work, and 422 for another request with the same key. What
//! was not accepted did nothing, and may be asked again.

use axum::http::{HeaderMap, HeaderName};
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

/// A key that this call claims or holds. Dropped without an answer, because the caller has hung up,
/// or the store did not say whether it has it, it is given back.
pub(crate) struct IdempotencyGuard {
    store: Store,
    key: Option<ClaimedKey>,
}

/// The outcome of a claim.
pub(crate) enum Claimed {
    /// The call is the first with its key, if it has one: it is to act.
    First(Option<IdempotencyGuard>),
    /// The key was used for this request before, which was answered like this.
    Answered(Body),
}

/// Claims the key of a request, if it came with one. The store learns neither key nor `body`: it
/// gets keyed hashes of them.
pub(crate) async fn claim(
    headers: &HeaderMap,
    tenant: Option<&str>,
    body: &[u8],
    store: &Store,
    secrets: &Secrets,
) -> Result<Claimed, Problem> {
    let mut values = headers.get_all(IDEMPOTENCY_KEY).iter();
    let key = match (values.next(), values.next()) {
        (None, _) => return Ok(Claimed::First(None)),
        (Some(value), None) => {
            value.to_str().ok().and_then(read).ok_or(Problem::BadIdempotencyKey)?
        }
        _ => return Err(Problem::BadIdempotencyKey),
    };
    // No tenant's name holds a slash.
    let subject =
        secrets.keyed_hash(format!("idempotency {}/{key}", tenant.unwrap_or_default()).as_bytes());
    let key = ClaimedKey { subject, fingerprint: secrets.keyed_hash(body), call: random_u64() };
    let mut held = IdempotencyGuard { store: store.clone(), key: Some(key.clone()) };
    let claim = store.claim(&key).await?;
    if claim == Claim::Acquired {
        return Ok(Claimed::First(Some(held)));
    }
    // It is another call's.
    held.key = None;
    match claim {
        // An answer of another release, whose form is another, cannot be given again.
        Claim::Replay(answer) => serde_json::from_str(&answer)
            .map(Claimed::Answered)
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
    /// Keeps the answer for calls to come, or gives the key back if there is none.
    pub(crate) async fn settle(mut self, answer: Option<&Body>) {
        let answer = answer.and_then(|answer| serde_json::to_string(answer).ok());
        if let Some(key) = self.key.take()
            && self.store.complete(&key, answer.as_deref()).await.is_err()
        {
            settle_later(self.store.clone(), key, answer);
        }
    }
}

impl Drop for IdempotencyGuard {
    fn drop(&mut self) {
        if let Some(key) = self.key.take()
            && Handle::try_current().is_ok()
        {
            settle_later(self.store.clone(), key, None);
        }
    }
}

/// When the store answers again.
fn settle_later(store: Store, key: ClaimedKey, answer: Option<String>) {
    retry_detached(move || {
        let (store, key, answer) = (store.clone(), key.clone(), answer.clone());
        async move { store.complete(&key, answer.as_deref()).await }
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
