//! The contract of a gateway's circuit breaker, on every store.

use std::num::NonZeroU32;
use std::time::Duration;

use futures_util::future::join_all;
use sms_domain::verification::Policy;
use sms_store::{Breaker, Health, Permit, PermitRequest, Store};

use crate::support::contract::{Open, contract};
use crate::support::unique;

contract! {
    stores;
    circuit_opens_for_all_after_failures_in_a_row
    circuit_stays_closed_by_a_success_between_failures
    circuit_half_open_is_tried_by_one_at_a_time
    circuit_ignores_outcomes_that_say_nothing_of_the_gateway
}

const BREAKER: Breaker =
    Breaker { failures: 3, open: Duration::from_secs(10), trial: Duration::from_secs(30) };

pub(super) const PATIENCE: Duration = Duration::from_secs(10);

const UNLIMITED: PermitRequest = PermitRequest { rate: None, slot: None, max_wait: PATIENCE };

pub(super) fn rate(rate: u32) -> PermitRequest {
    PermitRequest { rate: NonZeroU32::new(rate), ..UNLIMITED }
}

pub(super) async fn permit(store: &Store, account: &str, asked: PermitRequest) -> Permit {
    store.permit(account, asked, BREAKER).await.expect("an answer")
}

async fn report(store: &Store, account: &str, health: Health) {
    store.report(account, health, BREAKER).await.expect("an answer");
}

/// Asks until the answer is another than that the circuit is open.
async fn permit_when_open_is_over(store: &Store, account: &str) -> Permit {
    loop {
        match permit(store, account, UNLIMITED).await {
            Permit::Open { retry_in } => store.clock().advance(retry_in),
            other => return other,
        }
    }
}

async fn circuit_opens_for_all_after_failures_in_a_row(open: Open) {
    let store = open(Policy::default());
    let account = unique("account");
    for failure in 0..3 {
        let report_success = failure > 0;
        assert_eq!(permit(&store, &account, UNLIMITED).await, Permit::Granted { report_success });
        report(&store, &account, Health::Down).await;
    }
    let all = join_all((0..50).map(|_| permit(&store, &account, UNLIMITED))).await;
    // Whole milliseconds, rounded up.
    let most = BREAKER.open + Duration::from_millis(1);
    let open = |permit: &Permit| matches!(permit, Permit::Open { retry_in } if *retry_in <= most);
    assert!(all.iter().all(open), "{all:?}");
    assert_eq!(
        permit(&store, &unique("account"), UNLIMITED).await,
        Permit::Granted { report_success: false }
    );
}

async fn circuit_stays_closed_by_a_success_between_failures(open: Open) {
    let store = open(Policy::default());
    let account = unique("account");
    for _ in 0..5 {
        report(&store, &account, Health::Down).await;
        report(&store, &account, Health::Down).await;
        report(&store, &account, Health::Up).await;
    }
    assert_eq!(
        permit(&store, &account, UNLIMITED).await,
        Permit::Granted { report_success: false }
    );
}

async fn circuit_half_open_is_tried_by_one_at_a_time(open: Open) {
    let store = open(Policy::default());
    let account = unique("account");
    for _ in 0..3 {
        report(&store, &account, Health::Down).await;
    }
    assert_eq!(
        permit_when_open_is_over(&store, &account).await,
        Permit::Granted { report_success: true }
    );
    assert!(
        matches!(permit(&store, &account, UNLIMITED).await, Permit::Open { .. }),
        "another is at it"
    );
    // Nothing was heard of that one: another tries, and fails, and the circuit is open again at
    // once.
    assert_eq!(
        permit_when_open_is_over(&store, &account).await,
        Permit::Granted { report_success: true }
    );
    report(&store, &account, Health::Down).await;
    assert!(matches!(permit(&store, &account, UNLIMITED).await, Permit::Open { .. }));
    assert_eq!(
        permit_when_open_is_over(&store, &account).await,
        Permit::Granted { report_success: true }
    );
    report(&store, &account, Health::Up).await;
    let all = join_all((0..10).map(|_| permit(&store, &account, UNLIMITED))).await;
    assert!(
        all.iter().all(|permit| *permit == Permit::Granted { report_success: false }),
        "{all:?}"
    );
}

async fn circuit_ignores_outcomes_that_say_nothing_of_the_gateway(open: Open) {
    let store = open(Policy::default());
    let account = unique("account");
    report(&store, &account, Health::Down).await;
    report(&store, &account, Health::Down).await;
    for _ in 0..10 {
        report(&store, &account, Health::Unknown).await;
    }
    assert_eq!(
        permit(&store, &account, UNLIMITED).await,
        Permit::Granted { report_success: true },
        "two failures, still"
    );
    report(&store, &account, Health::Down).await;
    for _ in 0..3 {
        assert_eq!(
            permit_when_open_is_over(&store, &account).await,
            Permit::Granted { report_success: true }
        );
        report(&store, &account, Health::Unknown).await;
        assert_eq!(
            permit(&store, &account, UNLIMITED).await,
            Permit::Granted { report_success: true },
            "the next may try"
        );
        report(&store, &account, Health::Down).await;
    }
}
