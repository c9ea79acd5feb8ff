//! Settings of codes, which the three use cases share.

use crate::code::CodeLength;
use crate::secrets::Secrets;
use crate::test_numbers::TestNumbers;

/// Secrets and length of codes, and the test numbers.
#[derive(Debug, Clone)]
pub struct CodeSettings {
    /// `CODE_SECRET`: the secrets that codes are derived from.
    pub secrets: Secrets,
    /// `CODE_LENGTH`: digits of a code.
    pub length: CodeLength,
    /// `TEST_NUMBERS`: numbers with a fixed code, to which nothing is sent.
    pub test_numbers: TestNumbers,
}

impl CodeSettings {
    /// Codes of the default length from these secrets, without test numbers.
    #[must_use]
    pub fn new(secrets: Secrets) -> Self {
        Self { secrets, length: CodeLength::default(), test_numbers: TestNumbers::default() }
    }
}
