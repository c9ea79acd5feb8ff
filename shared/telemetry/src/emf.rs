//! Metrics on Lambda in CloudWatch's embedded metric format (EMF): log lines from which CloudWatch
//! extracts metrics. An invocation prints its metrics before it responds, since its environment is
//! frozen afterwards.

use std::collections::BTreeMap;
use std::io::{Write, stderr};
use std::sync::{Arc, Mutex, OnceLock};

use jiff::Timestamp;
use metrics::{
    Counter, CounterFn, Gauge, GaugeFn, Histogram, HistogramFn, Key, KeyName, Metadata, Recorder,
    SharedString, Unit,
};
use serde_json::{Map, Value, json};
use sms_domain::sync::lock;

use crate::controls::Controls;

/// CloudWatch namespace of the metrics. The dimension `function` distinguishes stacks, since a
/// function's name contains its stack's.
const NAMESPACE: &str = "sms-verify";

/// A label that is in the log but not a dimension: each of its values would be a metric of its own,
/// which costs money.
const LOG_ONLY_LABEL: &str = "country";

/// Maximum number of values of one metric in one line, CloudWatch's own limit.
const MAX_VALUES: usize = 100;

static RECORDER: Emf = Emf { values: Mutex::new(BTreeMap::new()) };

/// Metrics recorded since the last flush, by labels and name.
struct Emf {
    values: Mutex<BTreeMap<(Labels, String), Values>>,
}

type Labels = Vec<(String, String)>;

#[derive(Debug, Clone)]
enum Values {
    Count(u64),
    Gauge(f64),
    Times(Vec<f64>),
}

/// Installs the recorder if `AWS_LAMBDA_FUNCTION_NAME` is set: elsewhere nothing is recorded.
#[expect(clippy::disallowed_methods, reason = "Lambda's variable")]
pub fn install() {
    if std::env::var_os("AWS_LAMBDA_FUNCTION_NAME").is_some() {
        // An error means that another recorder is installed, which a function never does.
        let _ = metrics::set_global_recorder(&RECORDER);
    }
}

/// Level that lines of metrics must have, if any. It does not change while a function runs.
static METRICS_LEVEL: OnceLock<Option<&'static str>> = OnceLock::new();

/// Prints the metrics recorded since the last flush.
pub fn flush() {
    let values = std::mem::take(&mut *lock(&RECORDER.values));
    if values.is_empty() {
        return;
    }
    #[expect(clippy::disallowed_methods, reason = "Lambda's variables")]
    let variable = |name: &str| std::env::var(name).ok();
    let function = variable("AWS_LAMBDA_FUNCTION_NAME").unwrap_or_default();
    #[expect(clippy::disallowed_methods, reason = "CloudWatch wants to know when it was")]
    let now = Timestamp::now();
    let mut text = String::new();
    for mut line in lines(values, &function, now.as_millisecond()) {
        // Lambda treats a line that lacks either as INFO, and drops it if it keeps only warnings.
        if let Some(level) =
            *METRICS_LEVEL.get_or_init(|| Controls::read(&variable).metrics_level())
        {
            line["level"] = level.into();
            line["timestamp"] = now.to_string().into();
        }
        text.push_str(&line.to_string());
        text.push('\n');
    }
    // Without a log there is no place to report an error.
    let _ = stderr().write_all(text.as_bytes());
}

/// Groups the metrics into lines, one or more for each set of labels.
fn lines(values: BTreeMap<(Labels, String), Values>, function: &str, now: i64) -> Vec<Value> {
    let mut by_labels: BTreeMap<Labels, Vec<(String, Values)>> = BTreeMap::new();
    for ((labels, name), value) in values {
        by_labels.entry(labels).or_default().push((name, value));
    }
    let lines = by_labels.into_iter().flat_map(|(labels, metrics)| {
        let lines = split_into_lines(metrics).into_iter();
        lines.map(move |metrics| (labels.clone(), metrics))
    });
    lines.map(|(labels, metrics)| line(&labels, metrics, function, now)).collect()
}

/// Splits metrics into lines: as many as the metric with the most values needs.
fn split_into_lines(metrics: Vec<(String, Values)>) -> Vec<Vec<(String, Values)>> {
    let mut lines: Vec<Vec<(String, Values)>> = Vec::new();
    for (name, values) in metrics {
        let parts = match values {
            Values::Count(_) | Values::Gauge(_) => vec![values],
            Values::Times(times) => {
                times.chunks(MAX_VALUES).map(|part| Values::Times(part.to_vec())).collect()
            }
        };
        for (index, part) in parts.into_iter().enumerate() {
            if lines.len() == index {
                lines.push(Vec::new());
            }
            lines[index].push((name.clone(), part));
        }
    }
    lines
}

