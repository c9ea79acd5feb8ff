//! `BASE_PATH`: the part of the path before the API's own.

/// `BASE_PATH`: the prefix of the path that a proxy or a load balancer in front does not strip.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BasePath(String);

impl BasePath {
    /// Reads `/sms` or `/apps/sms/`; `None` if it does not begin with a slash, or has characters
    /// that are encoded in a path.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte);
        let usable = text.starts_with('/') && !text.contains("//") && text.bytes().all(plain);
        usable.then(|| Self(text.trim_end_matches('/').to_owned()))
    }

    /// The path without a slash at its end; empty if it is not set.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}
