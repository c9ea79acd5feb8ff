//! The store on Redis or Valkey: each method is one Lua script, sent as one EVALSHA.
//!
//! The scripts are in `scripts/commands/`, one file each; `redis/scripts/` adds their includes.
//! They recognize a repeated request by its identifier, so that a command whose reply was lost with
//! its connection can simply be sent again.

mod admission;
mod call;
mod causes;
mod cluster;
mod connection;
mod eviction;
mod guard_counts;
mod messages;
mod quotas;
mod recent_refusals;
mod reply;
mod scripts;
mod sentinel;
mod servers;

use std::fmt;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use redis::FromRedisValue;
use sms_domain::picture_id::{self, PictureId};
use sms_domain::quota::{Quota, Window};
use sms_domain::random::random_u64;
use sms_domain::verification::{DeliveryState, Policy, Verification};
use sms_domain::verification_id::{NumberTag, VerificationId};
use sms_outbound::dsn::DsnError;

use self::call::Call;
pub(crate) use self::causes::{CLUSTER_RIGHTS, RIGHTS, explain};
use self::connection::Connection;
pub(super) use self::connection::DEADLINE;
use self::guard_counts::GuardCounts;
use self::recent_refusals::RecentRefusals;
use self::reply::{ScriptReply, unexpected};
use self::scripts::{Scripts, Shape};
use crate::{
    Breaker, CLAIM_HELD, Circuit, Claim, ClaimedKey, Clock, Conclusion, Eviction, Health,
    LatestVerification, Lease, Permit, PermitRequest, RESPONSE_KEPT, SendOutcome, StoreError,
    account_key, claim_key, message_key, millis, number_key, picture_key, probe_key, resend,
    timestamp, until,
};

/// Validates a URL, and reads the files that it names.
pub(super) fn check_url(url: &str) -> Result<(), DsnError> {
    Connection::check(url)
}

/// The script of an admission, as Redis gets it.
pub(super) fn admission_script(windows: &[Window], quotas: &[Quota]) -> String {
    let policy = &Policy::default();
    let shape = Shape { policy, windows, quotas, verified: false, defers: true };
    scripts::REAL.admit.of(&shape).source().to_owned()
}

#[derive(Clone)]
pub(super) struct RedisStore {
    connection: Connection,
    policy: Arc<Policy>,
    clock: Clock,
    /// SMS that this process counts for the conversion guard; `None` if each is written at once.
    guard_counts: Option<GuardCounts>,
    /// `None` in a simulation, which wants each answer of the server.
    recent_refusals: Option<RecentRefusals>,
}

impl RedisStore {
    pub(super) fn new(url: &str, policy: Policy) -> Result<Self, StoreError> {
        Ok(Self {
            connection: Connection::new(url)?,
            policy: Arc::new(policy),
            clock: Clock::default(),
            guard_counts: None,
            recent_refusals: Some(RecentRefusals::default()),
        })
    }

    pub(super) fn with_guard_counts(self) -> Self {
        Self { guard_counts: Some(GuardCounts::default()), ..self }
    }

    pub(super) fn with_clock(self, clock: Clock) -> Self {
        let connection =
            if clock.is_virtual() { self.connection.for_simulation() } else { self.connection };
        let recent_refusals = self.recent_refusals.filter(|_| !clock.is_virtual());
        Self { connection, clock, recent_refusals, ..self }
    }

    pub(super) fn clock(&self) -> &Clock {
        &self.clock
    }

    pub(super) async fn find(
        &self,
        id: &VerificationId,
    ) -> Result<Option<Verification>, StoreError> {
        let call = self.scripts().find.call([number_key(id.tag())]).arg(id.as_str());
        self.found(&self.answer(call).await?)
    }

    pub(super) async fn latest(
        &self,
        tag: NumberTag,
    ) -> Result<Option<LatestVerification>, StoreError> {
        let call = self.scripts().find.call([number_key(tag)]).arg("");
        let answer = self.answer(call).await?;
        let Some(verification) = self.found(&answer)? else { return Ok(None) };
        let sms_at = (14..answer.len()).map(|index| answer.number(index).map(timestamp));
        Ok(Some(LatestVerification {
            verification,
            scope: answer.text(11)?.to_owned(),
            began_at: timestamp(answer.number(12)?),
            sms_number: answer.number(13)?,
            sms_at: sms_at.collect::<Result<_, _>>()?,
        }))
    }

