//! The simulated deployment: the real use cases on a store with a virtual clock.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::error::Error;
use std::time::Duration;

use fastrand::Rng;
use sms_app::abuse_settings::AbuseSettings;
use sms_app::challenge::Proof;
use sms_app::check_code::CheckCode;
use sms_app::request_code::{Request, RequestCode, RequestCodeError};
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

/// The outcome of a day.
#[derive(Debug, Clone, Default)]
pub struct Outcome {
    /// SMS sent to attackers.
    pub sent: u32,
    /// Time from the start of the attack to its first refusal or challenge.
    pub detected: Option<Duration>,
    /// People who were refused.
    pub people_refused: u32,
    /// People who had to solve a challenge.
    pub people_challenged: u32,
    /// Codes of attackers that were compared with the right one.
    pub compared: u32,
}

pub struct World {
    request_code: RequestCode,
    check_code: CheckCode,
    clock: Clock,
    rng: Rng,
    /// Time since midnight.
    now: Duration,
    outcome: Outcome,
}

impl World {
    /// Creates a deployment with the protection `defence`.
    pub fn new(seed: u64, store: Store, defence: AbuseSettings) -> Result<Self, Box<dyn Error>> {
        let mut rng = Rng::with_seed(seed);
        // A fixed time, so that every run has the same time slots; far in the future, so that Redis
        // expires no key during the simulation.
        let clock = Clock::virtual_from("2100-01-01T00:00:00Z".parse()?);
        let store = store.with_clock(clock.clone());
        let secrets = Secrets::from_random(bytes(&mut rng));
        let limits = defence.limits.clone();
        let request_code = RequestCode {
            store: store.clone(),
            queue: Queue::memory(),
            secrets: secrets.clone(),
            abuse: defence,
            meiduo_keys: None,
        };
        let check_code = CheckCode { store, codes: CodeSettings::new(secrets), limits };
        Ok(Self {
            request_code,
            check_code,
            clock,
            rng,
            now: Duration::ZERO,
            outcome: Outcome::default(),
        })
    }

    /// Runs the plans of all actors, in the order of time, until the day is over.
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

    /// Runs one step. Returns true if the actor continues.
    async fn act(
        &mut self,
        actor: &Actor,
        step: Step,
        id: &mut Option<VerificationId>,
    ) -> Result<bool, Box<dyn Error>> {
        match (step, id) {
            (Step::Request, id) => self.request_code(actor, id).await,
            (Step::Right | Step::Wrong, Some(id)) => self.check(actor, step, id).await,
            (Step::Right | Step::Wrong, None) => Ok(false),
        }
    }

    async fn request_code(
        &mut self,
        actor: &Actor,
        id: &mut Option<VerificationId>,
    ) -> Result<bool, Box<dyn Error>> {
        let mut result = self.request(actor, None).await;
        if let Err(RequestCodeError::Challenge { task, .. }) = &result {
            self.record_stop(actor);
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
            Err(RequestCodeError::Challenge { .. }) => Ok(false),
            Err(RequestCodeError::Refused(_)) => {
                self.record_stop(actor);
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
    ) -> Result<Verification, RequestCodeError> {
        let request = Request {
            to: actor.to.clone(),
            country: Region::default().into(),
            ip: Some(actor.ip),
            tenant: None,
            locale: Locale::ZhCn,
            purpose: Purpose::default(),
            owner: None,
            autofill: None,
            proof,
            context: RequestContext::default(),
        };
        self.request_code.request(request, bytes(&mut self.rng)).await
    }

    /// Records the time at which an attack was first refused or challenged.
    fn record_stop(&mut self, actor: &Actor) {
        if actor.attacks {
            self.outcome.detected.get_or_insert(self.now.saturating_sub(attack_begins()));
        }
    }

    async fn check(
        &mut self,
        actor: &Actor,
        step: Step,
        id: &VerificationId,
    ) -> Result<bool, Box<dyn Error>> {
        let length = self.check_code.codes.length;
        let right =
            self.check_code.codes.secrets.derive(id, length).ok_or("a code of this process")?;
        let typed = if step == Step::Right {
            right
        } else {
            other(&right, length).ok_or("another code")?
        };
        let result = self.check_code.check(id, &typed, Some(actor.ip), self.rng.u64(..)).await?;
        if actor.attacks {
            self.outcome.compared +=
                u32::from(!matches!(result, CheckResult::Refused(_) | CheckResult::Gone));
        } else if matches!(result, CheckResult::Refused(_)) {
            self.outcome.people_refused += 1;
        }
        Ok(true)
    }
}

/// A wrong code of the same length.
fn other(code: &Code, length: CodeLength) -> Option<Code> {
    let first = if code.expose().starts_with('0') { "1" } else { "0" };
    Code::parse(&format!("{first}{}", &code.expose()[1..]), length)
}

fn bytes<const N: usize>(rng: &mut Rng) -> [u8; N] {
    let mut bytes = [0; N];
    rng.fill(&mut bytes);
    bytes
}
