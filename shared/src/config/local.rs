//! What local mode reads: an embedded part stands in for what is left out.

use std::net::SocketAddr;

use super::vars::{OpsToken, Vars};
use super::{Address, ConfigError, INBOX, Lookup};
use crate::budget::Budget;
use crate::challenge::Challenge;
use crate::code::{CodeLength, Secrets};
use crate::delivery::{DeliveryPolicy, Schedule};
use crate::guard;
use crate::http::{AllowedOrigins, Callers};
use crate::limits::Limits;
use crate::meiduo::MeiduoKeys;
use crate::message::AllowedAutofill;
use crate::phone::{Countries, Region};
use crate::provider::Provider;
use crate::test_numbers::TestNumbers;
use crate::verification::Policy;

/// What local mode needs, with `None` where an embedded part stands in.
#[derive(Debug, Clone)]
pub struct LocalConfig {
    /// `LISTEN`.
    pub listen: SocketAddr,
    /// `REDIS_URL`.
    pub redis: Option<Address>,
    /// `QUEUE_URL`.
    pub queue: Option<Address>,
    /// `DEAD_QUEUE_URL`.
    pub dead_queue: Option<Address>,
    /// `SMS_DSN`.
    pub provider: Option<Provider>,
    /// `CODE_SECRET`.
    pub secrets: Option<Secrets>,
    /// `CODE_TTL`, `RESEND_INTERVAL`, `MAX_ATTEMPTS`.
    pub policy: Policy,
    /// `CODE_LENGTH`.
    pub code_length: CodeLength,
    /// `RETRY_BACKOFF`, `MAX_RETRIES`.
    pub schedule: Schedule,
    /// `DELIVERY_POLICY`.
    pub delivery_policy: DeliveryPolicy,
    /// `DEFAULT_REGION`.
    pub region: Region,
    /// `WEBOTP_ORIGINS`, `ANDROID_APP_HASHES`.
    pub autofill: AllowedAutofill,
    /// `TEST_NUMBERS`.
    pub test_numbers: TestNumbers,
    /// `LIMITS`.
    pub limits: Limits,
    /// `ALLOWED_COUNTRIES`.
    pub countries: Countries,
    /// `GUARD`.
    pub guard: guard::Mode,
    /// `CHALLENGE`.
    pub challenge: Option<Challenge>,
    /// `BUDGET`, `PRICES`.
    pub budget: Budget,
    /// `TRUSTED_PROXIES`, `API_KEYS`.
    pub callers: Callers,
    /// `ALLOW_ORIGINS`.
    pub origins: AllowedOrigins,
    /// `MEIDUO_KEYS`.
    pub meiduo_keys: Option<MeiduoKeys>,
    /// `EVICTION`.
    pub accepts_eviction: bool,
    /// `OPS_TOKEN`.
    pub ops_token: Option<OpsToken>,
}

/// Which part of local mode is to run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// API, sender and inbox in one process: an embedded part stands in for whatever is left out.
    All,
    /// The API alone, whose store and queue are shared with senders.
    Api,
    /// A sender alone.
    Worker,
    /// A sender that hands its jobs to a function.
    Invoker,
    /// The dead letters.
    Dead,
}

impl Role {
    fn required(self) -> &'static [&'static str] {
        match self {
            Self::All => &[],
            Self::Api | Self::Worker => &["REDIS_URL", "QUEUE_URL", "CODE_SECRET"],
            Self::Invoker | Self::Dead => &["QUEUE_URL"],
        }
    }
}

impl LocalConfig {
    /// Reads the variables that `role` uses.
    ///
    /// # Errors
    /// [`ConfigError`] with every missing or wrong variable.
    pub fn read(lookup: Lookup<'_>, role: Role) -> Result<Self, ConfigError> {
        let mut vars = Vars::new(lookup, role.required());
        let (redis, queue, dead_queue) = (vars.redis(), vars.queue(), vars.dead_queue());
        if role == Role::Dead && queue.as_ref().is_some_and(Address::is_http) {
            vars.require("DEAD_QUEUE_URL");
        }
        let uses_store = !matches!(role, Role::Invoker | Role::Dead);
        if redis.is_some() && uses_store && role == Role::All {
            vars.require("CODE_SECRET");
        }
        let (secrets, listen, mut provider) = (vars.secrets(), vars.listen(), vars.provider());
        if vars.get("SMS_DSN").is_none_or(|dsn| dsn == INBOX) {
            match role {
                Role::Worker if listen.ip().is_loopback() => {
                    provider = Provider::from_dsn(&format!("inbox+http://{listen}")).ok();
                }
                Role::Worker => {
                    vars.problem("SMS_DSN", "is not set, and the API's inbox is there only while LISTEN is loopback");
                }
                Role::All if !listen.ip().is_loopback() => {
                    vars.problem("SMS_DSN", "is not set, and the inbox is there only while LISTEN is loopback");
                }
                _ => {}
            }
        }
        let (policy, code_length) = (vars.policy(), vars.code_length());
        vars.fit(provider.as_ref(), code_length);
        let (schedule, delivery_policy, region) = (vars.schedule(), vars.delivery_policy(), vars.region());
        let (autofill, test_numbers) = (vars.autofill(), vars.test_numbers(code_length));
        let (limits, countries, guard, callers) = (vars.limits(), vars.countries(region), vars.guard(), vars.callers());
        let (challenge, budget, origins) = (vars.challenge(), vars.budget(), vars.origins());
        let asks = matches!(role, Role::All | Role::Api);
        let meiduo_keys = if asks { vars.meiduo_keys(code_length, &test_numbers) } else { None };
        let (accepts_eviction, ops_token) = (vars.accepts_eviction(), vars.ops_token());
        vars.finish(|| {
            Some(Self {
                listen,
                redis,
                queue,
                dead_queue,
                provider,
                secrets,
                policy,
                code_length,
                schedule,
                delivery_policy,
                region,
                autofill,
                test_numbers,
                limits,
                countries,
                guard,
                challenge,
                budget,
                callers,
                origins,
                meiduo_keys,
                accepts_eviction,
                ops_token,
            })
        })
    }
}
