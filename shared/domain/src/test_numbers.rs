//! Test numbers: numbers with a fixed code, for reviewers of app stores and for automated tests.
//! Nothing is ever sent to them.
//!
//! Everyone who knows such a number can log in with it. So they expire at a date, and a function
//! on Lambda accepts them only with `TEST_NUMBERS_ON_LAMBDA` as well.

use jiff::Timestamp;

use crate::code::{Code, CodeLength};
use crate::phone::{Country, PhoneError, PhoneNumber, Region};
use crate::secrets::Secrets;
use crate::verification_id::NumberTag;

/// Test numbers with their codes; by default none.
#[derive(Debug, Clone, Default)]
pub struct TestNumbers {
    codes: Vec<(PhoneNumber, Code)>,
    until: Timestamp,
}

impl TestNumbers {
    /// Reads `+8613800138000=012345, +447700900123=543210`; `None` if an entry is not a number and
    /// a code. They expire at `until`. Such a number need not be assigned: some countries reserve
    /// ranges that are never assigned.
    #[must_use]
    pub fn parse(list: &str, length: CodeLength, until: Timestamp) -> Option<Self> {
        let entry = |text: &str| {
            let (number, code) = text.split_once('=')?;
            let number = number.trim();
            let number = number.starts_with('+').then(|| read(number))?;
            Some((number?, Code::parse(code, length)?))
        };
        let codes = list
            .split(',')
            .filter(|text| !text.trim().is_empty())
            .map(entry)
            .collect::<Option<_>>()?;
        Some(Self { codes, until })
    }

    /// Reads a number as [`PhoneNumber::parse_with_country`] does, and also test numbers that are
    /// not assigned.
    ///
    /// # Errors
    /// As [`PhoneNumber::parse_with_country`].
    pub fn number(&self, text: &str, region: Region) -> Result<(PhoneNumber, Country), PhoneError> {
        PhoneNumber::parse_with_country(text, region).or_else(|error| {
            let mut candidates = PhoneNumber::by_form(text, region).filter(|_| self.are_valid());
            candidates
                .find(|(number, _)| self.codes.iter().any(|(known, _)| known == number))
                .ok_or(error)
        })
    }

    /// The code of a test number, until it expires.
    #[must_use]
    pub fn code(&self, secrets: &Secrets, tag: NumberTag) -> Option<&Code> {
        let (_, code) = self.codes.iter().find(|(number, _)| secrets.tag(number) == tag)?;
        self.are_valid().then_some(code)
    }

    #[expect(clippy::disallowed_methods, reason = "test numbers expire by the clock")]
    fn are_valid(&self) -> bool {
        Timestamp::now() < self.until
    }
}

/// Reads a number of the list: an assigned one, or else one by its form.
fn read(number: &str) -> Option<PhoneNumber> {
    let region = Region::default();
    let assigned = PhoneNumber::parse(number, region).ok();
    assigned.or_else(|| PhoneNumber::by_form(number, region).map(|(number, _)| number).next())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(list: &str, until: &str) -> Option<TestNumbers> {
        TestNumbers::parse(list, CodeLength::default(), until.parse().expect("a time"))
    }

    const LATER: &str = "2999-12-31T00:00:00Z";

    #[test]
    fn a_test_number_need_not_be_assigned() {
        // Reserved by Ofcom and Arcep for films and books, a number of the north of America that
        // nobody has, and a landline.
        let list = "+447700900123=012345, +33 1 99 00 12 34=012345, +15555550100=012345,\
            +861062552266=012345";
        let tests = parse(list, LATER).expect("numbers");
        for (text, region, e164, country) in [
            ("+44 7700 900123", "CN", "+447700900123", "GB"),
            ("0044 7700 900 123", "CN", "+447700900123", "GB"),
            ("0044 7700 900 123", "US", "+447700900123", "GB"),
            ("011 44 7700 900123", "US", "+447700900123", "GB"),
            ("07700 900123", "GB", "+447700900123", "GB"),
            ("01 99 00 12 34", "FR", "+33199001234", "FR"),
            ("555 555 0100", "US", "+15555550100", "US"),
            ("010-62552266", "CN", "+861062552266", "CN"),
            ("13800138000", "CN", "+8613800138000", "CN"),
        ] {
            let (number, belongs) =
                tests.number(text, Region::parse(region).expect(region)).expect(text);
            assert_eq!((number.e164(), belongs.code()), (e164, country), "{region} {text}");
        }
        let other = |text| tests.number(text, Region::default()).map(|_| ());
        assert_eq!(other("+447700900124"), Err(PhoneError::Invalid), "what is not in the list");
        assert_eq!(other("+861062552267"), Err(PhoneError::NotMobile));
        let ended = parse(list, "2020-01-01T00:00:00Z").expect("numbers");
        assert_eq!(
            ended.number("+447700900123", Region::default()).map(|_| ()),
            Err(PhoneError::Invalid)
        );
    }

    #[test]
    fn a_test_number_has_the_form_of_one() {
        for list in [
            "447700900123=012345",
            "+44770=012345",
            "+4477009001234567=012345",
            "+99912345678=012345",
            "+44=1",
        ] {
            assert!(parse(list, LATER).is_none(), "{list}");
        }
        assert!(parse(" , ", LATER).is_some_and(|none| none.codes.is_empty()));
    }
}
