//! What a store promises, case by case, for the memory, for Redis, and for Redis Cluster.

use std::collections::HashSet;
use std::time::Duration;

use futures_util::future::join_all;
use shared::challenge::PictureId;
use shared::limits::Exceeded;
use shared::store::{
    Begin, Candidate, CheckResult, Claim, ClaimedKey, Decision, Finish, Release, Store,
};
use shared::verification::{DeliveryState, Policy, Status, Verification};

use crate::support::contract::{Open, contract};
use crate::support::{Person, unique};

/// Sent, by a gateway that has no name for the message.
const SENT: Finish = Finish::Sent { message_id: None };

const LEASE: Duration = Duration::from_secs(10);

/// A time that a store's own clock is moved by: Redis forgets by its own, and a slow machine needs
/// less.
const SOON: Duration = Duration::from_secs(100);

contract! {
    as_it_is;
    what_a_picture_shows_is_told_once
    an_idempotency_key_is_claimed_once
    one_of_a_thousand_requests_is_admitted
    asking_again_continues_after_the_cooldown
    another_purpose_begins_anew
    no_life_is_longer_than_the_longest
    a_repeated_request_is_the_same_request
    a_released_number_is_usable_at_once
    a_released_resend_leaves_the_verification
    a_release_forgets_no_wrong_code
    a_release_comes_before_the_sender_or_not_at_all
    one_of_many_right_checks_is_approved
    wrong_codes_at_once_are_counted_one_by_one
    wrong_codes_outlive_a_resend_and_a_new_verification
    wrong_codes_are_forgotten_in_time
    an_approval_forgets_wrong_codes
    a_repeated_check_is_counted_once
    what_is_expired_is_gone
    what_is_cancelled_is_over_and_nothing_is_forgotten
    one_worker_at_a_time_sends
    a_lease_that_ran_out_is_taken_over
    a_failed_attempt_may_be_repeated
    an_unknown_outcome_stays_unknown
    a_lease_that_is_given_back_leaves_unknown_what_was
    nothing_is_sent_for_what_is_over
    a_verification_shows_its_latest_sms
    it_is_ready_however_often_it_is_asked
}

