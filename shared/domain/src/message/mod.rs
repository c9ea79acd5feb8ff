//! The text of an SMS, in the supported languages.

mod autofill;
mod segments;
mod templates;

use std::time::Duration;

use tracing::warn;

pub use self::autofill::{AllowedAutofill, Autofill};
pub use self::segments::segments;
use crate::code::{Code, CodeLength};
pub use crate::locale::Locale;
use crate::verification::Policy;
use crate::verification_id::Purpose;

/// The text with the code, its remaining lifetime if that is known, and the line for autofill.
#[must_use]
pub fn text(
    code: &Code,
    lifetime: Option<Duration>,
    locale: Locale,
    purpose: &Purpose,
    autofill: Option<&Autofill>,
) -> String {
    let mut text = templates::fill(locale, purpose.as_str(), code.expose(), lifetime.map(minutes));
    if let Some(autofill) = autofill {
        text.push('\n');
        text.push_str(&autofill.last_line(code.expose()));
    }
    text
}

/// Reads the texts in a thread of its own, and logs a warning for each that takes more than one
/// SMS. (The line for autofill and the signature that some gateways add are not counted.)
pub fn warm_up(code_length: CodeLength) {
    std::thread::spawn(move || {
        let longest = "0".repeat(code_length.digits());
        for locale in Locale::ALL {
            for purpose in templates::purposes(locale) {
                let segments = segments(&templates::fill(
                    locale,
                    purpose,
                    &longest,
                    Some(minutes(Policy::MAX_LIFE)),
                ));
                if segments > 1 {
                    warn!(
                        locale = locale.tag(),
                        purpose, segments, "this text takes more than one SMS"
                    );
                }
            }
        }
    });
}

/// A lifetime in whole minutes as a text names it: rounded to the nearest, at least 1.
#[must_use]
pub fn minutes(lifetime: Duration) -> u64 {
    ((lifetime.as_secs() + 30) / 60).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_names_code_and_minutes_and_is_one_sms() {
        let code =
            Code::parse("0123456789", CodeLength::new(10).expect("a length")).expect("a code");
        for locale in Locale::ALL {
            for purpose in templates::purposes(locale) {
                let purpose = Purpose::parse(purpose).expect("a purpose");
                let text =
                    text(&code, Some(Duration::from_millis(299_200)), locale, &purpose, None);
                assert!(text.contains("0123456789") && text.contains('5'), "{text}");
                assert_eq!(segments(&text), 1, "{text}");
            }
        }
        assert_eq!(minutes(Duration::from_secs(3)), 1);
    }

    #[test]
    fn what_fills_the_code_in_is_the_last_line() {
        let code = Code::parse("012345", CodeLength::default()).expect("a code");
        let origin = Autofill::origin("example.com").expect("a host");
        let text = text(
            &code,
            Some(Duration::from_secs(60)),
            Locale::En,
            &Purpose::default(),
            Some(&origin),
        );
        assert_eq!(text.lines().next_back(), Some("@example.com #012345"));
    }
}
