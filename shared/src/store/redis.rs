//! The store on Redis or Valkey: each method is one Lua script, sent as one EVALSHA.
//!
//! The scripts stand in `scripts/`, one file each. They tell a repeated request by its name, so that a command whose
//! answer was lost with its connection can simply be sent again.

use std::fmt;
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use redis::io::tcp::TcpSettings;
use redis::{Client, ErrorKind, FromRedisValue, IntoConnectionInfo, RedisError, Script, ScriptInvocation};

use super::{Begin, Candidate, CheckResult, Decision, Finish, StoreError, key, millis, timestamp, until};
use crate::verification::{DeliveryState, Policy, Status, Verification, VerificationId};

/// Longest time that a request waits for the store, reconnection included. Store and queue together answer within a
/// second, or the caller gets a 503 within that second.
pub(super) const DEADLINE: Duration = Duration::from_millis(500);

/// How long data may stay unacknowledged before the kernel declares the connection dead: a peer that vanished without
/// a word (a frozen Lambda environment, a failover) costs this and not the 15 minutes that TCP would wait. It leaves
/// half of the deadline for a second try on a new connection. (A server that is slow still acknowledges.)
const TCP_USER_TIMEOUT: Duration = Duration::from_millis(250);

#[derive(Clone)]
pub(super) struct RedisStore {
    client: Client,
    connection: Arc<Mutex<ConnectionManager>>,
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
}

static SCRIPTS: LazyLock<Scripts> = LazyLock::new(|| Scripts {
    admit: Script::new(include_str!("scripts/admit.lua")),
    release: Script::new(include_str!("scripts/release.lua")),
    check: Script::new(include_str!("scripts/check.lua")),
    find: Script::new(include_str!("scripts/find.lua")),
    begin: Script::new(include_str!("scripts/begin.lua")),
    finish: Script::new(include_str!("scripts/finish.lua")),
});

impl RedisStore {
    pub(super) fn new(url: &str, policy: Policy) -> Result<Self, StoreError> {
        crate::tls::install();
        let tcp = TcpSettings::default().set_user_timeout(TCP_USER_TIMEOUT).set_nodelay(true);
        let client = Client::open(url.into_connection_info()?.set_tcp_settings(tcp))?;
        let connection = Arc::new(Mutex::new(connect(&client)?));
        Ok(Self { client, connection, policy: Arc::new(policy) })
    }

    pub(super) async fn admit(&self, candidate: &Candidate) -> Result<Decision, StoreError> {
        let policy = &self.policy;
        let mut call = SCRIPTS.admit.prepare_invoke();
        call.key(key(candidate.id.tag()))
            .arg(candidate.id.as_str())
            .arg(candidate.id.purpose().as_str())
            .arg(&candidate.to)
            .arg(millis(policy.ttl))
            .arg(millis(policy.resend_interval))
            .arg(millis(policy.max_life))
            .arg(policy.max_attempts);
        let answer = Answer::of(self.run(&call).await?);
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

    pub(super) async fn release(&self, candidate: &Candidate) -> Result<(), StoreError> {
        let mut call = SCRIPTS.release.key(key(candidate.id.tag()));
        call.arg(candidate.id.as_str());
        self.run(&call).await
    }

    pub(super) async fn check(
        &self,
        id: &VerificationId,
        right: bool,
        request: u64,
    ) -> Result<CheckResult, StoreError> {
        let mut call = SCRIPTS.check.key(key(id.tag()));
        call.arg(id.as_str())
            .arg(u8::from(right))
            .arg(request)
            .arg(self.policy.max_attempts)
            .arg(millis(self.policy.max_life));
        let answer = Answer::of(self.run(&call).await?);
        match answer.word()? {
            "approved" => Ok(CheckResult::Approved),
            "wrong" => Ok(CheckResult::Wrong { attempts_left: answer.number(1)? }),
            "locked" => Ok(CheckResult::Locked { retry_after: answer.wait(1)? }),
            "gone" => Ok(CheckResult::Gone),
            _ => Err(unexpected()),
        }
    }

    pub(super) async fn find(&self, id: &VerificationId) -> Result<Option<Verification>, StoreError> {
        let mut call = SCRIPTS.find.key(key(id.tag()));
        call.arg(id.as_str());
        let answer = Answer::of(self.run(&call).await?);
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
        let mut call = SCRIPTS.begin.key(key(id.tag()));
        call.arg(id.as_str()).arg(send).arg(millis(lease)).arg(worker);
        let answer = Answer::of(self.run(&call).await?);
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
        outcome: Finish,
        worker: u64,
    ) -> Result<(), StoreError> {
        let mut call = SCRIPTS.finish.key(key(id.tag()));
        call.arg(id.as_str()).arg(send).arg(outcome.state().as_str()).arg(worker);
        self.run(&call).await
    }

    pub(super) async fn ping(&self) -> Result<(), StoreError> {
        let mut connection = self.connection();
        let ping = async { redis::cmd("PING").query_async::<()>(&mut connection).await };
        tokio::time::timeout(DEADLINE, ping).await.map_err(|_| StoreError::Timeout)?.map_err(StoreError::Redis)
    }

    /// Sends a script, a second time if the connection turned out to be dead. (The server not knowing the script is
    /// handled by the client: it loads it and asks again.)
    async fn run<T: FromRedisValue>(&self, call: &ScriptInvocation<'_>) -> Result<T, StoreError> {
        let attempts = async {
            let mut connection = self.connection();
            match call.invoke_async(&mut connection).await {
                Err(error) if error.is_io_error() && !error.is_timeout() => call.invoke_async(&mut connection).await,
                result => result,
            }
        };
        match tokio::time::timeout(DEADLINE, attempts).await {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(error)) if error.is_timeout() => Err(StoreError::Timeout),
            Ok(Err(error)) => {
                // The manager reconnects after an input or output error and keeps any other for good: a password that
                // is wrong today may be right tomorrow.
                if !error.is_io_error() && !matches!(error.kind(), ErrorKind::Server(_)) {
                    *self.lock() = connect(&self.client)?;
                }
                Err(StoreError::Redis(error))
            }
            Err(_) => Err(StoreError::Timeout),
        }
    }

    fn connection(&self) -> ConnectionManager {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, ConnectionManager> {
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn attempts_left(&self, wrong: u32) -> u32 {
        self.policy.max_attempts.saturating_sub(wrong)
    }
}

/// A connection that is opened when it is first used, and again when it breaks.
fn connect(client: &Client) -> Result<ConnectionManager, RedisError> {
    let config = ConnectionManagerConfig::new()
        .set_number_of_retries(1)
        .set_min_delay(Duration::from_millis(20))
        .set_connection_timeout(Some(DEADLINE))
        .set_response_timeout(Some(DEADLINE));
    ConnectionManager::new_lazy_with_config(client.clone(), config)
}

impl fmt::Debug for RedisStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RedisStore")
    }
}

impl Finish {
    pub(super) fn state(self) -> DeliveryState {
        match self {
            Self::Sent => DeliveryState::Sent,
            Self::Retrying => DeliveryState::Retrying,
            Self::Failed => DeliveryState::Failed,
        }
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
