//! The settings of local mode: an embedded part replaces a server that is not set.

use std::net::SocketAddr;

use sms_app::abuse_settings::AbuseSettings;
use sms_app::meiduo_keys::MeiduoKeys;
use sms_app::send_sms::DeliveryPolicy;
use sms_domain::code_settings::CodeSettings;
use sms_domain::message::AllowedAutofill;
use sms_domain::random::random_bytes;
use sms_domain::retry_schedule::Schedule;
use sms_domain::secrets::Secrets;
use sms_gateways::Gateways;
use sms_http::{Callers, HttpSettings, TrustedProxies};

use crate::ops_token::OpsToken;
use crate::settings::{self, Setting};
use crate::vars::Vars;
use crate::{Address, ConfigError, INBOX, Lookup, StoreSettings};

/// The settings of local mode, with `None` where an embedded part is used.
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
    /// `JOBS_PER_MESSAGE`: on RabbitMQ only.
    pub jobs_per_message: u8,
    /// `SMS_DSN`.
    pub gateways: Option<Gateways>,
    /// Lifetimes of codes, and whether a Redis that evicts is accepted.
    pub store: StoreSettings,
    /// Secrets (random ones, unless set), length and test numbers.
    pub codes: CodeSettings,
    /// `RETRY_BACKOFF`, `MAX_RETRIES`.
    pub schedule: Schedule,
    /// `DELIVERY_POLICY`.
    pub policy: DeliveryPolicy,
    /// Protection against abuse.
    pub abuse: AbuseSettings,
    /// Settings of the HTTP API.
    pub http: HttpSettings,
    /// `WEBOTP_ORIGINS`, `ANDROID_APP_HASHES`.
    pub autofill: AllowedAutofill,
    /// `MEIDUO_KEYS`.
    pub meiduo_keys: Option<MeiduoKeys>,
    /// `OPS_TOKEN`.
    pub ops_token: Option<OpsToken>,
}

/// The part of local mode that runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// API, worker and inbox in one process: an embedded part replaces a server that is not set.
    All,
    /// The API alone, which shares store and queue with workers.
    Api,
    /// A worker alone.
    Worker,
    /// A worker that invokes a function with its jobs.
    Invoker,
    /// The commands on dead letters.
    Dead,
}

impl Role {
    /// The settings that the role requires.
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
        let secrets = vars.secrets().or_else(|| Some(Secrets::from_random(random_bytes())));
        let (listen, http) = (vars.listen(), vars.request_http());
        let mut gateways = vars.gateways();
        if matches!(role, Role::All | Role::Worker)
            && vars.get(&settings::SMS_DSN).is_none_or(|dsn| dsn == INBOX)
        {
            if !has_pages(listen, &http.callers) {
                vars.problem(&settings::SMS_DSN, NO_INBOX);
            } else if role == Role::Worker {
                gateways = Gateways::from_dsn(&format!("inbox+http://{listen}")).ok();
            }
        }
        let (store, length) = (vars.store(), vars.code_length());
        let jobs_per_message = vars.jobs_per_message();
        vars.check_code_length(gateways.as_ref(), length);
        let codes = vars.codes(secrets, length);
        let (schedule, policy) = (vars.schedule(), vars.delivery_policy());
        let (abuse, autofill) = (vars.abuse(http.region), vars.autofill());
        let asks = matches!(role, Role::All | Role::Api);
        let meiduo_keys = if asks { vars.meiduo_keys(codes.as_ref()) } else { None };
        let ops_token = vars.ops_token();
        vars.finish(|| {
            let codes = codes?;
            Some(Self {
                listen,
                redis,
                queue,
                dead_queue,
                jobs_per_message,
                gateways,
                store,
                codes,
                schedule,
                policy,
                abuse,
                http,
                autofill,
                meiduo_keys,
                ops_token,
            })
        })
    }

    /// True if page and inbox are served, which is for users of this machine alone.
    #[must_use]
    pub fn has_pages(&self) -> bool {
        has_pages(self.listen, &self.http.callers)
    }
}

/// The problem of a missing `SMS_DSN` where the inbox is not served.
const NO_INBOX: &str = "names no gateway, and there is no inbox where others can reach the API \
    (LISTEN is not loopback, or TRUSTED_PROXIES is not 0); set null://default to send nothing";

fn has_pages(listen: SocketAddr, callers: &Callers) -> bool {
    // Requests through a proxy on this machine come from elsewhere.
    listen.ip().is_loopback() && callers.proxies == TrustedProxies(0)
}
