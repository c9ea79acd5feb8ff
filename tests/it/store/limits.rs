//! The contract of rate limits, on every store.

use std::time::Duration;

use futures_util::future::join_all;
use sms_domain::quota::{Quota, QuotaRule, Scope, Window};
use sms_domain::random::random_u64;
use sms_domain::refusal::{Exceeded, Refusal};
use sms_domain::verification::{Policy, Verification};
use sms_store::{AdmissionRequest, CheckResult, Decision, Release, Store};

use crate::support::contract::{Open, contract};
use crate::support::{TestNumber, unique};

const HOUR: Duration = Duration::from_secs(3600);

contract! {
    stores;
    limit_holds_for_many_requests_at_once
    refusal_consumes_no_quota
    release_refunds_quota
    sliding_window_of_a_number_is_exact
    retry_after_is_true
    refusal_names_every_exceeded_limit
    resend_in_is_true
    resend_in_is_that_of_the_windows_of_the_last_sms
    wrong_codes_consume_their_limits
    limit_of_wrong_codes_holds_for_many_at_once
}

fn impatient() -> Policy {
    Policy { resend_interval: Duration::from_millis(1), ..Policy::default() }
}

fn window(most: u32, span: Duration) -> Window {
    Window { max: most, period: span }
}

/// A limit that nobody else counts on.
fn quota(scope: Scope, most: u32, span: Duration) -> Quota {
    Quota { scope, subject: unique("test"), rule: QuotaRule::Rate(window(most, span)) }
}

fn request(number: &TestNumber, quotas: &[Quota]) -> AdmissionRequest {
    AdmissionRequest { quotas: quotas.to_vec(), ..number.request() }
}

async fn admitted(store: &Store, candidate: &AdmissionRequest) -> Verification {
    match store.admit(candidate).await.expect("an answer") {
        Decision::Admitted { verification, .. } => verification,
        other => panic!("not admitted: {other:?}"),
    }
}

async fn refused(store: &Store, candidate: &AdmissionRequest) -> Refusal {
    match store.admit(candidate).await.expect("an answer") {
        Decision::Refused(refusal) => refusal,
        other => panic!("not refused: {other:?}"),
    }
}

async fn check(
    store: &Store,
    verification: &Verification,
    right: bool,
    quotas: &[Quota],
) -> CheckResult {
    store.check(&verification.id, right, random_u64(), quotas).await.expect("an answer")
}

async fn limit_holds_for_many_requests_at_once(open: Open) {
    let (store, quotas) =
        (open(Policy::default()), [quota(Scope::Ip, 10, HOUR), quota(Scope::Prefix, 1000, HOUR)]);
    let decisions = join_all((0..200).map(|_| {
        let (store, candidate) = (store.clone(), request(&TestNumber::new(), &quotas));
        async move { store.admit(&candidate).await.expect("an answer") }
    }));
    let mut admitted = 0;
    for decision in decisions.await {
        match decision {
            Decision::Admitted { .. } => admitted += 1,
            Decision::Refused(refusal) => {
                let (exceeded, retry_after) = (refusal.exceeded(), refusal.retry_after());
                assert_eq!(exceeded, [Exceeded::Limit(Scope::Ip)]);
                assert!(
                    retry_after > HOUR / 10 - Duration::from_secs(10) && retry_after <= HOUR / 10,
                    "{retry_after:?}"
                );
            }
            Decision::Challenged | Decision::Known { .. } => panic!("there is nothing suspicious"),
        }
    }
    assert_eq!(admitted, 10);
}

async fn refusal_consumes_no_quota(open: Open) {
    let (store, number) = (open(Policy::default()), TestNumber::new());
    let both = [quota(Scope::Ip, 2, HOUR), quota(Scope::Prefix, 3, HOUR)];
    admitted(&store, &request(&number, &both)).await;
    for _ in 0..5 {
        assert_eq!(
            refused(&store, &request(&number, &both)).await.exceeded(),
            [Exceeded::Cooldown]
        );
    }
    admitted(&store, &request(&TestNumber::new(), &both)).await;
    for _ in 0..5 {
        let other = request(&TestNumber::new(), &both);
        assert_eq!(refused(&store, &other).await.exceeded(), [Exceeded::Limit(Scope::Ip)]);
        assert_eq!(store.find(&other.id).await.expect("an answer"), None, "nothing was written");
    }
    let prefix = &both[1..];
    admitted(&store, &request(&TestNumber::new(), prefix)).await;
    assert_eq!(
        refused(&store, &request(&TestNumber::new(), prefix)).await.exceeded(),
        [Exceeded::Limit(Scope::Prefix)]
    );
}

