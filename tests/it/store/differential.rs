//! Memory and Redis side by side: random operations at random times, and equal answers demanded of
//! both at each step.
//!
//! Both stores have one virtual clock. It moves in steps of [`STEP`], since Redis forgets keys by
//! its own clock, which goes on meanwhile: what is forgotten within a step would otherwise depend
//! on how fast the machine is. For the same reason idempotency keys, pictures and messages have
//! other names after each step: their lifetimes are Redis's own.

use std::fmt::{self, Debug};
use std::num::NonZeroU32;
use std::ops::Range;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestRng, TestRunner};
use sms_domain::conversion_test::{Conversion, CusumTest, GuardAction};
use sms_domain::picture_id::PictureId;
use sms_domain::quota::{
    BudgetRule, NumberWindows, Quota, QuotaRule, Scope, Window, country_quota, number_quota,
    prefix_quota,
};
use sms_domain::random::random_bytes;
use sms_domain::verification::Policy;
use sms_domain::verification_id::{NumberTag, Purpose, VerificationId};
use sms_store::{
    AdmissionKind, AdmissionRequest, Breaker, ClaimedKey, Clock, Conclusion, Decision, Health,
    Permit, PermitRequest, SendOutcome, Store,
};
use tokio::runtime::Runtime;

use crate::support::services::redis_url;
use crate::support::{TestNumber, unique};

/// Each is a stream of cases of its own, the same in each run.
const SEEDS: [u8; 4] = [1, 2, 3, 4];
const CASES: u32 = 64;
const MOST_OPERATIONS: usize = 60;

const STEP: Duration = Duration::from_secs(10);
const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(86_400);

const PEOPLE: usize = 6;
const PURPOSES: [&str; 2] = ["", "pay"];
const BREAKER: Breaker =
    Breaker { failures: 2, open: Duration::from_millis(33_333), trial: Duration::from_secs(20) };

/// One step of a case. Numbers name people, verifications (0 is the latest of a person), workers,
/// accounts, messages, keys and pictures.
#[derive(Debug, Clone)]
enum Operation {
    Wait { steps: u32 },
    Admit { person: usize, purpose: usize, windows: usize, limits: Limits },
    AdmitMessage { person: usize, code: u8, windows: usize, limits: Limits },
    AdmitAgain { person: usize, back: usize },
    Release { person: usize, back: usize },
    Check { person: usize, back: usize, right: bool, request: u64, limits: Limits },
    Find { person: usize, back: usize },
    Latest { person: usize },
    Conclude { person: usize, back: usize, conclusion: Conclusion },
    Lease { person: usize, back: usize, sms_number: u32, lease: u64, worker: u64 },
    SendOutcome { person: usize, back: usize, sms_number: u32, outcome: SendOutcome, worker: u64 },
    DeliveryReport { person: usize, message: u8, delivered: bool },
    KeepMessage { person: usize, message: u8 },
    Message { message: u8 },
    Permit { account: u8, rate: u32, has_turn: bool, max_wait: u64 },
    Report { account: u8, health: Health },
    Circuit { account: u8 },
    Conversion,
    Claim { key: u8, fingerprint: u8, call: u64 },
    Settle { key: u8, fingerprint: u8, call: u64, has_answer: bool },
    KeepPicture { picture: u8 },
    TakePicture { picture: u8 },
}

/// The limits that an operation counts on, and the action of the conversion guard.
#[derive(Debug, Clone)]
struct Limits {
    kinds: Vec<Limit>,
    action: GuardAction,
}

#[derive(Debug, Clone, Copy)]
enum Limit {
    Minute,
    Hour,
    BudgetOfHour,
    BudgetOfDay,
    Block,
    Country,
}

const LIMITS: [Limit; 6] = [
    Limit::Minute,
    Limit::Hour,
    Limit::BudgetOfHour,
    Limit::BudgetOfDay,
    Limit::Block,
    Limit::Country,
];

