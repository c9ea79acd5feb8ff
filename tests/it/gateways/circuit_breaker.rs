//! The circuit breaker of a gateway: when it opens, what waits meanwhile, and how it closes.

use std::collections::HashSet;
use std::time::Duration;

use futures_util::stream::{self, StreamExt};
use sms_app::send_sms::{DeliveryPolicy, Outcome};
use sms_domain::phone::PhoneNumber;
use sms_domain::verification::{DeliveryState, Policy};

use super::Sender;
use super::routing::{failover, two};
use crate::support::contract::memory_store;
use crate::support::gateway::{Gateway, Reply};
use crate::support::process::{Deployment, Environment, Process};
use crate::support::vendor::{Stub, Vendor};
use crate::support::{eventually, number};

/// A circuit that is open is the reason for a dead letter then, and not that another gateway does
/// not serve the number.
#[tokio::test]
async fn dead_letter_reason_is_the_open_circuit() {
    let (first, second) =
        (Stub::start(Vendor::Twilio).await, Gateway::start(&[], Reply::Http(503)).await);
    first.says(Vendor::Twilio.refuses(400, "21408"));
    let dsn = format!("failover({} || {})", first.dsn(), second.dsn());
    let mut sender = Sender::new(&dsn, DeliveryPolicy::default());
    // Codes that expire before the circuit is worth another look.
    let policy = Policy { ttl: Duration::from_secs(2), ..Policy::default() };
    sender.send_sms.store = memory_store(policy);
    for index in 0..5 {
        sender.deliver(&sender.job(&number(index)).await).await;
    }
    let Outcome::Dead(reason) = sender.deliver(&sender.job(&number(100)).await).await else {
        panic!("in no time")
    };
    assert_eq!((reason.class, reason.attempts), (None, 1));
    assert!(
        reason.text.contains("before the code expires") && reason.text.contains("21408"),
        "{}",
        reason.text
    );
}

/// Of a country, a template, a code that nobody knows, too many at once: none is a reason to keep
/// other messages away.
#[tokio::test]
async fn circuit_stays_closed_by_errors_of_single_messages() {
    for (vendor, status, code) in [
        (Vendor::Twilio, 400, "21408"),
        (Vendor::Twilio, 429, "20429"),
        (Vendor::Twilio, 400, "99999"),
        (Vendor::Tencent, 200, "LimitExceeded.AppCountryOrRegionInBlacklist"),
        (Vendor::Tencent, 200, "LimitExceeded.AppGlobalDailyLimit"),
        (Vendor::Tencent, 200, "FailedOperation.TemplateUnapprovedOrNotExist"),
        (Vendor::Aliyun, 200, "isv.DOMESTIC_NUMBER_NOT_SUPPORTED"),
        (Vendor::Aws, 400, "ThrottlingException"),
        (Vendor::Aws, 400, "ValidationException.COUNTRY_NOT_ENABLED"),
    ] {
        let stub = Stub::start(vendor).await;
        let sender = Sender::new(&stub.dsn(), DeliveryPolicy::default());
        stub.says(vendor.refuses(status, code));
        for index in 0..8 {
            let outcome = sender.deliver(&sender.job(&number(index)).await).await;
            assert!(
                matches!(&outcome, Outcome::Retry { .. } | Outcome::Dead(_)),
                "{code}: {outcome:?}"
            );
        }
        assert_eq!(stub.sent().len(), 8, "{code}: each was tried");
        stub.says(vendor.accepts("message-1"));
        assert_eq!(sender.deliver(&sender.job(&number(100)).await).await, Outcome::Done, "{code}");
    }
}

/// A circuit that is half open is tried by one message at a time: one that the gateway does not
/// serve gives its place to another.
#[tokio::test]
async fn circuit_trial_without_a_result_passes_to_another_message() {
    let stub = Stub::start(Vendor::Tencent).await;
    let sender = Sender::with_stopped_clock(&stub.dsn(), DeliveryPolicy::default());
    stub.says(Vendor::Tencent.refuses(200, "InternalError.OtherError"));
    for index in 0..5 {
        sender.deliver(&sender.job(&number(index)).await).await;
    }
    stub.says(Vendor::Tencent.refuses(200, "LimitExceeded.AppCountryOrRegionInBlacklist"));
    let british = PhoneNumber::parse("+447400123456", Default::default()).expect("a number");
    let abroad = sender.job(&british).await;
    // Held until the ten seconds are over.
    while !matches!(sender.deliver(&abroad).await, Outcome::Dead(_)) {
        sender.advance(Duration::from_secs(1));
    }
    stub.says(Vendor::Tencent.accepts("message-1"));
    assert_eq!(
        sender.deliver(&sender.job(&number(100)).await).await,
        Outcome::Done,
        "the next may try at once"
    );
}

