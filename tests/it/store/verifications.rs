//! The contract of verifications, on every store.

use std::collections::HashSet;
use std::time::Duration;

use futures_util::future::join_all;
use sms_domain::picture_id::PictureId;
use sms_domain::refusal::Exceeded;
use sms_domain::verification::{DeliveryState, Policy, Status, Verification};
use sms_store::{AdmissionRequest, CheckResult, Conclusion, Decision, Lease, Release};

use super::{SENT, SOON, admitted, admitted_later, begin, check, impatient, is_refused, wrong};
use crate::support::TestNumber;
use crate::support::contract::{Open, contract};

contract! {
    stores;
    picture_is_read_once
    cooldown_admits_one_of_a_thousand_requests
    resend_after_the_cooldown_continues_the_verification
    another_purpose_begins_a_new_verification
    expiry_is_never_later_than_the_longest_life
    admission_repeated_is_the_same_request
    release_makes_the_number_usable_at_once
    release_of_a_resend_leaves_the_verification
    release_is_refused_once_a_sender_has_begun
    approval_goes_to_one_of_many_right_checks
    check_repeated_is_counted_once
    expired_verification_is_gone
    cancelled_verification_is_over_and_forgets_nothing
    verification_is_approved_by_its_caller_once
    latest_verification_is_found_by_the_number
    another_scope_begins_a_new_verification
    readiness_holds_however_often_it_is_asked
}

async fn picture_is_read_once(open: Open) {
    let (store, other) =
        (open(Policy::default()), PictureId::random(sms_domain::random::random_bytes()));
    let uuid = PictureId::random(sms_domain::random::random_bytes());
    store.keep_picture(&uuid, "ABCD").await.expect("kept");
    assert_eq!(store.take_picture(&other).await.expect("an answer"), None);
    let shown = join_all((0..20).map(|_| store.take_picture(&uuid))).await;
    let shown: Vec<String> =
        shown.into_iter().filter_map(|shown| shown.expect("an answer")).collect();
    assert_eq!(shown, ["ABCD"]);
}

async fn cooldown_admits_one_of_a_thousand_requests(open: Open) {
    let (store, number) = (open(Policy::default()), TestNumber::new());
    let decisions = join_all((0..1000).map(|_| {
        let (store, candidate) = (store.clone(), number.request());
        async move { store.admit(&candidate).await.expect("an answer") }
    }));
    let (mut admitted, mut refused) = (0, 0);
    for decision in decisions.await {
        match decision {
            Decision::Admitted { verification, sms_number, .. } => {
                admitted += 1;
                assert_eq!((sms_number, verification.attempts_left), (1, 5));
                assert_eq!(verification.expires_in, Duration::from_secs(300));
                assert_eq!(verification.resend_in, Duration::from_secs(60));
            }
            Decision::Refused(refusal) => {
                let (exceeded, retry_after) = (refusal.exceeded(), refusal.retry_after());
                refused += 1;
                assert_eq!(exceeded, [Exceeded::Cooldown], "nothing was guessed");
                assert!(
                    retry_after <= Duration::from_secs(60) && retry_after > Duration::from_secs(50),
                    "{retry_after:?}"
                );
            }
            Decision::Challenged | Decision::Known { .. } => panic!("there is nothing suspicious"),
        }
    }
    assert_eq!((admitted, refused), (1, 999));
}

async fn resend_after_the_cooldown_continues_the_verification(open: Open) {
    let (store, number) = (open(impatient()), TestNumber::new());
    let (first, _) = admitted(&store, &number.request()).await;
    let (second, sms_number) = admitted_later(&store, &number.request()).await;
    assert_eq!((&second.id, sms_number), (&first.id, 2));
    assert!(second.expires_at > first.expires_at, "the code lives on");
}

async fn another_purpose_begins_a_new_verification(open: Open) {
    let (store, number) = (open(impatient()), TestNumber::new());
    let (login, _) = admitted(&store, &number.request_for("login")).await;
    let (pay, sms_number) = admitted_later(&store, &number.request_for("pay")).await;
    assert_eq!((sms_number, pay.id.purpose().as_str()), (1, "pay"));
    assert_eq!(check(&store, &login, true).await, CheckResult::Gone);
    assert_eq!(check(&store, &pay, true).await, CheckResult::Approved);
}