const NO_LIMITS: Limits = Limits { kinds: Vec::new(), action: GuardAction::Observe };

fn limits(kinds: &[Limit]) -> BoxedStrategy<Limits> {
    let actions = prop::sample::select(vec![
        GuardAction::Observe,
        GuardAction::Refuse,
        GuardAction::Challenge,
    ]);
    let kinds = prop::sample::subsequence(kinds.to_vec(), 1..=kinds.len().min(2));
    (kinds, actions).prop_map(|(kinds, action)| Limits { kinds, action }).boxed()
}

/// A wait of a number of steps.
fn wait(steps: Range<u32>) -> BoxedStrategy<Operation> {
    steps.prop_map(|steps| Operation::Wait { steps }).boxed()
}

fn admit(people: usize, limits: BoxedStrategy<Limits>) -> BoxedStrategy<Operation> {
    let purpose = prop_oneof![3 => Just(0_usize), 1 => Just(1)];
    let windows = 0..3_usize;
    (0..people, purpose, windows, limits)
        .prop_map(|(person, purpose, windows, limits)| Operation::Admit {
            person,
            purpose,
            windows,
            limits,
        })
        .boxed()
}

/// A verification: mostly the latest of a person.
fn whose(people: usize) -> impl Strategy<Value = (usize, usize)> {
    (0..people, prop_oneof![6 => Just(0_usize), 1 => 1..3_usize])
}

fn about(people: usize, act: fn(usize, usize) -> Operation) -> BoxedStrategy<Operation> {
    whose(people).prop_map(move |(person, back)| act(person, back)).boxed()
}

fn admit_message(people: usize, limits: BoxedStrategy<Limits>) -> BoxedStrategy<Operation> {
    (0..people, 0..2_u8, 1..3_usize, limits)
        .prop_map(|(person, code, windows, limits)| Operation::AdmitMessage {
            person,
            code,
            windows,
            limits,
        })
        .boxed()
}

fn admit_again(people: usize) -> BoxedStrategy<Operation> {
    about(people, |person, back| Operation::AdmitAgain { person, back })
}

fn release(people: usize) -> BoxedStrategy<Operation> {
    about(people, |person, back| Operation::Release { person, back })
}

fn find(people: usize) -> BoxedStrategy<Operation> {
    about(people, |person, back| Operation::Find { person, back })
}

fn latest(people: usize) -> BoxedStrategy<Operation> {
    (0..people).prop_map(|person| Operation::Latest { person }).boxed()
}

fn conclude(people: usize, conclusion: Conclusion) -> BoxedStrategy<Operation> {
    whose(people)
        .prop_map(move |(person, back)| Operation::Conclude { person, back, conclusion })
        .boxed()
}

fn check(people: usize, limits: BoxedStrategy<Limits>) -> BoxedStrategy<Operation> {
    // At times the same request again.
    let requests = prop_oneof![3 => any::<u64>(), 1 => Just(7)];
    (whose(people), any::<bool>(), requests, limits)
        .prop_map(|((person, back), right, request, limits)| Operation::Check {
            person,
            back,
            right,
            request,
            limits,
        })
        .boxed()
}

/// The number of an SMS within its verification.
fn sms() -> impl Strategy<Value = u32> {
    prop_oneof![3 => Just(1_u32), 1 => 2..4_u32]
}

fn begin(people: usize) -> BoxedStrategy<Operation> {
    (whose(people), sms(), 5..40_u64, 1..3_u64)
        .prop_map(|((person, back), sms_number, lease, worker)| Operation::Lease {
            person,
            back,
            sms_number,
            lease,
            worker,
        })
        .boxed()
}

