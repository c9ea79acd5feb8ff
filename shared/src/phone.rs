//! Phone numbers: whatever a person typed, parsed once into E.164, and masked wherever it is shown.

use std::fmt;

use rlibphonenumber::{PHONE_NUMBER_UTIL, PhoneNumberFormat, PhoneNumberType, enums::Region as Alpha2};

/// Longest text that is looked at: E.164 has 15 digits, the rest is punctuation and an international prefix.
const MAX_INPUT_CHARS: usize = 40;

/// What people put between digits: ASCII, no-break and ideographic space, hyphens and dashes, full-width forms.
const PUNCTUATION: &str = " -./()\u{a0}\u{3000}\u{2010}\u{2011}\u{2013}\u{ff0d}\u{ff08}\u{ff09}";

/// A mobile number in E.164 form. Its `Debug` and `Display` are masked; [`PhoneNumber::e164`] is the way to the digits.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct PhoneNumber {
    e164: String,
    country_code_digits: usize,
}

/// Why a text is not a number that a code can be sent to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PhoneError {
    /// The text cannot be read as a phone number, or no such number is assigned.
    #[error("this is not a valid phone number")]
    Invalid,
    /// The number exists, but its kind (landline, premium, toll-free, …) does not receive SMS.
    #[error("this number cannot receive SMS; give a mobile number")]
    NotMobile,
}

impl PhoneNumber {
    /// Reads an international number (`+86…`, `0086…`) or, within `region`, a national one.
    ///
    /// Full-width and Arabic-Indic digits count as digits, and the usual punctuation is skipped; letters are refused,
    /// so that nothing is guessed out of a sentence.
    ///
    /// # Errors
    /// [`PhoneError`] says whether the text is no number at all or a number without SMS.
    pub fn parse(text: &str, region: Region) -> Result<Self, PhoneError> {
        let text = normalize(text).ok_or(PhoneError::Invalid)?;
        let number = PHONE_NUMBER_UTIL.parse(&text, Some(region.0)).map_err(|_| PhoneError::Invalid)?;
        if !number.is_valid() {
            return Err(PhoneError::Invalid);
        }
        match number.get_type() {
            PhoneNumberType::Mobile | PhoneNumberType::FixedLineOrMobile => Ok(Self {
                e164: number.format_as(PhoneNumberFormat::E164).into_owned(),
                country_code_digits: number.country_code.to_string().len(),
            }),
            _ => Err(PhoneError::NotMobile),
        }
    }

    /// The number with `+` and country code, digits only: `+8613800138000`.
    #[must_use]
    pub fn e164(&self) -> &str {
        &self.e164
    }

    /// The country calling code without `+`: `86`.
    #[must_use]
    pub fn country_code(&self) -> &str {
        &self.e164[1..=self.country_code_digits]
    }

    /// The digits after the country code: `13800138000`.
    #[must_use]
    pub fn national(&self) -> &str {
        &self.e164[1 + self.country_code_digits..]
    }

    /// The number as it may be shown and logged: country code, stars, and the last four digits (two of a short one).
    #[must_use]
    pub fn masked(&self) -> String {
        let national = self.national();
        let shown = if national.len() >= 8 { 4 } else { 2 };
        let hidden = national.len() - shown;
        format!("+{}{}{}", self.country_code(), "*".repeat(hidden), &national[hidden..])
    }
}

impl fmt::Display for PhoneNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.masked())
    }
}

impl fmt::Debug for PhoneNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PhoneNumber({})", self.masked())
    }
}

/// ASCII digits with at most one leading `+`, or nothing if the text holds anything that is not part of a number.
fn normalize(text: &str) -> Option<String> {
    let text = text.trim();
    if text.chars().count() > MAX_INPUT_CHARS {
        return None;
    }
    let mut digits = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '+' | '\u{ff0b}' if digits.is_empty() => digits.push('+'),
            c if PUNCTUATION.contains(c) => {}
            _ => digits.push(ascii_digit(c)?),
        }
    }
    Some(match digits.strip_prefix("00") {
        Some(international) => format!("+{international}"),
        None => digits,
    })
}