fn line(
    labels: &[(String, String)],
    metrics: Vec<(String, Values)>,
    function: &str,
    now: i64,
) -> Value {
    let dimensions =
        labels.iter().map(|(name, _)| name.as_str()).filter(|name| *name != LOG_ONLY_LABEL);
    let dimensions: Vec<&str> = ["function"].into_iter().chain(dimensions).collect();
    let mut definitions = Vec::new();
    let mut members = Map::from_iter([("function".to_owned(), Value::from(function))]);
    members.extend(labels.iter().map(|(name, value)| (name.clone(), Value::from(value.as_str()))));
    for (name, value) in metrics {
        let unit = if name.ends_with("_seconds") { "Seconds" } else { "Count" };
        definitions.push(json!({ "Name": name, "Unit": unit }));
        let value = match value {
            Values::Count(count) => json!(count),
            Values::Gauge(value) => json!(value),
            Values::Times(times) => json!(times),
        };
        members.insert(name, value);
    }
    let directive =
        json!([{ "Namespace": NAMESPACE, "Dimensions": [dimensions], "Metrics": definitions }]);
    members.insert("_aws".to_owned(), json!({ "Timestamp": now, "CloudWatchMetrics": directive }));
    Value::Object(members)
}

/// A metric: its labels and its name.
struct Metric(Labels, String);

impl Metric {
    fn from_key(key: &Key) -> Arc<Self> {
        let labels =
            key.labels().map(|label| (label.key().to_owned(), label.value().to_owned())).collect();
        Arc::new(Self(labels, key.name().to_owned()))
    }

    fn record(&self, change: impl FnOnce(Option<Values>) -> Values) {
        let mut values = lock(&RECORDER.values);
        let key = (self.0.clone(), self.1.clone());
        let before = values.remove(&key);
        values.insert(key, change(before));
    }
}

impl CounterFn for Metric {
    fn increment(&self, value: u64) {
        self.record(|before| match before {
            Some(Values::Count(count)) => Values::Count(count.saturating_add(value)),
            _ => Values::Count(value),
        });
    }

    fn absolute(&self, value: u64) {
        self.record(|_| Values::Count(value));
    }
}

impl GaugeFn for Metric {
    fn increment(&self, by: f64) {
        self.record(|before| {
            if let Some(Values::Gauge(value)) = before {
                Values::Gauge(value + by)
            } else {
                Values::Gauge(by)
            }
        });
    }

    fn decrement(&self, by: f64) {
        GaugeFn::increment(self, -by);
    }

    fn set(&self, value: f64) {
        self.record(|_| Values::Gauge(value));
    }
}

impl HistogramFn for Metric {
    fn record(&self, value: f64) {
        self.record(|before| match before {
            Some(Values::Times(mut times)) => {
                times.push(value);
                Values::Times(times)
            }
            _ => Values::Times(vec![value]),
        });
    }
}

impl Recorder for Emf {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        Counter::from_arc(Metric::from_key(key))
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::from_arc(Metric::from_key(key))
    }

    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::from_arc(Metric::from_key(key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_values_are_in_several_lines_and_counts_in_one() {
        let values = BTreeMap::from([
            ((Vec::new(), "batch_size".to_owned()), Values::Times(vec![1.0; 250])),
            ((Vec::new(), "requests_total".to_owned()), Values::Count(3)),
        ]);
        let lines = lines(values, "f", 0);
        let sizes: Vec<_> =
            lines.iter().map(|line| line["batch_size"].as_array().map(Vec::len)).collect();
        assert_eq!(sizes, [Some(100), Some(100), Some(50)]);
        assert_eq!(lines.iter().filter(|line| !line["requests_total"].is_null()).count(), 1);
    }

    #[test]
    fn a_line_is_what_cloudwatch_reads() {
        let labels = vec![
            ("outcome".to_owned(), "accepted".to_owned()),
            ("country".to_owned(), "CN".to_owned()),
        ];
        let values = BTreeMap::from([
            ((labels.clone(), "requests_total".to_owned()), Values::Count(3)),
            ((labels, "request_seconds".to_owned()), Values::Times(vec![0.5, 0.25])),
        ]);
        let lines = lines(values, "stack-RequestCode-1", 1_767_268_800_000);
        assert_eq!(
            lines,
            [json!({
                "_aws": { "Timestamp": 1_767_268_800_000_i64, "CloudWatchMetrics": [{
                    "Namespace": "sms-verify", "Dimensions": [["function", "outcome"]],
                    "Metrics": [
                        { "Name": "request_seconds", "Unit": "Seconds" },
                        { "Name": "requests_total", "Unit": "Count" },
                    ],
                }] },
                "function": "stack-RequestCode-1", "outcome": "accepted", "country": "CN",
                "requests_total": 3, "request_seconds": [0.5, 0.25],
            })]
        );
    }
}
