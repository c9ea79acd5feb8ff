//! The parts that this process runs on: configured ones, or embedded ones where nothing is
//! configured.

use sms_app::admission::RequestCode;
use sms_app::check::CheckCode;
use sms_app::delivery::SendSms;
use sms_app::eviction_watch::EvictionWatch;
use sms_config::{Address, LocalConfig};
use sms_gateways::{Gateways, Inbox};
use sms_http::Receipts;
use sms_queue::Queue;
use sms_queue::error::QueueError;
use sms_store::{Store, StoreError};

use crate::ops::Ops;

/// Everything that is made once.
pub struct Components {
    pub config: LocalConfig,
    pub store: Store,
    pub queue: Queue,
    pub inbox: Inbox,
    provider: Gateways,
}

/// A part could not be made from its URL.
#[derive(Debug, thiserror::Error)]
pub enum StartupError {
    #[error("REDIS_URL is invalid")]
    Store(#[from] StoreError),
    #[error("QUEUE_URL is invalid")]
    Queue(#[from] QueueError),
}

impl Components {
    pub fn new(config: LocalConfig) -> Result<Self, StartupError> {
        let store = match &config.redis {
            Some(url) => Store::redis(url.expose(), config.store.policy)?,
            None => Store::memory(config.store.policy),
        };
        let queue = match &config.queue {
            Some(url) => {
                Queue::from_url(url.expose(), config.dead_queue.as_ref().map(Address::expose))?
            }
            None => Queue::memory(),
        };
        let inbox = Inbox::default();
        let provider = config.provider.clone().unwrap_or_else(|| Gateways::inbox(inbox.clone()));
        Ok(Self { config, store, queue, inbox, provider })
    }

    /// From here on it is told if Redis may forget.
    pub fn watch_eviction(&self) {
        EvictionWatch::new(self.store.clone(), self.config.store.accepts_eviction).begin();
    }

    pub fn admissions(&self) -> RequestCode {
        RequestCode {
            store: self.store.clone(),
            queue: self.queue.clone(),
            secrets: self.config.codes.secrets.clone(),
            abuse: self.config.abuse.clone(),
            meiduo_keys: self.config.meiduo_keys.clone(),
        }
    }

    pub fn checks(&self) -> CheckCode {
        CheckCode {
            store: self.store.clone(),
            codes: self.config.codes.clone(),
            limits: self.config.abuse.limits.clone(),
        }
    }

    pub fn delivery_reports(&self) -> Receipts {
        Receipts {
            store: self.store.clone(),
            secrets: self.config.codes.secrets.clone(),
            provider: self.provider.clone(),
        }
    }

    pub fn ops(&self) -> Ops {
        Ops {
            store: self.store.clone(),
            queue: self.queue.clone(),
            provider: self.provider.clone(),
            token: self.config.ops_token.clone(),
        }
    }

    pub fn deliveries(&self) -> SendSms {
        SendSms {
            store: self.store.clone(),
            provider: self.provider.clone(),
            codes: self.config.codes.clone(),
            schedule: self.config.schedule,
            policy: self.config.policy,
        }
    }

    /// Says which parts are used, and where to click. An API alone does not send.
    #[expect(clippy::print_stdout, reason = "what a person who starts the program wants to see")]
    pub fn announce(&self, serving: bool, sending: bool) {
        let shown = |address: &Option<Address>, embedded: &str| {
            address.as_ref().map_or_else(|| embedded.to_owned(), ToString::to_string)
        };
        println!("sms-verify {}", env!("CARGO_PKG_VERSION"));
        println!("  store    {}", shown(&self.config.redis, "memory (set REDIS_URL for Redis)"));
        println!("  queue    {}", shown(&self.config.queue, "memory (set QUEUE_URL for RabbitMQ)"));
        match &self.config.provider {
            Some(provider) => println!("  gateway  {provider}"),
            None if sending => println!("  gateway  the inbox (set SMS_DSN for a real one)"),
            None => println!("  gateway  that of the workers"),
        }
        if serving {
            println!("  API      http://{}/v1/verifications", self.config.listen);
        }
        if serving && self.config.has_pages() {
            println!("  ops      http://{}/ops", self.config.listen);
            println!("  docs     http://{}/docs/", self.config.listen);
            println!("  page     http://{}/", self.config.listen);
            println!("  inbox    http://{}/inbox", self.config.listen);
        }
    }
}
