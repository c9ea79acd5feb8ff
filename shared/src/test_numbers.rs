//! Test numbers: numbers with a code that is known beforehand, for the people who review an app in its store and for
//! automatic tests. Nothing is ever sent to them.
//!
//! Whoever knows such a number can log in with it: they end by themselves at a date, and a function takes them only if it is
//! told twice.

use jiff::Timestamp;

use crate::code::{Code, CodeLength, Secrets};
use crate::phone::{PhoneNumber, Region};
use crate::verification::NumberTag;

/// The numbers with their codes; none unless configured.
#[derive(Debug, Clone, Default)]
pub struct TestNumbers {
    codes: Vec<(PhoneNumber, Code)>,
    until: Timestamp,
}

impl TestNumbers {
    /// Reads `+8613800138000=012345, +447400123456=543210`; nothing if an entry is not a number and a code. They end with
    /// `until`.
    #[must_use]
    pub fn parse(list: &str, length: CodeLength, until: Timestamp) -> Option<Self> {
        let entry = |text: &str| {
            let (number, code) = text.split_once('=')?;
            let number = number.trim();
            let number = number.starts_with('+').then(|| PhoneNumber::parse(number, Region::default()).ok())?;
            Some((number?, Code::parse(code, length)?))
        };
        let codes = list.split(',').filter(|text| !text.trim().is_empty()).map(entry).collect::<Option<_>>()?;
        Some(Self { codes, until })
    }

    /// The code of a test number, until they end.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "a date ends by the clock")]
    pub fn code(&self, secrets: &Secrets, tag: NumberTag) -> Option<&Code> {
        let (_, code) = self.codes.iter().find(|(number, _)| secrets.tag(number) == tag)?;
        (Timestamp::now() < self.until).then_some(code)
    }
}
