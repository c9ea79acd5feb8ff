//! The text of an SMS, in the two languages that the product speaks.

mod autofill;
mod segments;
mod templates;

use std::time::Duration;

use tracing::warn;

pub use self::autofill::{AllowedAutofill, Autofill};
pub use self::segments::segments;
use crate::code::{Code, CodeLength};
use crate::phone::PhoneNumber;
use crate::verification::{Policy, Purpose};

/// The language of a message or of an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Locale {
    /// Simplified Chinese.
    ZhCn,
    /// English.
    En,
}

impl Locale {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::ZhCn, Self::En];

    /// Reads a BCP 47 tag such as `zh-CN`, `zh-Hans` or `en-GB` by its first part.
    #[must_use]
    pub fn parse(tag: &str) -> Option<Self> {
        match tag.split(['-', '_']).next()?.trim().to_ascii_lowercase().as_str() {
            "zh" => Some(Self::ZhCn),
            "en" => Some(Self::En),
            _ => None,
        }
    }

    /// The language of an `Accept-Language` header (RFC 9110 §12.5.4) that comes first by weight and is spoken here.
    #[must_use]
    pub fn from_accept_language(header: &str) -> Option<Self> {
        let weighted = header.split(',').take(16).filter_map(|part| {
            let (tag, weight) = part.split_once(';').unwrap_or((part, "q=1"));
            let weight: f32 = weight.trim().strip_prefix("q=")?.parse().ok()?;
            (weight > 0.0).then_some((Self::parse(tag)?, weight))
        });
        // Of equals the first stays: `>` and not `>=`.
        weighted.reduce(|best, next| if next.1 > best.1 { next } else { best }).map(|(locale, _)| locale)
    }

    /// What a number's owner most likely reads, when nobody said: Chinese for +86, English elsewhere.
    #[must_use]
    pub fn of(number: &PhoneNumber) -> Self {
        if number.country_code() == "86" { Self::ZhCn } else { Self::En }
    }

    /// The BCP 47 tag.
    #[must_use]
    pub fn tag(self) -> &'static str {
        match self {
            Self::ZhCn => "zh-CN",
            Self::En => "en",
        }
    }
}

/// The text with the code and its remaining life, and the line that lets a phone fill it in.
#[must_use]
pub fn text(code: &Code, lifetime: Duration, locale: Locale, purpose: &Purpose, autofill: Option<&Autofill>) -> String {
    let mut text = templates::fill(locale, purpose.as_str(), code.expose(), minutes(lifetime));
    if let Some(autofill) = autofill {
        text.push('\n');
        text.push_str(&autofill.last_line(code.expose()));
    }
    text
}

/// Reads the texts, in a thread beside the start, and says which will be charged as more than one SMS. (The line for autofill
/// comes on top, and so does the signature that some gateways put in front.)
pub fn prepare(code_length: CodeLength) {
    std::thread::spawn(move || {
        let longest = "0".repeat(code_length.digits());
        for locale in Locale::ALL {
            for purpose in templates::purposes(locale) {
                let segments = segments(&templates::fill(locale, purpose, &longest, minutes(Policy::MAX_LIFE)));
                if segments > 1 {
                    warn!(locale = locale.tag(), purpose, segments, "this text takes more than one SMS");
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
        let code = Code::parse("0123456789", CodeLength::new(10).expect("a length")).expect("a code");
        for locale in Locale::ALL {
            for purpose in templates::purposes(locale) {
                let purpose = Purpose::parse(purpose).expect("a purpose");
                let text = text(&code, Duration::from_millis(299_200), locale, &purpose, None);
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
        let text = text(&code, Duration::from_secs(60), Locale::En, &Purpose::default(), Some(&origin));
        assert_eq!(text.lines().next_back(), Some("@example.com #012345"));
    }

    #[test]
    fn accept_language_is_read_by_weight() {
        for (header, expected) in [
            ("zh-CN,zh;q=0.9,en;q=0.8", Some(Locale::ZhCn)),
            ("fr, en;q=0.3, zh;q=0.7", Some(Locale::ZhCn)),
            ("en-GB", Some(Locale::En)),
            ("zh;q=0, en;q=0.1", Some(Locale::En)),
            ("de", None),
            ("", None),
            (";;;q=,,", None),
        ] {
            assert_eq!(Locale::from_accept_language(header), expected, "{header:?}");
        }
    }
}
