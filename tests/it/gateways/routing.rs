//! Failover, round robin, countries, and circuits: what one gateway does not take another does, and
//! nothing goes out twice.

use std::collections::HashSet;
use std::time::Duration;

use futures_util::future::join_all;
use sms_app::send_sms::{DeliveryPolicy, Outcome};
use sms_domain::failure::FailureClass;
use sms_domain::phone::PhoneNumber;
use sms_domain::random::random_u64;
use sms_domain::verification::DeliveryState;
use sms_queue::dead_letter::DeadLetterReason;
use sms_store::{Breaker, Health, PermitRequest};

use super::Sender;
use crate::support::gateway::{Gateway, Reply};
use crate::support::number;
use crate::support::vendor::{Stub, Vendor};

const POLICIES: [DeliveryPolicy; 2] = [DeliveryPolicy::AtLeastOnce, DeliveryPolicy::AtMostOnce];

/// A first gateway that does as it is told, and a second that accepts.
pub(super) async fn two(first: Reply) -> [Gateway; 2] {
    [Gateway::start(&[], first).await, Gateway::start(&[], Reply::Accept).await]
}

pub(super) fn failover([first, second]: &[Gateway; 2]) -> String {
    format!("failover({} || {})", first.dsn(), second.dsn())
}

#[tokio::test]
async fn failover_sends_each_message_once() {
    for policy in POLICIES {
        // Transient, throttled, a problem with the account, nobody there.
        for reply in [
            Reply::Refuse("160000"),
            Reply::Http(503),
            Reply::Refuse("160038"),
            Reply::Refuse("111109"),
        ] {
            let gateways = two(reply.clone()).await;
            let sender = Sender::new(&failover(&gateways), policy);
            let jobs = join_all((0..20).map(|index| async move { number(index) })).await;
            for to in &jobs {
                let job = sender.job(to).await;
                assert_eq!(sender.deliver(&job).await, Outcome::Done, "{reply:?}");
                assert_eq!(sender.state(&job).await, DeliveryState::Sent);
            }
            let sent: HashSet<String> =
                gateways[1].accepted().into_iter().map(|call| call.to).collect();
            assert_eq!(
                (sent.len(), gateways[1].accepted().len(), gateways[0].accepted().len()),
                (20, 20, 0)
            );
            for call in gateways[0].calls() {
                let calls = gateways[1].calls();
                let second = calls.iter().find(|second| second.to == call.to).expect("went on");
                assert_eq!(
                    (&second.code, &second.request_id),
                    (&call.code, &call.request_id),
                    "the same SMS"
                );
            }
        }
    }
}

#[tokio::test]
async fn failover_passes_over_an_unreachable_gateway() {
    let second = Gateway::start(&[], Reply::Accept).await;
    let nowhere = std::net::TcpListener::bind("127.0.0.1:0")
        .expect("a port")
        .local_addr()
        .expect("an address");
    let dsn = format!("failover({} || {})", Gateway::dsn_of(&nowhere.to_string()), second.dsn());
    let sender = Sender::new(&dsn, DeliveryPolicy::AtMostOnce);
    assert_eq!(sender.deliver(&sender.job(&number(1)).await).await, Outcome::Done);
    assert_eq!(second.accepted().len(), 1);
}

#[tokio::test]
async fn failover_after_an_ambiguous_outcome_follows_the_policy() {
    for reply in [
        Reply::AcceptAndBreak,
        Reply::Break,
        Reply::AcceptAndBabble,
        Reply::Http(500),
        Reply::Http(502),
    ] {
        let gateways = two(reply.clone()).await;
        let sender = Sender::new(&failover(&gateways), DeliveryPolicy::AtMostOnce);
        let outcome = sender.deliver(&sender.job(&number(1)).await).await;
        assert!(
            matches!(&outcome, Outcome::Dead(reason) if reason.text.contains("perhaps sent")),
            "{outcome:?}"
        );
        assert_eq!(gateways[1].calls().len(), 0, "{reply:?}");

        let sender = Sender::new(&failover(&gateways), DeliveryPolicy::AtLeastOnce);
        assert_eq!(sender.deliver(&sender.job(&number(2)).await).await, Outcome::Done);
        let (first, second) = (gateways[0].calls().remove(1), gateways[1].calls().remove(0));
        assert_eq!((first.code, first.request_id), (second.code, second.request_id), "{reply:?}");
    }
}