fn finish(people: usize) -> BoxedStrategy<Operation> {
    let sent = prop::option::of(0..2_u8)
        .prop_map(|id| SendOutcome::Sent { message_id: id.map(|id| format!("m{id}")) });
    let others = vec![
        SendOutcome::Retrying,
        SendOutcome::Requeued,
        SendOutcome::Failed,
        SendOutcome::Unknown,
    ];
    let outcome = prop_oneof![sent, prop::sample::select(others)];
    (whose(people), sms(), outcome, 1..3_u64)
        .prop_map(|((person, back), sms_number, outcome, worker)| Operation::SendOutcome {
            person,
            back,
            sms_number,
            outcome,
            worker,
        })
        .boxed()
}

fn receipt(people: usize) -> BoxedStrategy<Operation> {
    (0..people, 0..2_u8, any::<bool>())
        .prop_map(|(person, message, delivered)| Operation::DeliveryReport {
            person,
            message,
            delivered,
        })
        .boxed()
}

/// The steps of a verification, with these limits.
fn verifications(people: usize, on: fn() -> BoxedStrategy<Limits>) -> BoxedStrategy<Operation> {
    prop_oneof![
        4 => wait(1..6),
        1 => wait(6..60),
        8 => admit(people, on()),
        3 => admit_message(people, on()),
        1 => admit_again(people),
        2 => release(people),
        6 => check(people, on()),
        3 => find(people),
        1 => latest(people),
        1 => conclude(people, Conclusion::Cancelled),
        1 => conclude(people, Conclusion::Approved),
        1 => conclude(people, Conclusion::Converted),
        1 => begin(people),
        1 => finish(people),
    ]
    .boxed()
}

/// SMS on their way.
fn deliveries() -> BoxedStrategy<Operation> {
    prop_oneof![
        2 => wait(1..4),
        3 => admit(1, Just(NO_LIMITS).boxed()),
        2 => admit_message(1, Just(NO_LIMITS).boxed()),
        1 => release(1),
        6 => begin(1),
        6 => finish(1),
        4 => receipt(1),
        4 => find(1),
    ]
    .boxed()
}

/// Many people of one prefix, some of whom type their codes back.
fn conversions() -> BoxedStrategy<Operation> {
    let guard = || limits(&[Limit::Block, Limit::Country]);
    prop_oneof![
        2 => wait(1..3),
        4 => wait(12..30),
        2 => wait(700..3000),
        12 => admit(PEOPLE, guard()),
        3 => release(PEOPLE),
        4 => check(PEOPLE, Just(NO_LIMITS).boxed()),
        1 => Just(Operation::Conversion),
    ]
    .boxed()
}

fn accounts() -> BoxedStrategy<Operation> {
    let permit = (0..2_u8, 0..8_u32, any::<bool>(), 1..9_u64).prop_map(
        |(account, rate, has_turn, max_wait)| Operation::Permit {
            account,
            rate,
            has_turn,
            max_wait,
        },
    );
    let health =
        prop::sample::select(vec![Health::Up, Health::Down, Health::Down, Health::Unknown]);
    prop_oneof![
        1 => wait(1..5),
        6 => permit,
        3 => (0..2_u8, health)
            .prop_map(|(account, health)| Operation::Report { account, health }),
        1 => (0..2_u8).prop_map(|account| Operation::Circuit { account }),
    ]
    .boxed()
}

/// Operations on entries that are kept for a while under a name.
fn keys() -> BoxedStrategy<Operation> {
    let key = || (0..2_u8, 0..2_u8, 0..3_u64);
    prop_oneof![
        1 => wait(1..2),
        6 => key().prop_map(|(key, fingerprint, call)| Operation::Claim { key, fingerprint, call }),
        4 => (key(), any::<bool>()).prop_map(|((key, fingerprint, call), has_answer)| {
            Operation::Settle { key, fingerprint, call, has_answer }
        }),
        2 => (0..2_u8).prop_map(|picture| Operation::KeepPicture { picture }),
        2 => (0..2_u8).prop_map(|picture| Operation::TakePicture { picture }),
        1 => (0..PEOPLE, 0..2_u8)
            .prop_map(|(person, message)| Operation::KeepMessage { person, message }),
        1 => (0..2_u8).prop_map(|message| Operation::Message { message }),
    ]
    .boxed()
}

