//! Configuration: environment variables, read once, with every problem reported at once.
//!
//! Each binary has its struct: [`RequestConfig`], [`CheckConfig`] and [`SendConfig`] for the
//! functions, which need everything they use, and [`LocalConfig`] for local mode, where an embedded
//! part stands in for what is left out. A variable that is empty counts as not set.

mod address;
mod local;
mod queue;
pub mod settings;
mod vars;

use std::fmt;

pub use self::address::Address;
pub use self::local::{LocalConfig, Role};
pub use self::settings::{Group, SETTINGS, Setting};
pub use self::vars::OpsToken;
use self::vars::Vars;

use crate::budget::Budget;
use crate::challenge::Challenge;
use crate::code::{CodeLength, Secrets};
use crate::delivery::{DeliveryPolicy, Schedule};
use crate::guard;
use crate::http::{AllowedOrigins, BasePath, Callers};
use crate::limits::Limits;
use crate::meiduo::MeiduoKeys;
use crate::message::AllowedAutofill;
use crate::phone::{Countries, Region};
use crate::provider::Provider;
use crate::test_numbers::TestNumbers;
use crate::verification::Policy;

/// The word for what local mode has when `SMS_DSN` is not set.
const INBOX: &str = "inbox:";

/// Where variables are looked up: the environment, or a map in a test.
pub type Lookup<'a> = &'a dyn Fn(&str) -> Option<String>;

/// The process's environment, where settings are read.
#[must_use]
pub fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// All that is wrong with the configuration, one line for each variable.
#[derive(PartialEq, Eq)]
pub struct ConfigError(Vec<String>);

impl ConfigError {
    /// Each of them, with the variable's name at its front.
    pub fn problems(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the configuration has problems: {}", self.0.join("; "))
    }
}

impl fmt::Debug for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for ConfigError {}

/// What `request-code` needs.
#[derive(Debug, Clone)]
pub struct RequestConfig {
    /// `REDIS_URL`.
    pub redis: Address,
    /// `QUEUE_URL`.
    pub queue: Address,
    /// `CODE_SECRET`.
    pub secrets: Secrets,
    /// `CODE_TTL`, `RESEND_INTERVAL`, `MAX_ATTEMPTS`.
    pub policy: Policy,
    /// `DEFAULT_REGION`.
    pub region: Region,
    /// `WEBOTP_ORIGINS`, `ANDROID_APP_HASHES`.
    pub autofill: AllowedAutofill,
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
    /// `TEST_NUMBERS`.
    pub test_numbers: TestNumbers,
    /// `EVICTION`.
    pub accepts_eviction: bool,
    /// `MEIDUO_KEYS`, with `CODE_LENGTH` and `TEST_NUMBERS`.
    pub meiduo_keys: Option<MeiduoKeys>,
}

/// What `check-code` needs.
#[derive(Debug, Clone)]
pub struct CheckConfig {
    /// `REDIS_URL`.
    pub redis: Address,
    /// `CODE_SECRET`.
    pub secrets: Secrets,
    /// `CODE_TTL`, `RESEND_INTERVAL`, `MAX_ATTEMPTS`.
    pub policy: Policy,
    /// `CODE_LENGTH`.
    pub code_length: CodeLength,
    /// `SMS_DSN`: only to read receipts, which are not taken without it.
    pub provider: Option<Provider>,
    /// `TEST_NUMBERS`.
    pub test_numbers: TestNumbers,
    /// `EVICTION`.
    pub accepts_eviction: bool,
    /// `LIMITS`.
    pub limits: Limits,
    /// `CHALLENGE`.
    pub challenge: Option<Challenge>,
    /// `TRUSTED_PROXIES`, `API_KEYS`.
    pub callers: Callers,
    /// `ALLOW_ORIGINS`.
    pub origins: AllowedOrigins,
    /// `BASE_PATH`.
    pub base_path: BasePath,
    /// `DEFAULT_REGION`.
    pub region: Region,
}

/// What `send-sms` needs.
#[derive(Debug, Clone)]
pub struct SendConfig {
    /// `REDIS_URL`.
    pub redis: Address,
    /// `QUEUE_URL`.
    pub queue: Address,
    /// `DEAD_QUEUE_URL`: on SQS only.
    pub dead_queue: Option<Address>,
    /// `SMS_DSN`.
    pub provider: Provider,
    /// `CODE_SECRET`.
    pub secrets: Secrets,
    /// `CODE_TTL`, `RESEND_INTERVAL`, `MAX_ATTEMPTS`.
    pub policy: Policy,
    /// `CODE_LENGTH`.
    pub code_length: CodeLength,
    /// `RETRY_BACKOFF`, `MAX_RETRIES`.
    pub schedule: Schedule,
    /// `DELIVERY_POLICY`.
    pub delivery_policy: DeliveryPolicy,
    /// `TEST_NUMBERS`.
    pub test_numbers: TestNumbers,
    /// `EVICTION`.
    pub accepts_eviction: bool,
}