async fn expiry_is_never_later_than_the_longest_life(open: Open) {
    let interval = Duration::from_secs(20);
    let policy =
        Policy { ttl: SOON, max_life: SOON * 2, resend_interval: interval, ..Policy::default() };
    let (store, number) = (open(policy), TestNumber::new());
    let (first, _) = admitted(&store, &number.request()).await;
    let began = first.expires_at - SOON;
    let mut ids = HashSet::from([first.id.clone()]);
    while ids.len() < 2 {
        store.clock().advance(interval);
        let (next, _) = admitted(&store, &number.request()).await;
        if next.id == first.id {
            assert!(next.expires_at <= began + SOON * 2, "past its longest life");
        } else {
            assert_eq!(next.expires_in, SOON, "a new one has its whole life before it");
        }
        assert!(next.expires_in >= interval, "a code that is gone before another may be asked for");
        ids.insert(next.id);
    }
    assert_eq!(check(&store, &first, true).await, CheckResult::Gone, "replaced");
}

async fn admission_repeated_is_the_same_request(open: Open) {
    let (store, number) = (open(Policy::default()), TestNumber::new());
    let candidate = number.request();
    let (first, _) = admitted(&store, &candidate).await;
    let (again, sms_number) = admitted(&store, &candidate).await;
    assert_eq!((again.id, sms_number, again.expires_at), (first.id, 1, first.expires_at));
    assert!(is_refused(&store, &number.request(), Exceeded::Cooldown).await, "another is not");
}

async fn release_makes_the_number_usable_at_once(open: Open) {
    let (store, number) = (open(Policy::default()), TestNumber::new());
    let candidate = number.request();
    let (released, _) = admitted(&store, &candidate).await;
    store.release(&candidate).await.expect("an answer");
    assert_eq!(
        begin(&store, &released, 1, 1).await,
        Lease::Gone,
        "its job, queued after all, is dropped"
    );
    let (next, sms_number) = admitted(&store, &number.request()).await;
    assert_eq!(sms_number, 1);
    assert_ne!(next.id, released.id);
    store.release(&candidate).await.expect("an answer");
    assert!(
        matches!(begin(&store, &next, 1, 1).await, Lease::Granted { .. }),
        "only what was its own is taken back"
    );
}

async fn release_of_a_resend_leaves_the_verification(open: Open) {
    let (store, number) = (open(impatient()), TestNumber::new());
    let (first, _) = admitted(&store, &number.request()).await;
    begin(&store, &first, 1, 1).await;
    store.record_outcome(&first.id, 1, &SENT, 1).await.expect("an answer");
    assert!(matches!(
        check(&store, &first, false).await,
        CheckResult::Wrong { attempts_left: 4, .. }
    ));
    store.clock().advance(Duration::from_millis(3));
    let resend = number.request();
    let (_, sms_number) = admitted(&store, &resend).await;
    store.release(&resend).await.expect("an answer");
    assert_eq!(
        begin(&store, &first, sms_number, 1).await,
        Lease::Gone,
        "its job, queued after all, is dropped"
    );
    assert_eq!(begin(&store, &first, 1, 1).await, Lease::AlreadySent);
    let found = store.find(&first.id).await.expect("an answer").expect("is still there");
    assert_eq!((found.attempts_left, found.resend_in), (4, Duration::ZERO));
    assert_eq!(
        (found.expires_at, found.delivery),
        (first.expires_at, DeliveryState::Sent),
        "as it was before"
    );
    let (_, next) = admitted(&store, &number.request()).await;
    assert!(
        matches!(begin(&store, &first, next, 1).await, Lease::Granted { .. }),
        "the next one is sent"
    );
}

