//! What the stores promise about the accounts at gateways: the rate, the circuit, and the receipts.
//! Time stands still until it is moved: how fast the machine is does not matter.

use std::num::NonZeroU32;
use std::time::Duration;

use futures_util::future::join_all;
use shared::store::{Asked, Begin, Breaker, Candidate, Decision, Finish, Health, Permit, Store};
use shared::verification::{DeliveryState, Policy, Verification};

use crate::support::contract::stopped_clock;
use crate::support::services::{redis_cluster_url, redis_url};
use crate::support::{Person, unique};

const BREAKER: Breaker =
    Breaker { failures: 3, open: Duration::from_secs(10), trial: Duration::from_secs(30) };

const PATIENCE: Duration = Duration::from_secs(10);

const UNLIMITED: Asked = Asked { rate: None, turn: None, patience: PATIENCE };

fn stores() -> Vec<Store> {
    stores_with(Policy::default())
}

fn stores_with(policy: Policy) -> Vec<Store> {
    let on_redis =
        [redis_url(), redis_cluster_url()].map(|url| Store::redis(&url, policy).expect("a URL"));
    let stores = [Store::memory(policy)].into_iter().chain(on_redis);
    stores.map(|store| store.with_clock(stopped_clock())).collect()
}

fn rate(rate: u32) -> Asked {
    Asked { rate: NonZeroU32::new(rate), ..UNLIMITED }
}