/// Each case has a theme: what belongs together meets often.
fn operations() -> impl Strategy<Value = Operations> {
    let of = |operation| prop::collection::vec(operation, 1..MOST_OPERATIONS);
    let money = || limits(&[Limit::BudgetOfHour, Limit::BudgetOfDay]);
    let all = || limits(&LIMITS);
    prop_oneof![
        3 => of(verifications(2, || Just(NO_LIMITS).boxed())),
        1 => of(verifications(2, || limits(&[Limit::Minute, Limit::Hour]))),
        2 => of(verifications(3, money)),
        1 => of(verifications(3, all)),
        4 => of(deliveries()),
        4 => of(conversions()),
        1 => of(accounts()),
        1 => of(keys()),
        1 => of(prop_oneof![
            3 => verifications(3, all), 1 => deliveries(), 1 => accounts(), 1 => keys(),
        ].boxed()),
    ]
    .prop_map(Operations)
}

fn policy() -> impl Strategy<Value = Policy> {
    let seconds = |choices: &[u64]| {
        let choices: Vec<Duration> = choices.iter().map(|one| Duration::from_secs(*one)).collect();
        prop::sample::select(choices)
    };
    let intervals = vec![Duration::from_secs(10), Duration::from_millis(25_500)];
    let lives = (seconds(&[40, 95, 300]), seconds(&[60, 600]), seconds(&[0, 7200]));
    (lives, prop::sample::select(intervals), 1..5_u32).prop_map(
        |((ttl, max_life, remember), resend_interval, max_attempts)| Policy {
            ttl,
            resend_interval,
            max_attempts,
            max_life,
            remember,
        },
    )
}

/// The steps of a case; a failure shows one on each line.
struct Operations(Vec<Operation>);

impl Debug for Operations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().enumerate().try_for_each(|(step, one)| write!(f, "\n{step:3}  {one:?}"))
    }
}

/// Both stores, and what a case has done with them so far.
struct Pair {
    memory: Store,
    redis: Store,
    clock: Clock,
    /// Its own names, in a Redis that others use too.
    name: String,
    steps: u32,
    people: Vec<TestNumber>,
    /// Of each person.
    candidates: Vec<Vec<AdmissionRequest>>,
    ids: Vec<Vec<VerificationId>>,
    /// The latest turn at each account.
    turns: [Option<i64>; 2],
    pictures: [PictureId; 2],
}

/// The first of a number's windows.
fn windows_of_a_number(count: usize) -> Vec<Window> {
    let [short, long] =
        [Window { max: 2, period: Duration::from_secs(120) }, Window { max: 4, period: HOUR }];
    [short, long][..count].to_vec()
}

impl Pair {
    fn new(policy: Policy) -> Self {
        let clock = Clock::virtual_from(tomorrow());
        let redis = Store::redis(&redis_url(), policy).expect("a URL");
        let picture = || PictureId::random(random_bytes());
        Self {
            memory: Store::memory(policy).with_clock(clock.clone()),
            redis: redis.with_clock(clock.clone()),
            clock,
            name: unique("differential"),
            steps: 0,
            people: (0..PEOPLE).map(|_| TestNumber::new()).collect(),
            candidates: vec![Vec::new(); PEOPLE],
            ids: vec![Vec::new(); PEOPLE],
            turns: [None; 2],
            pictures: [picture(), picture()],
        }
    }

    fn wait(&mut self, steps: u32) {
        self.clock.advance(STEP * steps);
        self.steps += steps;
        self.pictures = [0; 2].map(|_| PictureId::random(random_bytes()));
    }

    /// A name that is only this case's.
    fn own(&self, name: &str) -> String {
        format!("{}-{name}", self.name)
    }

    /// A name that is only this step's.
    fn now(&self, name: &str) -> String {
        format!("{}-{}-{name}", self.name, self.steps)
    }

    fn quotas(&self, limits: &Limits) -> Vec<Quota> {
        limits.kinds.iter().map(|kind| self.quota(*kind, limits.action)).collect()
    }

