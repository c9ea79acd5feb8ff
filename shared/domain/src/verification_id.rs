//! The ID of a verification, and its parts: the number's tag and the purpose.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

const TAG_BYTES: usize = 10;

const RANDOM_BYTES: usize = 16;

const FIXED_BYTES: usize = 1 + TAG_BYTES + RANDOM_BYTES;

/// The ID of a verification: 36 URL-safe characters, plus those of a purpose if one was given.
///
/// It is the base64url of `key ID (1 byte) ‖ number tag (10) ‖ random (16) ‖ purpose`. The key ID
/// selects the secret that the code is derived from; the tag is the number's key in the store, so
/// that a check needs one round trip; the random part makes the ID unguessable; the code depends on
/// the purpose. An ID that was altered is unknown.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct VerificationId {
    text: String,
    fixed: [u8; FIXED_BYTES],
    purpose: Purpose,
}

impl VerificationId {
    /// Builds an ID. `random` comes from the operating system's generator.
    #[must_use]
    pub fn new(key_id: u8, tag: NumberTag, random: [u8; RANDOM_BYTES], purpose: &Purpose) -> Self {
        let mut fixed = [0; FIXED_BYTES];
        fixed[0] = key_id;
        fixed[1..=TAG_BYTES].copy_from_slice(&tag.0);
        fixed[1 + TAG_BYTES..].copy_from_slice(&random);
        let length = FIXED_BYTES + purpose.as_str().len();
        let mut bytes = [0; FIXED_BYTES + Purpose::MAX_LENGTH];
        bytes[..FIXED_BYTES].copy_from_slice(&fixed);
        bytes[FIXED_BYTES..length].copy_from_slice(purpose.as_str().as_bytes());
        Self { text: URL_SAFE_NO_PAD.encode(&bytes[..length]), fixed, purpose: purpose.clone() }
    }

    /// Parses an ID as a client sent it; `None` if it is malformed.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if text.len() > (FIXED_BYTES + Purpose::MAX_LENGTH).div_ceil(3) * 4 {
            return None;
        }
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        let (fixed, purpose) = bytes.split_first_chunk::<FIXED_BYTES>()?;
        let purpose = Purpose::parse(std::str::from_utf8(purpose).ok()?)?;
        Some(Self { text: text.to_owned(), fixed: *fixed, purpose })
    }

    /// The ID as text, as in URLs, jobs and logs.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The ID as text, without a copy.
    #[must_use]
    pub fn into_text(self) -> String {
        self.text
    }

    /// Key ID of the secret that the code is derived from.
    #[must_use]
    pub fn key_id(&self) -> u8 {
        self.fixed[0]
    }

    /// Tag of the number, which its state is stored under.
    #[must_use]
    pub fn tag(&self) -> NumberTag {
        let mut tag = [0; TAG_BYTES];
        tag.copy_from_slice(&self.fixed[1..=TAG_BYTES]);
        NumberTag(tag)
    }

    /// The purpose that the caller gave.
    #[must_use]
    pub fn purpose(&self) -> &Purpose {
        &self.purpose
    }

    /// The ID without its purpose, as a code is derived from it.
    pub fn fixed_part(&self) -> &[u8] {
        &self.fixed
    }

    /// The random bytes that make it unguessable.
    #[must_use]
    pub fn random_part(&self) -> &[u8] {
        &self.fixed[1 + TAG_BYTES..]
    }
}

impl fmt::Display for VerificationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for VerificationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// A keyed hash of a phone number, of 80 bits: the chance that two of 10^9 numbers share one is
/// below 10^-6.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct NumberTag([u8; TAG_BYTES]);

impl NumberTag {
    /// Shortens a hash to a tag.
    #[must_use]
    pub fn from_hash(hash: &[u8; 32]) -> Self {
        let mut tag = [0; TAG_BYTES];
        tag.copy_from_slice(&hash[..TAG_BYTES]);
        Self(tag)
    }

    /// Parses the hexadecimal form that `Display` writes.
    pub fn parse(text: &str) -> Option<Self> {
        let mut tag = [0; TAG_BYTES];
        if text.len() != 2 * TAG_BYTES || !text.is_ascii() {
            return None;
        }
        for (index, byte) in tag.iter_mut().enumerate() {
            *byte = u8::from_str_radix(&text[2 * index..2 * index + 2], 16).ok()?;
        }
        Some(Self(tag))
    }
}

impl fmt::Display for NumberTag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for NumberTag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The purpose of a verification, such as `login` or `reset-password`: up to 32 of
/// `a–z 0–9 _ -`, empty when the caller gave none.
///
/// A code sent for one purpose is not accepted for another.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Purpose(String);

impl Purpose {
    /// Longest purpose, in characters.
    pub const MAX_LENGTH: usize = 32;

    /// Reads a purpose; `None` if it holds other characters or too many.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let allowed =
            |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '_' | '-');
        (text.len() <= Self::MAX_LENGTH && text.chars().all(allowed)).then(|| Self(text.to_owned()))
    }

    /// The purpose, empty if none was given.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_reads_back_and_names_its_parts() {
        let (tag, purpose) =
            (NumberTag::from_hash(&[9; 32]), Purpose::parse("reset-password").expect("a purpose"));
        let id = VerificationId::new(3, tag, [5; 16], &purpose);
        let read = VerificationId::parse(id.as_str()).expect("reads back");
        assert_eq!(read, id);
        assert_eq!((read.key_id(), read.tag(), read.purpose()), (3, tag, &purpose));
        assert_eq!(VerificationId::new(3, tag, [5; 16], &Purpose::default()).as_str().len(), 36);
    }

    #[test]
    fn what_cannot_be_an_id_is_none() {
        let long = "A".repeat(200);
        for text in ["", "abc", "../../etc/passwd", "ÄÖÜ", &"A".repeat(35), &"A".repeat(37), &long]
        {
            assert_eq!(VerificationId::parse(text), None, "{text:?}");
        }
    }

    #[test]
    fn a_purpose_is_a_short_plain_word() {
        assert!(Purpose::parse("login_2-x").is_some());
        for text in ["Login", "a b", "ä", "a\n", &"a".repeat(33)] {
            assert!(Purpose::parse(text).is_none(), "{text:?}");
        }
    }
}
