//! Configuration: environment variables, read once, with every problem reported at once.
//!
//! Each binary has its struct: [`RequestConfig`], [`CheckConfig`], [`SendConfig`] and
//! [`CognitoConfig`] for the functions, which require all their servers, and [`LocalConfig`] for
//! local mode, where an embedded part replaces a server that is not set. An empty variable counts
//! as not set.

mod address;
mod groups;
mod key_arn;
mod local;
mod ops_token;
mod queue;
pub mod settings;
mod vars;

use std::fmt;

use sms_app::abuse_settings::AbuseSettings;
use sms_app::challenge::Challenge;
use sms_app::meiduo_keys::MeiduoKeys;
use sms_app::send_sms::DeliveryPolicy;
use sms_domain::code_settings::CodeSettings;
use sms_domain::limits::Limits;
use sms_domain::message::AllowedAutofill;
use sms_domain::phone::Region;
use sms_domain::retry_schedule::Schedule;
use sms_domain::secrets::Secrets;
use sms_domain::verification::Policy;
use sms_gateways::Gateways;
use sms_http::HttpSettings;

pub use self::address::Address;
pub use self::key_arn::KeyArn;
pub use self::local::{LocalConfig, Role};
pub use self::ops_token::OpsToken;
pub use self::settings::{Group, SETTINGS, Setting};
use self::vars::Vars;

/// The value of `SMS_DSN` for the inbox of local mode, which is also its default.
const INBOX: &str = "inbox:";

/// The source of variables: the environment, or a map in a test.
pub type Lookup<'a> = &'a dyn Fn(&str) -> Option<String>;

/// The process's environment, where settings are read.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "the one place where settings are read")]
pub fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// Every problem of the configuration, one line for each variable.
#[derive(PartialEq, Eq)]
pub struct ConfigError(Vec<String>);

impl ConfigError {
    /// The problems, each with the variable's name in front.
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

/// The store's settings, besides its address.
#[derive(Debug, Clone)]
pub struct StoreSettings {
    /// `CODE_TTL`, `RESEND_INTERVAL`, `MAX_ATTEMPTS`.
    pub policy: Policy,
    /// `EVICTION`.
    pub accepts_eviction: bool,
}

/// The settings of `request-code`.
#[derive(Debug, Clone)]
pub struct RequestConfig {
    /// `REDIS_URL`.
    pub redis: Address,
    /// `QUEUE_URL`.
    pub queue: Address,
    /// Lifetimes of codes, and whether a Redis that evicts is accepted.
    pub store: StoreSettings,
    /// Secrets and test numbers.
    pub codes: CodeSettings,
    /// Protection against abuse.
    pub abuse: AbuseSettings,
    /// Settings of the HTTP API.
    pub http: HttpSettings,
    /// `WEBOTP_ORIGINS`, `ANDROID_APP_HASHES`.
    pub autofill: AllowedAutofill,
    /// `MEIDUO_KEYS`.
    pub meiduo_keys: Option<MeiduoKeys>,
}

/// The settings of `check-code`.
#[derive(Debug, Clone)]
pub struct CheckConfig {
    /// `REDIS_URL`.
    pub redis: Address,
    /// Lifetimes of codes, and whether a Redis that evicts is accepted.
    pub store: StoreSettings,
    /// Secrets, length and test numbers.
    pub codes: CodeSettings,
    /// `LIMITS`.
    pub limits: Limits,
    /// `CHALLENGE`: for pictures.
    pub challenge: Option<Challenge>,
    /// `SMS_DSN`: only to read delivery reports, which are refused without it.
    pub gateways: Option<Gateways>,
    /// Settings of the HTTP API.
    pub http: HttpSettings,
}

/// The settings of `send-sms`.
#[derive(Debug, Clone)]
pub struct SendConfig {
    /// `REDIS_URL`.
    pub redis: Address,
    /// `QUEUE_URL`.
    pub queue: Address,
    /// `DEAD_QUEUE_URL`: on SQS only.
    pub dead_queue: Option<Address>,
    /// `SMS_DSN`.
    pub gateways: Gateways,
    /// Lifetimes of codes, and whether a Redis that evicts is accepted.
    pub store: StoreSettings,
    /// Secrets, length and test numbers.
    pub codes: CodeSettings,
    /// `RETRY_BACKOFF`, `MAX_RETRIES`.
    pub schedule: Schedule,
    /// `DELIVERY_POLICY`.
    pub policy: DeliveryPolicy,
}

/// The settings of `cognito-sms`.
#[derive(Debug, Clone)]
pub struct CognitoConfig {
    /// `REDIS_URL`.
    pub redis: Address,
    /// `QUEUE_URL`.
    pub queue: Address,
    /// `COGNITO_KEY_ARN`.
    pub key: KeyArn,
    /// Lifetimes of codes, and whether a Redis that evicts is accepted.
    pub store: StoreSettings,
    /// `CODE_SECRET`: tags numbers and seals codes.
    pub secrets: Secrets,
    /// Protection against abuse, as far as it applies to codes that somebody else made.
    pub abuse: AbuseSettings,
    /// `DEFAULT_REGION`.
    pub region: Region,
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
        let (redis, queue, store) = (vars.redis(), vars.queue(), vars.store());
        let (secrets, length) = (vars.secrets(), vars.code_length());
        let codes = vars.codes(secrets, length);
        let (http, autofill) = (vars.request_http(), vars.autofill());
        let (abuse, meiduo_keys) = (vars.abuse(http.region), vars.meiduo_keys(codes.as_ref()));
        vars.finish(|| {
            let (redis, queue, codes) = (redis?, queue?, codes?);
            Some(Self { redis, queue, store, codes, abuse, http, autofill, meiduo_keys })
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
        let (redis, store, gateways) = (vars.redis(), vars.store(), vars.gateways());
        let (secrets, length) = (vars.secrets(), vars.code_length());
        let codes = vars.codes(secrets, length);
        let (limits, challenge, http) = (vars.limits(), vars.challenge(), vars.http());
        vars.finish(|| {
            let (redis, codes) = (redis?, codes?);
            Some(Self { redis, store, codes, limits, challenge, gateways, http })
        })
    }
}

impl SendConfig {
    /// The settings without which the function does not start; with SQS it needs `DEAD_QUEUE_URL`,
    /// too.
    pub const REQUIRED: &[&Setting] =
        &[&settings::REDIS_URL, &settings::QUEUE_URL, &settings::CODE_SECRET, &settings::SMS_DSN];

