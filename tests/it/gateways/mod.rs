//! The gateways, the routes to them, and their delivery reports.

/// Each vendor's format, and the meaning of its errors.
mod vendors;

/// The errors of each vendor.
mod vendor_errors;

/// Failover, round robin and routes by country.
mod routing;

/// The circuit breaker.
mod circuit_breaker;

/// Rate limits of gateways.
mod rate_limit;

/// Delivery reports that vendors push.
mod delivery_reports;

/// Texts by language and purpose, and autofill.
mod message_texts;

/// Test numbers, whose code is known beforehand.
mod test_numbers;

/// The way out through a proxy.
mod egress_proxy;

/// `gateway check`.
mod gateway_check;

use std::time::Duration;

use sms_app::request_code::Request;
use sms_app::send_sms::{DeliveryPolicy, Outcome, SendSms};
use sms_domain::code::CodeLength;
use sms_domain::code_settings::CodeSettings;
use sms_domain::locale::Locale;
use sms_domain::message::Autofill;
use sms_domain::phone::PhoneNumber;
use sms_domain::random::{random_bytes, random_u64};
use sms_domain::retry_schedule::Schedule;
use sms_domain::secrets::Secrets;
use sms_domain::verification::{DeliveryState, Policy};
use sms_domain::verification_id::{Purpose, VerificationId};
use sms_gateways::Gateways;
use sms_queue::Queue;
use sms_store::Store;

use crate::support::contract::memory_store;
use crate::support::{request, request_code};

/// A sender in this process.
struct Sender {
    send_sms: SendSms,
    locale: Locale,
    purpose: Purpose,
    autofill: Option<Autofill>,
}

/// A job, and what it is for.
struct Queued {
    id: VerificationId,
    body: Vec<u8>,
}

impl Sender {
    fn new(dsn: &str, policy: DeliveryPolicy) -> Self {
        let send_sms = SendSms {
            store: Store::memory(Policy::default()),
            gateways: Gateways::from_dsn(dsn).expect("a DSN"),
            codes: CodeSettings::new(Secrets::from_random(random_bytes())),
            schedule: Schedule::default(),
            policy,
        };
        Self { send_sms, locale: Locale::ZhCn, purpose: Purpose::default(), autofill: None }
    }

    /// A sender with a store whose time stands still until its clock is moved.
    fn with_stopped_clock(dsn: &str, policy: DeliveryPolicy) -> Self {
        let mut sender = Self::new(dsn, policy);
        sender.send_sms.store = memory_store(Policy::default());
        sender
    }

    /// Moves the clock of a store whose time stands still.
    fn advance(&self, by: Duration) {
        self.send_sms.store.clock().advance(by);
    }

    /// A job as `request-code` queues it.
    async fn job(&self, to: &PhoneNumber) -> Queued {
        let queue = Queue::memory();
        let SendSms { store, codes, .. } = &self.send_sms;
        let request_code = request_code(store.clone(), queue.clone(), codes.secrets.clone());
        let (locale, purpose, autofill) =
            (self.locale, self.purpose.clone(), self.autofill.clone());
        let asked = Request { locale, purpose, autofill, ..request(to.clone()) };
        let asked = request_code.request(asked, random_bytes()).await;
        let message = queue.consumer(1).expect("a consumer").receive().await;
        Queued { id: asked.expect("admitted").id, body: message.body }
    }

    async fn deliver(&self, job: &Queued) -> Outcome {
        self.send_sms.deliver(&job.body, 1, random_u64()).await
    }

    async fn state(&self, job: &Queued) -> DeliveryState {
        self.send_sms.store.find(&job.id).await.expect("an answer").expect("is there").delivery
    }

    /// The code that belongs to a job.
    fn code(&self, job: &Queued) -> String {
        let code =
            self.send_sms.codes.secrets.derive(&job.id, CodeLength::default()).expect("its secret");
        code.expose().to_owned()
    }
}