impl RequestConfig {
    /// The settings without which the function does not start.
    pub const REQUIRED: &[&Setting] =
        &[&settings::REDIS_URL, &settings::QUEUE_URL, &settings::CODE_SECRET];

    /// Reads the variables.
    ///
    /// # Errors
    /// [`ConfigError`] with every missing or wrong variable.
    pub fn read(lookup: Lookup<'_>) -> Result<Self, ConfigError> {
        let mut vars = Vars::new(lookup, Self::REQUIRED);
        let (redis, queue, secrets) = (vars.redis(), vars.queue(), vars.secrets());
        let (policy, region, autofill) = (vars.policy(), vars.region(), vars.autofill());
        let (limits, countries, guard, callers) =
            (vars.limits(), vars.countries(region), vars.guard(), vars.callers());
        let (challenge, budget, origins) = (vars.challenge(), vars.budget(), vars.origins());
        let base_path = vars.base_path();
        let code_length = vars.code_length();
        let test_numbers = vars.test_numbers(code_length);
        let meiduo_keys = vars.meiduo_keys(code_length, &test_numbers);
        let accepts_eviction = vars.accepts_eviction();
        vars.finish(|| {
            Some(Self {
                redis: redis?,
                queue: queue?,
                secrets: secrets?,
                policy,
                region,
                autofill,
                limits,
                countries,
                guard,
                challenge,
                budget,
                callers,
                origins,
                base_path,
                test_numbers,
                accepts_eviction,
                meiduo_keys,
            })
        })
    }
}

impl CheckConfig {
    /// The settings without which the function does not start.
    pub const REQUIRED: &[&Setting] = &[&settings::REDIS_URL, &settings::CODE_SECRET];

    /// Reads the variables.
    ///
    /// # Errors
    /// [`ConfigError`] with every missing or wrong variable.
    pub fn read(lookup: Lookup<'_>) -> Result<Self, ConfigError> {
        let mut vars = Vars::new(lookup, Self::REQUIRED);
        let (redis, secrets, provider) = (vars.redis(), vars.secrets(), vars.provider());
        let (policy, code_length) = (vars.policy(), vars.code_length());
        let test_numbers = vars.test_numbers(code_length);
        let (limits, challenge, callers) = (vars.limits(), vars.challenge(), vars.callers());
        let (origins, region, base_path) = (vars.origins(), vars.region(), vars.base_path());
        let accepts_eviction = vars.accepts_eviction();
        vars.finish(|| {
            Some(Self {
                redis: redis?,
                secrets: secrets?,
                policy,
                code_length,
                provider,
                test_numbers,
                accepts_eviction,
                limits,
                challenge,
                callers,
                origins,
                base_path,
                region,
            })
        })
    }
}

impl SendConfig {
    /// The settings without which the function does not start.
    pub const REQUIRED: &[&Setting] =
        &[&settings::REDIS_URL, &settings::QUEUE_URL, &settings::CODE_SECRET, &settings::SMS_DSN];

    /// Reads the variables.
    ///
    /// # Errors
    /// [`ConfigError`] with every missing or wrong variable.
    pub fn read(lookup: Lookup<'_>) -> Result<Self, ConfigError> {
        let mut vars = Vars::new(lookup, Self::REQUIRED);
        let (redis, queue, secrets, provider) =
            (vars.redis(), vars.queue(), vars.secrets(), vars.provider());
        if queue.as_ref().is_some_and(Address::is_http) {
            vars.require(&settings::DEAD_QUEUE_URL);
        }
        if vars.get(&settings::SMS_DSN).is_some_and(|dsn| dsn == INBOX) {
            vars.problem(&settings::SMS_DSN, "is inbox:, which exists in local mode alone");
        }
        let dead_queue = vars.dead_queue();
        let (policy, code_length) = (vars.policy(), vars.code_length());
        vars.fit(provider.as_ref(), code_length);
        let (schedule, delivery_policy) = (vars.schedule(), vars.delivery_policy());
        let test_numbers = vars.test_numbers(code_length);
        let accepts_eviction = vars.accepts_eviction();
        vars.finish(|| {
            Some(Self {
                redis: redis?,
                queue: queue?,
                dead_queue,
                provider: provider?,
                secrets: secrets?,
                policy,
                code_length,
                schedule,
                delivery_policy,
                test_numbers,
                accepts_eviction,
            })
        })
    }
}

#[cfg(test)]
mod tests;
