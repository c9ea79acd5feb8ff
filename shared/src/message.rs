//! The text of an SMS, in the two languages that the product speaks.

use std::time::Duration;

use crate::code::Code;
use crate::phone::PhoneNumber;

/// The language of a message or of an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Locale {
    /// Simplified Chinese.
    ZhCn,
    /// English.
    En,
}

impl Locale {
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

/// The text with the code and its remaining life. One SMS segment in either language.
#[must_use]
pub fn text(code: &Code, lifetime: Duration, locale: Locale) -> String {
    let (code, minutes) = (code.expose(), minutes(lifetime));
    match locale {
        Locale::ZhCn => format!("您的验证码是{code}，{minutes}分钟内有效。请勿告诉他人。"),
        Locale::En => {
            let unit = if minutes == 1 { "minute" } else { "minutes" };
            format!("Your verification code is {code}. It is valid for {minutes} {unit}. Do not share it.")
        }
    }
}

/// A lifetime in whole minutes as a text names it: rounded to the nearest, at least 1.
#[must_use]
pub fn minutes(lifetime: Duration) -> u64 {
    ((lifetime.as_secs() + 30) / 60).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::code::CodeLength;

    #[test]
    fn the_text_names_code_and_minutes() {
        let code = Code::parse("012345", CodeLength::default()).expect("a code");
        let almost_five = Duration::from_millis(299_200);
        for (locale, length) in [(Locale::ZhCn, 70), (Locale::En, 160)] {
            let text = text(&code, almost_five, locale);
            assert!(text.contains("012345") && text.contains('5'), "{text}");
            assert!(text.chars().count() <= length, "more than one segment: {text}");
        }
        assert_eq!(minutes(Duration::from_secs(3)), 1);
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
