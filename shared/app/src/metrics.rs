//! What is counted and timed, named once. Whoever installs a recorder gets it: [`sms_telemetry::emf`] on
//! Lambda, Prometheus' in local mode.
//!
//! Each label has few values: policies, gateways, classes and countries. No number, no id and no
//! address is one. The table of them stands in docs/operations/observability.md.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::time::Duration;

use metrics::{counter, gauge, histogram};
use sms_domain::failure::FailureClass;
use sms_domain::phone::Country;
use sms_domain::refusal::Refusal;
use sms_domain::sync::lock;
use sms_store::CheckResult;

/// Requests for a code, by `outcome`.
pub const REQUESTS: &str = "sms_verify_requests_total";
/// Requests that were accepted, by `country`.
pub const ACCEPTED: &str = "sms_verify_accepted_total";
/// What the SMS of accepted requests cost by `PRICES`, in millionths of a USD.
pub const SPENT: &str = "sms_verify_spent_microdollars_total";
/// What stood in the way of requests and checks, by `policy`.
pub const THROTTLED: &str = "sms_verify_throttled_total";
/// Time from a request to its acceptance, in seconds.
pub const REQUEST_SECONDS: &str = "sms_verify_request_seconds";
/// Checked codes, by `result`.
pub const CHECKS: &str = "sms_verify_checks_total";
/// Jobs that were handed out, by `outcome`.
pub const DELIVERIES: &str = "sms_verify_deliveries_total";
/// Time from a request to a gateway's acceptance of its SMS, in seconds.
pub const DELIVERY_SECONDS: &str = "sms_verify_delivery_seconds";
/// Calls to gateways, by `gateway` and `result`.
pub const GATEWAY_CALLS: &str = "sms_verify_gateway_calls_total";
/// Time of such a call, in seconds, by `gateway`.
pub const GATEWAY_SECONDS: &str = "sms_verify_gateway_seconds";
/// SMS that a gateway refused for good, by `gateway` and `code`, the gateway's own.
pub const REFUSED: &str = "sms_verify_refused_total";
/// Receipts from gateways, by `gateway` and `state`.
pub const RECEIPTS: &str = "sms_verify_receipts_total";
/// Age of a job when it is handed out for its first attempt, in seconds; of a job that is held,
/// each time.
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
    (RECEIPTS, &[("gateway", &[]), ("state", &["delivered", "failed"])]),
    (QUEUE_AGE_SECONDS, &[]),
    (STORE_EVICTS, &[]),
    (BATCH_SIZE, &[]),
];

/// Most codes of one gateway's refusals that are told apart.
const MOST_CODES: usize = 100;

/// What became of a job that was handed out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DeliveryOutcome {
    /// A gateway has accepted its SMS.
    Sent,
    /// Nothing is sent to a test number.
    Test,
    /// It will be tried again.
    Retried,
    /// It was queued anew without an attempt.
    Held,
    /// It was approved, expired, replaced or sent before.
    Dropped,
    /// The number or the text was refused for good.
    Refused,
    /// It is a dead letter.
    Dead,
    /// It is a dead letter, since its code expires before another attempt.
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

/// Counts an accepted request.
pub(crate) fn accepted(country: Country, price: u64, took: Duration) {
    counter!(REQUESTS, "outcome" => "accepted").increment(1);
    counter!(ACCEPTED, "country" => country.code()).increment(1);
    counter!(SPENT).increment(price);
    histogram!(REQUEST_SECONDS).record(took);
}

/// Counts a request that was not accepted, by the outcome and, if policies refused it, by these.
pub(crate) fn rejected(outcome: &'static str, refusal: Option<&Refusal>) {
    if let Some(refusal) = refusal {
        throttled(refusal);
    }
    counter!(REQUESTS, "outcome" => outcome).increment(1);
}

fn throttled(refusal: &Refusal) {
    for (policy, _) in refusal.waits() {
        counter!(THROTTLED, "policy" => policy.as_str()).increment(1);
    }
}

pub(crate) fn checked(result: &CheckResult) {
    if let CheckResult::Refused(refusal) = result {
        throttled(refusal);
    }
    counter!(CHECKS, "result" => result.as_str()).increment(1);
}

pub(crate) fn handed_out(age: Duration) {
    histogram!(QUEUE_AGE_SECONDS).record(age);
}

pub(crate) fn delivered(outcome: DeliveryOutcome) {
    counter!(DELIVERIES, "outcome" => outcome.as_str()).increment(1);
}

pub(crate) fn delivered_after(since_request: Duration) {
    histogram!(DELIVERY_SECONDS).record(since_request);
}

pub(crate) fn called(gateway: &str, failure: Option<FailureClass>, took: Duration) {
    let result = failure.map_or("accepted", FailureClass::as_str);
    counter!(GATEWAY_CALLS, "gateway" => gateway.to_owned(), "result" => result).increment(1);
    histogram!(GATEWAY_SECONDS, "gateway" => gateway.to_owned()).record(took);
}

/// A program behind a webhook may answer with as many codes as it likes: those that are told apart
/// are limited.
pub(crate) fn refused(gateway: &str, code: &str) {
    static CODES: Mutex<BTreeMap<String, BTreeSet<String>>> = Mutex::new(BTreeMap::new());
    let mut codes = lock(&CODES);
    let codes = codes.entry(gateway.to_owned()).or_default();
    if codes.len() < MOST_CODES {
        codes.insert(code.to_owned());
    }
    let code = if codes.contains(code) { code } else { "other" };
    counter!(REFUSED, "gateway" => gateway.to_owned(), "code" => code.to_owned()).increment(1);
}

pub(crate) fn evicts(evicts: bool) {
    gauge!(STORE_EVICTS).set(f64::from(u8::from(evicts)));
}

/// Counts a delivery report.
pub fn receipt(gateway: &str, delivered: bool) {
    let state = if delivered { "delivered" } else { "failed" };
    counter!(RECEIPTS, "gateway" => gateway.to_owned(), "state" => state).increment(1);
}

#[expect(clippy::cast_precision_loss, reason = "a batch has ten thousand messages at most")]
/// Counts the messages of an invocation.
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

    use super::*;

    /// The keys that were recorded.
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
    fn what_is_counted_is_in_the_list_with_its_labels() {
        let keys = Keys::default();
        with_local_recorder(&keys, || {
            let country = Country::from(Region::default());
            accepted(country, 1, Duration::ZERO);
            rejected("throttled", Some(&Refusal::default()));
            let wrong = CheckResult::Wrong { attempts_left: 1, locked_for: Duration::ZERO };
            [CheckResult::Gone, wrong, CheckResult::Refused(Refusal::default())]
                .iter()
                .for_each(checked);
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
                delivered(outcome);
            }
            handed_out(Duration::ZERO);
            delivered_after(Duration::ZERO);
            called("ccp", None, Duration::ZERO);
            refused("ccp", "1");
            receipt("ccp", true);
            receipt("ccp", false);
            evicts(true);
            batch(1);
        });
        let keys = keys.0.into_inner().expect("no other thread");
        assert!(!keys.is_empty());
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