#[tokio::test]
async fn failover_stops_at_a_permanent_refusal() {
    let gateways = two(Reply::Refuse("160042")).await;
    let sender = Sender::new(&failover(&gateways), DeliveryPolicy::default());
    let job = sender.job(&number(1)).await;
    assert_eq!(sender.deliver(&job).await, Outcome::Done);
    assert_eq!((gateways[1].calls().len(), sender.state(&job).await), (0, DeliveryState::Failed));
}

/// A country that is not enabled, a sender that cannot reach the number: at Twilio, by its codes.
#[tokio::test]
async fn failover_serves_what_one_gateway_does_not() {
    for policy in POLICIES {
        let (first, second) =
            (Stub::start(Vendor::Twilio).await, Stub::start(Vendor::Tencent).await);
        let sender = Sender::new(&format!("failover({} || {})", first.dsn(), second.dsn()), policy);
        for (index, code) in ["21408", "21612", "21608"].into_iter().enumerate() {
            first.says(Vendor::Twilio.refuses(400, code));
            let job = sender.job(&number(u32::try_from(index).expect("small"))).await;
            assert_eq!(sender.deliver(&job).await, Outcome::Done, "{code}");
            assert_eq!(
                (sender.state(&job).await, second.sent().len()),
                (DeliveryState::Sent, index + 1),
                "{code}"
            );
        }
        // Nobody serves it: a dead letter at once, and no second call.
        second.says(Vendor::Tencent.refuses(200, "UnsupportedOperation.UnsupportedRegion"));
        let job = sender.job(&number(100)).await;
        let Outcome::Dead(reason) = sender.deliver(&job).await else { panic!("nobody serves it") };
        assert_eq!((reason.class, reason.attempts), (Some(FailureClass::NotHere), 1));
        assert!(
            reason.text.contains("21608") && reason.text.contains("UnsupportedRegion"),
            "{}",
            reason.text
        );
        assert_eq!(sender.state(&job).await, DeliveryState::Failed);
        // One does not serve it and the other is down for now: it is tried again.
        second.says(Vendor::Tencent.refuses(200, "InternalError.OtherError"));
        let outcome = sender.deliver(&sender.job(&number(101)).await).await;
        assert!(matches!(&outcome, Outcome::Retry { .. }), "{outcome:?}");
    }
    // A gateway for China alone.
    let (china, world) =
        (Gateway::start(&[], Reply::Accept).await, Stub::start(Vendor::Twilio).await);
    let sender = Sender::new(
        &format!("failover({} || {})", china.dsn(), world.dsn()),
        DeliveryPolicy::default(),
    );
    let british = PhoneNumber::parse("+447400123456", Default::default()).expect("a number");
    assert_eq!(sender.deliver(&sender.job(&british).await).await, Outcome::Done);
    assert_eq!((china.calls().len(), world.sent().len()), (0, 1));
}

/// A gateway that does not serve the number is not asked again while the job waits for its turn at
/// another, which it keeps.
#[tokio::test]
async fn rate_slot_is_kept_past_a_gateway_that_does_not_serve_the_number() {
    let (first, second) =
        (Stub::start(Vendor::Twilio).await, Gateway::start(&[], Reply::Accept).await);
    first.says(Vendor::Twilio.refuses(400, "21408"));
    let dsn = format!("failover({} || {}&rate=2)", first.dsn(), second.dsn());
    let sender = Sender::with_stopped_clock(&dsn, DeliveryPolicy::default());
    take_slots(&sender, 4).await;
    let mut held = Vec::new();
    for index in 0..8 {
        let mut job = sender.job(&number(index)).await;
        let outcome = sender.deliver(&job).await;
        let Outcome::Hold { job: next, .. } = outcome else { panic!("{outcome:?}") };
        assert_eq!((next.attempts, next.not_here.len()), (0, 1));
        job.body = next.encode().into_bytes();
        held.push(job);
    }
    sender.advance(Duration::from_secs(10));
    for job in &held {
        assert_eq!(sender.deliver(job).await, Outcome::Done);
    }
    assert_eq!((first.sent().len(), second.accepted().len()), (8, 8), "each was asked once");
}

/// Takes so many slots at the second gateway, so that the next is far off.
async fn take_slots(sender: &Sender, count: u32) {
    let minute = Duration::from_secs(60);
    let account = sender.send_sms.gateways.all()[1];
    let asked = PermitRequest { rate: account.rate, slot: None, max_wait: minute };
    let closed = Breaker { failures: 5, open: minute, trial: minute };
    for _ in 0..count {
        sender.send_sms.store.permit(&account.id, asked, closed).await.expect("an answer");
    }
}

