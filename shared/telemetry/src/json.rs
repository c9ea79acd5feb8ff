//! Log lines as JSON: timestamp, level, the event's fields, target, and the fields of the request's
//! or delivery's span.

use std::fmt;

use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::format::{JsonFields, Writer};
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, FormattedFields};
use tracing_subscriber::registry::LookupSpan;

/// Event format with all members at the top level, so that logs can be searched for `request_id`
/// and `trace_id`.
pub(super) struct JsonLines;

impl<S: Subscriber + for<'a> LookupSpan<'a>> FormatEvent<S, JsonFields> for JsonLines {
    fn format_event(
        &self,
        context: &FmtContext<'_, S, JsonFields>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let metadata = event.metadata();
        writer.write_str("{\"timestamp\":\"")?;
        SystemTime.format_time(&mut writer)?;
        write!(writer, "\",\"level\":\"{}\"", metadata.level())?;
        let mut fields = String::new();
        context.format_fields(Writer::new(&mut fields), event)?;
        members(&mut writer, &fields)?;
        write!(writer, ",\"target\":\"{}\"", metadata.target())?;
        // A line has the fields of one span at most: nested spans are for exporters only.
        if let Some(span) = context.lookup_current()
            && let Some(names) = span.extensions().get::<FormattedFields<JsonFields>>()
        {
            members(&mut writer, &names.fields)?;
        }
        writeln!(writer, "}}")
    }
}

/// Appends the members of a JSON object to the line.
fn members(writer: &mut Writer<'_>, object: &str) -> fmt::Result {
    match object.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) {
        Some(members) if !members.is_empty() => write!(writer, ",{members}"),
        _ => Ok(()),
    }
}
