//! The components of a process: store, queue and gateways as they are configured, or embedded ones.

use sms_app::check_code::CheckCode;
use sms_app::eviction_watch::EvictionWatch;
use sms_app::request_code::RequestCode;
use sms_app::send_sms::SendSms;
use sms_config::{Address, LocalConfig};
use sms_gateways::{Gateways, Inbox};
use sms_http::DeliveryReports;
use sms_queue::Queue;
use sms_queue::error::QueueError;
use sms_store::{Store, StoreError};

use crate::ops::Ops;

/// The components that a process creates once.
pub struct Components {
    pub config: LocalConfig,
    pub store: Store,
    pub queue: Queue,
    pub inbox: Inbox,
    gateways: Gateways,
}

/// A component could not be created from its URL.
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
            Some(url) => Store::redis(url.expose(), config.store.policy)?.with_guard_counts(),
            None => Store::memory(config.store.policy),
        };
        let queue = match &config.queue {
            Some(url) => {
                Queue::from_url(url.expose(), config.dead_queue.as_ref().map(Address::expose))?
                    .with_jobs_per_message(config.jobs_per_message)
            }
            None => Queue::memory(),
        };
        let inbox = Inbox::default();
        let gateways = config.gateways.clone().unwrap_or_else(|| Gateways::inbox(inbox.clone()));
        Ok(Self { config, store, queue, inbox, gateways })
    }

    /// Starts the watch of Redis's eviction policy.
    pub fn watch_eviction(&self) {
        EvictionWatch::new(self.store.clone(), self.config.store.accepts_eviction).begin();
    }

    pub fn request_code(&self) -> RequestCode {
        RequestCode {
            store: self.store.clone(),
            queue: self.queue.clone(),
            secrets: self.config.codes.secrets.clone(),
            abuse: self.config.abuse.clone(),
            meiduo_keys: self.config.meiduo_keys.clone(),
        }
    }

    pub fn check_code(&self) -> CheckCode {
        CheckCode {
            store: self.store.clone(),
            codes: self.config.codes.clone(),
            limits: self.config.abuse.limits.clone(),
        }
    }

    pub fn delivery_reports(&self) -> DeliveryReports {
        DeliveryReports {
            store: self.store.clone(),
            secrets: self.config.codes.secrets.clone(),
            gateways: self.gateways.clone(),
        }
    }

    pub fn ops(&self) -> Ops {
        Ops {
            store: self.store.clone(),
            queue: self.queue.clone(),
            gateways: self.gateways.clone(),
            token: self.config.ops_token.clone(),
        }
    }

    pub fn send_sms(&self) -> SendSms {
        SendSms {
            store: self.store.clone(),
            gateways: self.gateways.clone(),
            codes: self.config.codes.clone(),
            schedule: self.config.schedule,
            policy: self.config.policy,
        }
    }

    /// Prints the components and the addresses of the pages. `sending` is false for an API alone.
    #[expect(clippy::print_stdout, reason = "for the person who starts the program")]
    pub fn announce(&self, serving: bool, sending: bool) {
        let shown = |address: &Option<Address>, embedded: &str| {
            address.as_ref().map_or_else(|| embedded.to_owned(), ToString::to_string)
        };
        println!("sms-verify {}", env!("CARGO_PKG_VERSION"));
        println!("  store    {}", shown(&self.config.redis, "memory (set REDIS_URL for Redis)"));
        println!("  queue    {}", shown(&self.config.queue, "memory (set QUEUE_URL for RabbitMQ)"));
        match &self.config.gateways {
            Some(gateways) => println!("  gateway  {gateways}"),
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
