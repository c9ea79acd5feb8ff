//! `Idempotency-Key`: a request that is repeated because its answer was lost gets that answer, and no second SMS.
//!
//! After draft-ietf-httpapi-idempotency-key-header: what was accepted is answered again as it was; 409 while the first call is
//! still at work, and 422 for another request with the same key. What was not accepted did nothing, and may be asked again.

use axum::http::{HeaderMap, HeaderName};
use tracing::warn;

use super::problem::Problem;
use super::verification::Body;
use crate::code::Secrets;
use crate::entropy::random_u64;
use crate::store::{Claim, ClaimedKey, Store};
use crate::telemetry::causes;

pub(super) const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
pub(super) const IDEMPOTENT_REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");

/// Longest key: a UUID has 36 characters.
const MAX_KEY: usize = 255;

/// A key that this call holds, until its answer is kept or it is given back.
pub(super) struct Held {
    store: Store,
    key: ClaimedKey,
}

/// What became of a claim.
pub(super) enum Claimed {
    /// The call is the first with its key, if it has one: it is to act.
    First(Option<Held>),
    /// The key was used for this request before, which was answered like this.
    Answered(Body),
}

/// Claims the key of a request, if it came with one. The store learns neither key nor `body`: it gets keyed hashes of them.
pub(super) async fn claim(
    headers: &HeaderMap,
    tenant: Option<&str>,
    body: &[u8],
    store: &Store,
    secrets: &Secrets,
) -> Result<Claimed, Problem> {
    let Some(value) = headers.get(IDEMPOTENCY_KEY) else { return Ok(Claimed::First(None)) };
    let visible = |key: &&str| key.bytes().all(|byte| byte.is_ascii_graphic());
    let key = value.to_str().ok().filter(|key| (1..=MAX_KEY).contains(&key.len())).filter(visible);
    let key = key.ok_or(Problem::BadKey)?;
    // No tenant's name holds a slash.
    let subject = secrets.pseudonym(format!("idempotency {}/{key}", tenant.unwrap_or_default()).as_bytes());
    let key = ClaimedKey { subject, fingerprint: secrets.pseudonym(body), call: random_u64() };
    match store.claim(&key).await? {
        Claim::First => Ok(Claimed::First(Some(Held { store: store.clone(), key }))),
        // An answer of another release, whose form is another, cannot be given again.
        Claim::Answered(answer) => serde_json::from_str(&answer).map(Claimed::Answered).map_err(|_| Problem::KeyReused),
        Claim::AtWork => Err(Problem::AtWork),
        Claim::Other => Err(Problem::KeyReused),
    }
}

impl Held {
    /// Keeps the answer for calls to come, or gives the key back if there is none.
    pub(super) async fn settle(self, answer: Option<&Body>) {
        let answer = answer.and_then(|answer| serde_json::to_string(answer).ok());
        if let Err(error) = self.store.settle(&self.key, answer.as_deref()).await {
            warn!(error = causes(&error), "the answer cannot be kept for its idempotency key");
        }
    }
}
