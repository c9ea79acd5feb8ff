//! Metrics: every counter, gauge and histogram, with its name and labels. They go to the recorder
//! that is installed: [`sms_telemetry::emf`] on Lambda, Prometheus' in local mode.
//!
//! Each label has few values: policies, gateways, classes and countries; never a number, an id or
//! an address. docs/operations/observability.md has the table.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, OnceLock};
use std::time::Duration;

use metrics::{Counter, Histogram, counter, gauge, histogram};
use sms_domain::failure::FailureClass;
use sms_domain::phone::Country;
use sms_domain::refusal::Refusal;
use sms_domain::sync::lock;
use sms_store::CheckResult;

/// Requests for a code, by `outcome`.
pub const REQUESTS: &str = "sms_verify_requests_total";
/// Requests that were accepted, by `country`.
pub const ACCEPTED: &str = "sms_verify_accepted_total";
/// Cost of the SMS of accepted requests by `PRICES`, in millionths of a USD.
pub const SPENT: &str = "sms_verify_spent_microdollars_total";
/// Exceeded limits of requests and checks, by `policy`.
pub const THROTTLED: &str = "sms_verify_throttled_total";
/// Time from a request to its acceptance, in seconds.
pub const REQUEST_SECONDS: &str = "sms_verify_request_seconds";
/// Checked codes, by `result`.
pub const CHECKS: &str = "sms_verify_checks_total";
/// Jobs that the queue delivered to a sender, by `outcome`.
pub const DELIVERIES: &str = "sms_verify_deliveries_total";
/// Time from a request to a gateway's acceptance of its SMS, in seconds.
pub const DELIVERY_SECONDS: &str = "sms_verify_delivery_seconds";
/// Calls to gateways, by `gateway` and `result`.
pub const GATEWAY_CALLS: &str = "sms_verify_gateway_calls_total";
/// Time of a call to a gateway, in seconds, by `gateway`.
pub const GATEWAY_SECONDS: &str = "sms_verify_gateway_seconds";
/// SMS that a gateway refused for good, by `gateway` and `code`, the gateway's own.
pub const REFUSED: &str = "sms_verify_refused_total";
/// Delivery reports from gateways, by `gateway` and `state`.
pub const DELIVERY_REPORTS: &str = "sms_verify_receipts_total";
/// Age of a job when it is delivered to a sender for its first attempt, in seconds; for a job that
/// was requeued without an attempt, each time.
pub const QUEUE_AGE_SECONDS: &str = "sms_verify_queue_age_seconds";
/// 1 where Redis may evict entries and nobody has accepted that, else 0.
pub const STORE_EVICTS: &str = "sms_verify_store_evicts";
/// Messages in one invocation of `send-sms`.
pub const BATCH_SIZE: &str = "sms_verify_batch_size";

/// A label, and its values where they are few and known; an empty list where they are not.
pub type Label = (&'static str, &'static [&'static str]);

/// Every metric, with its labels.
pub const ALL: [(&str, &[Label]); 15] = [
    (REQUESTS, &[("outcome", &["accepted", "throttled", "challenged", "country", "unavailable"])]),
    (ACCEPTED, &[("country", &[])]),
    (SPENT, &[]),
    (THROTTLED, &[("policy", &[])]),
    (REQUEST_SECONDS, &[]),
    (CHECKS, &[("result", &["right", "wrong", "locked", "gone"])]),
    (
        DELIVERIES,
        &[(
            "outcome",
            &["sent", "test", "retried", "held", "dropped", "refused", "dead", "expired"],
        )],
    ),
    (DELIVERY_SECONDS, &[]),
    (GATEWAY_CALLS, &[("gateway", &[]), ("result", &[])]),
    (GATEWAY_SECONDS, &[("gateway", &[])]),
    (REFUSED, &[("gateway", &[]), ("code", &[])]),
    (DELIVERY_REPORTS, &[("gateway", &[]), ("state", &["delivered", "failed"])]),
    (QUEUE_AGE_SECONDS, &[]),
    (STORE_EVICTS, &[]),
    (BATCH_SIZE, &[]),
];

/// Maximum number of a gateway's refusal codes that become values of a label; others are `other`.
const MAX_CODES: usize = 100;

/// The outcome of a job that the queue delivered to a sender.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DeliveryOutcome {
    /// A gateway has accepted the SMS.
    Sent,
    /// The number is a test number, to which nothing is sent.
    Test,
    /// The attempt failed; another one follows.
    Retried,
    /// The job was requeued without an attempt.
    Held,
    /// The verification was approved, expired or replaced, or the SMS sent before.
    Dropped,
    /// The number or the text was refused for good.
    Refused,
    /// The job became a dead letter.
    Dead,
    /// The job became a dead letter, since its code expires before another attempt.
    Expired,
}

impl DeliveryOutcome {
    fn as_str(self) -> &'static str {
        match self {
            Self::Sent => "sent",
            Self::Test => "test",
            Self::Retried => "retried",
            Self::Held => "held",
            Self::Dropped => "dropped",
            Self::Refused => "refused",
            Self::Dead => "dead",
            Self::Expired => "expired",
        }
    }
}

