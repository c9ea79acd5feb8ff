//! Codes, and how they are derived from a secret.
//!
//! A code is never stored and never queued: it is derived from the verification's id whenever it is
//! needed, in the manner of RFC 4226 §5.3 (HOTP), as
//! `truncate(HMAC-SHA256(secret, id ‖ purpose)) mod 10^length`.

use std::fmt;

use subtle::ConstantTimeEq;

use crate::phone::{ascii_digit, is_skipped};

/// Longest input, in bytes: ten digits of four bytes each, and the separators around them.
const MAX_INPUT_BYTES: usize = 128;

/// Number of digits of a code, `CODE_LENGTH`: 4 to 10, by default 6.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CodeLength(u8);

impl CodeLength {
    /// A length from 4 to 10: shorter codes can be guessed, longer ones cannot be remembered.
    #[must_use]
    pub fn new(digits: u8) -> Option<Self> {
        (4..=10).contains(&digits).then_some(Self(digits))
    }

    /// The number of digits.
    #[must_use]
    pub fn digits(self) -> usize {
        usize::from(self.0)
    }
}

impl Default for CodeLength {
    fn default() -> Self {
        Self(6)
    }
}

/// The digits that are sent and typed back. `Debug` hides them, there is no `Display`, and they
/// compare in constant time only.
#[derive(Clone)]
pub struct Code(String);

impl Code {
    /// Reads a code as a person typed or pasted it: separators and spaces are skipped, and digits
    /// of every script count as digits.
    #[must_use]
    pub fn parse(text: &str, length: CodeLength) -> Option<Self> {
        if text.len() > MAX_INPUT_BYTES {
            return None;
        }
        let typed = text.chars().filter(|c| !is_skipped(*c));
        let digits = typed.map(ascii_digit).collect::<Option<String>>()?;
        (digits.len() == length.digits()).then_some(Self(digits))
    }

    /// Reads a code that somebody else made: 4 to 16 letters, digits and dashes.
    #[must_use]
    pub fn custom(text: &str) -> Option<Self> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        let text = text.trim();
        ((4..=16).contains(&text.len()) && text.bytes().all(allowed)).then(|| Self(text.to_owned()))
    }

    /// True if it has nothing but digits, as all of our own.
    #[must_use]
    pub fn is_digits(&self) -> bool {
        self.0.bytes().all(|byte| byte.is_ascii_digit())
    }

    /// Compares two codes in constant time.
    #[must_use]
    pub fn matches(&self, other: &Self) -> bool {
        self.0.as_bytes().ct_eq(other.0.as_bytes()).into()
    }

    /// The digits, only for the message to the phone and for `MEIDUO_KEYS`.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Code(******)")
    }
}

