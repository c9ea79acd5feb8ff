//! The store on Redis or Valkey: each method is one Lua script, sent as one EVALSHA.
//!
//! The scripts stand in `scripts/`, one file each. They tell a repeated request by its name, so that a command whose
//! answer was lost with its connection can simply be sent again.

mod connection;

use std::fmt;
use std::num::NonZeroU32;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use redis::{ErrorKind, RedisError};

pub(super) use self::connection::DEADLINE;
use self::connection::{Connection, Script};
use super::{
    Asked, Begin, Breaker, Candidate, CheckResult, Decision, Finish, Permit, Release, StoreError, account_key, key,
    millis, timestamp, until,
};
use crate::verification::{DeliveryState, NumberTag, Policy, Status, Verification, VerificationId};

#[derive(Clone)]
pub(super) struct RedisStore {
    connection: Connection,
    policy: Arc<Policy>,
}

/// The scripts, hashed once.
struct Scripts {
    admit: Script,
    release: Script,
    check: Script,
    find: Script,
    begin: Script,
    finish: Script,
    receipt: Script,
    permit: Script,
    report: Script,
}

static SCRIPTS: LazyLock<Scripts> = LazyLock::new(|| Scripts {
    admit: Script::new(include_str!("scripts/admit.lua")),
    release: Script::new(include_str!("scripts/release.lua")),
    check: Script::new(include_str!("scripts/check.lua")),
    find: Script::new(include_str!("scripts/find.lua")),
    begin: Script::new(include_str!("scripts/begin.lua")),
    finish: Script::new(include_str!("scripts/finish.lua")),
    receipt: Script::new(include_str!("scripts/receipt.lua")),
    permit: Script::new(include_str!("scripts/permit.lua")),
    report: Script::new(include_str!("scripts/report.lua")),
});

impl RedisStore {
    pub(super) fn new(url: &str, policy: Policy) -> Result<Self, StoreError> {
        Ok(Self { connection: Connection::new(url)?, policy: Arc::new(policy) })
    }

    pub(super) async fn admit(&self, candidate: &Candidate) -> Result<Decision, StoreError> {
        let policy = &self.policy;
        let call = SCRIPTS
            .admit
            .call(&key(candidate.id.tag()))
            .arg(candidate.id.as_str())
            .arg(candidate.id.purpose().as_str())
            .arg(&candidate.to)
            .arg(millis(policy.ttl))
            .arg(millis(policy.resend_interval))
            .arg(millis(policy.max_life))
            .arg(policy.max_attempts);
        let answer = Answer::of(self.connection.run(&call).await?);
        match answer.word()? {
            "admitted" => {
                let now = answer.number(3)?;
                let verification = Verification {
                    id: answer.id(1)?,
                    to: candidate.to.clone(),
                    status: Status::Pending,
                    delivery: DeliveryState::Queued,
                    expires_at: timestamp(answer.number(4)?),
                    expires_in: until(now, answer.number(4)?),
                    resend_in: until(now, answer.number(5)?),
                    attempts_left: self.attempts_left(answer.number(6)?),
                };
                Ok(Decision::Admitted { verification, send: answer.number(2)? })
            }
            "cooldown" => Ok(Decision::Cooldown { retry_after: answer.wait(1)? }),
            "locked" => Ok(Decision::Locked { retry_after: answer.wait(1)? }),
            _ => Err(unexpected()),
        }
    }

    pub(super) async fn release(&self, candidate: &Candidate) -> Result<Release, StoreError> {
        let call = SCRIPTS.release.call(&key(candidate.id.tag())).arg(candidate.id.as_str());
        let answer = Answer::of(self.connection.run(&call).await?);
        match answer.word()? {
            "released" => Ok(Release::Released),
            "begun" => Ok(Release::Begun),
            _ => Err(unexpected()),
        }
    }

    pub(super) async fn check(
        &self,
        id: &VerificationId,
        right: bool,
        request: u64,
    ) -> Result<CheckResult, StoreError> {
        let call = SCRIPTS
            .check
            .call(&key(id.tag()))
            .arg(id.as_str())
            .arg(u8::from(right))
            .arg(request)
            .arg(self.policy.max_attempts)
            .arg(millis(self.policy.max_life));
        let answer = Answer::of(self.connection.run(&call).await?);
        match answer.word()? {
            "approved" => Ok(CheckResult::Approved),
            "wrong" => Ok(CheckResult::Wrong { attempts_left: answer.number(1)? }),
            "locked" => Ok(CheckResult::Locked { retry_after: answer.wait(1)? }),
            "gone" => Ok(CheckResult::Gone),
            _ => Err(unexpected()),
        }
    }

