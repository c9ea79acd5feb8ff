//! Phone numbers: parsed once from user input into E.164, and masked wherever they are shown.

mod forms;
mod places;
mod typed;

use std::fmt;

use rlibphonenumber::{
    PHONE_NUMBER_UTIL, PhoneNumber as Parsed, PhoneNumberFormat, PhoneNumberType,
};

pub use self::places::{Countries, Country, Region};
pub use self::typed::{ascii_digit, is_plus, is_skipped};

/// Longest input: E.164 has 15 digits, the rest is punctuation and an international prefix.
const MAX_INPUT_CHARS: usize = 40;

/// As many stars as a number has digits at most.
const STARS: &str = "***************";

/// Number of digits after a number's prefix.
const DIGITS_AFTER_PREFIX: usize = 4;

/// Country calling codes of one and of two digits; all others have three (ITU-T E.164, list of
/// assigned country codes).
const ONE_DIGIT: [&str; 2] = ["1", "7"];
const TWO_DIGITS: [&str; 44] = [
    "20", "27", "30", "31", "32", "33", "34", "36", "39", "40", "41", "43", "44", "45", "46", "47",
    "48", "49", "51", "52", "53", "54", "55", "56", "57", "58", "60", "61", "62", "63", "64", "65",
    "66", "81", "82", "84", "86", "90", "91", "92", "93", "94", "95", "98",
];

/// A mobile number in E.164 form. Its `Debug` and `Display` are masked; [`PhoneNumber::e164`]
/// returns the digits.
///
/// ```
/// use sms_domain::phone::{PhoneError, PhoneNumber, Region};
///
/// let number = PhoneNumber::parse("138 0013 8000", Region::default())?;
/// assert_eq!(number.e164(), "+8613800138000");
/// assert_eq!(number.to_string(), "+86*******8000");
///
/// let landline = PhoneNumber::parse("+86 10 6552 9988", Region::default());
/// assert_eq!(landline, Err(PhoneError::NotMobile));
/// # Ok::<(), PhoneError>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct PhoneNumber {
    e164: String,
    country_code_digits: usize,
}

/// Loads the metadata of a region, by parsing an example number in national and international form.
/// It takes some milliseconds of processor time, which the first number would wait for otherwise:
/// call it in a thread of its own.
pub fn warm_up(region: Region) {
    let example =
        PHONE_NUMBER_UTIL.get_example_number_for_type_and_region(region.0, PhoneNumberType::Mobile);
    if let Ok(number) = example {
        for text in
            [&number.format_as(PhoneNumberFormat::E164), &*number.get_national_significant_number()]
        {
            let _ = PhoneNumber::parse(text, region);
        }
    }
}

/// Reason why a text is not a number that a code can be sent to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PhoneError {
    /// The text cannot be read as a phone number, or no such number is assigned.
    #[error("this is not a valid phone number")]
    Invalid,
    /// The number exists, but its kind (landline, premium, toll-free, …) does not receive SMS.
    #[error("this number cannot receive SMS; give a mobile number")]
    NotMobile,
    /// A number of Argentina without the 9 of a mobile number: a landline.
    #[error("a mobile number of Argentina has a 9 after +54, as in +54 9 11 2345 6789")]
    ArgentinaWithoutNine,
    /// A number of Brazil without the ninth digit of a mobile number.
    #[error("a mobile number of Brazil has a 9 after the area code, as in +55 11 96123 4567")]
    BrazilWithoutNine,
}

impl PhoneNumber {
    /// Reads an international number (`+86…`, `0086…`) or, within `region`, a national one.
    ///
    /// Decimal digits of every script count as digits, and separators are skipped; letters are
    /// refused, so that nothing is guessed out of a sentence. The text is read as it would be
    /// dialled in `region`: the region's own international prefix (in Hong Kong `001`) is tried
    /// before `00`.
    ///
    /// # Errors
    /// [`PhoneError`] says whether the text is no number at all, a number without SMS, or one that
    /// lacks a digit.
    pub fn parse(text: &str, region: Region) -> Result<Self, PhoneError> {
        Self::parse_with_country(text, region).map(|(number, _)| number)
    }

    /// Reads a number as [`PhoneNumber::parse`] does, and returns its country too: several share a
    /// calling code, such as +1.
    ///
    /// # Errors
    /// As [`PhoneNumber::parse`].
    pub fn parse_with_country(text: &str, region: Region) -> Result<(Self, Country), PhoneError> {
        let text = normalize(text).ok_or(PhoneError::Invalid)?;
        Self::dialled(&text, region).or_else(|error| match behind_zeros(&text) {
            Some(international) if error == PhoneError::Invalid => {
                Self::dialled(&international, region)
            }
            _ => Err(error),
        })
    }

    /// Reads digits as dialled in a region.
    fn dialled(digits: &str, region: Region) -> Result<(Self, Country), PhoneError> {
        let number =
            PHONE_NUMBER_UTIL.parse(digits, Some(region.0)).map_err(|_| PhoneError::Invalid)?;
        let kind = number.get_type();
        Self::mobile(&number, kind).map_or_else(|| Self::of_another_form(&number, kind), Ok)
    }

