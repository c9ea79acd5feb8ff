//! The request ID and W3C trace context of a request, which its job carries.
//! <https://www.w3.org/TR/trace-context/>

use std::fmt;

/// Request ID and trace context of a request and its job, for log lines and spans.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RequestContext {
    /// ID of the HTTP request.
    pub request_id: Option<String>,
    /// The trace that the request is part of.
    pub trace: Option<TraceParent>,
}

/// A `traceparent`, `00-TRACE-PARENT-FLAGS`: the trace, and the parent span.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TraceParent(String);

impl TraceParent {
    /// Starts a new trace that is not sampled: it has an ID, and its spans are not recorded.
    #[must_use]
    pub fn new(random: [u8; 24]) -> Self {
        let mut digits = [0; 48];
        // The room is right, and the digits are text.
        let _ = hex::encode_to_slice(random, &mut digits);
        let (trace, parent) = digits.split_at(32);
        let [trace, parent] =
            [trace, parent].map(|digits| str::from_utf8(digits).unwrap_or_default());
        Self(["00-", trace, "-", parent, "-00"].concat())
    }

    /// Reads the header `traceparent`.
    #[must_use]
    pub fn parse(header: &str) -> Option<Self> {
        let mut parts = header.trim().split('-');
        let (version, trace, parent, flags) =
            (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        let known = is_hex(version, 2) && version != "ff" && is_hex(flags, 2);
        let ids = is_id(trace, 32) && is_id(parent, 16);
        (known && ids).then(|| Self(format!("00-{trace}-{parent}-{flags}")))
    }

    /// Reads the header `X-Amzn-Trace-Id`: `Root=1-EPOCH-RANDOM;Parent=SPAN;Sampled=1`. `parent` is
    /// the default for one without a parent.
    #[must_use]
    pub fn from_xray(header: &str, parent: [u8; 8]) -> Option<Self> {
        let trace = xray_field(header, "Root=1-")?.replace('-', "");
        let parent =
            xray_field(header, "Parent=").map_or_else(|| hex::encode(parent), ToOwned::to_owned);
        let flags = if xray_field(header, "Sampled=") == Some("0") { "00" } else { "01" };
        Self::parse(&format!("00-{trace}-{parent}-{flags}"))
    }

    /// The trace ID: 32 hexadecimal digits.
    #[must_use]
    pub fn trace_id(&self) -> &str {
        &self.0[3..35]
    }

    /// ID of the parent span: 16 hexadecimal digits.
    #[must_use]
    pub fn parent_id(&self) -> &str {
        &self.0[36..52]
    }

    /// Returns true if spans of the trace are recorded.
    pub fn is_sampled(&self) -> bool {
        // The lowest bit of the flags.
        self.0[53..].ends_with(['1', '3', '5', '7', '9', 'b', 'd', 'f'])
    }

    /// Value of the header `traceparent`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Value of the header `X-Amzn-Trace-Id`, which SQS and X-Ray use.
    #[must_use]
    pub fn xray(&self) -> String {
        let (trace, parent, sampled) =
            (self.trace_id(), self.parent_id(), u8::from(self.is_sampled()));
        format!("Root=1-{}-{};Parent={parent};Sampled={sampled}", &trace[..8], &trace[8..])
    }
}

impl fmt::Display for TraceParent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Value of a field of X-Ray's header; `name` includes the `=`.
pub fn xray_field<'a>(header: &'a str, name: &str) -> Option<&'a str> {
    header.split(';').find_map(|part| part.trim().strip_prefix(name))
}

fn is_hex(text: &str, digits: usize) -> bool {
    text.len() == digits && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// Returns true for an ID: hexadecimal, and not all zeros.
fn is_id(text: &str, digits: usize) -> bool {
    is_hex(text, digits) && text.bytes().any(|byte| byte != b'0')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn traces_are_named_by_those_who_began_them() {
        let id = "4bf92f3577b34da6a3ce929d0e0e4736";
        let given = format!("00-{id}-00f067aa0ba902b7-01");
        let read = |header: &str| TraceParent::parse(header).map(|parent| parent.to_string());
        assert_eq!(read(&given).as_deref(), Some(given.as_str()));
        assert_eq!(TraceParent::parse(&given).expect("a parent").trace_id(), id);
        // A later version may say more.
        assert_eq!(
            read(&format!("01-{id}-00f067aa0ba902b7-01-more")).as_deref(),
            Some(given.as_str())
        );
        let zeros = "0".repeat(32);
        for wrong in [
            "",
            "00",
            &given.replace("00-4", "ff-4"),
            &given.replace("00-4", "zz-4"),
            &given.replace(id, &zeros),
            &given[..40],
        ] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn x_ray_writes_them_otherwise() {
        let header = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1";
        let parent = TraceParent::from_xray(header, [1; 8]).expect("a parent");
        assert_eq!(
            (parent.trace_id(), parent.xray().as_str()),
            ("5759e988bd862e3fe1be46a994272793", header)
        );
        let unsampled = header.replace("Sampled=1", "Sampled=0");
        let parent = TraceParent::from_xray(&unsampled, [1; 8]).expect("a parent");
        assert_eq!(parent.xray(), unsampled, "who pays for traces decides which are kept");
        let root = TraceParent::from_xray("Root=1-5759e988-bd862e3fe1be46a994272793", [1; 8])
            .expect("a parent");
        assert!(root.as_str().ends_with("-0101010101010101-01"));
        assert_eq!(
            TraceParent::from_xray("Self=1-5759e988-bd862e3fe1be46a994272793", [1; 8]),
            None
        );
    }
}
