//! The contract of attempts and lockout, on every store.

use std::time::Duration;

use futures_util::future::join_all;
use sms_domain::refusal::Exceeded;
use sms_domain::verification::Policy;
use sms_store::{CheckResult, Decision};

use super::{SOON, admitted, admitted_later, check, impatient, is_refused};
use crate::support::TestNumber;
use crate::support::contract::{Open, contract};

contract! {
    stores;
    attempts_at_once_are_counted_one_by_one
    attempts_outlive_a_resend_and_a_new_verification
    lockout_ends_in_time
    attempts_are_forgotten_by_an_approval
    attempts_are_kept_by_a_release
}

async fn attempts_are_kept_by_a_release(open: Open) {
    let (store, number) = (open(impatient()), TestNumber::new());
    let (first, _) = admitted(&store, &number.request_for("a")).await;
    check(&store, &first, false).await;
    store.clock().advance(Duration::from_millis(3));
    let other = number.request_for("b");
    admitted(&store, &other).await;
    store.release(&other).await.expect("an answer");
    let (next, _) = admitted(&store, &number.request_for("b")).await;
    assert_eq!(next.attempts_left, 4);
}

async fn attempts_at_once_are_counted_one_by_one(open: Open) {
    let (store, number) = (open(Policy::default()), TestNumber::new());
    let (verification, _) = admitted(&store, &number.request()).await;
    let results = join_all((0..100).map(|_| check(&store, &verification, false))).await;
    let mut left: Vec<u32> = results
        .iter()
        .filter_map(|result| {
            if let CheckResult::Wrong { attempts_left, .. } = result {
                Some(*attempts_left)
            } else {
                None
            }
        })
        .collect();
    left.sort_unstable();
    assert_eq!(left, [0, 1, 2, 3, 4], "five are compared, each counted once");
    assert!(
        matches!(check(&store, &verification, true).await, CheckResult::Refused(_)),
        "even the right one"
    );
}

async fn attempts_outlive_a_resend_and_a_new_verification(open: Open) {
    let (store, number) = (open(impatient()), TestNumber::new());
    let (first, _) = admitted(&store, &number.request_for("a")).await;
    for _ in 0..3 {
        check(&store, &first, false).await;
    }
    let (resent, _) = admitted_later(&store, &number.request_for("a")).await;
    assert_eq!(resent.attempts_left, 2);
    let (anew, sms_number) = admitted_later(&store, &number.request_for("b")).await;
    assert_eq!((sms_number, anew.attempts_left), (1, 2));
    check(&store, &anew, false).await;
    check(&store, &anew, false).await;
    let CheckResult::Refused(refusal) = check(&store, &anew, true).await else {
        panic!("not locked")
    };
    let (exceeded, retry_after) = (refusal.exceeded(), refusal.retry_after());
    assert_eq!(exceeded, [Exceeded::Attempts]);
    assert!(retry_after > Duration::from_secs(590), "until 600 s after the first: {retry_after:?}");
    store.clock().advance(Duration::from_millis(3));
    assert!(is_refused(&store, &number.request_for("b"), Exceeded::Attempts).await);
}

async fn lockout_ends_in_time(open: Open) {
    let (store, number) =
        (open(Policy { max_life: SOON, max_attempts: 1, ..impatient() }), TestNumber::new());
    let (verification, _) = admitted(&store, &number.request()).await;
    let CheckResult::Wrong { attempts_left: 0, locked_for } =
        check(&store, &verification, false).await
    else {
        panic!("not the last")
    };
    let found = store.find(&verification.id).await.expect("an answer").expect("is there");
    assert!(
        found.locked_for > Duration::ZERO && found.locked_for <= locked_for && locked_for <= SOON,
        "{found:?}"
    );
    assert_eq!(
        (found.waits_for, found.resend_in),
        (Exceeded::Attempts, found.locked_for),
        "not before it is unlocked"
    );
    store.clock().advance(Duration::from_millis(3));
    let Ok(Decision::Refused(locked)) = store.admit(&number.request()).await else {
        panic!("not locked")
    };
    assert_eq!(locked.exceeded(), [Exceeded::Attempts]);
    store.clock().advance(locked.retry_after());
    let (next, _) = admitted(&store, &number.request()).await;
    assert_eq!(next.attempts_left, 1);
}

async fn attempts_are_forgotten_by_an_approval(open: Open) {
    let (store, number) = (open(impatient()), TestNumber::new());
    let (first, _) = admitted(&store, &number.request()).await;
    for _ in 0..4 {
        check(&store, &first, false).await;
    }
    assert_eq!(check(&store, &first, true).await, CheckResult::Approved);
    let (next, sms_number) = admitted_later(&store, &number.request()).await;
    assert_eq!(
        (sms_number, next.attempts_left),
        (1, 5),
        "what is approved is over: a new one begins"
    );
    assert_ne!(next.id, first.id);
}