    fn quota(&self, limit: Limit, action: GuardAction) -> Quota {
        let own = |scope, rule| Quota { scope, subject: self.own("all"), rule };
        let budget = |price, soft_cap, hard_cap, period| {
            let budget = BudgetRule { price, soft_cap, hard_cap, period };
            own(Scope::Budget, QuotaRule::Budget(budget))
        };
        // Of few SMS, and not the four decimals that scripts are told.
        let test =
            CusumTest { action, threshold: 1.4, miss_weight: 0.699_96, hit_weight: -1.100_04 };
        match limit {
            Limit::Minute => {
                own(Scope::Ip, QuotaRule::Rate(Window { max: 3, period: Duration::from_secs(60) }))
            }
            Limit::Hour => own(Scope::Prefix, QuotaRule::Rate(Window { max: 6, period: HOUR })),
            Limit::BudgetOfHour => budget(2, 12, 14, HOUR),
            Limit::BudgetOfDay => budget(3, 15, 21, DAY),
            Limit::Block => prefix_quota(self.own("block"), test),
            Limit::Country => country_quota(self.own("country"), test),
        }
    }

    fn candidate(
        &mut self,
        person: usize,
        purpose: usize,
        windows: usize,
        on: &Limits,
    ) -> AdmissionRequest {
        let windows = windows_of_a_number(windows);
        let guarded = vec![self.own("block"), self.own("country")];
        let candidate = self.people[person].request_for(PURPOSES[purpose]);
        let candidate = AdmissionRequest { windows, quotas: self.quotas(on), guarded, ..candidate };
        self.candidates[person].push(candidate.clone());
        candidate
    }

    /// A message to a person. One with the same code is the same message.
    fn message(
        &mut self,
        person: usize,
        code: u8,
        windows: usize,
        on: &Limits,
    ) -> AdmissionRequest {
        let number = self.people[person].request();
        let windows = NumberWindows::new(windows_of_a_number(windows));
        let mut quotas = self.quotas(on);
        quotas.push(number_quota(number.id.tag(), windows));
        let mut hash = [code; 32];
        hash[..8].copy_from_slice(&number.id.tag().to_string().as_bytes()[..8]);
        let tag = NumberTag::from_hash(&hash);
        let candidate = AdmissionRequest {
            id: VerificationId::new(1, tag, random_bytes(), &Purpose::default()),
            quotas,
            guarded: vec![self.own("block"), self.own("country")],
            scope: "message/".to_owned(),
            kind: AdmissionKind::Message { life: Policy::MAX_LIFE },
            ..number
        };
        self.candidates[person].push(candidate.clone());
        candidate
    }

    /// An earlier request, if there is one.
    fn earlier(&self, person: usize, back: usize) -> Option<&AdmissionRequest> {
        self.candidates[person].iter().rev().nth(back)
    }

    fn id(&self, person: usize, back: usize) -> VerificationId {
        let unknown = || self.people[person].request().id;
        self.ids[person].iter().rev().nth(back).cloned().unwrap_or_else(unknown)
    }

    async fn admit(&mut self, person: usize, candidate: &AdmissionRequest) -> Answers {
        let answers = both(async |store| store.admit(candidate).await, self).await;
        if let (Decision::Admitted { verification, .. } | Decision::Known { verification, .. }, _) =
            &answers
            && self.ids[person].last() != Some(&verification.id)
        {
            self.ids[person].push(verification.id.clone());
        }
        told(answers)
    }

    async fn permit(&mut self, account: u8, rate: u32, has_turn: bool, max_wait: u64) -> Answers {
        let slot = self.turns[usize::from(account)].filter(|_| has_turn && rate > 0);
        let max_wait = Duration::from_millis(max_wait * 125);
        let asked = PermitRequest { rate: NonZeroU32::new(rate), slot, max_wait };
        let name = self.own(&format!("account-{account}"));
        let answers = both(async |store| store.permit(&name, asked, BREAKER).await, self).await;
        if let (Permit::Wait { slot, .. }, _) = answers {
            self.turns[usize::from(account)] = Some(slot);
        }
        told(answers)
    }

