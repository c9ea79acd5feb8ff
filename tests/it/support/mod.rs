//! Support for the tests: real services, the program itself as processes, and a stub of the
//! gateway.

pub mod cluster_proxy;
pub mod collector;
pub mod contract;
pub mod gateway;
pub mod lambda;
pub mod process;
pub mod proxy;
pub mod raw_queue;
pub mod scene;
pub mod services;
pub mod siteverify;
pub mod sqs;
pub mod taker;
pub mod vendor;

use std::future::Future;
use std::time::Duration;

use sms_app::abuse_settings::AbuseSettings;
use sms_app::request_code::{Request, RequestCode};
use sms_domain::locale::Locale;
use sms_domain::phone::{PhoneNumber, Region};
use sms_domain::random::random_u64;
use sms_domain::secrets::Secrets;
use sms_domain::trace_context::RequestContext;
use sms_domain::verification_id::{Purpose, VerificationId};
use sms_queue::Queue;
use sms_queue::dead_letter::DeadLetter;
use sms_queue::error::QueueError;
use sms_store::{AdmissionKind, AdmissionRequest, Store};

/// Compares a text with `snapshots/NAME.snap`, which lies beside the test's file.
macro_rules! assert_snapshot {
    ($name:expr, $text:expr) => {
        insta::with_settings!({ prepend_module_to_snapshot => false, omit_expression => true }, {
            insta::assert_snapshot!($name, $text);
        })
    };
}
pub(crate) use assert_snapshot;

/// A name that no other test and no earlier run has.
pub fn unique(prefix: &str) -> String {
    format!("{prefix}-{:016x}", random_u64())
}

/// All dead letters of a queue, which stay where they are.
pub async fn dead_letters(queue: &Queue) -> Result<Vec<DeadLetter>, QueueError> {
    let (mut letters, mut all) = (queue.dead_letters().await?, Vec::new());
    while let Some(letter) = letters.next().await? {
        all.push(letter);
    }
    letters.close().await?;
    Ok(all)
}

/// A mobile number, a different one for each `index`.
pub fn number(index: u32) -> PhoneNumber {
    PhoneNumber::parse(&format!("+86138{index:08}"), Region::default()).expect("a mobile number")
}

/// A number that is one of its own in the store, and requests for codes for it.
pub struct TestNumber {
    secrets: Secrets,
    number: PhoneNumber,
}

impl TestNumber {
    /// A number that no other test has.
    pub fn new() -> Self {
        Self {
            secrets: Secrets::from_random(sms_domain::random::random_bytes()),
            number: number(1),
        }
    }

    /// A request for a code.
    pub fn request(&self) -> AdmissionRequest {
        self.request_for("")
    }

    /// A request for a code for a purpose.
    pub fn request_for(&self, purpose: &str) -> AdmissionRequest {
        let purpose = Purpose::parse(purpose).expect("a purpose");
        let tag = self.secrets.tag(&self.number);
        let id = VerificationId::new(
            self.secrets.newest_key_id(),
            tag,
            sms_domain::random::random_bytes(),
            &purpose,
        );
        AdmissionRequest {
            id,
            scope: purpose.as_str().to_owned(),
            to: self.number.masked(),
            windows: Vec::new(),
            quotas: Vec::new(),
            guarded: Vec::new(),
            kind: AdmissionKind::Verification,
        }
    }
}

/// The use case, without limits.
pub fn request_code(store: Store, queue: Queue, secrets: Secrets) -> RequestCode {
    RequestCode { store, queue, secrets, abuse: AbuseSettings::none(), meiduo_keys: None }
}

/// A request for a code in English.
pub fn request(to: PhoneNumber) -> Request {
    let (country, locale, purpose) = (Region::default().into(), Locale::En, Purpose::default());
    Request {
        to,
        country,
        ip: None,
        tenant: None,
        locale,
        purpose,
        owner: None,
        autofill: None,
        proof: None,
        context: RequestContext::default(),
    }
}

/// After this a test that waits gives up. It ends what hangs; no machine is so slow.
pub const GIVE_UP: Duration = Duration::from_secs(180);

/// Waits until `look` finds something; gives up after [`GIVE_UP`].
pub async fn eventually<T, F: Future<Output = Option<T>>>(what: &str, look: impl Fn() -> F) -> T {
    let deadline = tokio::time::Instant::now() + GIVE_UP;
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(tokio::time::Instant::now() < deadline, "never came: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
