//! Phone numbers: whatever a person typed, parsed once into E.164, and masked wherever it is shown.

use std::fmt;
use std::sync::Arc;

use rlibphonenumber::{PHONE_NUMBER_UTIL, PhoneNumberFormat, PhoneNumberType, enums::Region as Alpha2};

/// Longest text that is looked at: E.164 has 15 digits, the rest is punctuation and an international prefix.
const MAX_INPUT_CHARS: usize = 40;

/// Digits at a number's end in which those of one block differ.
const BLOCK_DIGITS: usize = 4;

/// What people put between digits: ASCII, no-break and ideographic space, hyphens and dashes, full-width forms.
const PUNCTUATION: &str = " -./()\u{a0}\u{3000}\u{2010}\u{2011}\u{2013}\u{ff0d}\u{ff08}\u{ff09}";

/// The countries whose numbers are known here, so that a region is checked without the metadata, whose reading takes
/// several milliseconds of a cold start. (A test holds it against the metadata.)
const REGIONS: &str = "AC AD AE AF AG AI AL AM AO AR AS AT AU AW AX AZ BA BB BD BE BF BG BH BI BJ BL BM BN BO BQ BR BS BT BW BY \
    BZ CA CC CD CF CG CH CI CK CL CM CN CO CR CU CV CW CX CY CZ DE DJ DK DM DO DZ EC EE EG EH ER ES ET FI FJ \
    FK FM FO FR GA GB GD GE GF GG GH GI GL GM GN GP GQ GR GT GU GW GY HK HN HR HT HU ID IE IL IM IN IO IQ IR \
    IS IT JE JM JO JP KE KG KH KI KM KN KP KR KW KY KZ LA LB LC LI LK LR LS LT LU LV LY MA MC MD ME MF MG MH \
    MK ML MM MN MO MP MQ MR MS MT MU MV MW MX MY MZ NA NC NE NF NG NI NL NO NP NR NU NZ OM PA PE PF PG PH PK \
    PL PM PR PS PT PW PY QA RE RO RS RU RW SA SB SC SD SE SG SH SI SJ SK SL SM SN SO SR SS ST SV SX SY SZ TA \
    TC TD TG TH TJ TK TL TM TN TO TR TT TV TW TZ UA UG US UY UZ VA VC VE VG VI VN VU WF WS XK YE YT ZA ZM ZW";

/// Country calling codes of one and of two digits; all others have three (ITU-T E.164, list of assigned country codes).
const ONE_DIGIT: [&str; 2] = ["1", "7"];
const TWO_DIGITS: [&str; 44] = [
    "20", "27", "30", "31", "32", "33", "34", "36", "39", "40", "41", "43", "44", "45", "46", "47", "48", "49", "51",
    "52", "53", "54", "55", "56", "57", "58", "60", "61", "62", "63", "64", "65", "66", "81", "82", "84", "86", "90",
    "91", "92", "93", "94", "95", "98",
];

/// A mobile number in E.164 form. Its `Debug` and `Display` are masked; [`PhoneNumber::e164`] is the way to the digits.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct PhoneNumber {
    e164: String,
    country_code_digits: usize,
}