/// RFC 4226 §5.3's dynamic truncation, over 63 bits in place of 31: with 31, ten digits do not fit
/// and six are measurably uneven (0.05 %); with 63 the unevenness is below one in 10^9.
pub(crate) fn truncate(hash: &[u8; 32], length: CodeLength) -> Code {
    let offset = usize::from(hash[31] & 0x0f);
    let mut word = [0; 8];
    word.copy_from_slice(&hash[offset..offset + 8]);
    let number = u64::from_be_bytes(word) & (u64::MAX >> 1);
    let digits = length.digits();
    Code(format!("{:0digits$}", number % 10_u64.pow(u32::from(length.0))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::phone::PhoneNumber;
    use crate::secrets::{SecretError, Secrets};
    use crate::verification_id::{NumberTag, Purpose, VerificationId};

    const OLD: &str = "0123456789abcdef0123456789abcdef";
    const NEW: &str = "fedcba9876543210fedcba9876543210";

    fn id(secrets: &Secrets, random: u128, purpose: &str) -> VerificationId {
        let purpose = Purpose::parse(purpose).expect("a purpose");
        VerificationId::new(
            secrets.newest_key_id(),
            NumberTag::from_hash(&[7; 32]),
            random.to_be_bytes(),
            &purpose,
        )
    }

    fn code(secrets: &Secrets, id: &VerificationId) -> Option<String> {
        secrets.derive(id, CodeLength::default()).map(|code| code.expose().to_owned())
    }

    #[test]
    fn a_code_belongs_to_its_id_purpose_and_secret() {
        let (old, new) = (Secrets::parse(OLD).expect("valid"), Secrets::parse(NEW).expect("valid"));
        let first = id(&old, 1, "login");
        assert_eq!(code(&old, &first), code(&old, &first));
        let others = [
            code(&old, &id(&old, 2, "login")),
            code(&old, &id(&old, 1, "pay")),
            code(&new, &id(&new, 1, "login")),
        ];
        assert!(others.iter().all(|other| other.is_some() && *other != code(&old, &first)));
    }

    #[test]
    fn a_secret_is_rotated_with_codes_in_flight() {
        let old = Secrets::parse(OLD).expect("valid");
        let both = Secrets::parse(&format!("{NEW}, {OLD}")).expect("valid");
        let new = Secrets::parse(NEW).expect("valid");
        let in_flight = id(&old, 1, "login");
        assert_eq!(code(&both, &in_flight), code(&old, &in_flight));
        assert_eq!(code(&new, &in_flight), None);
        let number =
            PhoneNumber::parse("13800138000", crate::phone::Region::default()).expect("valid");
        assert_eq!(
            both.tag(&number),
            old.tag(&number),
            "a new secret in front forgets no cooldown"
        );
    }

    #[test]
    fn codes_are_uniform_and_keep_leading_zeros() {
        let secrets = Secrets::from_random([1; 32]);
        let mut first_digits = [0_u32; 10];
        for random in 0..10_000 {
            let code = code(&secrets, &id(&secrets, random, "login")).expect("derived");
            assert_eq!(code.len(), 6);
            first_digits[usize::from(code.as_bytes()[0] - b'0')] += 1;
        }
        // 1,000 each on average, with a standard deviation of 30: 6 of them is one run in a
        // billion.
        assert!(first_digits.iter().all(|count| (820..1180).contains(count)), "{first_digits:?}");
    }

    #[test]
    fn what_is_typed_is_read_kindly_but_exactly() {
        let length = CodeLength::default();
        for text in [
            "012345",
            " 012 345 ",
            "012-345",
            "\u{ff10}\u{ff11}\u{ff12}\u{ff13}\u{ff14}\u{ff15}",
            "\u{2068}012345\u{2069}",
            "\u{202a}012\u{202f}345\u{202c}",
            "012\u{2012}345\u{feff}",
            "०१२३४५",
            "𝟎𝟏𝟐𝟑𝟒𝟓",
        ] {
            assert!(
                Code::parse(text, length).is_some_and(|code| code.expose() == "012345"),
                "{text:?}"
            );
        }
        for text in [
            "",
            "12345",
            "1234567",
            "abcdef",
            "12345a",
            "+012345",
            "\u{202e}012345",
            "①12345",
            "\u{ff11}\u{ff12}",
            "\0\0\0\0\0\0",
        ] {
            assert!(Code::parse(text, length).is_none(), "{text:?}");
        }
    }

    #[test]
    fn nothing_secret_is_shown() {
        let secrets = Secrets::parse(OLD).expect("valid");
        assert_eq!(format!("{secrets:?}"), "Secrets(1 of them)");
        assert_eq!(
            format!("{:?}", Code::parse("012345", CodeLength::default())),
            "Some(Code(******))"
        );
        assert_eq!(Secrets::parse("short").map(|_| ()), Err(SecretError::TooShort));
        assert_eq!(
            Secrets::parse(&format!("{OLD},{OLD}")).map(|_| ()),
            Err(SecretError::SameKeyId)
        );
    }
}