/// The ASCII form of a decimal digit as keyboards in use produce it: ASCII, full-width, Arabic-Indic, Persian.
pub(crate) fn ascii_digit(c: char) -> Option<char> {
    ['0', '\u{ff10}', '\u{660}', '\u{6f0}'].into_iter().find_map(|zero| {
        let value = u32::from(c).checked_sub(u32::from(zero))?;
        char::from_digit(value, 10)
    })
}

/// The country in which a number without `+` is read, as its ISO 3166-1 alpha-2 code.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Region(Alpha2);

impl Region {
    /// Reads a two-letter code such as `CN`, in either case.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let region = Alpha2::from_code(&text.to_ascii_uppercase()).ok()?;
        PHONE_NUMBER_UTIL.get_country_code_for_region(region).map(|_| Self(region))
    }

    /// The two-letter code.
    #[must_use]
    pub fn code(self) -> String {
        self.0.as_region_str().to_string()
    }
}

impl Default for Region {
    fn default() -> Self {
        Self(Alpha2::CN)
    }
}

impl fmt::Debug for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.as_region_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn region(code: &str) -> Region {
        Region::parse(code).expect("a region")
    }

    fn parse(text: &str) -> Result<String, PhoneError> {
        PhoneNumber::parse(text, region("CN")).map(|number| number.e164().to_owned())
    }

    #[test]
    fn every_way_to_write_a_number_is_the_same_number() {
        for text in [
            "13800138000",
            "+86 138 0013 8000",
            "008613800138000",
            "+86-138-0013-8000",
            "\u{ff11}\u{ff13}\u{ff18}\u{ff10}\u{ff10}\u{ff11}\u{ff13}\u{ff18}\u{ff10}\u{ff10}\u{ff10}",
            "\u{ff0b}\u{ff18}\u{ff16}13800138000",
            "  (138) 0013.8000 ",
            "\u{661}\u{663}\u{668}\u{660}\u{660}\u{661}\u{663}\u{668}\u{660}\u{660}\u{660}",
        ] {
            assert_eq!(parse(text).as_deref(), Ok("+8613800138000"), "{text:?}");
        }
        assert_eq!(
            PhoneNumber::parse("2025550123", region("us")).map(|n| n.e164().to_owned()).as_deref(),
            Ok("+12025550123"),
            "a national number is read in its region"
        );
        assert_eq!(
            PhoneNumber::parse("0044 7400 123456", region("US")).map(|n| n.e164().to_owned()).as_deref(),
            Ok("+447400123456")
        );
    }

    #[test]
    fn what_is_no_mobile_number_is_refused() {
        for text in [
            "",
            "+",
            "1",
            "abc",
            "12345",
            "+861380013800",
            "138001380001234567890123456789",
            "13800138000; DROP",
            "1380013800O",
            "13800138000\0",
            "\u{202e}13800138000",
            "+86+13800138000",
            "+999123456789",
            "\u{1d7cf}\u{1d7d1}\u{1d7d6}00138000", // mathematical digits
        ] {
            assert_eq!(parse(text), Err(PhoneError::Invalid), "{text:?}");
        }
        assert_eq!(parse("010-62552266"), Err(PhoneError::NotMobile), "a landline in Beijing");
        assert_eq!(parse("+448001111"), Err(PhoneError::NotMobile), "toll-free");
    }

    #[test]
    fn a_number_shows_itself_masked() {
        let number = PhoneNumber::parse("13800138000", region("CN")).expect("valid");
        assert_eq!(number.to_string(), "+86*******8000");
        assert_eq!(format!("{number:?}"), "PhoneNumber(+86*******8000)");
        assert_eq!((number.country_code(), number.national()), ("86", "13800138000"));
    }

    #[test]
    fn a_region_is_a_country_with_a_calling_code() {
        assert_eq!(region("cn").code(), "CN");
        for text in ["", "C", "CHN", "ZZ", "86", "中国"] {
            assert!(Region::parse(text).is_none(), "{text:?}");
        }
    }
}
