//! Names the AWS service that an event comes from, for messages and invocations that are not ours.

use serde_json::Value;

/// Maximum length of a name, in characters.
const MAX_NAME: usize = 60;

/// The event's service and kind, by AWS's names; `None` if it is not an event of AWS.
#[must_use]
pub fn source(event: &Value) -> Option<String> {
    let text = |of: &Value, member: &str| of.get(member).and_then(Value::as_str).map(printable);
    let first = event.get("Records").and_then(|records| records.get(0));
    if let Some(source) =
        first.and_then(|first| text(first, "eventSource").or_else(|| text(first, "EventSource")))
    {
        return Some(format!("records of {source}"));
    }
    if let Some(source) = text(event, "eventSource") {
        return Some(format!("an event of {source}"));
    }
    // A notification of SNS, in the form that a queue subscribed to it receives.
    if text(event, "Type").as_deref() == Some("Notification") && event.get("TopicArn").is_some() {
        return Some("a notification of SNS".to_owned());
    }
    let (source, kind) = (text(event, "source")?, text(event, "detail-type")?);
    Some(format!("EventBridge's {kind:?} of {source}"))
}

/// Strips a text of control characters and shortens it, for a log line.
#[must_use]
pub fn printable(text: &str) -> String {
    text.chars().filter(|c| c.is_ascii_graphic() || *c == ' ').take(MAX_NAME).collect()
}
