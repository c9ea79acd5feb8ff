//! `BASE_PATH`: the part of the path before the API's own.

/// `BASE_PATH`: what a proxy or a load balancer in front leaves before the API's own paths.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BasePath(String);

impl BasePath {
    /// Reads `/sms` or `/apps/sms/`; nothing if it does not begin with a slash, or has characters
    /// that are encoded in a path.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte);
        let usable = text.starts_with('/') && !text.contains("//") && text.bytes().all(plain);
        usable.then(|| Self(text.trim_end_matches('/').to_owned()))
    }

    /// Without a slash at its end; empty where there is none.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}