async fn release_is_refused_once_a_sender_has_begun(open: Open) {
    let (store, number) = (open(Policy::default()), TestNumber::new());
    let candidate = number.request();
    let (verification, _) = admitted(&store, &candidate).await;
    begin(&store, &verification, 1, 1).await;
    for finished in [None, Some(SENT)] {
        if let Some(outcome) = &finished {
            store.record_outcome(&verification.id, 1, outcome, 1).await.expect("an answer");
        }
        assert_eq!(
            store.release(&candidate).await.expect("an answer"),
            Release::Begun,
            "{finished:?}"
        );
        assert!(store.find(&verification.id).await.expect("an answer").is_some(), "it stands");
    }
    let other = TestNumber::new().request();
    admitted(&store, &other).await;
    for _ in 0..2 {
        assert_eq!(
            store.release(&other).await.expect("an answer"),
            Release::Released,
            "however often"
        );
    }
}

async fn approval_goes_to_one_of_many_right_checks(open: Open) {
    let (store, number) = (open(Policy::default()), TestNumber::new());
    let (verification, _) = admitted(&store, &number.request()).await;
    let results = join_all((0..200).map(|_| check(&store, &verification, true))).await;
    assert_eq!(results.iter().filter(|result| **result == CheckResult::Approved).count(), 1);
    assert_eq!(results.iter().filter(|result| **result == CheckResult::Gone).count(), 199);
    let found =
        store.find(&verification.id).await.expect("an answer").expect("shows that it is approved");
    assert_eq!(found.status, Status::Approved);
}

async fn check_repeated_is_counted_once(open: Open) {
    let (store, number) = (open(Policy::default()), TestNumber::new());
    let (verification, _) = admitted(&store, &number.request()).await;
    for _ in 0..2 {
        let result = store.check(&verification.id, false, 7, &[]).await.expect("an answer");
        assert_eq!(result, wrong(4));
    }
    for _ in 0..2 {
        assert_eq!(
            store.check(&verification.id, true, 8, &[]).await.expect("an answer"),
            CheckResult::Approved
        );
    }
    assert_eq!(
        store.check(&verification.id, true, 9, &[]).await.expect("an answer"),
        CheckResult::Gone
    );
}

async fn expired_verification_is_gone(open: Open) {
    let (store, number) = (
        open(Policy { ttl: SOON, resend_interval: SOON * 2, ..Policy::default() }),
        TestNumber::new(),
    );
    let (verification, _) = admitted(&store, &number.request()).await;
    assert!(store.find(&verification.id).await.expect("an answer").is_some());
    store.clock().advance(SOON);
    assert_eq!(store.find(&verification.id).await.expect("an answer"), None);
    assert_eq!(check(&store, &verification, true).await, CheckResult::Gone);
    assert_eq!(begin(&store, &verification, 1, 1).await, Lease::Gone);
    assert!(
        is_refused(&store, &number.request(), Exceeded::Cooldown).await,
        "the cooldown is not over"
    );
}

async fn cancelled_verification_is_over_and_forgets_nothing(open: Open) {
    let (store, number) = (open(Policy::default()), TestNumber::new());
    let cancel = async |verification: &Verification| {
        store.conclude(&verification.id, Conclusion::Cancelled).await.expect("an answer")
    };
    let (verification, sms_number) = admitted(&store, &number.request()).await;
    assert_eq!(check(&store, &verification, false).await, wrong(4));
    assert!(
        cancel(&verification).await && cancel(&verification).await,
        "and again, with the same answer"
    );
    assert_eq!(check(&store, &verification, true).await, CheckResult::Gone);
    assert_eq!(begin(&store, &verification, sms_number, 1).await, Lease::Gone);
    assert_eq!(store.find(&verification.id).await.expect("an answer"), None);
    assert!(is_refused(&store, &number.request(), Exceeded::Cooldown).await);

    let (store, number) = (open(impatient()), TestNumber::new());
    let (first, _) = admitted(&store, &number.request()).await;
    assert_eq!(check(&store, &first, false).await, wrong(4));
    assert!(store.conclude(&first.id, Conclusion::Cancelled).await.expect("an answer"));
    let (ended, _) = admitted_later(&store, &number.request()).await;
    let resend = AdmissionRequest { id: number.request().id, ..number.request() };
    admitted_later(&store, &resend).await;
    assert!(store.conclude(&ended.id, Conclusion::Cancelled).await.expect("an answer"));
    assert_eq!(store.release(&resend).await.expect("an answer"), Release::Released);
    assert_eq!(
        store.find(&ended.id).await.expect("an answer"),
        None,
        "a release brings nothing back"
    );
    let (second, _) = admitted_later(&store, &number.request()).await;
    assert_ne!(second.id, first.id, "another begins");
    assert_eq!(second.attempts_left, 4);
    assert!(
        !store.conclude(&first.id, Conclusion::Cancelled).await.expect("an answer"),
        "replaced"
    );
    assert_eq!(check(&store, &second, true).await, CheckResult::Approved);
    assert!(!store.conclude(&second.id, Conclusion::Cancelled).await.expect("an answer"), "used");
}