    /// Reads a verification from a reply of `find`.
    fn found(&self, answer: &ScriptReply) -> Result<Option<Verification>, StoreError> {
        if answer.tag()? == "gone" {
            return Ok(None);
        }
        let now = answer.number(1)?;
        let attempts_left = self.attempts_left(answer.number(8)?);
        let locked_until = if attempts_left == 0 { answer.number(9)? } else { 0 };
        let (waits_for, resend_in) =
            resend(now, answer.number(6)?, answer.number(7)?, locked_until);
        Ok(Some(Verification {
            id: answer.id(10)?.ok_or_else(unexpected)?,
            to: answer.text(2)?.to_owned(),
            status: answer.status(3)?,
            delivery: answer.delivery(4)?,
            expires_at: timestamp(answer.number(5)?),
            expires_in: until(now, answer.number(5)?),
            resend_in,
            waits_for,
            attempts_left,
            locked_for: until(now, locked_until),
        }))
    }

    pub(super) async fn conclude(
        &self,
        id: &VerificationId,
        conclusion: Conclusion,
    ) -> Result<bool, StoreError> {
        let call = self.scripts().conclude.call([number_key(id.tag())]);
        let answer = self.answer(call.arg(id.as_str()).arg(conclusion.digit())).await?;
        if answer.tag()? == "gone" {
            return Ok(false);
        }
        self.report_approval(answer.number(1)?, answer.text(2)?).await;
        Ok(true)
    }

    pub(super) async fn acquire_lease(
        &self,
        id: &VerificationId,
        sms_number: u32,
        lease: Duration,
        worker: u64,
    ) -> Result<Lease, StoreError> {
        let call = self
            .scripts()
            .acquire_lease
            .call([number_key(id.tag())])
            .arg(id.as_str())
            .arg(sms_number)
            .arg(millis(lease))
            .arg(worker);
        let answer = self.answer(call).await?;
        match answer.tag()? {
            "go" => Ok(Lease::Granted { expires_in: answer.wait(1)?, uncertain: answer.flag(2)? }),
            "busy" => Ok(Lease::Busy),
            "sent" => Ok(Lease::AlreadySent),
            "gone" => Ok(Lease::Gone),
            _ => Err(unexpected()),
        }
    }

    pub(super) async fn record_outcome(
        &self,
        id: &VerificationId,
        sms_number: u32,
        outcome: &SendOutcome,
        worker: u64,
    ) -> Result<(), StoreError> {
        let message_id = outcome.message_id().unwrap_or_default();
        let call = self
            .scripts()
            .record_outcome
            .call([number_key(id.tag())])
            .arg(id.as_str())
            .arg(sms_number)
            .arg(outcome.as_str())
            .arg(worker)
            .arg(message_id);
        self.run(call).await
    }

    pub(super) async fn record_delivery_report(
        &self,
        tag: NumberTag,
        message_id: &str,
        delivered: bool,
    ) -> Result<bool, StoreError> {
        let state = if delivered { DeliveryState::Delivered } else { DeliveryState::Failed };
        let call = self
            .scripts()
            .record_delivery_report
            .call([number_key(tag)])
            .arg(message_id)
            .arg(state.as_str());
        self.run(call).await.map(|known: u8| known == 1)
    }

    pub(super) async fn permit(
        &self,
        account: &str,
        request: PermitRequest,
        breaker: Breaker,
    ) -> Result<Permit, StoreError> {
        let call = self
            .scripts()
            .permit
            .call([account_key(account)])
            .arg(request.rate.map_or(0, NonZeroU32::get))
            .arg(request.slot.unwrap_or(0))
            .arg(millis(request.max_wait))
            .arg(millis(breaker.trial));
        let answer = self.answer(call).await?;
        match answer.tag()? {
            "granted" => Ok(Permit::Granted { report_success: answer.flag(1)? }),
            "open" => Ok(Permit::Open { retry_in: answer.wait(1)? }),
            "wait" => Ok(Permit::Wait { wait: answer.wait(1)?, slot: answer.number(2)? }),
            "full" => Ok(Permit::Full),
            _ => Err(unexpected()),
        }
    }