/// The handles of the metrics that each request or job records. They are registered once, with the
/// recorder that is installed then: to find a handle, a recorder builds a key and its hash.
pub(crate) struct Handles {
    requests: Labelled,
    accepted: Labelled,
    spent: OnceLock<Counter>,
    throttled: Labelled,
    request_seconds: OnceLock<Histogram>,
    checks: Labelled,
    deliveries: Labelled,
    delivery_seconds: OnceLock<Histogram>,
    queue_age_seconds: OnceLock<Histogram>,
}

/// The handles of this process.
pub(crate) static HANDLES: Handles = Handles::new();

/// A counter with one label, by its value.
struct Labelled {
    name: &'static str,
    label: &'static str,
    counters: Mutex<BTreeMap<&'static str, Counter>>,
}

impl Labelled {
    const fn new(name: &'static str, label: &'static str) -> Self {
        Self { name, label, counters: Mutex::new(BTreeMap::new()) }
    }

    fn count(&self, value: &'static str) {
        let register = || counter!(self.name, self.label => value);
        lock(&self.counters).entry(value).or_insert_with(register).increment(1);
    }
}

impl Handles {
    const fn new() -> Self {
        Self {
            requests: Labelled::new(REQUESTS, "outcome"),
            accepted: Labelled::new(ACCEPTED, "country"),
            spent: OnceLock::new(),
            throttled: Labelled::new(THROTTLED, "policy"),
            request_seconds: OnceLock::new(),
            checks: Labelled::new(CHECKS, "result"),
            deliveries: Labelled::new(DELIVERIES, "outcome"),
            delivery_seconds: OnceLock::new(),
            queue_age_seconds: OnceLock::new(),
        }
    }

    /// Counts an accepted request.
    pub(crate) fn accepted(&self, country: Country, price: u64, took: Duration) {
        self.requests.count("accepted");
        self.accepted.count(country.code());
        self.spent.get_or_init(|| counter!(SPENT)).increment(price);
        self.request_seconds.get_or_init(|| histogram!(REQUEST_SECONDS)).record(took);
    }

    /// Counts a request that was not accepted, by the outcome and, if policies refused it, by
    /// these.
    pub(crate) fn rejected(&self, outcome: &'static str, refusal: Option<&Refusal>) {
        if let Some(refusal) = refusal {
            self.throttled(refusal);
        }
        self.requests.count(outcome);
    }

    fn throttled(&self, refusal: &Refusal) {
        for (policy, _) in refusal.waits() {
            self.throttled.count(policy.as_str());
        }
    }

    pub(crate) fn checked(&self, result: &CheckResult) {
        if let CheckResult::Refused(refusal) = result {
            self.throttled(refusal);
        }
        self.checks.count(result.as_str());
    }

    pub(crate) fn handed_out(&self, age: Duration) {
        self.queue_age_seconds.get_or_init(|| histogram!(QUEUE_AGE_SECONDS)).record(age);
    }

    pub(crate) fn delivered(&self, outcome: DeliveryOutcome) {
        self.deliveries.count(outcome.as_str());
    }

    pub(crate) fn delivered_after(&self, since_request: Duration) {
        self.delivery_seconds.get_or_init(|| histogram!(DELIVERY_SECONDS)).record(since_request);
    }
}

pub(crate) fn called(gateway: &str, failure: Option<FailureClass>, took: Duration) {
    let result = failure.map_or("accepted", FailureClass::as_str);
    counter!(GATEWAY_CALLS, "gateway" => gateway.to_owned(), "result" => result).increment(1);
    histogram!(GATEWAY_SECONDS, "gateway" => gateway.to_owned()).record(took);
}