async fn release_refunds_quota(open: Open) {
    let (store, number, quotas) =
        (open(impatient()), TestNumber::new(), [quota(Scope::Total, 1, HOUR)]);
    let candidate =
        AdmissionRequest { windows: vec![window(2, HOUR)], ..request(&number, &quotas) };
    for _ in 0..3 {
        let candidate = AdmissionRequest { id: number.request().id, ..candidate.clone() };
        admitted(&store, &candidate).await;
        for _ in 0..2 {
            assert_eq!(store.release(&candidate).await.expect("an answer"), Release::Released);
        }
    }
    admitted(&store, &candidate).await;
    store.clock().advance(Duration::from_millis(3));
    assert_eq!(
        refused(&store, &request(&number, &quotas)).await.exceeded(),
        [Exceeded::Limit(Scope::Total)]
    );
    let resend = AdmissionRequest { windows: vec![window(2, HOUR)], ..number.request() };
    let resent = admitted(&store, &resend).await;
    assert!(resent.resend_in > HOUR / 2, "the window is full: {:?}", resent.resend_in);
    assert_eq!(store.release(&resend).await.expect("an answer"), Release::Released);
    let found = store.find(&resent.id).await.expect("an answer").expect("goes on");
    assert_eq!(found.resend_in, Duration::ZERO);
    let again = AdmissionRequest { id: number.request().id, ..resend };
    admitted(&store, &again).await;
}

async fn sliding_window_of_a_number_is_exact(open: Open) {
    let span = Duration::from_millis(400);
    let (store, number) = (open(impatient()), TestNumber::new());
    let mut times = Vec::new();
    while times.len() < 10 {
        let candidate = AdmissionRequest {
            windows: vec![window(3, span), window(100, HOUR)],
            ..number.request()
        };
        match store.admit(&candidate).await.expect("an answer") {
            Decision::Admitted { verification, .. } => {
                times.push(verification.expires_at);
                store.clock().advance(Duration::from_millis(2));
            }
            Decision::Refused(refusal) => {
                let (exceeded, retry_after) = (refusal.exceeded(), refusal.retry_after());
                assert_eq!(exceeded, [Exceeded::Limit(Scope::Number)]);
                store.clock().advance(retry_after + Duration::from_millis(1));
            }
            Decision::Challenged | Decision::Known { .. } => panic!("there is nothing suspicious"),
        }
        // No life ends meanwhile: then the times would not be those of the SMS.
        assert!(times.last() > times.first() || times.len() == 1);
    }
    for four in times.windows(4) {
        let took = Duration::try_from(four[3].duration_since(four[0])).expect("later");
        assert!(took >= span, "four SMS in {took:?}");
    }
}

async fn retry_after_is_true(open: Open) {
    let (store, quotas) =
        (open(Policy::default()), [quota(Scope::Country, 2, Duration::from_secs(600))]);
    for _ in 0..2 {
        admitted(&store, &request(&TestNumber::new(), &quotas)).await;
    }
    for _ in 0..3 {
        let wait = refused(&store, &request(&TestNumber::new(), &quotas)).await.retry_after();
        assert!(
            wait > Duration::ZERO && wait <= Duration::from_secs(300),
            "one is over after half of it: {wait:?}"
        );
        store.clock().advance(wait);
        admitted(&store, &request(&TestNumber::new(), &quotas)).await;
    }
}

async fn refusal_names_every_exceeded_limit(open: Open) {
    let (store, number) = (open(Policy::default()), TestNumber::new());
    let quotas = [
        quota(Scope::Ip, 1, HOUR),
        quota(Scope::Prefix, 1, HOUR * 24),
        quota(Scope::Total, 9, HOUR),
    ];
    let candidate =
        || AdmissionRequest { windows: vec![window(1, HOUR * 2)], ..request(&number, &quotas) };
    admitted(&store, &candidate()).await;
    let refusal = refused(&store, &candidate()).await;
    let limit = Exceeded::Limit;
    let waits = [
        (limit(Scope::Prefix), HOUR * 24),
        (limit(Scope::Number), HOUR * 2),
        (limit(Scope::Ip), HOUR),
        (Exceeded::Cooldown, Duration::from_secs(60)),
    ];
    assert_eq!(refusal.exceeded(), waits.map(|(exceeded, _)| exceeded), "the longest wait first");
    for ((exceeded, wait), (_, longest)) in refusal.waits().zip(waits) {
        assert!(
            wait <= longest && wait > longest - Duration::from_secs(30),
            "{exceeded:?} has its own: {wait:?}"
        );
    }
    assert!(refusal.retry_after() > HOUR * 23, "until the last of them is over: {refusal:?}");
}

