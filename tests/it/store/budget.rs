//! The contract of budgets, on every store.

use std::time::Duration;

use futures_util::future::join_all;
use jiff::Timestamp;
use sms_domain::quota::{BudgetRule, Quota, QuotaRule, Scope};
use sms_domain::random::random_u64;
use sms_domain::refusal::{Exceeded, Refusal};
use sms_domain::verification::Policy;
use sms_store::{AdmissionRequest, CheckResult, Clock, Decision, Release, Store};

use crate::support::contract::{Open, contract};
use crate::support::{TestNumber, unique};

const HOUR: Duration = Duration::from_secs(3600);

contract! {
    stores with super::BudgetCase::of;
    budget_spent_leaves_a_reserve_for_verified_numbers
    budget_is_new_each_hour
    budget_alarm_is_raised_once
    budget_is_refunded_by_a_release
    budget_holds_for_many_requests_at_once
    budget_counts_an_sms_by_its_price
}

/// A budget that nobody else spends from.
struct BudgetCase {
    store: Store,
    clock: Clock,
    subject: String,
    /// A number that was verified before.
    known: TestNumber,
}

impl BudgetCase {
    #[expect(clippy::disallowed_methods, reason = "a virtual clock begins at the present")]
    fn of(open: Open) -> Self {
        // At the beginning of an hour.
        let now = Timestamp::now().as_second();
        let clock =
            Clock::virtual_from(Timestamp::from_second(now - now % 3600 + 3600).expect("a time"));
        let policy = Policy {
            resend_interval: Duration::from_millis(1),
            remember: HOUR * 24,
            ..Policy::default()
        };
        let store = open(policy).with_clock(clock.clone());
        Self { store, clock, subject: unique("budget"), known: TestNumber::new() }
    }

    /// Ten SMS, and two more for numbers that were verified before.
    fn request(&self, number: &TestNumber) -> AdmissionRequest {
        self.request_at(number, 10)
    }

    fn request_at(&self, number: &TestNumber, price: u64) -> AdmissionRequest {
        let rule =
            QuotaRule::Budget(BudgetRule { price, soft_cap: 100, hard_cap: 120, period: HOUR });
        let quotas = vec![Quota { scope: Scope::Budget, subject: self.subject.clone(), rule }];
        AdmissionRequest { quotas, ..number.request() }
    }

    async fn admit(&self, candidate: &AdmissionRequest) -> Decision {
        self.store.admit(candidate).await.expect("an answer")
    }

    /// Strangers ask until there is no more money for them: how many SMS they are sent, and how
    /// often it was told that most is spent.
    async fn strangers(&self) -> (u32, u32, Refusal) {
        let (mut sent, mut told) = (0, 0);
        loop {
            match self.admit(&self.request(&TestNumber::new())).await {
                Decision::Admitted { alarm, .. } => {
                    (sent, told) = (sent + 1, told + u32::from(alarm));
                }
                Decision::Refused(refusal) => return (sent, told, refusal),
                Decision::Challenged | Decision::Known { .. } => panic!("nothing is suspicious"),
            }
        }
    }

    /// The known number is verified; that costs nothing here.
    async fn is_known(&self) {
        let decision = self.admit(&self.known.request()).await;
        let Decision::Admitted { verification, .. } = decision else { panic!("{decision:?}") };
        let checked =
            self.store.check(&verification.id, true, random_u64(), &[]).await.expect("an answer");
        assert_eq!(checked, CheckResult::Approved);
        self.clock.advance(Duration::from_secs(1));
    }
}

async fn budget_spent_leaves_a_reserve_for_verified_numbers(budget: BudgetCase) {
    budget.is_known().await;
    let (sent, _, refusal) = budget.strangers().await;
    assert_eq!((sent, refusal.exceeded()), (10, vec![Exceeded::Limit(Scope::Budget)]));
    assert_eq!(refusal.retry_after(), HOUR - Duration::from_secs(1), "until the hour is over");
    for _ in 0..2 {
        assert!(matches!(
            budget.admit(&budget.request(&budget.known)).await,
            Decision::Admitted { .. }
        ));
        budget.clock.advance(Duration::from_secs(1));
    }
    let decision = budget.admit(&budget.request(&budget.known)).await;
    let Decision::Refused(refusal) = decision else { panic!("{decision:?}") };
    assert_eq!(refusal.exceeded(), [Exceeded::Limit(Scope::Budget)], "the reserve is spent too");
    budget.clock.advance(HOUR * 24);
    budget.strangers().await;
    let decision = budget.admit(&budget.request(&budget.known)).await;
    assert!(
        matches!(decision, Decision::Refused(_)),
        "that it was verified is forgotten: {decision:?}"
    );
}

async fn budget_is_new_each_hour(budget: BudgetCase) {
    budget.clock.advance(HOUR / 2);
    let (_, _, refusal) = budget.strangers().await;
    assert_eq!(refusal.retry_after(), HOUR / 2);
    budget.clock.advance(refusal.retry_after() - Duration::from_millis(1));
    assert!(matches!(
        budget.admit(&budget.request(&TestNumber::new())).await,
        Decision::Refused(_)
    ));
    budget.clock.advance(Duration::from_millis(1));
    assert_eq!(budget.strangers().await.0, 10);
}

async fn budget_alarm_is_raised_once(budget: BudgetCase) {
    for sent in 1..=10 {
        let decision = budget.admit(&budget.request(&TestNumber::new())).await;
        assert!(
            matches!(decision, Decision::Admitted { alarm, .. } if alarm == (sent == 8)),
            "{sent}: {decision:?}"
        );
    }
    budget.clock.advance(HOUR);
    assert_eq!(budget.strangers().await.1, 1, "and once in the next hour");
}

async fn budget_is_refunded_by_a_release(budget: BudgetCase) {
    for _ in 0..30 {
        let candidate = budget.request(&TestNumber::new());
        assert!(matches!(budget.admit(&candidate).await, Decision::Admitted { .. }));
        assert_eq!(budget.store.release(&candidate).await.expect("an answer"), Release::Released);
    }
    assert_eq!(budget.strangers().await.0, 10);
}

async fn budget_holds_for_many_requests_at_once(budget: BudgetCase) {
    let all = join_all((0..100).map(|_| {
        let candidate = budget.request(&TestNumber::new());
        let store = budget.store.clone();
        async move { store.admit(&candidate).await.expect("an answer") }
    }));
    let admitted =
        all.await.iter().filter(|decision| matches!(decision, Decision::Admitted { .. })).count();
    assert_eq!((admitted, budget.strangers().await.0), (10, 0));
}

async fn budget_counts_an_sms_by_its_price(budget: BudgetCase) {
    for _ in 0..2 {
        let decision = budget.admit(&budget.request_at(&TestNumber::new(), 45)).await;
        assert!(matches!(decision, Decision::Admitted { .. }), "{decision:?}");
    }
    assert!(matches!(
        budget.admit(&budget.request_at(&TestNumber::new(), 45)).await,
        Decision::Refused(_)
    ));
    assert_eq!(budget.strangers().await.0, 1);
}