    /// Reads the variables.
    ///
    /// # Errors
    /// [`ConfigError`] with every missing or wrong variable.
    pub fn read(lookup: Lookup<'_>) -> Result<Self, ConfigError> {
        let mut vars = Vars::new(lookup, Self::REQUIRED);
        let (redis, queue, gateways) = (vars.redis(), vars.queue(), vars.gateways());
        if queue.as_ref().is_some_and(Address::is_http) {
            vars.require(&settings::DEAD_QUEUE_URL);
        }
        if vars.get(&settings::SMS_DSN).is_some_and(|dsn| dsn == INBOX) {
            vars.problem(&settings::SMS_DSN, "is inbox:, which exists in local mode only");
        }
        let (dead_queue, store) = (vars.dead_queue(), vars.store());
        let (secrets, length) = (vars.secrets(), vars.code_length());
        vars.check_code_length(gateways.as_ref(), length);
        let codes = vars.codes(secrets, length);
        let (schedule, policy) = (vars.schedule(), vars.delivery_policy());
        vars.finish(|| {
            let (redis, queue, gateways, codes) = (redis?, queue?, gateways?, codes?);
            Some(Self { redis, queue, dead_queue, gateways, store, codes, schedule, policy })
        })
    }
}

impl CognitoConfig {
    /// The settings without which the function does not start.
    pub const REQUIRED: &[&Setting] = &[
        &settings::REDIS_URL,
        &settings::QUEUE_URL,
        &settings::CODE_SECRET,
        &settings::COGNITO_KEY_ARN,
    ];

    /// Reads the variables.
    ///
    /// # Errors
    /// [`ConfigError`] with every missing or wrong variable.
    pub fn read(lookup: Lookup<'_>) -> Result<Self, ConfigError> {
        let mut vars = Vars::new(lookup, Self::REQUIRED);
        let (redis, queue, store) = (vars.redis(), vars.queue(), vars.store());
        let (key, secrets, region) = (vars.key_arn(), vars.secrets(), vars.region());
        let abuse = vars.abuse_of_messages(region);
        vars.finish(|| {
            let (redis, queue, key, secrets) = (redis?, queue?, key?, secrets?);
            Some(Self { redis, queue, key, store, secrets, abuse, region })
        })
    }
}

#[cfg(test)]
mod tests;