/// Counts a refusal. A program behind a webhook may answer with any number of codes, so the values
/// of the label are limited to [`MAX_CODES`].
pub(crate) fn refused(gateway: &str, code: &str) {
    static CODES: Mutex<BTreeMap<String, BTreeSet<String>>> = Mutex::new(BTreeMap::new());
    let mut codes = lock(&CODES);
    let codes = codes.entry(gateway.to_owned()).or_default();
    if codes.len() < MAX_CODES {
        codes.insert(code.to_owned());
    }
    let code = if codes.contains(code) { code } else { "other" };
    counter!(REFUSED, "gateway" => gateway.to_owned(), "code" => code.to_owned()).increment(1);
}

pub(crate) fn evicts(evicts: bool) {
    gauge!(STORE_EVICTS).set(f64::from(u8::from(evicts)));
}

/// Counts a delivery report.
pub fn delivery_report(gateway: &str, delivered: bool) {
    let state = if delivered { "delivered" } else { "failed" };
    counter!(DELIVERY_REPORTS, "gateway" => gateway.to_owned(), "state" => state).increment(1);
}

#[expect(clippy::cast_precision_loss, reason = "a batch has ten thousand messages at most")]
/// Records the number of messages of an invocation.
pub fn batch(size: usize) {
    histogram!(BATCH_SIZE).record(size as f64);
}

#[cfg(test)]
mod tests {
    use metrics::{
        Counter, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit,
        with_local_recorder,
    };
    use sms_domain::phone::Region;
    use sms_domain::refusal::Exceeded;

    use super::*;

    /// A recorder of the keys of all metrics.
    #[derive(Default)]
    struct Keys(Mutex<Vec<Key>>);

    impl Keys {
        fn add(&self, key: &Key) {
            self.0.lock().expect("no other thread").push(key.clone());
        }
    }

    impl Recorder for Keys {
        fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
        fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
        fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

        fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
            self.add(key);
            Counter::noop()
        }

        fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
            self.add(key);
            Gauge::noop()
        }

        fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
            self.add(key);
            Histogram::noop()
        }
    }

    #[test]
    fn every_metric_is_listed_with_its_labels() {
        let (keys, handles) = (Keys::default(), Handles::new());
        with_local_recorder(&keys, || {
            let country = Country::from(Region::default());
            let mut refusal = Refusal::default();
            refusal.add(Exceeded::Cooldown, Duration::ZERO);
            handles.accepted(country, 1, Duration::ZERO);
            handles.rejected("throttled", Some(&refusal));
            let wrong = CheckResult::Wrong { attempts_left: 1, locked_for: Duration::ZERO };
            [CheckResult::Gone, wrong, CheckResult::Refused(Refusal::default())]
                .iter()
                .for_each(|result| handles.checked(result));
            for outcome in [
                DeliveryOutcome::Sent,
                DeliveryOutcome::Test,
                DeliveryOutcome::Retried,
                DeliveryOutcome::Held,
                DeliveryOutcome::Dropped,
                DeliveryOutcome::Refused,
                DeliveryOutcome::Dead,
                DeliveryOutcome::Expired,
            ] {
                handles.delivered(outcome);
            }
            handles.handed_out(Duration::ZERO);
            handles.delivered_after(Duration::ZERO);
            called("ccp", None, Duration::ZERO);
            refused("ccp", "1");
            delivery_report("ccp", true);
            delivery_report("ccp", false);
            evicts(true);
            batch(1);
        });
        let keys = keys.0.into_inner().expect("no other thread");
        let recorded: BTreeSet<_> = keys.iter().map(Key::name).collect();
        assert_eq!(recorded, ALL.iter().map(|(name, _)| *name).collect(), "all of them");
        for key in keys {
            let (_, labels) =
                ALL.iter().find(|(name, _)| *name == key.name()).unwrap_or_else(|| panic!("{key}"));
            let names: Vec<_> = key.labels().map(metrics::Label::key).collect();
            let listed: Vec<_> = labels.iter().map(|(name, _)| *name).collect();
            assert_eq!(names, listed, "{}", key.name());
            for (label, (_, values)) in key.labels().zip(*labels) {
                assert!(values.is_empty() || values.contains(&label.value()), "{key}");
            }
        }
    }
}
