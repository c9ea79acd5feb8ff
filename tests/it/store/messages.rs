//! The contract of messages whose code somebody else made, on every store.

use std::time::Duration;

use futures_util::future::join_all;
use sms_domain::conversion_test::{CusumTest, GuardAction};
use sms_domain::quota::{
    NumberWindows, Quota, QuotaRule, Scope, Window, country_quota, number_quota,
};
use sms_domain::random::{random_bytes, random_u64};
use sms_domain::refusal::Exceeded;
use sms_domain::verification::{DeliveryState, Policy, Status, Verification};
use sms_domain::verification_id::{NumberTag, Purpose, VerificationId};
use sms_store::{
    AdmissionKind, AdmissionRequest, CheckResult, Conclusion, Decision, Lease, Release,
    SendOutcome, Store,
};

use super::LEASE;
use crate::support::contract::{Open, contract};
use crate::support::{TestNumber, unique};

const HOUR: Duration = Duration::from_secs(3600);

contract! {
    stores;
    message_that_is_repeated_is_the_same_message
    message_counts_on_the_windows_of_its_number
    message_is_not_held_by_a_verification_and_does_not_move_it
    message_that_failed_is_admitted_anew
    message_that_was_perhaps_sent_is_not_sent_again
    message_whose_job_is_lost_is_queued_again
    message_is_no_verification
    message_with_windows_of_its_own_holds_no_verification
    message_that_was_repeated_is_not_released
    message_that_is_suspicious_has_half_of_the_windows
    message_that_is_converted_is_known_to_the_guard
    message_has_delivery_reports_of_its_own
}

/// A number and its windows.
struct Recipient {
    number: TestNumber,
    windows: NumberWindows,
}

impl Recipient {
    fn new(most: u32) -> Self {
        let windows = NumberWindows::new([Window { max: most, period: HOUR }]);
        Self { number: TestNumber::new(), windows }
    }

    fn tag(&self) -> NumberTag {
        self.number.request().id.tag()
    }

    /// A request for a message. One with the same code is the same message.
    fn message(&self, code: u8) -> AdmissionRequest {
        let mut hash = [code; 32];
        hash[..8].copy_from_slice(&self.tag().to_string().as_bytes()[..8]);
        let tag = NumberTag::from_hash(&hash);
        AdmissionRequest {
            id: VerificationId::new(1, tag, random_bytes(), &Purpose::default()),
            scope: "message/sender".to_owned(),
            quotas: vec![number_quota(self.tag(), self.windows)],
            kind: AdmissionKind::Message { life: Policy::MAX_LIFE },
            ..self.number.request()
        }
    }

    /// A request for a code, on the same windows.
    fn verification(&self) -> AdmissionRequest {
        AdmissionRequest { windows: self.windows.all().collect(), ..self.number.request() }
    }
}

async fn admitted(store: &Store, candidate: &AdmissionRequest) -> Verification {
    match store.admit(candidate).await.expect("an answer") {
        Decision::Admitted { verification, .. } => verification,
        other => panic!("not admitted: {other:?}"),
    }
}

/// A message that another request was admitted with, and true if its job is perhaps lost.
async fn known(store: &Store, candidate: &AdmissionRequest) -> (Verification, bool) {
    match store.admit(candidate).await.expect("an answer") {
        Decision::Known { verification, is_lost } => (verification, is_lost),
        other => panic!("not known: {other:?}"),
    }
}

async fn found(store: &Store, message: &Verification) -> Option<Verification> {
    let latest = store.latest(message.id.tag()).await.expect("an answer");
    latest.map(|latest| latest.verification).filter(|found| found.id == message.id)
}

async fn refused(store: &Store, candidate: &AdmissionRequest) -> Vec<Exceeded> {
    match store.admit(candidate).await.expect("an answer") {
        Decision::Refused(refusal) => {
            assert!(refusal.retry_after() > Duration::ZERO);
            refusal.exceeded().to_vec()
        }
        other => panic!("not refused: {other:?}"),
    }
}

