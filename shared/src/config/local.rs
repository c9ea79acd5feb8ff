//! What local mode reads: an embedded part stands in for what is left out.

use std::net::SocketAddr;

use super::settings::{self, Setting};
use super::vars::{OpsToken, Vars};
use super::{Address, ConfigError, INBOX, Lookup};
use crate::budget::Budget;
use crate::challenge::Challenge;
use crate::code::{CodeLength, Secrets};
use crate::delivery::{DeliveryPolicy, Schedule};
use crate::guard;
use crate::http::{AllowedOrigins, BasePath, Callers, TrustedProxies};
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
    /// `BASE_PATH`.
    pub base_path: BasePath,
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
    /// The settings without which it does not start.
    #[must_use]
    pub fn required(self) -> &'static [&'static Setting] {
        const ALONE: &[&Setting] =
            &[&settings::REDIS_URL, &settings::QUEUE_URL, &settings::CODE_SECRET];
        const QUEUE: &[&Setting] = &[&settings::QUEUE_URL];
        match self {
            Self::All => &[],
            Self::Api | Self::Worker => ALONE,
            Self::Invoker | Self::Dead => QUEUE,
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
            vars.require(&settings::DEAD_QUEUE_URL);
        }
        let uses_store = !matches!(role, Role::Invoker | Role::Dead);
        if redis.is_some() && uses_store && role == Role::All {
            vars.require(&settings::CODE_SECRET);
        }
        let (secrets, listen, callers) = (vars.secrets(), vars.listen(), vars.callers());
        let mut provider = vars.provider();
        if matches!(role, Role::All | Role::Worker)
            && vars.get(&settings::SMS_DSN).is_none_or(|dsn| dsn == INBOX)
        {
            if !has_pages(listen, &callers) {
                vars.problem(&settings::SMS_DSN, NO_INBOX);
            } else if role == Role::Worker {
                provider = Provider::from_dsn(&format!("inbox+http://{listen}")).ok();
            }
        }
        let (policy, code_length) = (vars.policy(), vars.code_length());
        vars.fit(provider.as_ref(), code_length);
        let (schedule, delivery_policy, region) =
            (vars.schedule(), vars.delivery_policy(), vars.region());
        let (autofill, test_numbers) = (vars.autofill(), vars.test_numbers(code_length));
        let (limits, countries, guard) = (vars.limits(), vars.countries(region), vars.guard());
        let (challenge, budget, origins) = (vars.challenge(), vars.budget(), vars.origins());
        let base_path = vars.base_path();
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
                base_path,
                meiduo_keys,
                accepts_eviction,
                ops_token,
            })
        })
    }

    /// Whether page and inbox are served: for this machine's own user only.
    #[must_use]
    pub fn has_pages(&self) -> bool {
        has_pages(self.listen, &self.callers)
    }
}

/// Why nobody would see what goes to the inbox.
const NO_INBOX: &str = "names no gateway, and there is no inbox where others reach the API (LISTEN is not loopback, or TRUSTED_PROXIES is \
    not 0); null://default is for what is not to be sent at all";

fn has_pages(listen: SocketAddr, callers: &Callers) -> bool {
    // Whatever comes through a proxy on this machine comes from elsewhere.
    listen.ip().is_loopback() && callers.proxies == TrustedProxies(0)
}
