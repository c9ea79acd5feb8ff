//! The parts that this process runs on: configured ones, or embedded ones where nothing is
//! configured.

use shared::admission::Admissions;
use shared::checking::Checks;
use shared::config::{Address, LocalConfig};
use shared::delivery::Deliveries;
use shared::eviction::EvictionWatch;
use shared::http::Receipts;
use shared::provider::{Inbox, Provider};
use shared::queue::{Queue, QueueError};
use shared::store::{Store, StoreError};

use crate::ops::Ops;

/// Everything that is made once.
pub struct Parts {
    pub config: LocalConfig,
    pub store: Store,
    pub queue: Queue,
    pub inbox: Inbox,
    provider: Provider,
}

/// A part could not be made from its URL.
#[derive(Debug, thiserror::Error)]
pub enum PartError {
    #[error("REDIS_URL is invalid")]
    Store(#[from] StoreError),
    #[error("QUEUE_URL is invalid")]
    Queue(#[from] QueueError),
}

impl Parts {
    pub fn new(config: LocalConfig) -> Result<Self, PartError> {
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
        let provider = config.provider.clone().unwrap_or_else(|| Provider::inbox(inbox.clone()));
        Ok(Self { config, store, queue, inbox, provider })
    }

    /// From here on it is told if Redis may forget.
    pub fn watch_eviction(&self) {
        EvictionWatch::new(self.store.clone(), self.config.store.accepts_eviction).begin();
    }

    pub fn admissions(&self) -> Admissions {
        Admissions {
            store: self.store.clone(),
            queue: self.queue.clone(),
            secrets: self.config.codes.secrets.clone(),
            abuse: self.config.abuse.clone(),
            meiduo_keys: self.config.meiduo_keys.clone(),
        }
    }

    pub fn checks(&self) -> Checks {
        Checks {
            store: self.store.clone(),
            codes: self.config.codes.clone(),
            limits: self.config.abuse.limits.clone(),
        }
    }

    pub fn receipts(&self) -> Receipts {
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

    pub fn deliveries(&self) -> Deliveries {
        Deliveries {
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