async fn finish(store: &Store, message: &Verification, outcome: SendOutcome) {
    let lease = store.acquire_lease(&message.id, 1, LEASE, 1).await.expect("an answer");
    assert!(matches!(lease, Lease::Granted { uncertain: false, .. }), "{lease:?}");
    store.record_outcome(&message.id, 1, &outcome, 1).await.expect("an answer");
}

const WINDOW: [Exceeded; 1] = [Exceeded::Limit(Scope::Number)];

async fn message_that_is_repeated_is_the_same_message(open: Open) {
    let (store, recipient) = (open(Policy::default()), Recipient::new(100));
    let rate = Quota {
        scope: Scope::Total,
        subject: unique("total"),
        rule: QuotaRule::Rate(Window { max: 100, period: HOUR }),
    };
    let message = |code| {
        let mut message = recipient.message(code);
        message.quotas.push(rate.clone());
        message
    };
    let all = join_all((0..50).map(|_| {
        let (store, candidate) = (store.clone(), message(1));
        async move { store.admit(&candidate).await.expect("an answer") }
    }));
    let (mut ids, mut begun) = (Vec::new(), 0);
    for decision in all.await {
        match decision {
            Decision::Admitted { verification, .. } => {
                ids.push(verification.id);
                begun += 1;
            }
            Decision::Known { verification, is_lost: false } => ids.push(verification.id),
            other => panic!("{other:?}"),
        }
    }
    ids.dedup();
    assert_eq!((ids.len(), begun), (1, 1), "one message, one job");
    // It was counted once: 99 more are admitted.
    for code in 2..=100 {
        admitted(&store, &message(code)).await;
    }
    let full = refused(&store, &message(101)).await;
    assert_eq!(full, [Exceeded::Limit(Scope::Number), Exceeded::Limit(Scope::Total)]);
    assert_eq!(known(&store, &message(1)).await.0.id, ids[0], "known while nothing has room");
    store.clock().advance(Policy::MAX_LIFE);
    refused(&store, &message(1)).await;
}

async fn message_counts_on_the_windows_of_its_number(open: Open) {
    let (store, recipient) = (open(Policy::default()), Recipient::new(3));
    admitted(&store, &recipient.message(1)).await;
    admitted(&store, &recipient.message(2)).await;
    admitted(&store, &recipient.verification()).await;
    assert_eq!(refused(&store, &recipient.message(3)).await, WINDOW);
    store.clock().advance(Duration::from_secs(60));
    assert_eq!(refused(&store, &recipient.verification()).await, WINDOW);
    admitted(&store, &Recipient::new(3).message(3)).await;
    store.clock().advance(HOUR - Duration::from_secs(60));
    admitted(&store, &recipient.message(3)).await;

    // Where verifications have no windows, those of messages are kept all the same.
    let recipient = Recipient::new(1);
    admitted(&store, &recipient.message(1)).await;
    admitted(&store, &recipient.number.request()).await;
    store.clock().advance(HOUR / 2);
    assert_eq!(refused(&store, &recipient.message(2)).await, WINDOW);
}

async fn message_is_not_held_by_a_verification_and_does_not_move_it(open: Open) {
    let (store, recipient) = (open(Policy::default()), Recipient::new(5));
    let verification = admitted(&store, &recipient.verification()).await;
    for _ in 0..5 {
        let wrong = store.check(&verification.id, false, random_u64(), &[]).await;
        assert!(matches!(wrong, Ok(CheckResult::Wrong { .. })), "{wrong:?}");
    }
    let message = admitted(&store, &recipient.message(1)).await;
    assert_eq!((message.status, message.delivery), (Status::Pending, DeliveryState::Queued));
    assert_eq!(message.expires_in, Policy::MAX_LIFE);
    let pending = store.find(&verification.id).await.expect("an answer").expect("pending");
    assert_eq!((pending.status, pending.attempts_left), (Status::Pending, 0));
    let latest = store.latest(recipient.tag()).await.expect("an answer").expect("pending");
    assert_eq!(latest.verification.id, verification.id);
    let checked = store.check(&message.id, true, random_u64(), &[]).await.expect("an answer");
    assert!(matches!(checked, CheckResult::Refused(_)), "no code is checked here: {checked:?}");
}