async fn permit(store: &Store, account: &str, asked: Asked) -> Permit {
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

#[tokio::test(flavor = "multi_thread")]
async fn failures_in_a_row_open_the_circuit_for_all() {
    for store in stores() {
        let account = unique("account");
        for failure in 0..3 {
            let tell = failure > 0;
            assert_eq!(permit(&store, &account, UNLIMITED).await, Permit::Granted { tell });
            report(&store, &account, Health::Down).await;
        }
        let all = join_all((0..50).map(|_| permit(&store, &account, UNLIMITED))).await;
        // Whole milliseconds, rounded up.
        let most = BREAKER.open + Duration::from_millis(1);
        let open =
            |permit: &Permit| matches!(permit, Permit::Open { retry_in } if *retry_in <= most);
        assert!(all.iter().all(open), "{all:?}");
        assert_eq!(
            permit(&store, &unique("account"), UNLIMITED).await,
            Permit::Granted { tell: false }
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_success_between_failures_keeps_it_closed() {
    for store in stores() {
        let account = unique("account");
        for _ in 0..5 {
            report(&store, &account, Health::Down).await;
            report(&store, &account, Health::Down).await;
            report(&store, &account, Health::Up).await;
        }
        assert_eq!(permit(&store, &account, UNLIMITED).await, Permit::Granted { tell: false });
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_at_a_time_tries_an_open_circuit() {
    for store in stores() {
        let account = unique("account");
        for _ in 0..3 {
            report(&store, &account, Health::Down).await;
        }
        assert_eq!(
            permit_when_open_is_over(&store, &account).await,
            Permit::Granted { tell: true }
        );
        assert!(
            matches!(permit(&store, &account, UNLIMITED).await, Permit::Open { .. }),
            "another is at it"
        );
        // Nothing was heard of that one: another tries, and fails, and the circuit is open again at
        // once.
        assert_eq!(
            permit_when_open_is_over(&store, &account).await,
            Permit::Granted { tell: true }
        );
        report(&store, &account, Health::Down).await;
        assert!(matches!(permit(&store, &account, UNLIMITED).await, Permit::Open { .. }));
        assert_eq!(
            permit_when_open_is_over(&store, &account).await,
            Permit::Granted { tell: true }
        );
        report(&store, &account, Health::Up).await;
        let all = join_all((0..10).map(|_| permit(&store, &account, UNLIMITED))).await;
        assert!(all.iter().all(|permit| *permit == Permit::Granted { tell: false }), "{all:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_says_nothing_of_the_gateway_neither_counts_nor_takes_the_trial() {
    for store in stores() {
        let account = unique("account");
        report(&store, &account, Health::Down).await;
        report(&store, &account, Health::Down).await;
        for _ in 0..10 {
            report(&store, &account, Health::Unknown).await;
        }
        assert_eq!(
            permit(&store, &account, UNLIMITED).await,
            Permit::Granted { tell: true },
            "two failures, still"
        );
        report(&store, &account, Health::Down).await;
        for _ in 0..3 {
            assert_eq!(
                permit_when_open_is_over(&store, &account).await,
                Permit::Granted { tell: true }
            );
            report(&store, &account, Health::Unknown).await;
            assert_eq!(
                permit(&store, &account, UNLIMITED).await,
                Permit::Granted { tell: true },
                "the next may try"
            );
            report(&store, &account, Health::Down).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn turns_are_handed_out_evenly_and_once() {
    for store in stores() {
        let account = unique("account");
        let all = join_all((0..100).map(|_| permit(&store, &account, rate(20)))).await;
        let mut turns: Vec<i64> = all
            .iter()
            .filter_map(
                |permit| if let Permit::Wait { turn, .. } = permit { Some(*turn) } else { None },
            )
            .collect();
        turns.sort_unstable();
        assert_eq!(turns.len(), 99, "one at once");
        // Each 50 ms a turn; whole milliseconds, rounded up.
        assert!(turns.windows(2).all(|two| (49..=51).contains(&(two[1] - two[0]))), "{turns:?}");
        let (last, wait) = (turns[turns.len() - 1], Duration::from_millis(4_000));
        match permit(&store, &account, Asked { turn: Some(last), ..rate(20) }).await {
            Permit::Wait { turn, wait: left } => {
                assert!(turn == last && left > wait && left < PATIENCE, "{left:?}")
            }
            other => panic!("a turn that was given is kept: {other:?}"),
        }
        let late = Asked { turn: Some(turns[0] - 60_000), ..rate(20) };
        assert_eq!(
            permit(&store, &account, late).await,
            Permit::Granted { tell: false },
            "its turn has come"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_turn_is_taken_that_comes_too_late() {
    for store in stores() {
        let account = unique("account");
        let soon = Asked { patience: Duration::from_secs(2), ..rate(1) };
        let mut full = 0;
        for _ in 0..5 {
            full += u32::from(permit(&store, &account, soon).await == Permit::Full);
        }
        assert_eq!(full, 3, "all but one at once and one after a second");
        assert!(
            matches!(permit(&store, &account, rate(1)).await, Permit::Wait { .. }),
            "the others took none"
        );
    }
}

async fn sending(store: &Store, candidate: &Candidate, send: u32) -> Verification {
    let decision = store.admit(candidate).await.expect("an answer");
    let Decision::Admitted { verification, .. } = decision else {
        panic!("not admitted: {decision:?}")
    };
    let begun = store.begin(&verification.id, send, PATIENCE, 1).await.expect("an answer");
    assert!(matches!(begun, Begin::Go { .. }), "{begun:?}");
    verification
}

async fn sent(store: &Store, verification: &Verification, send: u32, name: &str) {
    let outcome = Finish::Sent { message_id: Some(name.to_owned()) };
    store.finish(&verification.id, send, &outcome, 1).await.expect("an answer");
}

async fn delivery(store: &Store, verification: &Verification) -> DeliveryState {
    store.find(&verification.id).await.expect("an answer").expect("is there").delivery
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receipt_moves_the_sms_that_it_is_about() {
    for store in stores() {
        for (delivered, state) in [(true, DeliveryState::Delivered), (false, DeliveryState::Failed)]
        {
            let person = Person::new();
            let (candidate, name) = (person.asks(), unique("message"));
            let verification = sending(&store, &candidate, 1).await;
            sent(&store, &verification, 1, &name).await;
            store
                .receipt(candidate.id.tag(), &unique("other"), delivered)
                .await
                .expect("an answer");
            assert_eq!(
                delivery(&store, &verification).await,
                DeliveryState::Sent,
                "about another message"
            );
            store.receipt(candidate.id.tag(), &name, delivered).await.expect("an answer");
            assert_eq!(delivery(&store, &verification).await, state);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receipt_that_overtakes_its_record_counts() {
    for store in stores() {
        let person = Person::new();
        let (candidate, name) = (person.asks(), unique("message"));
        let verification = sending(&store, &candidate, 1).await;
        store.receipt(candidate.id.tag(), &name, true).await.expect("an answer");
        assert_eq!(delivery(&store, &verification).await, DeliveryState::Queued);
        sent(&store, &verification, 1, &name).await;
        assert_eq!(delivery(&store, &verification).await, DeliveryState::Delivered);
        store.receipt(candidate.id.tag(), &name, false).await.expect("an answer");
        assert_eq!(
            delivery(&store, &verification).await,
            DeliveryState::Delivered,
            "what a phone has it has"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receipt_of_an_earlier_sms_says_nothing_about_the_latest() {
    let policy = Policy { resend_interval: Duration::from_millis(1), ..Policy::default() };
    for store in stores_with(policy) {
        let person = Person::new();
        let (candidate, name) = (person.asks(), unique("message"));
        let verification = sending(&store, &candidate, 1).await;
        sent(&store, &verification, 1, &name).await;
        store.clock().advance(Duration::from_millis(3));
        sending(&store, &person.asks(), 2).await;
        store.receipt(candidate.id.tag(), &name, true).await.expect("an answer");
        assert_eq!(delivery(&store, &verification).await, DeliveryState::Queued);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receipt_for_an_unknown_number_leaves_nothing_behind() {
    for store in stores() {
        let person = Person::new();
        let candidate = person.asks();
        store.receipt(candidate.id.tag(), "message", true).await.expect("an answer");
        let verification = sending(&store, &candidate, 1).await;
        sent(&store, &verification, 1, "message").await;
        assert_eq!(delivery(&store, &verification).await, DeliveryState::Sent);
    }
}
