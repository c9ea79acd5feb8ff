//! A Redis whose memory is full (`noeviction`): what is under way can be finished, and nothing new
//! begins.

use std::num::NonZeroU32;

use sms_domain::verification::Policy;
use sms_store::{
    Breaker, CheckResult, Conclusion, Health, Lease, Permit, PermitRequest, Release, Store,
};

use super::{LEASE, SENT, admitted, begin, check, wrong};
use crate::support::services::Service;
use crate::support::{TestNumber, unique};

const BREAKER: Breaker = Breaker { failures: 5, open: LEASE, trial: LEASE };

#[tokio::test]
async fn what_is_under_way_is_finished_where_memory_is_full() {
    let redis = Service::redis();
    let store = Store::redis(&redis.url, Policy::default()).expect("a URL");
    let numbers = [(); 4].map(|()| TestNumber::new());
    let [one, other, released, new] = numbers.each_ref().map(TestNumber::request);
    let (verification, _) = admitted(&store, &one).await;
    let (cancelled, _) = admitted(&store, &other).await;
    admitted(&store, &released).await;

    redis.command(&["config", "set", "maxmemory", "1"]);
    let error = store.admit(&new).await.expect_err("nothing new begins").to_string();
    assert!(error.contains("memory is full"), "{error}");
    assert!(matches!(begin(&store, &verification, 1, 1).await, Lease::Granted { .. }));
    store.record_outcome(&verification.id, 1, &SENT, 1).await.expect("an answer");
    let asked = PermitRequest { rate: NonZeroU32::new(50), slot: None, max_wait: LEASE };
    let permit = store.permit(&unique("account"), asked, BREAKER).await.expect("an answer");
    assert!(matches!(permit, Permit::Granted { .. }), "{permit:?}");
    store.report(&unique("account"), Health::Down, BREAKER).await.expect("an answer");
    assert_eq!(check(&store, &verification, false).await, wrong(4));
    assert_eq!(check(&store, &verification, true).await, CheckResult::Approved);
    assert_eq!(store.conclude(&cancelled.id, Conclusion::Cancelled).await.ok(), Some(true));
    assert_eq!(store.release(&released).await.ok(), Some(Release::Released));

    redis.command(&["config", "set", "maxmemory", "0"]);
    admitted(&store, &new).await;
    assert_eq!(check(&store, &cancelled, true).await, CheckResult::Gone);
    admitted(&store, &released).await;
}