fn as_it_is(open: Open<'_>) -> Open<'_> {
    open
}

fn wrong(attempts_left: u32) -> CheckResult {
    CheckResult::Wrong { attempts_left, locked_for: Duration::ZERO }
}

/// No cooldown to speak of.
fn impatient() -> Policy {
    Policy { resend_interval: Duration::from_millis(1), ..Policy::default() }
}

async fn admitted(store: &Store, candidate: &Candidate) -> (Verification, u32) {
    match store.admit(candidate).await.expect("an answer") {
        Decision::Admitted { verification, send, .. } => (verification, send),
        refused => panic!("not admitted: {refused:?}"),
    }
}

async fn admitted_later(store: &Store, candidate: &Candidate) -> (Verification, u32) {
    store.clock().advance(Duration::from_millis(3));
    admitted(store, candidate).await
}

async fn is_refused(store: &Store, candidate: &Candidate, by: Exceeded) -> bool {
    matches!(store.admit(candidate).await, Ok(Decision::Refused(refusal)) if refusal.exceeded() == [by])
}

async fn check(store: &Store, verification: &Verification, right: bool) -> CheckResult {
    store
        .check(&verification.id, right, shared::entropy::random_u64(), &[])
        .await
        .expect("an answer")
}

async fn begin(store: &Store, verification: &Verification, send: u32, worker: u64) -> Begin {
    store.begin(&verification.id, send, LEASE, worker).await.expect("an answer")
}

async fn what_a_picture_shows_is_told_once(open: Open<'_>) {
    let (store, other) =
        (open(Policy::default()), PictureId::random(shared::entropy::random_bytes()));
    let uuid = PictureId::random(shared::entropy::random_bytes());
    store.keep_picture(&uuid, "ABCD").await.expect("kept");
    assert_eq!(store.take_picture(&other).await.expect("an answer"), None);
    let shown = join_all((0..20).map(|_| store.take_picture(&uuid))).await;
    let shown: Vec<String> =
        shown.into_iter().filter_map(|shown| shown.expect("an answer")).collect();
    assert_eq!(shown, ["ABCD"]);
}

async fn an_idempotency_key_is_claimed_once(open: Open<'_>) {
    let (store, subject) = (open(Policy::default()), unique("key"));
    let key = |call, fingerprint: &str| ClaimedKey {
        subject: subject.clone(),
        fingerprint: fingerprint.to_owned(),
        call,
    };
    let claim = async |call, fingerprint: &str| {
        store.claim(&key(call, fingerprint)).await.expect("an answer")
    };
    assert_eq!(claim(1, "request").await, Claim::First);
    assert_eq!(claim(1, "request").await, Claim::First, "the same call on a new connection");
    assert_eq!(claim(2, "request").await, Claim::AtWork);
    assert_eq!(claim(2, "another").await, Claim::Other);
    // Whose call it is not cannot give the key back, nor answer for it.
    store.settle(&key(2, "request"), None).await.expect("an answer");
    store.settle(&key(2, "request"), Some("mine")).await.expect("an answer");
    assert_eq!(claim(3, "request").await, Claim::AtWork);
    store.settle(&key(1, "request"), None).await.expect("an answer");
    assert_eq!(claim(4, "another").await, Claim::First, "it was given back");
    store.settle(&key(4, "another"), Some("answer")).await.expect("kept");
    assert_eq!(claim(5, "another").await, Claim::Answered("answer".to_owned()));
    assert_eq!(claim(5, "request").await, Claim::Other);
}

async fn one_of_a_thousand_requests_is_admitted(open: Open<'_>) {
    let (store, person) = (open(Policy::default()), Person::new());
    let decisions = join_all((0..1000).map(|_| {
        let (store, candidate) = (store.clone(), person.asks());
        async move { store.admit(&candidate).await.expect("an answer") }
    }));
    let (mut admitted, mut refused) = (0, 0);
    for decision in decisions.await {
        match decision {
            Decision::Admitted { verification, send, .. } => {
                admitted += 1;
                assert_eq!((send, verification.attempts_left), (1, 5));
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
            Decision::Challenged => panic!("there is nothing suspicious"),
        }
    }
    assert_eq!((admitted, refused), (1, 999));
}

async fn asking_again_continues_after_the_cooldown(open: Open<'_>) {
    let (store, person) = (open(impatient()), Person::new());
    let (first, _) = admitted(&store, &person.asks()).await;
    let (second, send) = admitted_later(&store, &person.asks()).await;
    assert_eq!((&second.id, send), (&first.id, 2));
    assert!(second.expires_at > first.expires_at, "the code lives on");
}

async fn another_purpose_begins_anew(open: Open<'_>) {
    let (store, person) = (open(impatient()), Person::new());
    let (login, _) = admitted(&store, &person.asks_for("login")).await;
    let (pay, send) = admitted_later(&store, &person.asks_for("pay")).await;
    assert_eq!((send, pay.id.purpose().as_str()), (1, "pay"));
    assert_eq!(check(&store, &login, true).await, CheckResult::Gone);
    assert_eq!(check(&store, &pay, true).await, CheckResult::Approved);
}

async fn no_life_is_longer_than_the_longest(open: Open<'_>) {
    let interval = Duration::from_secs(20);
    let policy =
        Policy { ttl: SOON, max_life: SOON * 2, resend_interval: interval, ..Policy::default() };
    let (store, person) = (open(policy), Person::new());
    let (first, _) = admitted(&store, &person.asks()).await;
    let began = first.expires_at - SOON;
    let mut ids = HashSet::from([first.id.clone()]);
    while ids.len() < 2 {
        store.clock().advance(interval);
        let (next, _) = admitted(&store, &person.asks()).await;
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

async fn a_repeated_request_is_the_same_request(open: Open<'_>) {
    let (store, person) = (open(Policy::default()), Person::new());
    let candidate = person.asks();
    let (first, _) = admitted(&store, &candidate).await;
    let (again, send) = admitted(&store, &candidate).await;
    assert_eq!((again.id, send, again.expires_at), (first.id, 1, first.expires_at));
    assert!(is_refused(&store, &person.asks(), Exceeded::Cooldown).await, "another is not");
}

async fn a_released_number_is_usable_at_once(open: Open<'_>) {
    let (store, person) = (open(Policy::default()), Person::new());
    let candidate = person.asks();
    let (released, _) = admitted(&store, &candidate).await;
    store.release(&candidate).await.expect("an answer");
    assert_eq!(
        begin(&store, &released, 1, 1).await,
        Begin::Gone,
        "its job, queued after all, is dropped"
    );
    let (next, send) = admitted(&store, &person.asks()).await;
    assert_eq!(send, 1);
    assert_ne!(next.id, released.id);
    store.release(&candidate).await.expect("an answer");
    assert!(
        matches!(begin(&store, &next, 1, 1).await, Begin::Go { .. }),
        "only what was its own is taken back"
    );
}

async fn a_release_forgets_no_wrong_code(open: Open<'_>) {
    let (store, person) = (open(impatient()), Person::new());
    let (first, _) = admitted(&store, &person.asks_for("a")).await;
    check(&store, &first, false).await;
    store.clock().advance(Duration::from_millis(3));
    let other = person.asks_for("b");
    admitted(&store, &other).await;
    store.release(&other).await.expect("an answer");
    let (next, _) = admitted(&store, &person.asks_for("b")).await;
    assert_eq!(next.attempts_left, 4);
}

async fn a_released_resend_leaves_the_verification(open: Open<'_>) {
    let (store, person) = (open(impatient()), Person::new());
    let (first, _) = admitted(&store, &person.asks()).await;
    begin(&store, &first, 1, 1).await;
    store.finish(&first.id, 1, &SENT, 1).await.expect("an answer");
    assert!(matches!(
        check(&store, &first, false).await,
        CheckResult::Wrong { attempts_left: 4, .. }
    ));
    store.clock().advance(Duration::from_millis(3));
    let resend = person.asks();
    let (_, send) = admitted(&store, &resend).await;
    store.release(&resend).await.expect("an answer");
    assert_eq!(
        begin(&store, &first, send, 1).await,
        Begin::Gone,
        "its job, queued after all, is dropped"
    );
    assert_eq!(begin(&store, &first, 1, 1).await, Begin::AlreadySent);
    let found = store.find(&first.id).await.expect("an answer").expect("is still there");
    assert_eq!((found.attempts_left, found.resend_in), (4, Duration::ZERO));
    assert_eq!(
        (found.expires_at, found.delivery),
        (first.expires_at, DeliveryState::Sent),
        "as it was before"
    );
    let (_, next) = admitted(&store, &person.asks()).await;
    assert!(
        matches!(begin(&store, &first, next, 1).await, Begin::Go { .. }),
        "the next one is sent"
    );
}

async fn a_release_comes_before_the_sender_or_not_at_all(open: Open<'_>) {
    let (store, person) = (open(Policy::default()), Person::new());
    let candidate = person.asks();
    let (verification, _) = admitted(&store, &candidate).await;
    begin(&store, &verification, 1, 1).await;
    for finished in [None, Some(SENT)] {
        if let Some(outcome) = &finished {
            store.finish(&verification.id, 1, outcome, 1).await.expect("an answer");
        }
        assert_eq!(
            store.release(&candidate).await.expect("an answer"),
            Release::Begun,
            "{finished:?}"
        );
        assert!(store.find(&verification.id).await.expect("an answer").is_some(), "it stands");
    }
    let other = Person::new().asks();
    admitted(&store, &other).await;
    for _ in 0..2 {
        assert_eq!(
            store.release(&other).await.expect("an answer"),
            Release::Released,
            "however often"
        );
    }
}

async fn one_of_many_right_checks_is_approved(open: Open<'_>) {
    let (store, person) = (open(Policy::default()), Person::new());
    let (verification, _) = admitted(&store, &person.asks()).await;
    let results = join_all((0..200).map(|_| check(&store, &verification, true))).await;
    assert_eq!(results.iter().filter(|result| **result == CheckResult::Approved).count(), 1);
    assert_eq!(results.iter().filter(|result| **result == CheckResult::Gone).count(), 199);
    let found =
        store.find(&verification.id).await.expect("an answer").expect("shows that it is approved");
    assert_eq!(found.status, Status::Approved);
}

async fn wrong_codes_at_once_are_counted_one_by_one(open: Open<'_>) {
    let (store, person) = (open(Policy::default()), Person::new());
    let (verification, _) = admitted(&store, &person.asks()).await;
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

async fn wrong_codes_outlive_a_resend_and_a_new_verification(open: Open<'_>) {
    let (store, person) = (open(impatient()), Person::new());
    let (first, _) = admitted(&store, &person.asks_for("a")).await;
    for _ in 0..3 {
        check(&store, &first, false).await;
    }
    let (resent, _) = admitted_later(&store, &person.asks_for("a")).await;
    assert_eq!(resent.attempts_left, 2);
    let (anew, send) = admitted_later(&store, &person.asks_for("b")).await;
    assert_eq!((send, anew.attempts_left), (1, 2));
    check(&store, &anew, false).await;
    check(&store, &anew, false).await;
    let CheckResult::Refused(refusal) = check(&store, &anew, true).await else {
        panic!("not locked")
    };
    let (exceeded, retry_after) = (refusal.exceeded(), refusal.retry_after());
    assert_eq!(exceeded, [Exceeded::Attempts]);
    assert!(retry_after > Duration::from_secs(590), "until 600 s after the first: {retry_after:?}");
    store.clock().advance(Duration::from_millis(3));
    assert!(is_refused(&store, &person.asks_for("b"), Exceeded::Attempts).await);
}

async fn wrong_codes_are_forgotten_in_time(open: Open<'_>) {
    let (store, person) =
        (open(Policy { max_life: SOON, max_attempts: 1, ..impatient() }), Person::new());
    let (verification, _) = admitted(&store, &person.asks()).await;
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
    let Ok(Decision::Refused(locked)) = store.admit(&person.asks()).await else {
        panic!("not locked")
    };
    assert_eq!(locked.exceeded(), [Exceeded::Attempts]);
    store.clock().advance(locked.retry_after());
    let (next, _) = admitted(&store, &person.asks()).await;
    assert_eq!(next.attempts_left, 1);
}

async fn an_approval_forgets_wrong_codes(open: Open<'_>) {
    let (store, person) = (open(impatient()), Person::new());
    let (first, _) = admitted(&store, &person.asks()).await;
    for _ in 0..4 {
        check(&store, &first, false).await;
    }
    assert_eq!(check(&store, &first, true).await, CheckResult::Approved);
    let (next, send) = admitted_later(&store, &person.asks()).await;
    assert_eq!((send, next.attempts_left), (1, 5), "what is approved is over: a new one begins");
    assert_ne!(next.id, first.id);
}

async fn a_repeated_check_is_counted_once(open: Open<'_>) {
    let (store, person) = (open(Policy::default()), Person::new());
    let (verification, _) = admitted(&store, &person.asks()).await;
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

async fn what_is_expired_is_gone(open: Open<'_>) {
    let (store, person) =
        (open(Policy { ttl: SOON, resend_interval: SOON * 2, ..Policy::default() }), Person::new());
    let (verification, _) = admitted(&store, &person.asks()).await;
    assert!(store.find(&verification.id).await.expect("an answer").is_some());
    store.clock().advance(SOON);
    assert_eq!(store.find(&verification.id).await.expect("an answer"), None);
    assert_eq!(check(&store, &verification, true).await, CheckResult::Gone);
    assert_eq!(begin(&store, &verification, 1, 1).await, Begin::Gone);
    assert!(
        is_refused(&store, &person.asks(), Exceeded::Cooldown).await,
        "the cooldown is not over"
    );
}

async fn what_is_cancelled_is_over_and_nothing_is_forgotten(open: Open<'_>) {
    let (store, person) = (open(Policy::default()), Person::new());
    let cancel = async |verification: &Verification| {
        store.cancel(&verification.id).await.expect("an answer")
    };
    let (verification, send) = admitted(&store, &person.asks()).await;
    assert_eq!(check(&store, &verification, false).await, wrong(4));
    assert!(
        cancel(&verification).await && cancel(&verification).await,
        "and again, with the same answer"
    );
    assert_eq!(check(&store, &verification, true).await, CheckResult::Gone);
    assert_eq!(begin(&store, &verification, send, 1).await, Begin::Gone);
    assert_eq!(store.find(&verification.id).await.expect("an answer"), None);
    assert!(is_refused(&store, &person.asks(), Exceeded::Cooldown).await);

    let (store, person) = (open(impatient()), Person::new());
    let (first, _) = admitted(&store, &person.asks()).await;
    assert_eq!(check(&store, &first, false).await, wrong(4));
    assert!(store.cancel(&first.id).await.expect("an answer"));
    let (ended, _) = admitted_later(&store, &person.asks()).await;
    let resend = Candidate { id: person.asks().id, ..person.asks() };
    admitted_later(&store, &resend).await;
    assert!(store.cancel(&ended.id).await.expect("an answer"));
    assert_eq!(store.release(&resend).await.expect("an answer"), Release::Released);
    assert_eq!(
        store.find(&ended.id).await.expect("an answer"),
        None,
        "a release brings nothing back"
    );
    let (second, _) = admitted_later(&store, &person.asks()).await;
    assert_ne!(second.id, first.id, "another begins");
    assert_eq!(second.attempts_left, 4);
    assert!(!store.cancel(&first.id).await.expect("an answer"), "replaced");
    assert_eq!(check(&store, &second, true).await, CheckResult::Approved);
    assert!(!store.cancel(&second.id).await.expect("an answer"), "used");
}

async fn one_worker_at_a_time_sends(open: Open<'_>) {
    let (store, person) = (open(Policy::default()), Person::new());
    let (verification, _) = admitted(&store, &person.asks()).await;
    let begun = join_all((0..50).map(|worker| begin(&store, &verification, 1, worker))).await;
    let go = begun.iter().position(|begun| matches!(begun, Begin::Go { .. })).expect("one may");
    assert_eq!(begun.iter().filter(|begun| matches!(begun, Begin::Busy)).count(), 49);
    let again = begin(&store, &verification, 1, u64::try_from(go).expect("small")).await;
    assert!(
        matches!(again, Begin::Go { uncertain: false, .. }),
        "who holds the lease gets it again"
    );
    store
        .finish(&verification.id, 1, &SENT, u64::try_from(go).expect("small"))
        .await
        .expect("an answer");
    assert_eq!(begin(&store, &verification, 1, 99).await, Begin::AlreadySent);
}

async fn a_lease_that_ran_out_is_taken_over(open: Open<'_>) {
    let (store, person) = (open(Policy::default()), Person::new());
    let (verification, _) = admitted(&store, &person.asks()).await;
    store.begin(&verification.id, 1, SOON, 1).await.expect("an answer");
    assert_eq!(begin(&store, &verification, 1, 2).await, Begin::Busy);
    store.clock().advance(SOON);
    assert!(matches!(begin(&store, &verification, 1, 2).await, Begin::Go { uncertain: true, .. }));
    store.finish(&verification.id, 1, &Finish::Failed, 1).await.expect("an answer");
    assert_eq!(
        begin(&store, &verification, 1, 3).await,
        Begin::Busy,
        "the first worker no longer has a say"
    );
    store.finish(&verification.id, 1, &SENT, 2).await.expect("an answer");
    store.finish(&verification.id, 1, &Finish::Retrying, 1).await.expect("an answer");
    assert_eq!(begin(&store, &verification, 1, 3).await, Begin::AlreadySent);
}

async fn a_failed_attempt_may_be_repeated(open: Open<'_>) {
    let (store, person) = (open(Policy::default()), Person::new());
    let (verification, _) = admitted(&store, &person.asks()).await;
    begin(&store, &verification, 1, 1).await;
    store.finish(&verification.id, 1, &Finish::Retrying, 1).await.expect("an answer");
    assert!(matches!(begin(&store, &verification, 1, 2).await, Begin::Go { uncertain: false, .. }));
}

async fn an_unknown_outcome_stays_unknown(open: Open<'_>) {
    let (store, person) = (open(Policy::default()), Person::new());
    let (verification, _) = admitted(&store, &person.asks()).await;
    begin(&store, &verification, 1, 1).await;
    store.finish(&verification.id, 1, &Finish::Unknown, 2).await.expect("an answer");
    assert_eq!(
        begin(&store, &verification, 1, 3).await,
        Begin::Busy,
        "who does not hold the lease says nothing"
    );
    store.finish(&verification.id, 1, &Finish::Unknown, 1).await.expect("an answer");
    let found = store.find(&verification.id).await.expect("an answer").expect("is there");
    assert_eq!(found.delivery, DeliveryState::Failed);
    for worker in [2, 3] {
        assert!(matches!(
            begin(&store, &verification, 1, worker).await,
            Begin::Go { uncertain: true, .. }
        ));
        store.finish(&verification.id, 1, &Finish::Unknown, worker).await.expect("an answer");
    }
}

async fn a_lease_that_is_given_back_leaves_unknown_what_was(open: Open<'_>) {
    let (store, person) = (open(Policy::default()), Person::new());
    let (verification, _) = admitted(&store, &person.asks()).await;
    // The first worker dies in its call.
    store.begin(&verification.id, 1, Duration::ZERO, 1).await.expect("an answer");
    // The second asks, asks again, and gives its lease back without having called.
    for _ in 0..2 {
        assert!(matches!(
            begin(&store, &verification, 1, 2).await,
            Begin::Go { uncertain: true, .. }
        ));
    }
    store.finish(&verification.id, 1, &Finish::Retrying, 2).await.expect("an answer");
    assert!(matches!(begin(&store, &verification, 1, 3).await, Begin::Go { uncertain: true, .. }));
    store.finish(&verification.id, 1, &SENT, 3).await.expect("an answer");
    assert_eq!(begin(&store, &verification, 1, 4).await, Begin::AlreadySent);
}

async fn nothing_is_sent_for_what_is_over(open: Open<'_>) {
    let (store, person) = (open(Policy::default()), Person::new());
    let (verification, _) = admitted(&store, &person.asks()).await;
    assert_eq!(
        begin(&store, &verification, 2, 1).await,
        Begin::Gone,
        "an SMS that was never admitted"
    );
    assert_eq!(
        store.begin(&Person::new().asks().id, 1, LEASE, 1).await.expect("an answer"),
        Begin::Gone
    );
    assert_eq!(check(&store, &verification, true).await, CheckResult::Approved);
    assert_eq!(begin(&store, &verification, 1, 1).await, Begin::Gone, "approved");
}

async fn it_is_ready_however_often_it_is_asked(open: Open<'_>) {
    let store = open(Policy::default());
    // More often within a second than probes have keys.
    for _ in 0..300 {
        store.ping().await.expect("ready");
    }
}

async fn a_verification_shows_its_latest_sms(open: Open<'_>) {
    let (store, person) = (open(impatient()), Person::new());
    let (verification, _) = admitted(&store, &person.asks()).await;
    let delivery =
        async || store.find(&verification.id).await.expect("an answer").expect("is there").delivery;
    assert_eq!(delivery().await, DeliveryState::Queued);
    for (outcome, state) in [
        (Finish::Retrying, DeliveryState::Retrying),
        (Finish::Failed, DeliveryState::Failed),
        (Finish::Held, DeliveryState::Queued),
        (SENT, DeliveryState::Sent),
    ] {
        begin(&store, &verification, 1, 1).await;
        store.finish(&verification.id, 1, &outcome, 1).await.expect("an answer");
        assert_eq!(delivery().await, state);
    }
    admitted_later(&store, &person.asks()).await;
    assert_eq!(delivery().await, DeliveryState::Queued, "another is on its way");
    store.finish(&verification.id, 1, &Finish::Failed, 1).await.expect("an answer");
    assert_eq!(delivery().await, DeliveryState::Queued, "an older one says nothing about it");
    let found = store.find(&verification.id).await.expect("an answer").expect("is there");
    assert_eq!(found.to, "+86*******0001");
}