/// Reads the metadata that numbers are parsed with, in a thread beside the start of a server: it takes some milliseconds, for
/// which neither the start nor the first request should have to wait. (Otherwise the first number that is parsed waits.)
pub fn prepare(region: Region) {
    std::thread::spawn(move || {
        let example = PHONE_NUMBER_UTIL.get_example_number_for_type_and_region(region.0, PhoneNumberType::Mobile);
        example.map(|number| number.get_type())
    });
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
        Self::parse_with_country(text, region).map(|(number, _)| number)
    }

    /// The same, with the country that the number belongs to: several share a calling code, such as +1.
    ///
    /// # Errors
    /// As [`PhoneNumber::parse`].
    pub fn parse_with_country(text: &str, region: Region) -> Result<(Self, Region), PhoneError> {
        let text = normalize(text).ok_or(PhoneError::Invalid)?;
        let number = PHONE_NUMBER_UTIL.parse(&text, Some(region.0)).map_err(|_| PhoneError::Invalid)?;
        match number.get_type() {
            PhoneNumberType::Mobile | PhoneNumberType::FixedLineOrMobile => {
                let country = number.get_region_code().ok_or(PhoneError::Invalid)?;
                let number = Self {
                    e164: number.format_as(PhoneNumberFormat::E164).into_owned(),
                    country_code_digits: number.country_code.to_string().len(),
                };
                Ok((number, Region(country)))
            }
            // No such number is assigned.
            PhoneNumberType::Unknown => Err(PhoneError::Invalid),
            _ => Err(PhoneError::NotMobile),
        }
    }

    /// Reads what [`PhoneNumber::e164`] gave, such as the number in a queued job. That it exists was made sure when it was
    /// parsed; here is looked only whether it has the form of one.
    #[must_use]
    pub fn from_e164(text: &str) -> Option<Self> {
        let digits = text.strip_prefix('+')?;
        // E.164 has up to 15; the shortest numbers in use have 7 with their country code.
        let fits = (7..=15).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit());
        fits.then(|| Self { e164: text.to_owned(), country_code_digits: country_code_digits(digits) })
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

    /// The block of numbers that it is of: without its last four digits.
    #[must_use]
    pub fn block(&self) -> &str {
        &self.e164[..self.e164.len() - BLOCK_DIGITS]
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

fn country_code_digits(digits: &str) -> usize {
    match digits {
        _ if ONE_DIGIT.contains(&&digits[..1]) => 1,
        _ if TWO_DIGITS.contains(&&digits[..2]) => 2,
        _ => 3,
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
        let code = text.to_ascii_uppercase();
        REGIONS.split(' ').find(|known| *known == code)?;
        Alpha2::from_code(&code).ok().map(Self)
    }

    /// The two-letter code.
    #[must_use]
    pub fn code(self) -> String {
        self.0.as_region_str().to_string()
    }
}

/// `ALLOWED_COUNTRIES`: where codes are sent to. A list such as `CN, HK`, or `all`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Countries(Option<Arc<[Region]>>);

impl Countries {
    /// Every country.
    #[must_use]
    pub fn all() -> Self {
        Self(None)
    }

    /// One country.
    #[must_use]
    pub fn only(region: Region) -> Self {
        Self(Some(Arc::new([region])))
    }

    /// Reads a list; nothing if a part of it is no country.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if text == "all" {
            return Some(Self::all());
        }
        text.split(',').map(|code| Region::parse(code.trim())).collect::<Option<_>>().map(|list| Self(Some(list)))
    }

    /// Whether codes are sent there.
    #[must_use]
    pub fn contain(&self, country: Region) -> bool {
        self.0.as_ref().is_none_or(|list| list.contains(&country))
    }

    /// Their codes; nothing if it is every country.
    #[must_use]
    pub fn codes(&self) -> Option<Vec<String>> {
        self.0.as_ref().map(|list| list.iter().map(|region| region.code()).collect())
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

    #[test]
    fn countries_that_share_a_calling_code_are_told_apart() {
        let country = |text| {
            let (_, country) = PhoneNumber::parse_with_country(text, Region::default()).expect(text);
            country.code()
        };
        assert_eq!(country("13800138000"), "CN");
        assert_eq!(["+12025550123", "+14165550123", "+18765550123"].map(country), ["US", "CA", "JM"]);
        let allowed = Countries::parse("CN, ca").expect("a list");
        let allows = |code| allowed.contain(Region::parse(code).expect(code));
        assert_eq!(["CN", "CA", "US"].map(allows), [true, true, false]);
        assert!(Countries::parse("all").expect("a word").contain(Region::default()));
        assert!(["", "CN,", "China", "all, CN"].iter().all(|text| Countries::parse(text).is_none()));
    }

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
    fn what_a_job_holds_reads_back() {
        for text in ["+8613800138000", "+12025550123", "+447400123456", "+353851234567", "+989123456789"] {
            let parsed = PhoneNumber::parse(text, region("CN")).expect("a mobile number");
            assert_eq!(PhoneNumber::from_e164(text), Some(parsed), "{text}");
        }
        for text in ["", "+", "8613800138000", "+123456", "+1234567890123456", "+86138001380OO", "+8613800 138000"] {
            assert_eq!(PhoneNumber::from_e164(text), None, "{text:?}");
        }
    }

    #[test]
    fn country_codes_and_regions_are_those_of_the_metadata() {
        let mut known = REGIONS.split(' ');
        for code in ('A'..='Z').flat_map(|a| ('A'..='Z').map(move |b| format!("{a}{b}"))) {
            let alpha2 = Alpha2::from_code(&code).expect("two letters");
            if let Some(country_code) = PHONE_NUMBER_UTIL.get_country_code_for_region(alpha2) {
                assert_eq!(known.next(), Some(code.as_str()));
                let country_code = country_code.to_string();
                assert_eq!(country_code_digits(&format!("{country_code}0000000")), country_code.len(), "{code}");
            }
        }
        assert_eq!(known.next(), None);
    }

    #[test]
    fn a_region_is_a_country_with_a_calling_code() {
        assert_eq!(region("cn").code(), "CN");
        for text in ["", "C", "CHN", "ZZ", "86", "中国"] {
            assert!(Region::parse(text).is_none(), "{text:?}");
        }
    }
}
