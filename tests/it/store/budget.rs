//! What a store promises of budgets, on every store; by a clock that is moved by hand.

use std::time::Duration;

use futures_util::future::join_all;
use jiff::Timestamp;
use shared::budget::Allowance;
use shared::entropy::random_u64;
use shared::limits::{Exceeded, Quota, Refusal, Rule, Scope};
use shared::store::{Candidate, CheckResult, Clock, Decision, Release, Store};
use shared::verification::Policy;

use crate::support::contract::{Open, contract};
use crate::support::{Person, unique};

const HOUR: Duration = Duration::from_secs(3600);

contract! {
    stores with super::Purse::of;
    when_it_is_spent_there_is_a_reserve_for_numbers_that_were_verified
    another_hour_has_a_budget_of_its_own
    it_is_told_once_when_most_is_spent
    what_is_released_was_not_spent
    of_many_at_once_as_many_as_there_is_money_for
    an_sms_that_costs_more_counts_for_more
}

/// A budget that nobody else spends from.
struct Purse {
    store: Store,
    clock: Clock,
    subject: String,
    /// Who was verified before.
    known: Person,
}

impl Purse {
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
        Self { store, clock, subject: unique("budget"), known: Person::new() }
    }

    /// Ten SMS, and two more for numbers that were verified before.
    fn asks(&self, person: &Person) -> Candidate {
        self.asks_at(person, 10)
    }

    fn asks_at(&self, person: &Person, price: u64) -> Candidate {
        let rule = Rule::Budget(Allowance { price, most: 100, at_all: 120, span: HOUR });
        let quotas = vec![Quota { scope: Scope::Budget, subject: self.subject.clone(), rule }];
        Candidate { quotas, ..person.asks() }
    }

    async fn admit(&self, candidate: &Candidate) -> Decision {
        self.store.admit(candidate).await.expect("an answer")
    }

    /// Strangers ask until there is no more money for them: how many SMS they are sent, and how
    /// often it was told that most is spent.
    async fn strangers(&self) -> (u32, u32, Refusal) {
        let (mut sent, mut told) = (0, 0);
        loop {
            match self.admit(&self.asks(&Person::new())).await {
                Decision::Admitted { alarm, .. } => {
                    (sent, told) = (sent + 1, told + u32::from(alarm))
                }
                Decision::Refused(refusal) => return (sent, told, refusal),
                Decision::Challenged => panic!("nothing is suspicious"),
            }
        }
    }

    /// The known number is verified; that costs nothing here.
    async fn is_known(&self) {
        let decision = self.admit(&self.known.asks()).await;
        let Decision::Admitted { verification, .. } = decision else { panic!("{decision:?}") };
        let checked =
            self.store.check(&verification.id, true, random_u64(), &[]).await.expect("an answer");
        assert_eq!(checked, CheckResult::Approved);
        self.clock.advance(Duration::from_secs(1));
    }
}

async fn when_it_is_spent_there_is_a_reserve_for_numbers_that_were_verified(purse: Purse) {
    purse.is_known().await;
    let (sent, _, refusal) = purse.strangers().await;
    assert_eq!((sent, refusal.exceeded()), (10, vec![Exceeded::Limit(Scope::Budget)]));
    assert_eq!(refusal.retry_after(), HOUR - Duration::from_secs(1), "until the hour is over");
    for _ in 0..2 {
        assert!(matches!(purse.admit(&purse.asks(&purse.known)).await, Decision::Admitted { .. }));
        purse.clock.advance(Duration::from_secs(1));
    }
    let decision = purse.admit(&purse.asks(&purse.known)).await;
    let Decision::Refused(refusal) = decision else { panic!("{decision:?}") };
    assert_eq!(refusal.exceeded(), [Exceeded::Limit(Scope::Budget)], "the reserve is spent too");
    purse.clock.advance(HOUR * 24);
    purse.strangers().await;
    let decision = purse.admit(&purse.asks(&purse.known)).await;
    assert!(
        matches!(decision, Decision::Refused(_)),
        "that it was verified is forgotten: {decision:?}"
    );
}

async fn another_hour_has_a_budget_of_its_own(purse: Purse) {
    purse.clock.advance(HOUR / 2);
    let (_, _, refusal) = purse.strangers().await;
    assert_eq!(refusal.retry_after(), HOUR / 2);
    purse.clock.advance(refusal.retry_after() - Duration::from_millis(1));
    assert!(matches!(purse.admit(&purse.asks(&Person::new())).await, Decision::Refused(_)));
    purse.clock.advance(Duration::from_millis(1));
    assert_eq!(purse.strangers().await.0, 10);
}

async fn it_is_told_once_when_most_is_spent(purse: Purse) {
    for sent in 1..=10 {
        let decision = purse.admit(&purse.asks(&Person::new())).await;
        assert!(
            matches!(decision, Decision::Admitted { alarm, .. } if alarm == (sent == 8)),
            "{sent}: {decision:?}"
        );
    }
    purse.clock.advance(HOUR);
    assert_eq!(purse.strangers().await.1, 1, "and once in the next hour");
}

async fn what_is_released_was_not_spent(purse: Purse) {
    for _ in 0..30 {
        let candidate = purse.asks(&Person::new());
        assert!(matches!(purse.admit(&candidate).await, Decision::Admitted { .. }));
        assert_eq!(purse.store.release(&candidate).await.expect("an answer"), Release::Released);
    }
    assert_eq!(purse.strangers().await.0, 10);
}

async fn of_many_at_once_as_many_as_there_is_money_for(purse: Purse) {
    let all = join_all((0..100).map(|_| {
        let candidate = purse.asks(&Person::new());
        let store = purse.store.clone();
        async move { store.admit(&candidate).await.expect("an answer") }
    }));
    let admitted =
        all.await.iter().filter(|decision| matches!(decision, Decision::Admitted { .. })).count();
    assert_eq!((admitted, purse.strangers().await.0), (10, 0));
}

async fn an_sms_that_costs_more_counts_for_more(purse: Purse) {
    for _ in 0..2 {
        let decision = purse.admit(&purse.asks_at(&Person::new(), 45)).await;
        assert!(matches!(decision, Decision::Admitted { .. }), "{decision:?}");
    }
    assert!(matches!(purse.admit(&purse.asks_at(&Person::new(), 45)).await, Decision::Refused(_)));
    assert_eq!(purse.strangers().await.0, 1);
}
