//! The gateways, the ways to them, and what they tell afterwards.

/// Each gateway sends, and fails in every class.
mod gateways;

/// What each gateway refuses with.
mod refusals;

/// Failover, round robin, countries, and circuits.
mod routes;

/// So many messages in a second, on every queue.
mod rate;

/// What vendors push about messages.
mod receipts;

/// Languages, purposes, and what lets a phone fill the code in.
mod texts;

/// Numbers with a code that is known beforehand.
mod test_numbers;

/// The way out through a proxy.
mod egress;

/// `gateway check`.
mod check;

use shared::admission::Request;
use shared::code::{CodeLength, Secrets};
use shared::code_settings::CodeSettings;
use shared::delivery::{Deliveries, DeliveryPolicy, Outcome, Schedule};
use shared::entropy::{random_bytes, random_u64};
use shared::message::{Autofill, Locale};
use shared::phone::PhoneNumber;
use shared::provider::Provider;
use shared::queue::Queue;
use shared::store::Store;
use shared::verification::{DeliveryState, Policy, Purpose, VerificationId};

use crate::support::{admissions, request};

/// A sender in this process.
struct Sender {
    deliveries: Deliveries,
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
        let deliveries = Deliveries {
            store: Store::memory(Policy::default()),
            provider: Provider::from_dsn(dsn).expect("a DSN"),
            codes: CodeSettings::new(Secrets::from_random(random_bytes())),
            schedule: Schedule::default(),
            policy,
        };
        Self { deliveries, locale: Locale::ZhCn, purpose: Purpose::default(), autofill: None }
    }

    /// A job as `request-code` queues it.
    async fn job(&self, to: &PhoneNumber) -> Queued {
        let queue = Queue::memory();
        let Deliveries { store, codes, .. } = &self.deliveries;
        let admissions = admissions(store.clone(), queue.clone(), codes.secrets.clone());
        let (locale, purpose, autofill) =
            (self.locale, self.purpose.clone(), self.autofill.clone());
        let asked = Request { locale, purpose, autofill, ..request(to.clone()) };
        let asked = admissions.request(asked, random_bytes()).await;
        let message = queue.consumer(1).expect("a consumer").receive().await;
        Queued { id: asked.expect("admitted").id, body: message.body }
    }

    async fn deliver(&self, job: &Queued) -> Outcome {
        self.deliveries.deliver(&job.body, 1, random_u64()).await
    }

    async fn state(&self, job: &Queued) -> DeliveryState {
        self.deliveries.store.find(&job.id).await.expect("an answer").expect("is there").delivery
    }

    /// The code that belongs to a job.
    fn code(&self, job: &Queued) -> String {
        let code = self
            .deliveries
            .codes
            .secrets
            .derive(&job.id, CodeLength::default())
            .expect("its secret");
        code.expose().to_owned()
    }
}
