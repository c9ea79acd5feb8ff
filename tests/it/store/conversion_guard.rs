//! What a store promises of the conversion guard, on every store; by a clock that is moved by hand.

use std::time::Duration;

use jiff::Timestamp;
use shared::entropy::random_u64;
use shared::guard::{Answer, Test, block_quota, country_quota};
use shared::limits::{Exceeded, Refusal, Scope};
use shared::store::{Candidate, CheckResult, Clock, Decision, Store};
use shared::verification::{Policy, Verification};

use crate::support::contract::{Open, contract};
use crate::support::{Person, unique};

const HOUR: Duration = Duration::from_secs(3600);

/// After that it is known what became of an SMS.
const KNOWN: Duration = Duration::from_secs(131);

contract! {
    stores with super::Block::of;
    a_block_whose_codes_nobody_types_back_is_refused_but_for_a_probe
    a_block_whose_codes_are_typed_back_has_room
    what_nobody_knows_yet_is_not_held_against_a_block
    what_nobody_knows_yet_is_held_against_a_block_that_is_suspect
    an_approval_that_comes_late_is_made_good
    a_block_recovers_by_its_probes
    a_probe_that_is_released_is_still_to_be_had
    what_was_sent_before_it_was_known_makes_no_refusal_longer
    a_block_is_forgiven_in_time
    what_is_only_observed_is_told_and_not_refused
    what_is_released_was_not_sent
    a_country_is_learned_from
    a_suspicious_block_asks_for_a_challenge
    a_country_asks_for_a_challenge_for_longer_each_time
    a_country_whose_codes_are_typed_back_asks_for_nothing
    a_country_recovers_though_it_is_abused
}

/// A block of numbers, of a country that is only its own.
struct Block {
    store: Store,
    clock: Clock,
    subject: String,
    country: String,
    test: Test,
    /// That of the country.
    of_country: Test,
}

impl Block {
    #[expect(clippy::disallowed_methods, reason = "a virtual clock begins at the present")]
    fn of(open: Open) -> Self {
        let clock = Clock::virtual_from(Timestamp::now());
        Self {
            store: open(Policy::default()).with_clock(clock.clone()),
            clock,
            subject: unique("block"),
            country: unique("country"),
            test: Test::of_block(0.8, Answer::Refuse).expect("a test"),
            of_country: Test::default(),
        }
    }

    /// No block is looked at, and of the country fewer codes than usual are a reason to ask for a
    /// challenge.
    fn of_the_country(mut self) -> Self {
        self.test = Test::default();
        self.of_country = Test::of_country(0.8, Answer::Challenge).expect("a test");
        self
    }

    /// SMS without an approval that it takes until the block is refused.
    fn patience(&self) -> u32 {
        (1..100)
            .find(|count| f64::from(*count) * self.test.up >= self.test.threshold)
            .expect("an end")
    }

    fn asks(&self) -> Candidate {
        let of_country = country_quota(self.country.clone(), self.of_country);
        let quotas = vec![block_quota(self.subject.clone(), self.test), of_country];
        Candidate {
            quotas,
            guarded: vec![self.subject.clone(), self.country.clone()],
            ..Person::new().asks()
        }
    }

    /// Somebody else asks.
    async fn sends(&self) -> Result<(Verification, bool), Refusal> {
        match self.store.admit(&self.asks()).await.expect("an answer") {
            Decision::Admitted { verification, observed, .. } => Ok((verification, observed)),
            Decision::Refused(refusal) => Err(refusal),
            Decision::Challenged => panic!("challenged"),
        }
    }

    async fn is_challenged(&self) -> bool {
        matches!(self.store.admit(&self.asks()).await, Ok(Decision::Challenged))
    }

    /// Somebody asks who has solved a challenge.
    async fn sends_solved(&self) -> Verification {
        let solved = |test: Test| Test { answer: Answer::Refuse, ..test };
        let quotas = vec![
            block_quota(self.subject.clone(), solved(self.test)),
            country_quota(self.country.clone(), solved(self.of_country)),
        ];
        match self.store.admit(&Candidate { quotas, ..self.asks() }).await.expect("an answer") {
            Decision::Admitted { verification, .. } => verification,
            other => panic!("not admitted: {other:?}"),
        }
    }

    /// SMS in vain until a challenge is asked for: how many it takes.
    async fn sends_until_challenged(&self) -> u32 {
        for sent in 0..100 {
            match self.store.admit(&self.asks()).await.expect("an answer") {
                Decision::Challenged => return sent,
                Decision::Admitted { .. } => self.clock.advance(KNOWN),
                Decision::Refused(refusal) => panic!("{refusal:?}"),
            }
        }
        panic!("never")
    }