    /// The memory's answer and that of Redis.
    async fn perform(&mut self, operation: &Operation) -> Answers {
        match operation.clone() {
            Operation::Wait { steps } => {
                self.wait(steps);
                told(((), ()))
            }
            Operation::Admit { person, purpose, windows, limits } => {
                let candidate = self.candidate(person, purpose, windows, &limits);
                self.admit(person, &candidate).await
            }
            Operation::AdmitMessage { person, code, windows, limits } => {
                let candidate = self.message(person, code, windows, &limits);
                self.admit(person, &candidate).await
            }
            Operation::AdmitAgain { person, back } => {
                let Some(candidate) = self.earlier(person, back).cloned() else {
                    return told(((), ()));
                };
                self.admit(person, &candidate).await
            }
            Operation::Release { person, back } => {
                let Some(candidate) = self.earlier(person, back) else { return told(((), ())) };
                told(both(async |store| store.release(candidate).await, self).await)
            }
            Operation::Permit { account, rate, has_turn, max_wait } => {
                self.permit(account, rate, has_turn, max_wait).await
            }
            Operation::Check { .. }
            | Operation::Find { .. }
            | Operation::Latest { .. }
            | Operation::Conclude { .. }
            | Operation::Lease { .. }
            | Operation::SendOutcome { .. }
            | Operation::DeliveryReport { .. } => self.on_a_verification(operation).await,
            _ => self.on_something_else(operation).await,
        }
    }

    async fn on_a_verification(&self, operation: &Operation) -> Answers {
        match operation.clone() {
            Operation::Check { person, back, right, request, limits } => {
                let (id, quotas) = (self.id(person, back), self.quotas(&limits));
                told(
                    both(async |store| store.check(&id, right, request, &quotas).await, self).await,
                )
            }
            Operation::Find { person, back } => {
                let id = self.id(person, back);
                told(both(async |store| store.find(&id).await, self).await)
            }
            Operation::Latest { person } => {
                let tag = self.people[person].request().id.tag();
                told(both(async |store| store.latest(tag).await, self).await)
            }
            Operation::Conclude { person, back, conclusion } => {
                let id = self.id(person, back);
                told(both(async |store| store.conclude(&id, conclusion).await, self).await)
            }
            Operation::Lease { person, back, sms_number, lease, worker } => {
                let (id, lease) = (self.id(person, back), Duration::from_secs(lease));
                told(
                    both(
                        async |store| store.acquire_lease(&id, sms_number, lease, worker).await,
                        self,
                    )
                    .await,
                )
            }
            Operation::SendOutcome { person, back, sms_number, outcome, worker } => {
                let id = self.id(person, back);
                told(
                    both(
                        async |store| store.record_outcome(&id, sms_number, &outcome, worker).await,
                        self,
                    )
                    .await,
                )
            }
            Operation::DeliveryReport { person, message, delivered } => {
                let (tag, message) =
                    (self.people[person].request().id.tag(), format!("m{message}"));
                told(
                    both(
                        async |store| store.record_delivery_report(tag, &message, delivered).await,
                        self,
                    )
                    .await,
                )
            }
            other => panic!("{other:?} is about no verification"),
        }
    }