    fn mobile(number: &Parsed, kind: PhoneNumberType) -> Option<(Self, Country)> {
        let receives = matches!(kind, PhoneNumberType::Mobile | PhoneNumberType::FixedLineOrMobile);
        let country = number.get_region_code().filter(|_| receives)?;
        Some((Self::of(number), Country::of(country, number.country_code)?))
    }

    fn of(number: &Parsed) -> Self {
        let e164 = number.format_as(PhoneNumberFormat::E164).into_owned();
        let country_code_digits = country_code_digits(&e164[1..]);
        Self { e164, country_code_digits }
    }

    /// Converts a number that is not mobile to its country's present form, or tells what is wrong
    /// with it.
    fn of_another_form(
        number: &Parsed,
        kind: PhoneNumberType,
    ) -> Result<(Self, Country), PhoneError> {
        let assigned = kind != PhoneNumberType::Unknown;
        let refused = if assigned { PhoneError::NotMobile } else { PhoneError::Invalid };
        let code = number.country_code;
        if !forms::WITH_OTHER_FORMS.contains(&code) {
            return Err(refused);
        }
        let national = number.get_national_significant_number();
        let other = |form: fn(i32, &str) -> Option<String>| {
            let number = PHONE_NUMBER_UTIL.parse(form(code, &national)?, None).ok()?;
            Self::mobile(&number, number.get_type())
        };
        if other(forms::with_argentine_nine).is_some() {
            return Err(PhoneError::ArgentinaWithoutNine);
        }
        if assigned {
            return Err(refused);
        }
        if other(forms::with_brazilian_nine).is_some() {
            return Err(PhoneError::BrazilWithoutNine);
        }
        other(forms::renumbered).ok_or(refused)
    }

    /// Numbers that a text may mean by its form alone, assigned or not: as dialled in the region,
    /// and with `00` as the international prefix. The country is the main one of the calling code
    /// if it is not known. (For test numbers, to which nothing is sent.)
    pub fn by_form(text: &str, region: Region) -> impl Iterator<Item = (Self, Country)> {
        let text = normalize(text);
        let international = text.as_deref().and_then(behind_zeros);
        text.into_iter().chain(international).filter_map(move |digits| {
            let number = PHONE_NUMBER_UTIL.parse(digits, Some(region.0)).ok()?;
            let main = PHONE_NUMBER_UTIL.get_region_for_country_code(number.country_code)?;
            let country = number.get_region_code().unwrap_or(main);
            Some((
                Self::from_e164(&Self::of(&number).e164)?,
                Country::of(country, number.country_code)?,
            ))
        })
    }

    /// Parses the output of [`PhoneNumber::e164`], such as the number in a queued job. Only the
    /// form is checked: [`PhoneNumber::parse`] has already made sure that the number exists.
    #[must_use]
    pub fn from_e164(text: &str) -> Option<Self> {
        let digits = text.strip_prefix('+')?;
        // E.164 has up to 15; the shortest numbers in use have 7 with their country code.
        let fits = (7..=15).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit());
        fits.then(|| Self {
            e164: text.to_owned(),
            country_code_digits: country_code_digits(digits),
        })
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

    /// The number's prefix: the number without its last four digits.
    #[must_use]
    pub fn prefix(&self) -> &str {
        &self.e164[..self.e164.len() - DIGITS_AFTER_PREFIX]
    }

    /// The masked number, for display and logs: country code, stars, and the last four digits (two
    /// of a short number).
    #[must_use]
    pub fn masked(&self) -> String {
        self.masked_parts().concat()
    }

    fn masked_parts(&self) -> [&str; 3] {
        let (code, national) = self.e164.split_at(1 + self.country_code_digits);
        let shown = if national.len() >= 8 { 4 } else { 2 };
        let hidden = national.len() - shown;
        [code, &STARS[..hidden], &national[hidden..]]
    }
}

fn country_code_digits(digits: &str) -> usize {
    match digits {
        _ if ONE_DIGIT.contains(&&digits[..1]) => 1,
        _ if TWO_DIGITS.contains(&&digits[..2]) => 2,
        _ => 3,
    }
}

impl fmt::Display for PhoneNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.masked_parts().into_iter().try_for_each(|part| f.write_str(part))
    }
}

impl fmt::Debug for PhoneNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PhoneNumber({self})")
    }
}

/// The number after `00`, which is the international prefix nearly everywhere.
fn behind_zeros(digits: &str) -> Option<String> {
    digits.strip_prefix("00").map(|international| format!("+{international}"))
}

/// Normalizes a text to ASCII digits with at most one leading `+`; `None` if it holds anything that
/// is not part of a number.
fn normalize(text: &str) -> Option<String> {
    let text = text.trim();
    if text.chars().count() > MAX_INPUT_CHARS {
        return None;
    }
    let mut digits = String::with_capacity(text.len());
    for c in text.chars() {
        match ascii_digit(c) {
            Some(digit) => digits.push(digit),
            None if is_skipped(c) => {}
            None if is_plus(c) && digits.is_empty() => digits.push('+'),
            None => return None,
        }
    }
    Some(digits)
}

#[cfg(test)]
mod tests;
