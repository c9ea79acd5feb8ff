//! The names under which the lines of one request are found: its own, and that of the trace that it is part of, which goes on with
//! its job. After W3C Trace Context: <https://www.w3.org/TR/trace-context/>.

use std::fmt;

use crate::signing::hex;

/// A trace's name: 32 hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TraceId(String);

impl TraceId {
    /// A new one.
    #[must_use]
    pub fn new(random: [u8; 16]) -> Self {
        Self(hex(&random))
    }

    /// Reads 32 lower-case hexadecimal digits that are not all zero.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let digits = text.len() == 32 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        (digits && text.bytes().any(|byte| byte != b'0')).then(|| Self(text.to_owned()))
    }

    /// Reads the header `traceparent`: `00-TRACE-PARENT-FLAGS`.
    #[must_use]
    pub fn from_traceparent(header: &str) -> Option<Self> {
        let mut parts = header.split('-');
        let version = parts.next()?;
        (version.len() == 2 && version != "ff" && version.bytes().all(|byte| byte.is_ascii_hexdigit()))
            .then(|| Self::parse(parts.next()?))?
    }

    /// Reads the header `X-Amzn-Trace-Id`: `Root=1-EPOCH-RANDOM;…`.
    #[must_use]
    pub fn from_xray(header: &str) -> Option<Self> {
        let root = header.split(';').find_map(|part| part.trim().strip_prefix("Root=1-"))?;
        Self::parse(&root.replace('-', ""))
    }

    /// The digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn traces_are_named_by_those_who_began_them() {
        let id = "4bf92f3577b34da6a3ce929d0e0e4736";
        let read = |header: &str| TraceId::from_traceparent(header).map(|id| id.to_string());
        assert_eq!(read(&format!("00-{id}-00f067aa0ba902b7-01")).as_deref(), Some(id));
        for wrong in
            ["", "00", &format!("ff-{id}-00f067aa0ba902b7-01"), &format!("00-{}-1-01", "0".repeat(32)), "00-XYZ-1-01"]
        {
            assert_eq!(read(wrong), None, "{wrong}");
        }
        let xray = TraceId::from_xray("Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1");
        assert_eq!(xray.expect("a trace").as_str(), "5759e988bd862e3fe1be46a994272793");
        assert_eq!(TraceId::from_xray("Self=1-5759e988-bd862e3fe1be46a994272793"), None);
    }
}
