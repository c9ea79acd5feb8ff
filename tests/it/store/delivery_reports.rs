//! The contract of delivery reports, on every store.

use std::time::Duration;

use sms_domain::verification::{DeliveryState, Policy, Verification};
use sms_store::{AdmissionRequest, Decision, Lease, SendOutcome, Store};

use super::LEASE;
use crate::support::contract::{Open, contract};
use crate::support::{TestNumber, unique};

contract! {
    stores;
    delivery_report_moves_its_own_sms
    delivery_report_before_its_record_counts
    delivery_report_of_an_earlier_sms_leaves_the_latest
    delivery_report_for_an_unknown_number_leaves_nothing_behind
}

async fn sending(store: &Store, candidate: &AdmissionRequest, sms_number: u32) -> Verification {
    let decision = store.admit(candidate).await.expect("an answer");
    let Decision::Admitted { verification, .. } = decision else {
        panic!("not admitted: {decision:?}")
    };
    let begun =
        store.acquire_lease(&verification.id, sms_number, LEASE, 1).await.expect("an answer");
    assert!(matches!(begun, Lease::Granted { .. }), "{begun:?}");
    verification
}

async fn sent(store: &Store, verification: &Verification, sms_number: u32, name: &str) {
    let outcome = SendOutcome::Sent { message_id: Some(name.to_owned()) };
    store.record_outcome(&verification.id, sms_number, &outcome, 1).await.expect("an answer");
}

async fn delivery(store: &Store, verification: &Verification) -> DeliveryState {
    store.find(&verification.id).await.expect("an answer").expect("is there").delivery
}

async fn delivery_report_moves_its_own_sms(open: Open) {
    let store = open(Policy::default());
    for (delivered, state) in [(true, DeliveryState::Delivered), (false, DeliveryState::Failed)] {
        let number = TestNumber::new();
        let (candidate, name) = (number.request(), unique("message"));
        let verification = sending(&store, &candidate, 1).await;
        sent(&store, &verification, 1, &name).await;
        store
            .record_delivery_report(candidate.id.tag(), &unique("other"), delivered)
            .await
            .expect("an answer");
        assert_eq!(
            delivery(&store, &verification).await,
            DeliveryState::Sent,
            "about another message"
        );
        store
            .record_delivery_report(candidate.id.tag(), &name, delivered)
            .await
            .expect("an answer");
        assert_eq!(delivery(&store, &verification).await, state);
    }
}

async fn delivery_report_before_its_record_counts(open: Open) {
    let store = open(Policy::default());
    let number = TestNumber::new();
    let (candidate, name) = (number.request(), unique("message"));
    let verification = sending(&store, &candidate, 1).await;
    store.record_delivery_report(candidate.id.tag(), &name, true).await.expect("an answer");
    assert_eq!(delivery(&store, &verification).await, DeliveryState::Queued);
    sent(&store, &verification, 1, &name).await;
    assert_eq!(delivery(&store, &verification).await, DeliveryState::Delivered);
    store.record_delivery_report(candidate.id.tag(), &name, false).await.expect("an answer");
    assert_eq!(
        delivery(&store, &verification).await,
        DeliveryState::Delivered,
        "what a phone has it has"
    );
}

async fn delivery_report_of_an_earlier_sms_leaves_the_latest(open: Open) {
    let policy = Policy { resend_interval: Duration::from_millis(1), ..Policy::default() };
    let store = open(policy);
    let number = TestNumber::new();
    let (candidate, name) = (number.request(), unique("message"));
    let verification = sending(&store, &candidate, 1).await;
    sent(&store, &verification, 1, &name).await;
    store.clock().advance(Duration::from_millis(3));
    sending(&store, &number.request(), 2).await;
    store.record_delivery_report(candidate.id.tag(), &name, true).await.expect("an answer");
    assert_eq!(delivery(&store, &verification).await, DeliveryState::Queued);
}

async fn delivery_report_for_an_unknown_number_leaves_nothing_behind(open: Open) {
    let store = open(Policy::default());
    let number = TestNumber::new();
    let candidate = number.request();
    store.record_delivery_report(candidate.id.tag(), "message", true).await.expect("an answer");
    let verification = sending(&store, &candidate, 1).await;
    sent(&store, &verification, 1, "message").await;
    assert_eq!(delivery(&store, &verification).await, DeliveryState::Sent);
}
