//! The contract of a gateway's rate limit, on every store.

use std::time::Duration;

use futures_util::future::join_all;
use sms_domain::verification::Policy;
use sms_store::{Permit, PermitRequest};

use super::gateway_circuits::{PATIENCE, permit, rate};
use crate::support::contract::{Open, contract};
use crate::support::unique;

contract! {
    stores;
    rate_slots_are_handed_out_evenly_and_once
    rate_slot_that_comes_too_late_is_not_taken
}

async fn rate_slots_are_handed_out_evenly_and_once(open: Open) {
    let store = open(Policy::default());
    let account = unique("account");
    let all = join_all((0..100).map(|_| permit(&store, &account, rate(20)))).await;
    let mut turns: Vec<i64> = all
        .iter()
        .filter_map(
            |permit| if let Permit::Wait { slot, .. } = permit { Some(*slot) } else { None },
        )
        .collect();
    turns.sort_unstable();
    assert_eq!(turns.len(), 99, "one at once");
    // Each 50 ms a turn; whole milliseconds, rounded up.
    assert!(turns.windows(2).all(|two| (49..=51).contains(&(two[1] - two[0]))), "{turns:?}");
    let (last, wait) = (turns[turns.len() - 1], Duration::from_millis(4_000));
    match permit(&store, &account, PermitRequest { slot: Some(last), ..rate(20) }).await {
        Permit::Wait { slot, wait: left } => {
            assert!(slot == last && left > wait && left < PATIENCE, "{left:?}");
        }
        other => panic!("a turn that was given is kept: {other:?}"),
    }
    let late = PermitRequest { slot: Some(turns[0] - 60_000), ..rate(20) };
    assert_eq!(
        permit(&store, &account, late).await,
        Permit::Granted { report_success: false },
        "its turn has come"
    );
}

async fn rate_slot_that_comes_too_late_is_not_taken(open: Open) {
    let store = open(Policy::default());
    let account = unique("account");
    let soon = PermitRequest { max_wait: Duration::from_secs(2), ..rate(1) };
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
