//! Timestamps in responses: RFC 3339 in UTC, always with milliseconds, so that they can be compared
//! and sorted as text too.

use jiff::Timestamp;
use serde::Serializer;

/// Formats a timestamp as `2026-01-01T12:05:00.000Z`.
#[must_use]
pub fn rfc3339(at: Timestamp) -> String {
    format!("{at:.3}")
}

/// Serializes a timestamp as [`rfc3339`] formats it.
///
/// # Errors
/// Those of the serializer.
pub fn serialize<S: Serializer>(at: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&rfc3339(*at))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_have_the_same_form() {
        for (nanoseconds, expected) in [
            (0, "2026-01-01T12:05:00.000Z"),
            (120_000_000, "2026-01-01T12:05:00.120Z"),
            (999_999_999, "2026-01-01T12:05:00.999Z"),
        ] {
            let at = Timestamp::new(1_767_269_100, nanoseconds).expect("a time");
            assert_eq!(rfc3339(at), expected);
        }
    }
}