async fn verification_is_approved_by_its_caller_once(open: Open) {
    let (store, number) = (open(Policy::default()), TestNumber::new());
    let (verification, sms_number) = admitted(&store, &number.request()).await;
    let approve =
        async || store.conclude(&verification.id, Conclusion::Approved).await.expect("an answer");
    assert!(approve().await && approve().await, "and again, with the same answer");
    let found = store.find(&verification.id).await.expect("an answer").expect("it is there");
    assert_eq!(found.status, Status::Approved);
    assert_eq!(check(&store, &verification, true).await, CheckResult::Gone, "used");
    assert_eq!(begin(&store, &verification, sms_number, 1).await, Lease::Gone);
    let cancelled = store.conclude(&verification.id, Conclusion::Cancelled).await;
    assert!(!cancelled.expect("an answer"), "it is over");

    let number = TestNumber::new();
    let (checked, _) = admitted(&store, &number.request()).await;
    assert_eq!(check(&store, &checked, true).await, CheckResult::Approved);
    let approved = store.conclude(&checked.id, Conclusion::Approved).await;
    assert!(!approved.expect("an answer"), "by its code, before");
}

async fn latest_verification_is_found_by_the_number(open: Open) {
    let (store, number) = (open(impatient()), TestNumber::new());
    let latest = async || store.latest(number.request().id.tag()).await.expect("an answer");
    assert_eq!(latest().await, None);
    let (first, _) = admitted(&store, &number.request_for("pay")).await;
    let found = latest().await.expect("it is there");
    assert_eq!((&found.verification.id, &*found.scope, found.sms_number), (&first.id, "pay", 1));
    admitted_later(&store, &number.request_for("pay")).await;
    let again = latest().await.expect("it is there");
    assert_eq!((&again.verification.id, again.sms_number), (&first.id, 2));
    assert_eq!(again.began_at, found.began_at);
    let (second, _) = admitted_later(&store, &number.request()).await;
    let found = latest().await.expect("it is there");
    assert_eq!((&found.verification.id, &*found.scope, found.sms_number), (&second.id, "", 1));
    assert!(store.conclude(&second.id, Conclusion::Cancelled).await.expect("an answer"));
    assert_eq!(latest().await, None, "over");
}

async fn another_scope_begins_a_new_verification(open: Open) {
    let (store, number) = (open(impatient()), TestNumber::new());
    let of = |scope: &str| AdmissionRequest { scope: scope.to_owned(), ..number.request() };
    let (first, _) = admitted(&store, &of("/a")).await;
    let (other, sms_number) = admitted_later(&store, &of("/b")).await;
    assert_eq!(sms_number, 1);
    assert_ne!(other.id, first.id);
    assert_eq!(check(&store, &first, true).await, CheckResult::Gone, "replaced");
    let (same, sms_number) = admitted_later(&store, &of("/b")).await;
    assert_eq!((same.id, sms_number), (other.id, 2));
}

async fn readiness_holds_however_often_it_is_asked(open: Open) {
    let store = open(Policy::default());
    // More often within a second than probes have keys.
    for _ in 0..300 {
        store.ping().await.expect("ready");
    }
}