    pub(super) async fn find(&self, id: &VerificationId) -> Result<Option<Verification>, StoreError> {
        let call = SCRIPTS.find.call(&key(id.tag())).arg(id.as_str());
        let answer = Answer::of(self.connection.run(&call).await?);
        if answer.word()? == "gone" {
            return Ok(None);
        }
        let now = answer.number(1)?;
        Ok(Some(Verification {
            id: id.clone(),
            to: answer.text(2)?.to_owned(),
            status: if answer.text(3)? == Status::Approved.as_str() { Status::Approved } else { Status::Pending },
            delivery: DeliveryState::parse(answer.text(4)?).ok_or_else(unexpected)?,
            expires_at: timestamp(answer.number(5)?),
            expires_in: until(now, answer.number(5)?),
            resend_in: until(now, answer.number(6)?),
            attempts_left: self.attempts_left(answer.number(7)?),
        }))
    }

    pub(super) async fn begin(
        &self,
        id: &VerificationId,
        send: u32,
        lease: Duration,
        worker: u64,
    ) -> Result<Begin, StoreError> {
        let call = SCRIPTS.begin.call(&key(id.tag())).arg(id.as_str()).arg(send).arg(millis(lease)).arg(worker);
        let answer = Answer::of(self.connection.run(&call).await?);
        match answer.word()? {
            "go" => Ok(Begin::Go { expires_in: answer.wait(1)?, uncertain: answer.number::<u8>(2)? == 1 }),
            "busy" => Ok(Begin::Busy),
            "sent" => Ok(Begin::AlreadySent),
            "gone" => Ok(Begin::Gone),
            _ => Err(unexpected()),
        }
    }

    pub(super) async fn finish(
        &self,
        id: &VerificationId,
        send: u32,
        outcome: &Finish,
        worker: u64,
    ) -> Result<(), StoreError> {
        let message_id = outcome.message_id().unwrap_or_default();
        let call = SCRIPTS
            .finish
            .call(&key(id.tag()))
            .arg(id.as_str())
            .arg(send)
            .arg(outcome.as_str())
            .arg(worker)
            .arg(message_id);
        self.connection.run(&call).await
    }

    pub(super) async fn receipt(&self, tag: NumberTag, message_id: &str, delivered: bool) -> Result<(), StoreError> {
        let state = if delivered { DeliveryState::Delivered } else { DeliveryState::Failed };
        let call = SCRIPTS.receipt.call(&key(tag)).arg(message_id).arg(state.as_str());
        self.connection.run(&call).await
    }

    pub(super) async fn permit(&self, account: &str, asked: Asked, breaker: Breaker) -> Result<Permit, StoreError> {
        let call = SCRIPTS
            .permit
            .call(&account_key(account))
            .arg(asked.rate.map_or(0, NonZeroU32::get))
            .arg(asked.turn.unwrap_or(0))
            .arg(millis(asked.patience))
            .arg(millis(breaker.trial));
        let answer = Answer::of(self.connection.run(&call).await?);
        match answer.word()? {
            "granted" => Ok(Permit::Granted { tell: answer.number::<u8>(1)? == 1 }),
            "open" => Ok(Permit::Open { retry_in: answer.wait(1)? }),
            "wait" => Ok(Permit::Wait { wait: answer.wait(1)?, turn: answer.number(2)? }),
            "full" => Ok(Permit::Full),
            _ => Err(unexpected()),
        }
    }

    pub(super) async fn report(&self, account: &str, up: bool, breaker: Breaker) -> Result<(), StoreError> {
        let call = SCRIPTS
            .report
            .call(&account_key(account))
            .arg(u8::from(up))
            .arg(breaker.failures)
            .arg(millis(breaker.open));
        self.connection.run(&call).await
    }

    pub(super) async fn ping(&self) -> Result<(), StoreError> {
        self.connection.ping().await
    }

    fn attempts_left(&self, wrong: u32) -> u32 {
        self.policy.max_attempts.saturating_sub(wrong)
    }
}

impl fmt::Debug for RedisStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RedisStore")
    }
}

/// A script's answer: a word, then its values.
struct Answer(Vec<redis::Value>);

impl Answer {
    fn of(values: Vec<redis::Value>) -> Self {
        Self(values)
    }

    fn word(&self) -> Result<&str, StoreError> {
        self.text(0)
    }

    fn text(&self, index: usize) -> Result<&str, StoreError> {
        match self.0.get(index) {
            Some(redis::Value::BulkString(bytes)) => std::str::from_utf8(bytes).map_err(|_| unexpected()),
            _ => Err(unexpected()),
        }
    }

    fn number<T: TryFrom<i64>>(&self, index: usize) -> Result<T, StoreError> {
        match self.0.get(index) {
            Some(redis::Value::Int(number)) => T::try_from(*number).map_err(|_| unexpected()),
            _ => Err(unexpected()),
        }
    }

    fn wait(&self, index: usize) -> Result<Duration, StoreError> {
        Ok(until(0, self.number(index)?))
    }

    fn id(&self, index: usize) -> Result<VerificationId, StoreError> {
        VerificationId::parse(self.text(index)?).ok_or_else(unexpected)
    }
}

/// An entry that no release of this product wrote.
fn unexpected() -> StoreError {
    StoreError::Redis(RedisError::from((ErrorKind::UnexpectedReturnType, "a script answered what it never does")))
}
