//! Names the AWS service that an event comes from, for messages and invocations that are not ours.

use serde_json::Value;

/// Most characters of a name that are kept.
const LONGEST_NAME: usize = 60;

/// The event's service and kind, by the names that AWS gives them; nothing if it is none of AWS's.
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
    // As SNS writes it into a queue.
    if text(event, "Type").as_deref() == Some("Notification") && event.get("TopicArn").is_some() {
        return Some("a notification of SNS".to_owned());
    }
    let (source, kind) = (text(event, "source")?, text(event, "detail-type")?);
    Some(format!("EventBridge's {kind:?} of {source}"))
}

/// Short, and fit for a line of a log.
#[must_use]
pub fn printable(text: &str) -> String {
    text.chars().filter(|c| c.is_ascii_graphic() || *c == ' ').take(LONGEST_NAME).collect()
}
