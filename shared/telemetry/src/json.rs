//! Log lines as JSON: timestamp, level, the event's fields, target, and the fields of the request's
//! or delivery's span.

use std::cell::RefCell;
use std::fmt::{self, Debug, Write as _};
use std::time::{SystemTime, UNIX_EPOCH};
use std::{io, str};

use jiff::Timestamp;
use serde::{Serialize, Serializer};
use tracing::field::{Field, Visit};
use tracing::span::Record;
use tracing::{Event, Subscriber};
use tracing_subscriber::field::RecordFields;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, FormattedFields};
use tracing_subscriber::registry::LookupSpan;

/// Event format with all members at the top level, so that logs can be searched for `request_id`
/// and `trace_id`.
pub(super) struct JsonLines;

impl<S: Subscriber + for<'a> LookupSpan<'a>> FormatEvent<S, JsonMembers> for JsonLines {
    fn format_event(
        &self,
        context: &FmtContext<'_, S, JsonMembers>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let metadata = event.metadata();
        writer.write_str("{\"timestamp\":\"")?;
        write_time(&mut writer)?;
        writer.write_str("\",\"level\":\"")?;
        writer.write_str(metadata.level().as_str())?;
        writer.write_char('"')?;
        context.format_fields(writer.by_ref(), event)?;
        writer.write_str(",\"target\":\"")?;
        writer.write_str(metadata.target())?;
        writer.write_char('"')?;
        // A line has the fields of one span at most: nested spans are for exporters only.
        if let Some(span) = context.lookup_current()
            && let Some(members) = span.extensions().get::<FormattedFields<JsonMembers>>()
        {
            writer.write_str(&members.fields)?;
        }
        writer.write_str("}\n")
    }
}

/// Writes the time as `2026-01-01T12:05:00.000000Z`. The date is reckoned once a second.
#[expect(clippy::disallowed_methods, reason = "a line says when it was")]
fn write_time(writer: &mut Writer<'_>) -> fmt::Result {
    thread_local! {
        static SECOND: RefCell<(u64, String)> = const { RefCell::new((0, String::new())) };
    }
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    SECOND.with_borrow_mut(|(second, text)| {
        if *second != now.as_secs() {
            *second = now.as_secs();
            text.clear();
            let start =
                i64::try_from(*second).ok().and_then(|now| Timestamp::from_second(now).ok());
            let start = start.unwrap_or_default();
            write!(text, "{start:.0}")?;
            text.pop();
        }
        writer.write_str(text)
    })?;
    write!(writer, ".{:06}Z", now.subsec_micros())
}

/// Format of fields: the members of a JSON object, each with a comma before it. (The format of
/// `tracing-subscriber` makes a tree of all values first.)
pub(super) struct JsonMembers;

thread_local! {
    /// The members that are being written. In one piece they go into a span, which has no room yet.
    static MEMBERS: RefCell<String> = const { RefCell::new(String::new()) };
}

impl<'writer> FormatFields<'writer> for JsonMembers {
    fn format_fields<R: RecordFields>(
        &self,
        mut writer: Writer<'writer>,
        fields: R,
    ) -> fmt::Result {
        // Taken, since a value's own `Debug` may log.
        let mut members = MEMBERS.take();
        let mut visitor = MemberVisitor { members: &mut members, result: Ok(()) };
        fields.record(&mut visitor);
        let written = visitor.result.and_then(|()| writer.write_str(&members));
        members.clear();
        MEMBERS.set(members);
        written
    }

    fn add_fields(
        &self,
        current: &'writer mut FormattedFields<Self>,
        fields: &Record<'_>,
    ) -> fmt::Result {
        self.format_fields(current.as_writer(), fields)
    }
}

struct MemberVisitor<'a> {
    members: &'a mut String,
    result: fmt::Result,
}

impl MemberVisitor<'_> {
    fn member(&mut self, field: &Field, value: impl Serialize) {
        if self.result.is_ok() {
            self.result = self.try_member(field.name(), value);
        }
    }

    fn try_member(&mut self, name: &str, value: impl Serialize) -> fmt::Result {
        self.members.push_str(",\"");
        self.members.push_str(name.strip_prefix("r#").unwrap_or(name));
        self.members.push_str("\":");
        let writer = AsBytes(self.members);
        value.serialize(&mut serde_json::Serializer::new(writer)).map_err(|_| fmt::Error)
    }
}

impl Visit for MemberVisitor<'_> {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.member(field, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.member(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.member(field, value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.member(field, value);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.member(field, value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.member(field, Text(value));
    }
}

/// A value as a JSON string, as its `Debug` writes it.
struct Text<'a>(&'a dyn Debug);

impl Serialize for Text<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{:?}", self.0))
    }
}

/// A text as a writer of bytes, which `serde_json` wants. It writes whole characters.
struct AsBytes<'a>(&'a mut String);

impl io::Write for AsBytes<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.push_str(str::from_utf8(bytes).map_err(io::Error::other)?);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::{Arc, Mutex};

    use serde_json::{Value, json};
    use sms_domain::sync::lock;
    use tracing::field::Empty;
    use tracing::subscriber::with_default;
    use tracing::{error_span, warn};
    use tracing_subscriber::fmt;

    use super::*;

    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Written {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            lock(&self.0).extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_line_is_one_json_object() {
        let written = Written::default();
        let writer = written.clone();
        let lines = fmt()
            .fmt_fields(JsonMembers)
            .event_format(JsonLines)
            .with_writer(move || writer.clone())
            .finish();
        with_default(lines, || {
            let none: Option<&str> = None;
            let span = error_span!("request", request_id = "a\"b", none, late = Empty);
            span.record("late", 7);
            let _entered = span.enter();
            let text = "line\nof \\ 中文 \u{1}";
            warn!(text, number = -1, half = 0.5, yes = true, debug = ?Some("x\t"), "ready {}", 1);
            warn!("again");
        });
        let written = String::from_utf8(lock(&written.0).clone()).expect("text");
        let lines: Vec<Value> =
            written.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
        let [first, second] = &lines[..] else { panic!("{written}") };
        let expected = json!({
            "timestamp": first["timestamp"], "level": "WARN", "message": "ready 1",
            "text": "line\nof \\ 中文 \u{1}", "number": -1, "half": 0.5, "yes": true,
            "debug": "Some(\"x\\t\")", "target": "sms_telemetry::json::tests",
            "request_id": "a\"b", "late": 7,
        });
        assert_eq!(first, &expected);
        let timestamp = first["timestamp"].as_str().unwrap_or_default();
        assert_eq!(timestamp.len(), "2026-01-01T12:05:00.000000Z".len(), "{timestamp}");
        assert!(timestamp.parse::<Timestamp>().is_ok(), "{timestamp}");
        assert_eq!((&second["message"], &second["late"]), (&json!("again"), &json!(7)));
    }
}
