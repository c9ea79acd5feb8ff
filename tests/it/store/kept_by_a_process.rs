//! What a process keeps for itself: SMS that it counts for the conversion guard, and refusals.

use std::time::{Duration, Instant};

use sms_domain::conversion_test::{Conversion, CusumTest};
use sms_domain::quota::{Quota, QuotaRule, Scope, Window, country_quota};
use sms_domain::refusal::Exceeded;
use sms_domain::verification::Policy;
use sms_store::{AdmissionRequest, CheckResult, Decision, Release, Store};

use super::{admitted, check, is_refused};
use crate::support::contract::{redis_cluster_store, redis_store};
use crate::support::services::redis_url;
use crate::support::{TestNumber, unique};

/// After that it is known what became of an SMS.
const KNOWN: Duration = Duration::from_secs(131);

/// On one server, and on a cluster, with a virtual clock.
fn summing_stores() -> [Store; 2] {
    [redis_store, redis_cluster_store].map(|open| open(Policy::default()).with_guard_counts())
}

fn request(country: &str) -> AdmissionRequest {
    AdmissionRequest {
        quotas: vec![country_quota(country.to_owned(), CusumTest::default())],
        guarded: vec![country.to_owned()],
        ..TestNumber::new().request()
    }
}

async fn learned(store: &Store, country: &str) -> Conversion {
    store.clock().advance(KNOWN);
    store.conversion(country).await.expect("an answer")
}

#[tokio::test]
async fn sms_are_counted_when_they_are_written() {
    for store in summing_stores() {
        let country = unique("country");
        for _ in 0..3 {
            admitted(&store, &request(&country)).await;
        }
        store.flush().await;
        let Conversion { sent, approved } = learned(&store, &country).await;
        assert!((sent - 3.0).abs() < 0.01 && approved == 0.0, "{sent} {approved}");
    }
}

#[tokio::test]
async fn an_approval_may_come_before_its_sms_is_counted() {
    for store in summing_stores() {
        let country = unique("country");
        let (verification, _) = admitted(&store, &request(&country)).await;
        assert_eq!(check(&store, &verification, true).await, CheckResult::Approved);
        store.flush().await;
        let Conversion { sent, approved } = learned(&store, &country).await;
        assert!((sent - 1.0).abs() < 0.01 && (approved - 1.0).abs() < 0.01, "{sent} {approved}");
    }
}

#[tokio::test]
async fn a_released_sms_is_not_counted() {
    for store in summing_stores() {
        let country = unique("country");
        let [written, waiting] = [request(&country), request(&country)];
        admitted(&store, &written).await;
        store.flush().await;
        admitted(&store, &waiting).await;
        for candidate in [written, waiting] {
            assert_eq!(store.release(&candidate).await.expect("an answer"), Release::Released);
        }
        store.flush().await;
        assert!(learned(&store, &country).await.sent < 0.01);
    }
}

/// With the server's clock, as a process has it.
fn store() -> Store {
    Store::redis(&redis_url(), Policy::default()).expect("a URL")
}

#[tokio::test]
async fn a_refusal_is_repeated_without_the_store() {
    let (store, other) = (store(), store());
    // Until it takes less than the second for which a refusal is repeated.
    loop {
        let (number, began) = (TestNumber::new(), Instant::now());
        let first = number.request();
        admitted(&store, &first).await;
        assert!(is_refused(&store, &number.request(), Exceeded::Cooldown).await);
        // The store would admit it now.
        other.release(&first).await.expect("an answer");
        let decision = store.admit(&number.request()).await.expect("an answer");
        if began.elapsed() >= Duration::from_secs(1) {
            continue;
        }
        let Decision::Refused(refusal) = decision else {
            panic!("the refusal is less than a second old: {decision:?}");
        };
        assert_eq!(refusal.exceeded(), [Exceeded::Cooldown]);
        assert!(refusal.retry_after() <= Policy::default().resend_interval);
        // The process that was not told of the refusal asks.
        admitted(&other, &number.request()).await;
        return;
    }
}

#[tokio::test]
async fn who_releases_a_number_asks_the_store_again() {
    let (store, number) = (store(), TestNumber::new());
    let first = number.request();
    admitted(&store, &first).await;
    assert!(is_refused(&store, &number.request(), Exceeded::Cooldown).await);
    store.release(&first).await.expect("an answer");
    admitted(&store, &number.request()).await;
}

#[tokio::test]
async fn the_refusal_of_an_address_is_not_that_of_another() {
    let (store, window) = (store(), Window { max: 1, period: Duration::from_secs(3600) });
    let from = |address: &str| {
        let (scope, rule) = (Scope::Ip, QuotaRule::Rate(window));
        let quotas = vec![Quota { scope, subject: address.to_owned(), rule }];
        AdmissionRequest { quotas, ..TestNumber::new().request() }
    };
    let [full, free] = [unique("address"), unique("address")];
    admitted(&store, &from(&full)).await;
    for _ in 0..2 {
        assert!(is_refused(&store, &from(&full), Exceeded::Limit(Scope::Ip)).await);
    }
    admitted(&store, &from(&free)).await;
}
