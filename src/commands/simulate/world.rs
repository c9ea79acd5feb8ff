//! The product in the simulation: the real admission and the real check on a store with a virtual
//! clock.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::error::Error;
use std::time::Duration;

use fastrand::Rng;
use sms_app::admission::{AbuseSettings, AdmissionError, Request, RequestCode};
use sms_app::challenge::Proof;
use sms_app::check::CheckCode;
use sms_domain::code::{Code, CodeLength};
use sms_domain::code_settings::CodeSettings;
use sms_domain::locale::Locale;
use sms_domain::phone::Region;
use sms_domain::secrets::Secrets;
use sms_domain::trace_context::RequestContext;
use sms_domain::verification::Verification;
use sms_domain::verification_id::{Purpose, VerificationId};
use sms_queue::Queue;
use sms_store::{CheckResult, Clock, Store};

use super::actors::{Actor, Step, attack_begins};

const DAY: Duration = Duration::from_secs(86_400);

/// What came of a day.
#[derive(Debug, Clone, Default)]
pub struct Outcome {
    /// SMS to attackers.
    pub sent: u32,
    /// From the beginning of the attack until something of it was first refused.
    pub detected: Option<Duration>,
    /// People who were refused.
    pub people_refused: u32,
    /// People who had to solve a challenge.
    pub people_challenged: u32,
    /// Codes of attackers that were compared.
    pub compared: u32,
}

pub struct World {
    admissions: RequestCode,
    checks: CheckCode,
    clock: Clock,
    rng: Rng,
    /// Since the day began.
    now: Duration,
    outcome: Outcome,
}

impl World {
    /// What stands between attackers and the gateway is `defence`.
    pub fn new(seed: u64, store: Store, defence: AbuseSettings) -> Result<Self, Box<dyn Error>> {
        let mut rng = Rng::with_seed(seed);
        // The same each time: a day is divided into the same slots. Far off, so that no Redis
        // forgets what is still needed.
        let clock = Clock::virtual_from("2100-01-01T00:00:00Z".parse()?);
        let store = store.with_clock(clock.clone());
        let secrets = Secrets::from_random(bytes(&mut rng));
        let limits = defence.limits.clone();
        let admissions = RequestCode {
            store: store.clone(),
            queue: Queue::memory(),
            secrets: secrets.clone(),
            abuse: defence,
            meiduo_keys: None,
        };
        let checks = CheckCode { store, codes: CodeSettings::new(secrets), limits };
        Ok(Self {
            admissions,
            checks,
            clock,
            rng,
            now: Duration::ZERO,
            outcome: Outcome::default(),
        })
    }

    /// Lets all of them do what they have planned, in the order of the clock, until the day is
    /// over.
    pub async fn day(&mut self, actors: Vec<Actor>) -> Result<(), Box<dyn Error>> {
        self.now = Duration::ZERO;
        let mut ids: Vec<Option<VerificationId>> = vec![None; actors.len()];
        let first =
            |index: usize| Reverse((actors[index].begins + actors[index].plan[0].0, index, 0));
        let mut agenda: BinaryHeap<_> = (0..actors.len()).map(first).collect();
        while let Some(Reverse((at, index, step))) = agenda.pop() {
            self.advance(at);
            let actor = &actors[index];
            if self.act(actor, actor.plan[step].1, &mut ids[index]).await?
                && let Some((wait, _)) = actor.plan.get(step + 1)
            {
                agenda.push(Reverse((at + *wait, index, step + 1)));
            }
        }
        self.advance(DAY);
        Ok(())
    }

    pub fn outcome(&self) -> Outcome {
        self.outcome.clone()
    }

    pub fn forget_outcome(&mut self) {
        self.outcome = Outcome::default();
    }

    fn advance(&mut self, to: Duration) {
        self.clock.advance(to.saturating_sub(self.now));
        self.now = self.now.max(to);
    }

    /// Does one step; whether the actor goes on.
    async fn act(
        &mut self,
        actor: &Actor,
        step: Step,
        id: &mut Option<VerificationId>,
    ) -> Result<bool, Box<dyn Error>> {
        match (step, id) {
            (Step::Ask, id) => self.ask(actor, id).await,
            (Step::Right | Step::Wrong, Some(id)) => self.types(actor, step, id).await,
            (Step::Right | Step::Wrong, None) => Ok(false),
        }
    }

    async fn ask(
        &mut self,
        actor: &Actor,
        id: &mut Option<VerificationId>,
    ) -> Result<bool, Box<dyn Error>> {
        let mut result = self.request(actor, None).await;
        if let Err(AdmissionError::Challenge { task, .. }) = &result {
            self.stopped(actor);
            if actor.solves {
                self.outcome.people_challenged += u32::from(!actor.attacks);
                result = self.request(actor, task.solve()).await;
            }
        }
        match result {
            Ok(verification) => {
                *id = Some(verification.id);
                self.outcome.sent += u32::from(actor.attacks);
                Ok(true)
            }
            Err(AdmissionError::Challenge { .. }) => Ok(false),
            Err(AdmissionError::Refused(_)) => {
                self.stopped(actor);
                self.outcome.people_refused += u32::from(!actor.attacks);
                Ok(false)
            }
            Err(error) => Err(error.into()),
        }
    }

    async fn request(
        &mut self,
        actor: &Actor,
        proof: Option<Proof>,
    ) -> Result<Verification, AdmissionError> {
        let request = Request {
            to: actor.to.clone(),
            country: Region::default().into(),
            ip: Some(actor.ip),
            tenant: None,
            locale: Locale::ZhCn,
            purpose: Purpose::default(),
            autofill: None,
            proof,
            names: RequestContext::default(),
        };
        self.admissions.request(request, bytes(&mut self.rng)).await
    }

    /// Something stood in somebody's way.
    fn stopped(&mut self, actor: &Actor) {
        if actor.attacks {
            self.outcome.detected.get_or_insert(self.now.saturating_sub(attack_begins()));
        }
    }

    async fn types(
        &mut self,
        actor: &Actor,
        step: Step,
        id: &VerificationId,
    ) -> Result<bool, Box<dyn Error>> {
        let length = self.checks.codes.length;
        let right = self.checks.codes.secrets.derive(id, length).ok_or("a code of this process")?;
        let typed = if step == Step::Right {
            right
        } else {
            other(&right, length).ok_or("another code")?
        };
        let result = self.checks.check(id, &typed, Some(actor.ip), self.rng.u64(..)).await?;
        if actor.attacks {
            self.outcome.compared +=
                u32::from(!matches!(result, CheckResult::Refused(_) | CheckResult::Gone));
        } else if matches!(result, CheckResult::Refused(_)) {
            self.outcome.people_refused += 1;
        }
        Ok(true)
    }
}

/// A code that is not this one.
fn other(code: &Code, length: CodeLength) -> Option<Code> {
    let first = if code.expose().starts_with('0') { "1" } else { "0" };
    Code::parse(&format!("{first}{}", &code.expose()[1..]), length)
}

fn bytes<const N: usize>(rng: &mut Rng) -> [u8; N] {
    let mut bytes = [0; N];
    rng.fill(&mut bytes);
    bytes
}