#[tokio::test]
async fn circuit_opens_for_all_workers_and_closes_by_a_trial() {
    let gateways = two(Reply::Refuse("160000")).await;
    let sender = Sender::with_stopped_clock(&failover(&gateways), DeliveryPolicy::default());
    for index in 0..20 {
        assert_eq!(sender.deliver(&sender.job(&number(index)).await).await, Outcome::Done);
    }
    assert_eq!(gateways[0].calls().len(), 5, "five failures in a row, and then it is left alone");
    // Another worker on the same store.
    let mut other = Sender::with_stopped_clock(&failover(&gateways), DeliveryPolicy::default());
    other.send_sms.store = sender.send_sms.store.clone();
    other.deliver(&other.job(&number(100)).await).await;
    assert_eq!(gateways[0].calls().len(), 5);
    gateways[0].always(Reply::Accept);
    // It is open for ten seconds; then one message tries, and the circuit is closed again.
    let mut index = 200;
    while gateways[0].calls().len() == 5 {
        assert_eq!(other.deliver(&other.job(&number(index)).await).await, Outcome::Done);
        sender.advance(Duration::from_secs(1));
        index += 1;
    }
    for index in 10_000..10_010 {
        assert_eq!(sender.deliver(&sender.job(&number(index)).await).await, Outcome::Done);
    }
    assert_eq!(gateways[0].accepted().len(), 11, "all go there again");
}

#[tokio::test]
async fn circuit_open_everywhere_holds_jobs_and_spends_no_attempt() {
    let gateway = Gateway::start(&[], Reply::Refuse("160000")).await;
    let sender = Sender::with_stopped_clock(&gateway.dsn(), DeliveryPolicy::default());
    for index in 0..5 {
        assert!(matches!(
            sender.deliver(&sender.job(&number(index)).await).await,
            Outcome::Retry { .. }
        ));
    }
    let job = sender.job(&number(100)).await;
    let outcome = sender.deliver(&job).await;
    let Outcome::Hold { job: next, delay } = &outcome else {
        panic!("{outcome:?}");
    };
    assert_eq!(next.attempts, 0);
    assert!(delay.base.as_secs() <= 8, "{outcome:?}");
    assert_eq!((sender.state(&job).await, gateway.calls().len()), (DeliveryState::Queued, 5));
}

/// With processes: two workers that share a Redis, and a first gateway that is down for both of
/// them.
#[tokio::test(flavor = "multi_thread")]
async fn circuit_is_shared_by_workers() {
    let gateways = two(Reply::Refuse("160000")).await;
    let environment = Environment::services().with("SMS_DSN", &failover(&gateways));
    let mut deployment = Deployment::split(&environment);
    deployment.workers.clear();
    let client = &deployment.client;
    let asking = (0..100).map(|index| async move { client.ask(number(index).e164()).await.status });
    let asked: Vec<u16> = stream::iter(asking).buffer_unordered(4).collect().await;
    assert!(asked.iter().all(|status| *status == 202), "{asked:?}");
    // Ten at a time each, so that the circuit can open before all have tried.
    deployment.workers =
        (0..2).map(|_| Process::start(&["worker", "--concurrency", "10"], &environment)).collect();
    eventually("all SMS", || async { (gateways[1].accepted().len() >= 100).then_some(()) }).await;
    let sent: HashSet<String> = gateways[1].accepted().into_iter().map(|call| call.to).collect();
    assert_eq!(
        (sent.len(), gateways[1].accepted().len(), gateways[0].accepted().len()),
        (100, 100, 0)
    );
    let tried = gateways[0].calls().len();
    assert!((5..=25).contains(&tried), "five, and those that were on their way: {tried}");
}