async fn message_that_failed_is_admitted_anew(open: Open) {
    let (store, recipient) = (open(Policy::default()), Recipient::new(5));
    let first = admitted(&store, &recipient.message(1)).await;
    finish(&store, &first, SendOutcome::Sent { message_id: None }).await;
    let (again, is_lost) = known(&store, &recipient.message(1)).await;
    assert_eq!((again.id, again.delivery), (first.id.clone(), DeliveryState::Sent));
    assert!(!is_lost);

    let failed = admitted(&store, &recipient.message(2)).await;
    finish(&store, &failed, SendOutcome::Failed).await;
    let anew = admitted(&store, &recipient.message(2)).await;
    assert_eq!(anew.delivery, DeliveryState::Queued);
    assert_ne!(anew.id, failed.id);
    let old = store.acquire_lease(&failed.id, 1, LEASE, 2).await.expect("an answer");
    assert_eq!(old, Lease::Gone, "its job is another message's");
    finish(&store, &anew, SendOutcome::Failed).await;
    let dead = store.acquire_lease(&anew.id, 1, LEASE, 2).await.expect("an answer");
    assert_eq!(dead, Lease::Gone, "a second job of it is none");
}

async fn message_that_was_perhaps_sent_is_not_sent_again(open: Open) {
    let (store, recipient) = (open(Policy::default()), Recipient::new(5));
    let message = admitted(&store, &recipient.message(1)).await;
    finish(&store, &message, SendOutcome::Unknown).await;
    let (again, is_lost) = known(&store, &recipient.message(1)).await;
    assert_eq!((again.id, again.delivery, is_lost), (message.id, DeliveryState::Failed, false));
}

async fn message_whose_job_is_lost_is_queued_again(open: Open) {
    let (store, recipient) = (open(Policy::default()), Recipient::new(5));
    let message = admitted(&store, &recipient.message(1)).await;
    let is_lost = async || known(&store, &recipient.message(1)).await.1;
    assert!(!is_lost().await, "it is on its way");
    store.clock().advance(Duration::from_secs(10));
    assert!(is_lost().await);
    assert!(!is_lost().await, "by one alone");
    store.clock().advance(Duration::from_secs(10));
    finish(&store, &message, SendOutcome::Requeued).await;
    assert!(!is_lost().await, "a worker has had it");
}

async fn message_is_no_verification(open: Open) {
    let (store, recipient) = (open(Policy::default()), Recipient::new(5));
    let message = admitted(&store, &recipient.message(1)).await;
    assert_eq!(store.find(&message.id).await.expect("an answer"), None);
    for conclusion in [Conclusion::Cancelled, Conclusion::Approved] {
        assert!(!store.conclude(&message.id, conclusion).await.expect("an answer"));
    }
    let verification = admitted(&store, &recipient.verification()).await;
    let converted = store.conclude(&verification.id, Conclusion::Converted).await;
    assert!(!converted.expect("an answer"));
}

async fn message_with_windows_of_its_own_holds_no_verification(open: Open) {
    let (store, recipient) = (open(Policy::default()), Recipient::new(2));
    let message = |code| AdmissionRequest {
        quotas: vec![number_quota(recipient.tag(), recipient.windows.own())],
        ..recipient.message(code)
    };
    let verification = admitted(&store, &recipient.number.request()).await;
    admitted(&store, &message(1)).await;
    admitted(&store, &message(2)).await;
    assert_eq!(refused(&store, &message(3)).await, WINDOW);
    store.clock().advance(Duration::from_secs(60));
    let pending = store.find(&verification.id).await.expect("an answer").expect("pending");
    assert_eq!(pending.resend_in, Duration::ZERO);
    admitted(&store, &recipient.number.request()).await;
}

