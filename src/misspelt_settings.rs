//! Warnings of misspelt variables: a name that is nearly that of a setting would leave a limit, a
//! key or a store unset without notice.

use std::ffi::OsString;

use sms_config::{Group, SETTINGS, Setting};
use tracing::warn;

/// A name counts as misspelt if at most one letter in this number differs.
const LETTERS: usize = 5;

/// Warns of each variable that is not read, and was likely meant to be.
pub fn warn_of(names: impl Iterator<Item = OsString>) {
    for name in names.filter_map(|name| name.into_string().ok()) {
        if let Some(meant) = meant(&name) {
            warn!("{name} is not read here: {meant} is");
        }
    }
}

fn meant(name: &str) -> Option<&'static str> {
    if SETTINGS.iter().any(|setting| setting.name == name) {
        return None;
    }
    // Other tools have variables that are nearly the standard ones.
    let ours = SETTINGS.iter().filter(|setting| setting.group != Group::Standard);
    let near =
        |known: &Setting| strsim::osa_distance(name, known.name) <= known.name.len() / LETTERS;
    ours.copied().find(|known| near(known)).map(|known| known.name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn misspelt_names_are_recognised() {
        for (name, known) in [
            ("REDIS_URI", Some("REDIS_URL")),
            ("SMS_DNS", Some("SMS_DSN")),
            ("API_KEY", Some("API_KEYS")),
            ("LIMIT", Some("LIMITS")),
            ("PRICE", Some("PRICES")),
            ("TRUSTED_PROXY", Some("TRUSTED_PROXIES")),
            ("ALLOWED_ORIGINS", Some("ALLOW_ORIGINS")),
            ("REDIS_URL", None),
            ("TEST_NUMBERS_UNTIL", None),
            ("HOME", None),
            ("LISTEN_FDS", None),
            ("OTEL_SERVICE_NAME", None),
            ("AWS_REGION", None),
            ("AWS_ENDPOINT_URL_S3", None),
        ] {
            assert_eq!(meant(name), known, "{name}");
        }
    }
}