/// A job keeps its rate slot at one gateway while it calls another, which has failed before.
#[tokio::test]
async fn rate_slot_is_kept_while_another_gateway_is_tried() {
    let gateways = two(Reply::Refuse("160000")).await;
    let sender = Sender::with_stopped_clock(
        &format!("{}&rate=1)", failover(&gateways).trim_end_matches(')')),
        DeliveryPolicy::default(),
    );
    let (first, minute) = (sender.send_sms.gateways.all()[0].id.clone(), Duration::from_secs(60));
    // The first gateway's circuit is open: the job waits for its slot at the second.
    let open = Breaker { failures: 1, open: Duration::from_millis(1_500), trial: minute };
    sender.send_sms.store.report(&first, Health::Down, open).await.expect("an answer");
    take_slots(&sender, 3).await;
    let outcome = sender.deliver(&sender.job(&number(1)).await).await;
    let Outcome::Hold { job, delay } = outcome else { panic!("{outcome:?}") };
    assert!(job.rate_slot.is_some());
    // It comes a little before its slot, and time goes on when the first gateway was called.
    sender.advance(delay.total());
    let body = job.encode();
    let called = async {
        gateways[0].got(1).await;
        sender.advance(Duration::from_secs(1));
    };
    let delivered = sender.send_sms.deliver(body.as_bytes(), 1, random_u64());
    let (outcome, ()) = tokio::join!(delivered, called);
    assert_eq!(
        (outcome, gateways[0].calls().len()),
        (Outcome::Done, 1),
        "in its slot, after the other had failed"
    );
}

#[tokio::test]
async fn failover_with_all_down_spends_an_attempt_and_keeps_the_reasons() {
    let gateways = [
        Gateway::start(&[], Reply::Refuse("160000")).await,
        Gateway::start(&[], Reply::Http(503)).await,
    ];
    let sender = Sender::new(&failover(&gateways), DeliveryPolicy::default());
    let mut job = sender.job(&number(1)).await;
    for attempt in 1..=4 {
        match sender.deliver(&job).await {
            Outcome::Retry { job: next, .. } => {
                assert_eq!(next.attempts, attempt);
                job.body = next.encode().into_bytes();
            }
            Outcome::Dead(DeadLetterReason { text: reason, .. }) => {
                assert!(
                    attempt == 4 && reason.contains("160000") && reason.contains("HTTP 503"),
                    "{reason}"
                );
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!((gateways[0].calls().len(), gateways[1].calls().len()), (4, 4));
}

#[tokio::test]
async fn round_robin_spreads_evenly_and_retries_begin_where_they_began() {
    let gateways = two(Reply::Accept).await;
    let [first, second] = &gateways;
    let sender = Sender::new(
        &format!("roundrobin({} && {})", first.dsn(), second.dsn()),
        DeliveryPolicy::default(),
    );
    for index in 0..60 {
        sender.deliver(&sender.job(&number(index)).await).await;
    }
    let (one, two) = (first.accepted().len(), second.accepted().len());
    assert!(one + two == 60 && one > 12 && two > 12, "{one} and {two}");
    // Each answers with its own trouble once; then the job begins where it began before.
    first.first(&[Reply::Refuse("160000")], Reply::Accept);
    second.first(&[Reply::Refuse("160000")], Reply::Accept);
    let mut job = sender.job(&number(100)).await;
    let Outcome::Retry { job: next, .. } = sender.deliver(&job).await else {
        panic!("both refused")
    };
    let began = if first.calls().len() > one && first.calls()[one].at < second.calls()[two].at {
        first
    } else {
        second
    };
    job.body = next.encode().into_bytes();
    let before = began.accepted().len();
    assert_eq!(sender.deliver(&job).await, Outcome::Done);
    assert_eq!(began.accepted().len(), before + 1);
}

#[tokio::test]
async fn country_routes_choose_the_gateway() {
    let [china, world] = &two(Reply::Accept).await;
    let stub = Stub::start(Vendor::Twilio).await;
    let sender =
        Sender::new(&format!("+86={}; *={}", china.dsn(), stub.dsn()), DeliveryPolicy::default());
    let british = PhoneNumber::parse("+447400123456", Default::default()).expect("a number");
    for to in [number(1), british.clone()] {
        assert_eq!(sender.deliver(&sender.job(&to).await).await, Outcome::Done);
    }
    assert_eq!((china.accepted().len(), stub.sent().len()), (1, 1));
    let sender = Sender::new(&format!("+86={}", world.dsn()), DeliveryPolicy::default());
    let outcome = sender.deliver(&sender.job(&british).await).await;
    assert!(
        matches!(&outcome, Outcome::Dead(reason) if reason.text.contains("no gateway for +44")),
        "{outcome:?}"
    );
}
