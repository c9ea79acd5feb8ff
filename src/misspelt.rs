//! Variables whose names are nearly those that are read: a slip of the pen would leave a limit, a
//! key or a store unset without a word.

use std::ffi::OsString;

use tracing::warn;

/// Its table has every variable.
const DOCUMENT: &str = include_str!("../docs/reference/configuration.md");

/// Letters that may be wrong in a name: one in so many.
const LETTERS: usize = 5;

/// Warns of each of these that is not read, and was likely meant to be.
pub fn warn_of(names: impl Iterator<Item = OsString>) {
    for name in names.filter_map(|name| name.into_string().ok()) {
        if let Some(meant) = meant(&name) {
            warn!("{name} is not read here: {meant} is");
        }
    }
}

fn meant(name: &str) -> Option<&'static str> {
    if variables().any(|known| known == name) {
        return None;
    }
    variables().find(|known| strsim::osa_distance(name, known) <= known.len() / LETTERS)
}

/// The names in the table's first column.
fn variables() -> impl Iterator<Item = &'static str> {
    let rows = DOCUMENT.lines().filter_map(|line| line.strip_prefix("| `")?.split(" | ").next());
    rows.flat_map(|names| names.split('`').step_by(2))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_pen_is_told() {
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
        ] {
            assert_eq!(meant(name), known, "{name}");
        }
    }
}
