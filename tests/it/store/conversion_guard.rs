//! The contract of the conversion guard, on every store.

use std::time::Duration;

use jiff::Timestamp;
use sms_domain::conversion_test::{CusumTest, GuardAction};
use sms_domain::quota::{Scope, country_quota, prefix_quota};
use sms_domain::random::random_u64;
use sms_domain::refusal::{Exceeded, Refusal};
use sms_domain::verification::{Policy, Verification};
use sms_store::{AdmissionRequest, CheckResult, Clock, Decision, Store};

use crate::support::contract::{Open, contract};
use crate::support::{TestNumber, unique};

const HOUR: Duration = Duration::from_secs(3600);

/// After that it is known what became of an SMS.
const KNOWN: Duration = Duration::from_secs(131);

contract! {
    stores with super::PrefixCase::of;
    prefix_without_approvals_is_refused_but_for_a_probe
    prefix_with_approvals_is_admitted
    pending_sms_are_not_held_against_a_prefix
    pending_sms_are_held_against_a_suspect_prefix
    late_approval_is_made_good
    prefix_recovers_by_its_probes
    released_probe_is_available_again
    pending_sms_make_no_refusal_longer
    prefix_is_forgiven_in_time
    observe_mode_reports_and_refuses_nothing
    released_request_counts_as_not_sent
    country_baseline_is_learned
    suspect_prefix_asks_for_a_challenge
    country_asks_for_challenges_for_longer_each_time
    country_with_approvals_asks_for_nothing
    country_recovers_though_it_is_abused
}

/// A prefix of numbers, of a country that is only its own.
struct PrefixCase {
    store: Store,
    clock: Clock,
    subject: String,
    country: String,
    test: CusumTest,
    /// That of the country.
    of_country: CusumTest,
}

impl PrefixCase {
    #[expect(clippy::disallowed_methods, reason = "a virtual clock begins at the present")]
    fn of(open: Open) -> Self {
        let clock = Clock::virtual_from(Timestamp::now());
        Self {
            store: open(Policy::default()).with_clock(clock.clone()),
            clock,
            subject: unique("prefix"),
            country: unique("country"),
            test: CusumTest::for_prefix(0.8, GuardAction::Refuse).expect("a test"),
            of_country: CusumTest::default(),
        }
    }

    /// No prefix is looked at, and of the country fewer codes than usual are a reason to ask for a
    /// challenge.
    fn of_the_country(mut self) -> Self {
        self.test = CusumTest::default();
        self.of_country = CusumTest::for_country(0.8, GuardAction::Challenge).expect("a test");
        self
    }

    /// SMS without an approval that it takes until the prefix is refused.
    fn max_wait(&self) -> u32 {
        (1..100)
            .find(|count| f64::from(*count) * self.test.miss_weight >= self.test.threshold)
            .expect("an end")
    }

    fn request(&self) -> AdmissionRequest {
        let of_country = country_quota(self.country.clone(), self.of_country);
        let quotas = vec![prefix_quota(self.subject.clone(), self.test), of_country];
        AdmissionRequest {
            quotas,
            guarded: vec![self.subject.clone(), self.country.clone()],
            ..TestNumber::new().request()
        }
    }

    /// Somebody else asks.
    async fn sends(&self) -> Result<(Verification, bool), Refusal> {
        match self.store.admit(&self.request()).await.expect("an answer") {
            Decision::Admitted { verification, observed, .. } => Ok((verification, observed)),
            Decision::Refused(refusal) => Err(refusal),
            Decision::Challenged | Decision::Known { .. } => panic!("challenged"),
        }
    }

    async fn is_challenged(&self) -> bool {
        matches!(self.store.admit(&self.request()).await, Ok(Decision::Challenged))
    }

    /// Somebody asks who has solved a challenge.
    async fn sends_solved(&self) -> Verification {
        let solved = |test: CusumTest| CusumTest { action: GuardAction::Refuse, ..test };
        let quotas = vec![
            prefix_quota(self.subject.clone(), solved(self.test)),
            country_quota(self.country.clone(), solved(self.of_country)),
        ];
        match self
            .store
            .admit(&AdmissionRequest { quotas, ..self.request() })
            .await
            .expect("an answer")
        {
            Decision::Admitted { verification, .. } => verification,
            other => panic!("not admitted: {other:?}"),
        }
    }

    /// SMS in vain until a challenge is asked for: how many it takes.
    async fn sends_until_challenged(&self) -> u32 {
        for sent in 0..100 {
            match self.store.admit(&self.request()).await.expect("an answer") {
                Decision::Challenged => return sent,
                Decision::Admitted { .. } => self.clock.advance(KNOWN),
                other => panic!("{other:?}"),
            }
        }
        panic!("never")
    }

    async fn sends_without_approval(&self, count: u32) {
        for _ in 0..count {
            self.sends().await.expect("room");
            self.clock.advance(KNOWN);
        }
    }