    pub(super) async fn report(
        &self,
        account: &str,
        health: Health,
        breaker: Breaker,
    ) -> Result<(), StoreError> {
        let call = self
            .scripts()
            .report
            .call([account_key(account)])
            .arg(match health {
                Health::Up => "up",
                Health::Down => "down",
                Health::Unknown => "unknown",
            })
            .arg(breaker.failures)
            .arg(millis(breaker.open));
        self.run(call).await
    }

    pub(super) async fn circuit(&self, account: &str) -> Result<Circuit, StoreError> {
        let answer = self.answer(self.scripts().circuit.call([account_key(account)])).await?;
        Ok(Circuit { failures: answer.number(1)?, open_for: answer.wait(2)? })
    }

    pub(super) async fn keep_picture(
        &self,
        uuid: &PictureId,
        text: &str,
    ) -> Result<(), StoreError> {
        self.put_plain(&picture_key(uuid), text, picture_id::LIFETIME).await
    }

    pub(super) async fn keep_message(
        &self,
        gateway: &str,
        message_id: &str,
        tag: NumberTag,
    ) -> Result<(), StoreError> {
        self.put_plain(&message_key(gateway, message_id), &tag.to_string(), Policy::MAX_LIFE).await
    }

    pub(super) async fn message(
        &self,
        gateway: &str,
        message_id: &str,
    ) -> Result<Option<NumberTag>, StoreError> {
        let answer =
            self.answer(self.scripts().message.call([message_key(gateway, message_id)])).await?;
        if answer.tag()? == "unknown" { Ok(None) } else { Ok(NumberTag::parse(answer.text(1)?)) }
    }

    pub(super) async fn put_plain(
        &self,
        key: &str,
        value: &str,
        life: Duration,
    ) -> Result<(), StoreError> {
        self.run(self.scripts().put_plain.call([key.to_owned()]).arg(value).arg(millis(life))).await
    }

    pub(super) async fn take_picture(
        &self,
        uuid: &PictureId,
    ) -> Result<Option<String>, StoreError> {
        let answer = self.answer(self.scripts().take_picture.call([picture_key(uuid)])).await?;
        if answer.tag()? == "gone" { Ok(None) } else { Ok(Some(answer.text(1)?.to_owned())) }
    }

    pub(super) async fn claim(&self, key: &ClaimedKey) -> Result<Claim, StoreError> {
        let call = self.scripts().claim.call([claim_key(&key.subject)]);
        let answer =
            self.answer(call.arg(&key.fingerprint).arg(key.call).arg(millis(CLAIM_HELD))).await?;
        match answer.tag()? {
            "first" => Ok(Claim::Acquired),
            "at work" => Ok(Claim::InProgress),
            "other" => Ok(Claim::KeyReused),
            "answered" => Ok(Claim::Replay(answer.text(1)?.to_owned())),
            _ => Err(unexpected()),
        }
    }

    pub(super) async fn complete(
        &self,
        key: &ClaimedKey,
        response: Option<&str>,
    ) -> Result<(), StoreError> {
        let call = self.scripts().complete.call([claim_key(&key.subject)]);
        let response = response.unwrap_or_default();
        self.run(call.arg(key.call).arg(response).arg(millis(RESPONSE_KEPT))).await
    }

    pub(super) async fn ping(&self) -> Result<(), StoreError> {
        self.run(self.scripts().probe.call([probe_key(random_u64())])).await
    }

    pub(super) async fn eviction(&self) -> Result<Eviction, StoreError> {
        self.connection.eviction().await
    }

    fn scripts(&self) -> &'static Scripts {
        if self.clock.is_virtual() { &scripts::VIRTUAL } else { &scripts::REAL }
    }

    async fn run<T: FromRedisValue>(&self, call: Call) -> Result<T, StoreError> {
        let call = if self.clock.is_virtual() { call.arg(self.clock.micros()) } else { call };
        self.connection.run(&call).await
    }

    async fn answer(&self, call: Call) -> Result<ScriptReply, StoreError> {
        Ok(ScriptReply::of(self.run(call).await?))
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