    async fn on_something_else(&self, operation: &Operation) -> Answers {
        match operation.clone() {
            Operation::KeepMessage { person, message } => {
                let (gateway, id) = (self.now("gateway"), message.to_string());
                let tag = self.people[person].request().id.tag();
                told(both(async |store| store.keep_message(&gateway, &id, tag).await, self).await)
            }
            Operation::Message { message } => {
                let (gateway, id) = (self.now("gateway"), message.to_string());
                told(both(async |store| store.message(&gateway, &id).await, self).await)
            }
            Operation::Report { account, health } => {
                let name = self.own(&format!("account-{account}"));
                told(both(async |store| store.report(&name, health, BREAKER).await, self).await)
            }
            Operation::Circuit { account } => {
                let name = self.own(&format!("account-{account}"));
                told(both(async |store| store.circuit(&name).await, self).await)
            }
            Operation::Conversion => {
                let country = self.own("country");
                let (memory, redis) =
                    both(async |store| store.conversion(&country).await, self).await;
                // Redis tells whole thousandths.
                let whole = |told: Conversion| [told.sent, told.approved].map(|one| one * 1000.0);
                told((whole(memory).map(f64::floor), whole(redis).map(f64::round)))
            }
            Operation::Claim { key, fingerprint, call } => {
                let key = self.claimed(key, fingerprint, call);
                told(both(async |store| store.claim(&key).await, self).await)
            }
            Operation::Settle { key, fingerprint, call, has_answer } => {
                let (key, answer) = (self.claimed(key, fingerprint, call), format!("to {call}"));
                let answer = has_answer.then_some(answer.as_str());
                told(both(async |store| store.complete(&key, answer).await, self).await)
            }
            Operation::KeepPicture { picture } => {
                let picture = &self.pictures[usize::from(picture)];
                told(both(async |store| store.keep_picture(picture, "ABCD").await, self).await)
            }
            Operation::TakePicture { picture } => {
                let picture = &self.pictures[usize::from(picture)];
                told(both(async |store| store.take_picture(picture).await, self).await)
            }
            other => panic!("{other:?} is about a verification"),
        }
    }

    fn claimed(&self, key: u8, fingerprint: u8, call: u64) -> ClaimedKey {
        let subject = self.now(&format!("key-{key}"));
        ClaimedKey { subject, fingerprint: fingerprint.to_string(), call }
    }
}

/// A whole day is to come before the virtual time is real: Redis deletes what is over by its own.
#[expect(clippy::disallowed_methods, reason = "a virtual clock begins at the present")]
fn tomorrow() -> Timestamp {
    let day = 86_400;
    let seconds = (Timestamp::now().as_second() / day + 2) * day;
    Timestamp::UNIX_EPOCH + SignedDuration::from_secs(seconds)
}

/// An operation on the memory, and then on Redis.
async fn both<T, E: Debug>(act: impl AsyncFn(&Store) -> Result<T, E>, pair: &Pair) -> (T, T) {
    (act(&pair.memory).await.expect("an answer"), act(&pair.redis).await.expect("an answer"))
}

/// The two answers, as a failure shows them.
struct Answers {
    memory: String,
    redis: String,
    are_equal: bool,
}

fn told<T: Debug + PartialEq>((memory, redis): (T, T)) -> Answers {
    Answers {
        are_equal: memory == redis,
        memory: format!("{memory:?}"),
        redis: format!("{redis:?}"),
    }
}

#[test]
fn memory_and_redis_answer_alike() {
    let runtime = Runtime::new().expect("a runtime");
    let cases = (policy(), operations());
    for seed in SEEDS {
        let config = Config {
            cases: CASES,
            failure_persistence: None,
            max_shrink_iters: 4000,
            ..Config::default()
        };
        let random = TestRng::from_seed(RngAlgorithm::ChaCha, &[seed; 32]);
        let run = TestRunner::new_with_rng(config, random).run(&cases, |(policy, operations)| {
            runtime.block_on(async {
                let mut pair = Pair::new(policy);
                for (step, operation) in operations.0.iter().enumerate() {
                    let Answers { memory, redis, are_equal } = pair.perform(operation).await;
                    if !are_equal {
                        return Err(TestCaseError::fail(format!(
                            "step {step}, {operation:?}\n  memory: {memory}\n  redis:  {redis}\n"
                        )));
                    }
                }
                Ok(())
            })
        });
        run.unwrap_or_else(|failure| panic!("seed {seed}: {failure}"));
    }
}
