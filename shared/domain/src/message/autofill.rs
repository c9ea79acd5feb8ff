//! Autofill of codes by the phone: WebOTP's last line for a web page, the app hash of Android's SMS
//! Retriever for an app.

use std::collections::BTreeSet;

/// The page or app that may read the code out of the message.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Autofill {
    /// The host of a page: the last line is `@host #code` (origin-bound one-time codes, W3C/WICG).
    Origin(String),
    /// The 11 characters that end a message for an app with Android's SMS Retriever.
    AppHash(String),
}

impl Autofill {
    /// Reads the host of a page, such as `example.com` or `https://login.example.com`.
    #[must_use]
    pub fn origin(text: &str) -> Option<Self> {
        let host = text
            .strip_prefix("https://")
            .unwrap_or(text)
            .trim_end_matches('/')
            .to_ascii_lowercase();
        let label = |label: &str| {
            (1..=63).contains(&label.len())
                && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
        };
        (host.len() <= 100 && host.split('.').all(label)).then_some(Self::Origin(host))
    }

    /// Reads an app hash: 11 characters of base64.
    #[must_use]
    pub fn app_hash(text: &str) -> Option<Self> {
        let base64 = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/');
        (text.len() == 11 && text.bytes().all(base64)).then(|| Self::AppHash(text.to_owned()))
    }

    /// The last line of the message.
    pub fn last_line(&self, code: &str) -> String {
        match self {
            Self::Origin(host) => format!("@{host} #{code}"),
            Self::AppHash(hash) => hash.clone(),
        }
    }
}

/// The pages and apps of this installation. Any other could be a phishing page that asks for codes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AllowedAutofill(BTreeSet<Autofill>);

impl AllowedAutofill {
    /// Returns true if the page or app is allowed.
    #[must_use]
    pub fn contains(&self, autofill: &Autofill) -> bool {
        self.0.contains(autofill)
    }
}

impl FromIterator<Autofill> for AllowedAutofill {
    fn from_iter<I: IntoIterator<Item = Autofill>>(all: I) -> Self {
        Self(all.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_and_hashes_are_read() {
        let origin = |text| Autofill::origin(text).map(|autofill| autofill.last_line("012345"));
        assert_eq!(origin("Example.com").as_deref(), Some("@example.com #012345"));
        assert_eq!(
            origin("https://login.example.com/").as_deref(),
            Some("@login.example.com #012345")
        );
        for text in [
            "",
            "a b",
            "x\ny",
            "http://example.com",
            "example.com/path",
            "example..com",
            "ex@mple.com",
        ] {
            assert_eq!(Autofill::origin(text), None, "{text:?}");
        }
        assert_eq!(
            Autofill::app_hash("FA+9qCX9VSu").map(|hash| hash.last_line("1")).as_deref(),
            Some("FA+9qCX9VSu")
        );
        for text in ["", "short", "FA+9qCX9VS ", "FA+9qCX9VSuu"] {
            assert_eq!(Autofill::app_hash(text), None, "{text:?}");
        }
    }
}