    async fn approves(&self, verification: &Verification) {
        let result =
            self.store.check(&verification.id, true, random_u64(), &[]).await.expect("an answer");
        assert_eq!(result, CheckResult::Approved);
    }
}

async fn prefix_without_approvals_is_refused_but_for_a_probe(prefix: PrefixCase) {
    prefix.sends_without_approval(prefix.max_wait()).await;
    for hours in [2, 4, 8, 16, 16] {
        let refusal = prefix.sends().await.expect_err("refused");
        let (exceeded, retry_after) = (refusal.exceeded(), refusal.retry_after());
        assert_eq!(exceeded, [Exceeded::Limit(Scope::Conversion)]);
        // Until the next probe, from the time at which it was known that the last was in vain.
        let expected = HOUR * hours;
        assert!(
            retry_after <= expected && retry_after + KNOWN > expected,
            "{hours} hours: {retry_after:?}"
        );
        prefix.clock.advance(retry_after - Duration::from_secs(1));
        prefix.sends().await.expect_err("a second too early");
        prefix.clock.advance(Duration::from_secs(1));
        prefix.sends().await.expect("a probe");
        prefix.sends().await.expect_err("one");
        prefix.clock.advance(KNOWN);
    }
    let subject = unique("prefix");
    PrefixCase { subject, ..prefix }.sends().await.expect("another prefix");
}

async fn prefix_with_approvals_is_admitted(prefix: PrefixCase) {
    for number in 0..100 {
        let (verification, _) = prefix.sends().await.expect("room");
        prefix.clock.advance(Duration::from_secs(20));
        if number % 5 != 0 {
            prefix.approves(&verification).await;
        }
        prefix.clock.advance(KNOWN);
    }
}

async fn pending_sms_are_not_held_against_a_prefix(prefix: PrefixCase) {
    let mut sent = Vec::new();
    for _ in 0..50 {
        sent.push(prefix.sends().await.expect("room").0);
        prefix.clock.advance(Duration::from_secs(2));
    }
    for (_, verification) in sent.iter().enumerate().filter(|(index, _)| index % 5 != 0) {
        prefix.approves(verification).await;
    }
    prefix.clock.advance(KNOWN);
    prefix.sends().await.expect("as many as elsewhere");
    for _ in 0..50 {
        prefix.sends().await.expect("room");
    }
    prefix.clock.advance(KNOWN);
    prefix.sends().await.expect_err("now it is known");
}

async fn pending_sms_are_held_against_a_suspect_prefix(prefix: PrefixCase) {
    prefix.sends_without_approval(prefix.max_wait() - 1).await;
    prefix.sends().await.expect("room for one");
    prefix.sends().await.expect("the first probe");
    prefix.sends().await.expect_err("without waiting for what becomes of them");
}

async fn late_approval_is_made_good(prefix: PrefixCase) {
    let count = prefix.max_wait() - 1;
    for round in 0..3 {
        let mut sent = Vec::new();
        for _ in 0..count {
            sent.push(
                prefix.sends().await.unwrap_or_else(|refusal| panic!("{round}: {refusal:?}")).0,
            );
        }
        prefix.clock.advance(KNOWN);
        for verification in &sent {
            prefix.approves(verification).await;
        }
    }
}

async fn prefix_recovers_by_its_probes(prefix: PrefixCase) {
    prefix.sends_without_approval(prefix.max_wait()).await;
    for _ in 0..3 {
        prefix.clock.advance(HOUR * 2);
        let (probe, _) = prefix.sends().await.expect("a probe");
        prefix.approves(&probe).await;
        prefix.clock.advance(KNOWN);
    }
    for _ in 0..3 {
        prefix.sends().await.expect("room again");
    }
}

async fn released_probe_is_available_again(prefix: PrefixCase) {
    prefix.sends_without_approval(prefix.max_wait()).await;
    prefix.clock.advance(HOUR * 2);
    for _ in 0..3 {
        let probe = prefix.request();
        assert!(matches!(prefix.store.admit(&probe).await, Ok(Decision::Admitted { .. })));
        prefix.sends().await.expect_err("one");
        prefix.store.release(&probe).await.expect("an answer");
    }
    prefix.sends().await.expect("a probe");
    prefix.sends().await.expect_err("one");
}

async fn pending_sms_make_no_refusal_longer(prefix: PrefixCase) {
    for _ in 0..prefix.max_wait() * 2 {
        prefix.sends().await.expect("room, while nobody knows");
        prefix.clock.advance(Duration::from_secs(11));
    }
    prefix.clock.advance(KNOWN);
    let retry_after = prefix.sends().await.expect_err("refused").retry_after();
    assert!(retry_after <= HOUR * 2, "{retry_after:?}");
}

async fn prefix_is_forgiven_in_time(prefix: PrefixCase) {
    prefix.sends_without_approval(prefix.max_wait()).await;
    prefix.sends().await.expect_err("refused");
    prefix.clock.advance(HOUR * 48);
    for _ in 0..3 {
        prefix.sends().await.expect("room again");
    }
}

