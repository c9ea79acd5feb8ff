//! The contract of idempotency keys, on every store.

use sms_domain::verification::Policy;
use sms_store::{Claim, ClaimedKey};

use crate::support::contract::{Open, contract};
use crate::support::unique;

contract! {
    stores;
    idempotency_key_is_claimed_once
}

async fn idempotency_key_is_claimed_once(open: Open) {
    let (store, subject) = (open(Policy::default()), unique("key"));
    let key = |call, fingerprint: &str| ClaimedKey {
        subject: subject.clone(),
        fingerprint: fingerprint.to_owned(),
        call,
    };
    let claim = async |call, fingerprint: &str| {
        store.claim(&key(call, fingerprint)).await.expect("an answer")
    };
    assert_eq!(claim(1, "request").await, Claim::Acquired);
    assert_eq!(claim(1, "request").await, Claim::Acquired, "the same call on a new connection");
    assert_eq!(claim(2, "request").await, Claim::InProgress);
    assert_eq!(claim(2, "another").await, Claim::KeyReused);
    // Whose call it is not cannot give the key back, nor answer for it.
    store.complete(&key(2, "request"), None).await.expect("an answer");
    store.complete(&key(2, "request"), Some("mine")).await.expect("an answer");
    assert_eq!(claim(3, "request").await, Claim::InProgress);
    store.complete(&key(1, "request"), None).await.expect("an answer");
    assert_eq!(claim(4, "another").await, Claim::Acquired, "it was given back");
    store.complete(&key(4, "another"), Some("answer")).await.expect("kept");
    assert_eq!(claim(5, "another").await, Claim::Replay("answer".to_owned()));
    assert_eq!(claim(5, "request").await, Claim::KeyReused);
}
