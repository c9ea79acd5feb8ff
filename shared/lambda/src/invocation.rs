//! Invocations with something else than what a function works on: told from the event alone.
//!
//! A function takes its own events by their form; what has another form comes here. A warm-up is
//! answered; of anything else the error says what it is, since whoever wired it up has nothing but
//! the error to go by.

use std::fmt;

use serde::Serialize;
use serde_json::{Map, Value};
use sms_app::event_source::{printable, source};

/// Most members of an unknown event that are named, and most characters of a name.
const MOST_NAMED: usize = 8;

/// The answer to a warm-up: `{"status":"ok"}`, as of `/healthz`.
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

/// Answers an event that is none of those that the function works on; `takes` says in words which
/// those are.
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

/// Whether somebody only wants an environment to be there, or to see that the function runs: a
/// schedule of EventBridge, a plugin that keeps functions warm, the test event that Lambda's
/// console suggests, or nothing at all.
fn is_warm_up(event: &Value) -> bool {
    let is = |name: &str, value: &str| event.get(name).and_then(Value::as_str) == Some(value);
    let has = |name: &str| event.get(name).is_some();
    let of_nothing = event.is_null() || event.as_object().is_some_and(Map::is_empty);
    let of_a_plugin = has("warmer") || has("warmup") || is("source", "serverless-plugin-warmup");
    of_nothing || of_a_plugin || has("key1") || is("detail-type", "Scheduled Event")
}

/// What an event is. Values of members that are not known are not told: they may be somebody's
/// number, or a secret.
fn describe(event: &Value) -> String {
    let members = |members: &Map<String, Value>| {
        let names: Vec<String> =
            members.keys().take(MOST_NAMED).map(|name| printable(name)).collect();
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
    fn of_anything_else_the_error_says_what_came() {
        for (event, came) in [
            (json!({ "Records": [{ "eventSource": "aws:s3", "s3": {} }] }), "records of aws:s3"),
            (json!({ "Records": [{ "EventSource": "aws:sns", "Sns": {} }] }), "records of aws:sns"),
            (json!({ "eventSource": "aws:kafka", "records": {} }), "an event of aws:kafka"),
            (
                json!({ "Type": "Notification", "TopicArn": "arn:aws:sns:…", "Message": "1" }),
                "a notification of SNS",
            ),
            (
                json!({ "source": "aws.ec2", "detail-type": "EC2 Instance State-change Notification" }),
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