    async fn sends_in_vain(&self, count: u32) {
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

async fn a_block_whose_codes_nobody_types_back_is_refused_but_for_a_probe(block: Block) {
    block.sends_in_vain(block.patience()).await;
    for hours in [2, 4, 8, 16, 16] {
        let refusal = block.sends().await.expect_err("refused");
        let (exceeded, retry_after) = (refusal.exceeded(), refusal.retry_after());
        assert_eq!(exceeded, [Exceeded::Limit(Scope::Conversion)]);
        // Until the next probe, from the time at which it was known that the last was in vain.
        let expected = HOUR * hours;
        assert!(
            retry_after <= expected && retry_after + KNOWN > expected,
            "{hours} hours: {retry_after:?}"
        );
        block.clock.advance(retry_after - Duration::from_secs(1));
        block.sends().await.expect_err("a second too early");
        block.clock.advance(Duration::from_secs(1));
        block.sends().await.expect("a probe");
        block.sends().await.expect_err("one");
        block.clock.advance(KNOWN);
    }
    let subject = unique("block");
    Block { subject, ..block }.sends().await.expect("another block");
}

async fn a_block_whose_codes_are_typed_back_has_room(block: Block) {
    for number in 0..100 {
        let (verification, _) = block.sends().await.expect("room");
        block.clock.advance(Duration::from_secs(20));
        if number % 5 != 0 {
            block.approves(&verification).await;
        }
        block.clock.advance(KNOWN);
    }
}

async fn what_nobody_knows_yet_is_not_held_against_a_block(block: Block) {
    let mut sent = Vec::new();
    for _ in 0..50 {
        sent.push(block.sends().await.expect("room").0);
        block.clock.advance(Duration::from_secs(2));
    }
    for (_, verification) in sent.iter().enumerate().filter(|(index, _)| index % 5 != 0) {
        block.approves(verification).await;
    }
    block.clock.advance(KNOWN);
    block.sends().await.expect("as many as elsewhere");
    for _ in 0..50 {
        block.sends().await.expect("room");
    }
    block.clock.advance(KNOWN);
    block.sends().await.expect_err("now it is known");
}

async fn what_nobody_knows_yet_is_held_against_a_block_that_is_suspect(block: Block) {
    block.sends_in_vain(block.patience() - 1).await;
    block.sends().await.expect("room for one");
    block.sends().await.expect("the first probe");
    block.sends().await.expect_err("without waiting for what becomes of them");
}

async fn an_approval_that_comes_late_is_made_good(block: Block) {
    let count = block.patience() - 1;
    for round in 0..3 {
        let mut sent = Vec::new();
        for _ in 0..count {
            sent.push(
                block.sends().await.unwrap_or_else(|refusal| panic!("{round}: {refusal:?}")).0,
            );
        }
        block.clock.advance(KNOWN);
        for verification in &sent {
            block.approves(verification).await;
        }
    }
}

async fn a_block_recovers_by_its_probes(block: Block) {
    block.sends_in_vain(block.patience()).await;
    for _ in 0..3 {
        block.clock.advance(HOUR * 2);
        let (probe, _) = block.sends().await.expect("a probe");
        block.approves(&probe).await;
        block.clock.advance(KNOWN);
    }
    for _ in 0..3 {
        block.sends().await.expect("room again");
    }
}

async fn a_probe_that_is_released_is_still_to_be_had(block: Block) {
    block.sends_in_vain(block.patience()).await;
    block.clock.advance(HOUR * 2);
    for _ in 0..3 {
        let probe = block.asks();
        assert!(matches!(block.store.admit(&probe).await, Ok(Decision::Admitted { .. })));
        block.sends().await.expect_err("one");
        block.store.release(&probe).await.expect("an answer");
    }
    block.sends().await.expect("a probe");
    block.sends().await.expect_err("one");
}

async fn what_was_sent_before_it_was_known_makes_no_refusal_longer(block: Block) {
    for _ in 0..block.patience() * 2 {
        block.sends().await.expect("room, while nobody knows");
        block.clock.advance(Duration::from_secs(11));
    }
    block.clock.advance(KNOWN);
    let retry_after = block.sends().await.expect_err("refused").retry_after();
    assert!(retry_after <= HOUR * 2, "{retry_after:?}");
}

async fn a_block_is_forgiven_in_time(block: Block) {
    block.sends_in_vain(block.patience()).await;
    block.sends().await.expect_err("refused");
    block.clock.advance(HOUR * 48);
    for _ in 0..3 {
        block.sends().await.expect("room again");
    }
}

async fn what_is_only_observed_is_told_and_not_refused(mut block: Block) {
    block.test.answer = Answer::Observe;
    block.sends_in_vain(block.patience()).await;
    let mut observed = Vec::new();
    for _ in 0..3 {
        observed.push(block.sends().await.expect("never refused").1);
    }
    assert_eq!(observed, [true, true, true]);
}

async fn what_is_released_was_not_sent(block: Block) {
    for _ in 0..block.patience() * 2 {
        let candidate = block.asks();
        assert!(matches!(block.store.admit(&candidate).await, Ok(Decision::Admitted { .. })));
        block.clock.advance(Duration::from_secs(15));
        block.store.release(&candidate).await.expect("an answer");
        block.clock.advance(KNOWN);
    }
    let known = block.store.conversion(&block.country).await.expect("an answer");
    assert!(known.sent.abs() < 0.01, "{known:?}");
}

async fn a_country_is_learned_from(block: Block) {
    assert_eq!(block.store.conversion(&block.country).await.expect("an answer").sent, 0.0);
    for number in 0..10 {
        let (verification, _) = block.sends().await.expect("room");
        if number < 7 {
            block.approves(&verification).await;
        }
    }
    let early = block.store.conversion(&block.country).await.expect("an answer");
    assert_eq!(early.sent, 0.0, "of the others it is not known yet");
    block.clock.advance(KNOWN);
    let known = block.store.conversion(&block.country).await.expect("an answer");
    assert!((known.sent - 10.0).abs() < 0.01 && (known.approved - 7.0).abs() < 0.01, "{known:?}");
    block.clock.advance(Duration::from_secs(7 * 86_400));
    let later = block.store.conversion(&block.country).await.expect("an answer");
    assert!(
        (later.sent - 5.0).abs() < 0.01 && (later.approved - 3.5).abs() < 0.01,
        "half after a week: {later:?}"
    );
}

async fn a_suspicious_block_asks_for_a_challenge(mut block: Block) {
    block.test.answer = Answer::Challenge;
    let patience = block.patience();
    let sent = block.sends_until_challenged().await;
    assert_eq!(sent, patience.div_ceil(2), "at a half of what it takes to be refused");
    for _ in 0..20 {
        assert!(block.is_challenged().await, "and what is not sent counts for nothing");
    }
    let solved = block.sends_solved().await;
    block.approves(&solved).await;
    block.clock.advance(KNOWN);
    assert!(!block.is_challenged().await, "a person was among them");
    block.test.answer = Answer::Refuse;
    let mut solved = 0;
    while block.sends().await.is_ok() {
        solved += 1;
        block.clock.advance(KNOWN);
    }
    assert!((1..=patience).contains(&solved), "refused at last, whatever is solved: {solved}");
}

async fn a_country_asks_for_a_challenge_for_longer_each_time(block: Block) {
    let block = block.of_the_country();
    for hours in [2, 4, 8, 16, 16] {
        let sent = block.sends_until_challenged().await;
        assert!((5..30).contains(&sent), "{sent}");
        block.clock.advance(HOUR * hours - KNOWN);
        assert!(block.is_challenged().await, "still, after almost {hours} hours");
        block.clock.advance(KNOWN);
        assert!(!block.is_challenged().await, "no longer, after {hours} hours");
        block.clock.advance(KNOWN);
    }
    block.clock.advance(HOUR * 25);
    block.sends_until_challenged().await;
    block.clock.advance(HOUR * 2);
    assert!(!block.is_challenged().await, "what was yesterday is forgotten");
}

async fn a_country_whose_codes_are_typed_back_asks_for_nothing(block: Block) {
    let block = block.of_the_country();
    for number in 0..200 {
        let (verification, _) = block.sends().await.expect("room");
        block.clock.advance(Duration::from_secs(20));
        if number % 5 != 0 {
            block.approves(&verification).await;
        }
        block.clock.advance(KNOWN);
    }
}

async fn a_country_recovers_though_it_is_abused(block: Block) {
    let block = block.of_the_country();
    block.sends_until_challenged().await;
    for _ in 0..20 {
        assert!(block.is_challenged().await, "bots");
        let solved = block.sends_solved().await;
        block.approves(&solved).await;
        block.clock.advance(Duration::from_secs(60));
    }
    let late = block.sends_solved().await;
    block.clock.advance(KNOWN);
    block.approves(&late).await;
    assert!(block.is_challenged().await, "people alone do not end it early");
    block.clock.advance(HOUR * 2);
    assert!(!block.is_challenged().await);
}