async fn resend_in_is_true(open: Open) {
    let (store, number) = (open(Policy::default()), TestNumber::new());
    let candidate = AdmissionRequest { windows: vec![window(1, HOUR)], ..number.request() };
    let verification = admitted(&store, &candidate).await;
    assert_eq!(
        (verification.waits_for, verification.resend_in),
        (Exceeded::Limit(Scope::Number), HOUR)
    );
    assert_eq!(
        admitted(&store, &candidate).await.resend_in.as_secs().div_ceil(60),
        60,
        "the same request again"
    );
    let found = store.find(&verification.id).await.expect("an answer").expect("is there");
    assert!(found.resend_in > HOUR - Duration::from_secs(10), "{:?}", found.resend_in);
    assert_eq!(found.waits_for, Exceeded::Limit(Scope::Number));
    let other = AdmissionRequest { windows: vec![window(9, HOUR)], ..TestNumber::new().request() };
    assert_eq!(admitted(&store, &other).await.waits_for, Exceeded::Cooldown);
}

/// As after a deploy with other LIMITS.
async fn resend_in_is_that_of_the_windows_of_the_last_sms(open: Open) {
    let (store, number) = (open(impatient()), TestNumber::new());
    let first = AdmissionRequest { windows: vec![window(1, HOUR)], ..number.request() };
    let id = admitted(&store, &first).await.id;
    store.clock().advance(Duration::from_millis(3));
    let second = AdmissionRequest { windows: vec![window(9, HOUR)], ..number.request() };
    let resent = admitted(&store, &second).await;
    assert_eq!((resent.id.clone(), resent.waits_for), (id, Exceeded::Cooldown));
    let found = store.find(&resent.id).await.expect("an answer").expect("is there");
    assert_eq!(found.waits_for, Exceeded::Cooldown, "{:?}", found.resend_in);
    assert!(found.resend_in < HOUR / 2, "{:?}", found.resend_in);
}

async fn wrong_codes_consume_their_limits(open: Open) {
    let (store, quotas) =
        (open(Policy::default()), [quota(Scope::WrongIp, 2, HOUR), quota(Scope::Wrong, 9, HOUR)]);
    let verification = async || admitted(&store, &TestNumber::new().request()).await;
    for _ in 0..4 {
        assert_eq!(
            check(&store, &verification().await, true, &quotas).await,
            CheckResult::Approved,
            "counts nothing"
        );
    }
    for _ in 0..2 {
        let result = check(&store, &verification().await, false, &quotas).await;
        assert_eq!(result, CheckResult::Wrong { attempts_left: 4, locked_for: Duration::ZERO });
    }
    let last = verification().await;
    for right in [false, true] {
        let CheckResult::Refused(refusal) = check(&store, &last, right, &quotas).await else {
            panic!("not refused")
        };
        assert_eq!(refusal.exceeded(), [Exceeded::Limit(Scope::WrongIp)]);
        assert!(refusal.retry_after() > HOUR / 3, "{:?}", refusal.retry_after());
    }
    assert_eq!(
        check(&store, &last, true, &quotas[1..]).await,
        CheckResult::Approved,
        "no attempt was lost"
    );
}

async fn limit_of_wrong_codes_holds_for_many_at_once(open: Open) {
    let (store, quotas) = (open(Policy::default()), [quota(Scope::Wrong, 7, HOUR)]);
    let verifications =
        join_all((0..20).map(|_| async { admitted(&store, &TestNumber::new().request()).await }))
            .await;
    let results = join_all(
        verifications.iter().map(|verification| check(&store, verification, false, &quotas)),
    )
    .await;
    let wrong = results.iter().filter(|result| matches!(result, CheckResult::Wrong { .. })).count();
    let refused = results.iter().filter(|result| matches!(result, CheckResult::Refused(_))).count();
    assert_eq!((wrong, refused), (7, 13));
}
