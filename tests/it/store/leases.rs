//! The contract of the lease on an SMS, on every store: one worker at a time sends it.

use std::time::Duration;

use futures_util::future::join_all;
use sms_domain::verification::{DeliveryState, Policy};
use sms_store::{CheckResult, Lease, SendOutcome};

use super::{LEASE, SENT, SOON, admitted, admitted_later, begin, check, impatient};
use crate::support::TestNumber;
use crate::support::contract::{Open, contract};

contract! {
    stores;
    lease_is_held_by_one_worker_at_a_time
    lease_that_ran_out_is_taken_over
    lease_is_granted_again_after_a_failed_attempt
    unknown_outcome_stays_unknown
    lease_given_back_leaves_an_unknown_outcome_unknown
    lease_is_refused_for_what_is_over
    delivery_state_is_that_of_the_latest_sms
}

async fn lease_is_held_by_one_worker_at_a_time(open: Open) {
    let (store, number) = (open(Policy::default()), TestNumber::new());
    let (verification, _) = admitted(&store, &number.request()).await;
    let begun = join_all((0..50).map(|worker| begin(&store, &verification, 1, worker))).await;
    let go =
        begun.iter().position(|begun| matches!(begun, Lease::Granted { .. })).expect("one may");
    assert_eq!(begun.iter().filter(|begun| matches!(begun, Lease::Busy)).count(), 49);
    let again = begin(&store, &verification, 1, u64::try_from(go).expect("small")).await;
    assert!(
        matches!(again, Lease::Granted { uncertain: false, .. }),
        "who holds the lease gets it again"
    );
    store
        .record_outcome(&verification.id, 1, &SENT, u64::try_from(go).expect("small"))
        .await
        .expect("an answer");
    assert_eq!(begin(&store, &verification, 1, 99).await, Lease::AlreadySent);
}

async fn lease_that_ran_out_is_taken_over(open: Open) {
    let (store, number) = (open(Policy::default()), TestNumber::new());
    let (verification, _) = admitted(&store, &number.request()).await;
    store.acquire_lease(&verification.id, 1, SOON, 1).await.expect("an answer");
    assert_eq!(begin(&store, &verification, 1, 2).await, Lease::Busy);
    store.clock().advance(SOON);
    assert!(matches!(
        begin(&store, &verification, 1, 2).await,
        Lease::Granted { uncertain: true, .. }
    ));
    store.record_outcome(&verification.id, 1, &SendOutcome::Failed, 1).await.expect("an answer");
    assert_eq!(
        begin(&store, &verification, 1, 3).await,
        Lease::Busy,
        "the first worker no longer has a say"
    );
    store.record_outcome(&verification.id, 1, &SENT, 2).await.expect("an answer");
    store.record_outcome(&verification.id, 1, &SendOutcome::Retrying, 1).await.expect("an answer");
    assert_eq!(begin(&store, &verification, 1, 3).await, Lease::AlreadySent);
}

async fn lease_is_granted_again_after_a_failed_attempt(open: Open) {
    let (store, number) = (open(Policy::default()), TestNumber::new());
    let (verification, _) = admitted(&store, &number.request()).await;
    begin(&store, &verification, 1, 1).await;
    store.record_outcome(&verification.id, 1, &SendOutcome::Retrying, 1).await.expect("an answer");
    assert!(matches!(
        begin(&store, &verification, 1, 2).await,
        Lease::Granted { uncertain: false, .. }
    ));
}

async fn unknown_outcome_stays_unknown(open: Open) {
    let (store, number) = (open(Policy::default()), TestNumber::new());
    let (verification, _) = admitted(&store, &number.request()).await;
    begin(&store, &verification, 1, 1).await;
    store.record_outcome(&verification.id, 1, &SendOutcome::Unknown, 2).await.expect("an answer");
    assert_eq!(
        begin(&store, &verification, 1, 3).await,
        Lease::Busy,
        "who does not hold the lease says nothing"
    );
    store.record_outcome(&verification.id, 1, &SendOutcome::Unknown, 1).await.expect("an answer");
    let found = store.find(&verification.id).await.expect("an answer").expect("is there");
    assert_eq!(found.delivery, DeliveryState::Failed);
    for worker in [2, 3] {
        assert!(matches!(
            begin(&store, &verification, 1, worker).await,
            Lease::Granted { uncertain: true, .. }
        ));
        store
            .record_outcome(&verification.id, 1, &SendOutcome::Unknown, worker)
            .await
            .expect("an answer");
    }
}

async fn lease_given_back_leaves_an_unknown_outcome_unknown(open: Open) {
    let (store, number) = (open(Policy::default()), TestNumber::new());
    let (verification, _) = admitted(&store, &number.request()).await;
    // The first worker dies in its call.
    store.acquire_lease(&verification.id, 1, Duration::ZERO, 1).await.expect("an answer");
    // The second asks, asks again, and gives its lease back without having called.
    for _ in 0..2 {
        assert!(matches!(
            begin(&store, &verification, 1, 2).await,
            Lease::Granted { uncertain: true, .. }
        ));
    }
    store.record_outcome(&verification.id, 1, &SendOutcome::Retrying, 2).await.expect("an answer");
    assert!(matches!(
        begin(&store, &verification, 1, 3).await,
        Lease::Granted { uncertain: true, .. }
    ));
    store.record_outcome(&verification.id, 1, &SENT, 3).await.expect("an answer");
    assert_eq!(begin(&store, &verification, 1, 4).await, Lease::AlreadySent);
}

async fn lease_is_refused_for_what_is_over(open: Open) {
    let (store, number) = (open(Policy::default()), TestNumber::new());
    let (verification, _) = admitted(&store, &number.request()).await;
    assert_eq!(
        begin(&store, &verification, 2, 1).await,
        Lease::Gone,
        "an SMS that was never admitted"
    );
    assert_eq!(
        store.acquire_lease(&TestNumber::new().request().id, 1, LEASE, 1).await.expect("an answer"),
        Lease::Gone
    );
    assert_eq!(check(&store, &verification, true).await, CheckResult::Approved);
    assert_eq!(begin(&store, &verification, 1, 1).await, Lease::Gone, "approved");
}

async fn delivery_state_is_that_of_the_latest_sms(open: Open) {
    let (store, number) = (open(impatient()), TestNumber::new());
    let (verification, _) = admitted(&store, &number.request()).await;
    let delivery =
        async || store.find(&verification.id).await.expect("an answer").expect("is there").delivery;
    assert_eq!(delivery().await, DeliveryState::Queued);
    for (outcome, state) in [
        (SendOutcome::Retrying, DeliveryState::Retrying),
        (SendOutcome::Failed, DeliveryState::Failed),
        (SendOutcome::Requeued, DeliveryState::Queued),
        (SENT, DeliveryState::Sent),
    ] {
        begin(&store, &verification, 1, 1).await;
        store.record_outcome(&verification.id, 1, &outcome, 1).await.expect("an answer");
        assert_eq!(delivery().await, state);
    }
    admitted_later(&store, &number.request()).await;
    assert_eq!(delivery().await, DeliveryState::Queued, "another is on its way");
    store.record_outcome(&verification.id, 1, &SendOutcome::Failed, 1).await.expect("an answer");
    assert_eq!(delivery().await, DeliveryState::Queued, "an older one says nothing about it");
    let found = store.find(&verification.id).await.expect("an answer").expect("is there");
    assert_eq!(found.to, "+86*******0001");
}