async fn message_that_was_repeated_is_not_released(open: Open) {
    let (store, recipient) = (open(Policy::default()), Recipient::new(1));
    let candidate = recipient.message(1);
    for _ in 0..2 {
        admitted(&store, &candidate).await;
        assert_eq!(store.release(&candidate).await.expect("an answer"), Release::Released);
        assert!(store.latest(candidate.id.tag()).await.expect("an answer").is_none());
    }
    let (first, second) = (recipient.message(2), recipient.message(2));
    let message = admitted(&store, &first).await;
    assert_eq!(known(&store, &second).await.0.id, message.id);
    store.release(&second).await.expect("an answer");
    let state = async || found(&store, &message).await.expect("both have it").delivery;
    assert_eq!(state().await, DeliveryState::Queued);
    // Its job could not be queued: whoever was told of it can see that.
    assert_eq!(store.release(&first).await.expect("an answer"), Release::Released);
    assert_eq!(state().await, DeliveryState::Failed);

    let recipient = Recipient::new(1);
    let (first, second) = (recipient.message(2), recipient.message(2));
    let message = admitted(&store, &first).await;
    known(&store, &second).await;
    finish(&store, &message, SendOutcome::Requeued).await;
    assert_eq!(store.release(&first).await.expect("an answer"), Release::Begun, "it was queued");
    assert_eq!(refused(&store, &recipient.message(3)).await, WINDOW);
}

async fn message_that_is_suspicious_has_half_of_the_windows(open: Open) {
    let (store, recipient) = (open(Policy::default()), Recipient::new(4));
    let suspicious = |code| AdmissionRequest {
        quotas: vec![number_quota(recipient.tag(), recipient.windows.halved())],
        ..recipient.message(code)
    };
    admitted(&store, &suspicious(1)).await;
    admitted(&store, &suspicious(2)).await;
    assert_eq!(refused(&store, &suspicious(3)).await, WINDOW);
    admitted(&store, &recipient.message(3)).await;
    admitted(&store, &recipient.message(4)).await;
    assert_eq!(refused(&store, &recipient.message(5)).await, WINDOW);
}

async fn message_that_is_converted_is_known_to_the_guard(open: Open) {
    let (store, recipient, country) = (open(Policy::default()), Recipient::new(9), unique("C"));
    let test = CusumTest { action: GuardAction::Observe, ..CusumTest::default() };
    let counted = |code| {
        let mut message = recipient.message(code);
        message.quotas.push(country_quota(country.clone(), test));
        AdmissionRequest { guarded: vec![country.clone()], ..message }
    };
    let brought = admitted(&store, &counted(1)).await;
    admitted(&store, &counted(2)).await;
    admitted(&store, &recipient.message(3)).await;
    for _ in 0..2 {
        let done = store.conclude(&brought.id, Conclusion::Converted).await.expect("an answer");
        assert!(done, "also if it was before");
    }
    let unknown = recipient.message(4).id;
    assert!(!store.conclude(&unknown, Conclusion::Converted).await.expect("an answer"));
    // What is younger than a code may live is not judged yet.
    store.clock().advance(HOUR / 2);
    let conversion = store.conversion(&country).await.expect("an answer");
    assert_eq!((conversion.sent.round(), conversion.approved.round()), (2.0, 1.0));
}

async fn message_has_delivery_reports_of_its_own(open: Open) {
    let (store, recipient, name) = (open(Policy::default()), Recipient::new(9), unique("message"));
    admitted(&store, &recipient.verification()).await;
    let message = admitted(&store, &recipient.message(1)).await;
    finish(&store, &message, SendOutcome::Sent { message_id: Some(name.clone()) }).await;
    let of_number = store.record_delivery_report(recipient.tag(), &name, true).await;
    assert_eq!(of_number.ok(), Some(false), "its number's record does not know it");
    let own = store.record_delivery_report(message.id.tag(), &name, true).await;
    assert_eq!(own.ok(), Some(true));
    let found = found(&store, &message).await.expect("is there");
    assert_eq!(found.delivery, DeliveryState::Delivered);
}
