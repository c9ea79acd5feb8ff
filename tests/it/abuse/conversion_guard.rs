//! The conversion guard as callers meet it: it learns a country, and finds the prefix whose codes
//! nobody types back.

use std::time::Duration;

use jiff::Timestamp;
use sms_app::abuse_settings::AbuseSettings;
use sms_app::challenge::Challenge;
use sms_app::conversion_guard::ConversionGuard;
use sms_app::request_code::{Request, RequestCode, RequestCodeError};
use sms_domain::conversion_test::GuardMode;
use sms_domain::phone::PhoneNumber;
use sms_domain::quota::Scope;
use sms_domain::random::{random_bytes, random_u64};
use sms_domain::refusal::Exceeded;
use sms_domain::secrets::Secrets;
use sms_domain::verification::Policy;
use sms_queue::Queue;
use sms_store::{CheckResult, Clock, Conclusion, Store};

use crate::support::{number, request, request_code};

struct Scene {
    request_code: RequestCode,
    clock: Clock,
}

impl Scene {
    #[expect(clippy::disallowed_methods, reason = "a virtual clock begins at the present")]
    fn new(mode: GuardMode) -> Self {
        let clock = Clock::virtual_from(Timestamp::now());
        let store = Store::memory(Policy::default()).with_clock(clock.clone());
        let request_code =
            request_code(store, Queue::memory(), Secrets::from_random(random_bytes()));
        let abuse = AbuseSettings { guard: ConversionGuard::new(mode), ..AbuseSettings::none() };
        Self { request_code: RequestCode { abuse, ..request_code }, clock }
    }

    /// Somebody asks for a code and types it back, or does not.
    async fn asks(&self, to: PhoneNumber, types_back: bool) -> Result<(), RequestCodeError> {
        let verification = self.request_code.request(request(to), random_bytes()).await?;
        self.clock.advance(Duration::from_secs(20));
        if types_back {
            let checked =
                self.request_code.store.check(&verification.id, true, random_u64(), &[]).await;
            assert_eq!(checked.expect("an answer"), CheckResult::Approved);
        }
        self.clock.advance(Duration::from_secs(60));
        Ok(())
    }

    /// Of people all over the country, nine in ten type their code back.
    async fn people(&self, count: u32) {
        for index in 0..count {
            // Each of another prefix.
            self.asks(number(index * 10_000), index % 10 != 0).await.expect("admitted");
        }
    }

    /// Asks for codes for numbers of as many prefixes as there are SMS, and types none back; solves
    /// challenges, or does not.
    async fn spread_bots(&self, count: u32, solve: bool) -> u32 {
        let mut sent = 0;
        for index in 0..count {
            let to = number(50_000_000 + index * 10_000);
            match self.asks(to.clone(), false).await {
                Ok(()) => sent += 1,
                Err(RequestCodeError::Challenge { task, wrong: false }) => {
                    let proof = if solve { task.solve() } else { None };
                    let solved = Request { proof, ..request(to) };
                    sent +=
                        u32::from(self.request_code.request(solved, random_bytes()).await.is_ok());
                    self.clock.advance(Duration::from_secs(60));
                }
                Err(error) => panic!("{error}"),
            }
        }
        sent
    }

    /// Asks for codes for numbers of one prefix and types none back; returns the number of SMS.
    async fn bots(&self, count: u32) -> u32 {
        let mut sent = 0;
        for index in 0..count {
            match self.asks(number(90_000_000 + index), false).await {
                Ok(()) => sent += 1,
                Err(RequestCodeError::Refused(refusal)) => {
                    assert_eq!(refusal.exceeded(), [Exceeded::Limit(Scope::Conversion)]);
                    self.clock.advance(Duration::from_secs(60));
                }
                Err(error) => panic!("{error}"),
            }
        }
        sent
    }
}

#[tokio::test]
async fn conversion_guard_refuses_an_abused_prefix_and_nobody_else() {
    let scene = Scene::new(GuardMode::Enforce);
    scene.people(300).await;
    let sent = scene.bots(1000).await;
    // Some until it is known what became of the first, and then a probe now and then.
    assert!(sent < 15, "{sent} of 1000");
    scene.people(300).await;
}

/// Whoever approves verifications without their codes proves nothing about the prefix.
#[tokio::test]
async fn conversion_guard_learns_nothing_of_approvals_without_codes() {
    let scene = Scene::new(GuardMode::Enforce);
    scene.people(300).await;
    let mut sent = 0;
    for index in 0..1000 {
        let to = request(number(90_000_000 + index));
        if let Ok(verification) = scene.request_code.request(to, random_bytes()).await {
            sent += 1;
            let store = &scene.request_code.store;
            let approved = store.conclude(&verification.id, Conclusion::Approved).await;
            assert!(approved.expect("an answer"));
        }
        scene.clock.advance(Duration::from_secs(80));
    }
    assert!(sent < 15, "{sent} of 1000");
}

#[tokio::test]
async fn conversion_guard_challenges_an_abused_country() {
    let mut scene = Scene::new(GuardMode::Enforce);
    scene.request_code.abuse.challenge =
        Challenge::parse("pow://default?effort=10").expect("a challenge");
    scene.people(300).await;
    let sent = scene.spread_bots(200, false).await;
    assert!(
        (5..40).contains(&sent),
        "some until it is known what became of the first: {sent} of 200"
    );
    let solved = scene.spread_bots(20, true).await;
    assert_eq!(solved, 20, "whoever solves it is not refused");
    let refused = scene.request_code.request(request(number(1_110_000)), random_bytes()).await;
    assert!(
        matches!(refused, Err(RequestCodeError::Challenge { wrong: false, .. })),
        "{refused:?}"
    );
}

#[tokio::test]
async fn conversion_guard_that_observes_refuses_nothing() {
    for (mode, people) in
        [(GuardMode::Observe, 300), (GuardMode::Off, 300), (GuardMode::Enforce, 100)]
    {
        let scene = Scene::new(mode);
        scene.people(people).await;
        assert_eq!(scene.bots(100).await, 100, "{mode:?}");
    }
    assert_eq!(
        Scene::new(GuardMode::Enforce).bots(1000).await,
        1000,
        "a load test, of which nobody types a code back"
    );
}
