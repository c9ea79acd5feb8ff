//! Invocations with an event that a function does not process: a warm-up, or a foreign event.
//!
//! A function recognises its own events by their form; all others come here. A warm-up is answered.
//! For any other event the error describes it, since the error is all that an operator sees of a
//! wrong trigger.

use std::fmt;

use serde::Serialize;
use serde_json::{Map, Value};
use sms_app::event_source::{printable, source};

/// Maximum number of members of an unknown event that an error names.
const MAX_NAMED: usize = 8;

/// The response to a warm-up: `{"status":"ok"}`, as that of `/healthz`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Warm {
    status: &'static str,
}

/// A function was invoked with an event of another source. (Lambda's runtime logs errors by
/// `Debug`.)
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
#[error("invoked with {came}, but this function takes {takes}: look at what invokes it")]
pub struct Unexpected {
    came: String,
    takes: &'static str,
}

impl fmt::Debug for Unexpected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Answers an event that the function does not process. `takes` describes the events that it does.
///
/// # Errors
/// [`Unexpected`] for anything but a warm-up.
pub fn answer_other(event: &Value, takes: &'static str) -> Result<Warm, Unexpected> {
    if is_warm_up(event) {
        Ok(Warm { status: "ok" })
    } else {
        Err(Unexpected { came: describe(event), takes })
    }
}

/// Returns true for a warm-up or a trial: a schedule of EventBridge, a plugin that keeps functions
/// warm, the test event that Lambda's console suggests, or an empty event.
fn is_warm_up(event: &Value) -> bool {
    let is = |name: &str, value: &str| event.get(name).and_then(Value::as_str) == Some(value);
    let has = |name: &str| event.get(name).is_some();
    let empty = event.is_null() || event.as_object().is_some_and(Map::is_empty);
    let plugin = has("warmer") || has("warmup") || is("source", "serverless-plugin-warmup");
    empty || plugin || has("key1") || is("detail-type", "Scheduled Event")
}

/// Describes an event. Values of unknown members are left out: they may be phone numbers or
/// secrets.
fn describe(event: &Value) -> String {
    let members = |members: &Map<String, Value>| {
        let names: Vec<String> =
            members.keys().take(MAX_NAMED).map(|name| printable(name)).collect();
        format!("an event with the members {}", names.join(", "))
    };
    source(event)
        .or_else(|| event.as_object().map(members))
        .unwrap_or_else(|| "something that is no JSON object".to_owned())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_warm_up_is_answered() {
        for event in [
            json!({}),
            json!(null),
            json!({ "key1": "value1", "key2": "value2", "key3": "value3" }),
            json!({ "source": "aws.events", "detail-type": "Scheduled Event", "detail": {} }),
            json!({ "source": "aws.scheduler", "detail-type": "Scheduled Event", "detail": "{}" }),
            json!({ "source": "serverless-plugin-warmup" }),
            json!({ "warmer": true, "concurrency": 3 }),
        ] {
            let answer = answer_other(&event, "requests").map(|warm| json!(warm));
            assert_eq!(answer, Ok(json!({ "status": "ok" })), "{event}");
        }
    }

    #[test]
    fn the_error_describes_a_foreign_event() {
        for (event, came) in [
            (json!({ "Records": [{ "eventSource": "aws:s3", "s3": {} }] }), "records of aws:s3"),
            (json!({ "Records": [{ "EventSource": "aws:sns", "Sns": {} }] }), "records of aws:sns"),
            (json!({ "eventSource": "aws:kafka", "records": {} }), "an event of aws:kafka"),
            (
                json!({ "Type": "Notification", "TopicArn": "arn:aws:sns:…", "Message": "1" }),
                "a notification of SNS",
            ),
            (
                json!({
                    "source": "aws.ec2",
                    "detail-type": "EC2 Instance State-change Notification",
                }),
                "EventBridge's \"EC2 Instance State-change Notification\" of aws.ec2",
            ),
            (json!({ "to": "+8613800138000", "a\nb": 1 }), "an event with the members ab, to"),
            (json!(["+8613800138000"]), "something that is no JSON object"),
        ] {
            let error = answer_other(&event, "requests").expect_err("no warm-up").to_string();
            let expected = format!(
                "invoked with {came}, but this function takes requests: look at what invokes it"
            );
            assert_eq!(error, expected);
        }
    }
}