async fn observe_mode_reports_and_refuses_nothing(mut prefix: PrefixCase) {
    prefix.test.action = GuardAction::Observe;
    prefix.sends_without_approval(prefix.max_wait()).await;
    let mut observed = Vec::new();
    for _ in 0..3 {
        observed.push(prefix.sends().await.expect("never refused").1);
    }
    assert_eq!(observed, [true, true, true]);
}

async fn released_request_counts_as_not_sent(prefix: PrefixCase) {
    for _ in 0..prefix.max_wait() * 2 {
        let candidate = prefix.request();
        assert!(matches!(prefix.store.admit(&candidate).await, Ok(Decision::Admitted { .. })));
        prefix.clock.advance(Duration::from_secs(15));
        prefix.store.release(&candidate).await.expect("an answer");
        prefix.clock.advance(KNOWN);
    }
    let known = prefix.store.conversion(&prefix.country).await.expect("an answer");
    assert!(known.sent.abs() < 0.01, "{known:?}");
}

async fn country_baseline_is_learned(prefix: PrefixCase) {
    assert_eq!(prefix.store.conversion(&prefix.country).await.expect("an answer").sent, 0.0);
    for number in 0..10 {
        let (verification, _) = prefix.sends().await.expect("room");
        if number < 7 {
            prefix.approves(&verification).await;
        }
    }
    let early = prefix.store.conversion(&prefix.country).await.expect("an answer");
    assert_eq!(early.sent, 0.0, "of the others it is not known yet");
    prefix.clock.advance(KNOWN);
    let known = prefix.store.conversion(&prefix.country).await.expect("an answer");
    assert!((known.sent - 10.0).abs() < 0.01 && (known.approved - 7.0).abs() < 0.01, "{known:?}");
    prefix.clock.advance(Duration::from_secs(7 * 86_400));
    let later = prefix.store.conversion(&prefix.country).await.expect("an answer");
    assert!(
        (later.sent - 5.0).abs() < 0.01 && (later.approved - 3.5).abs() < 0.01,
        "half after a week: {later:?}"
    );
}

async fn suspect_prefix_asks_for_a_challenge(mut prefix: PrefixCase) {
    prefix.test.action = GuardAction::Challenge;
    let max_wait = prefix.max_wait();
    let sent = prefix.sends_until_challenged().await;
    assert_eq!(sent, max_wait.div_ceil(2), "at a half of what it takes to be refused");
    for _ in 0..20 {
        assert!(prefix.is_challenged().await, "and what is not sent counts for nothing");
    }
    let solved = prefix.sends_solved().await;
    prefix.approves(&solved).await;
    prefix.clock.advance(KNOWN);
    assert!(!prefix.is_challenged().await, "a number was among them");
    prefix.test.action = GuardAction::Refuse;
    let mut solved = 0;
    while prefix.sends().await.is_ok() {
        solved += 1;
        prefix.clock.advance(KNOWN);
    }
    assert!((1..=max_wait).contains(&solved), "refused at last, whatever is solved: {solved}");
}

async fn country_asks_for_challenges_for_longer_each_time(prefix: PrefixCase) {
    let prefix = prefix.of_the_country();
    for hours in [2, 4, 8, 16, 16] {
        let sent = prefix.sends_until_challenged().await;
        assert!((5..30).contains(&sent), "{sent}");
        prefix.clock.advance(HOUR * hours - KNOWN);
        assert!(prefix.is_challenged().await, "still, after almost {hours} hours");
        prefix.clock.advance(KNOWN);
        assert!(!prefix.is_challenged().await, "no longer, after {hours} hours");
        prefix.clock.advance(KNOWN);
    }
    prefix.clock.advance(HOUR * 25);
    prefix.sends_until_challenged().await;
    prefix.clock.advance(HOUR * 2);
    assert!(!prefix.is_challenged().await, "what was yesterday is forgotten");
}

async fn country_with_approvals_asks_for_nothing(prefix: PrefixCase) {
    let prefix = prefix.of_the_country();
    for number in 0..200 {
        let (verification, _) = prefix.sends().await.expect("room");
        prefix.clock.advance(Duration::from_secs(20));
        if number % 5 != 0 {
            prefix.approves(&verification).await;
        }
        prefix.clock.advance(KNOWN);
    }
}

async fn country_recovers_though_it_is_abused(prefix: PrefixCase) {
    let prefix = prefix.of_the_country();
    prefix.sends_until_challenged().await;
    for _ in 0..20 {
        assert!(prefix.is_challenged().await, "bots");
        let solved = prefix.sends_solved().await;
        prefix.approves(&solved).await;
        prefix.clock.advance(Duration::from_secs(60));
    }
    let late = prefix.sends_solved().await;
    prefix.clock.advance(KNOWN);
    prefix.approves(&late).await;
    assert!(prefix.is_challenged().await, "people alone do not end it early");
    prefix.clock.advance(HOUR * 2);
    assert!(!prefix.is_challenged().await);
}
