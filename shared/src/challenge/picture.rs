//! The tutorial's picture code: a picture of four characters, which is drawn for a UUID that the
//! page chose and kept in the store under that until it is typed in, once, right or wrong.

use std::time::Duration;

use captcha::Captcha;
use captcha::filters::{Dots, Noise, Wave};
use serde::{Serialize, Serializer};

use crate::phone::{ascii_digit, is_skipped};

/// How long a picture is kept.
pub(crate) const LIFETIME: Duration = Duration::from_secs(300);

/// Characters that cannot be taken for one another.
const CHARACTERS: &str = "34578ABCDEFHJKMNPQRTUVWXY";
const LENGTH: u32 = 4;
/// How far full-width letters are from those of ASCII.
const WIDER: u32 = 0xfee0;
/// Pixels.
const SIZE: (u32, u32) = (220, 100);

/// The UUID of a picture, in the form of RFC 9562.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct PictureId(String);

impl PictureId {
    /// Reads a UUID; nothing if it is none.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let groups: Vec<&str> = text.split('-').collect();
        let lengths = groups.iter().map(|group| group.len());
        let fits = lengths.eq([8, 4, 4, 4, 12])
            && groups.concat().bytes().all(|byte| byte.is_ascii_hexdigit());
        fits.then(|| Self(text.to_ascii_lowercase()))
    }

    /// A random one, version 4.
    #[must_use]
    pub fn random(mut bytes: [u8; 16]) -> Self {
        bytes[6] = bytes[6] & 0x0f | 0x40;
        bytes[8] = bytes[8] & 0x3f | 0x80;
        let hex = crate::signing::hex(&bytes);
        Self(format!(
            "{}-{}-{}-{}-{}",
            &hex[..8],
            &hex[8..12],
            &hex[12..16],
            &hex[16..20],
            &hex[20..]
        ))
    }

    /// The UUID, in lower case.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Serialize for PictureId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

/// What a picture shows, and the picture as PNG; nothing if the library cannot draw it.
pub(super) fn draw() -> Option<(String, Vec<u8>)> {
    let characters: Vec<char> = CHARACTERS.chars().collect();
    let mut captcha = Captcha::new();
    captcha.set_chars(&characters).add_chars(LENGTH);
    captcha.apply_filter(Noise::new(0.2)).apply_filter(Wave::new(2.0, 10.0).horizontal());
    captcha
        .apply_filter(Wave::new(2.0, 10.0).vertical())
        .view(SIZE.0, SIZE.1)
        .apply_filter(Dots::new(6));
    captcha.as_tuple()
}

/// Whether somebody typed what a picture shows. Neither case matters, nor how wide a keyboard
/// writes.
pub(super) fn is_right(typed: &str, shown: &str) -> bool {
    let typed: String = typed.chars().filter(|c| !is_skipped(*c)).map(narrow).collect();
    typed.eq_ignore_ascii_case(shown)
}

/// The ASCII form of a digit, or of a full-width letter.
fn narrow(c: char) -> char {
    let letter = || {
        u32::from(c).checked_sub(WIDER).and_then(char::from_u32).filter(char::is_ascii_alphabetic)
    };
    ascii_digit(c).or_else(letter).unwrap_or(c)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_shows_what_can_be_typed() {
        let (text, png) = draw().expect("a picture");
        assert!(text.len() == 4 && text.chars().all(|c| CHARACTERS.contains(c)), "{text}");
        assert!(png.starts_with(b"\x89PNG\r\n\x1a\n") && png.len() > 500, "{} bytes", png.len());
        assert!(is_right(&format!(" {} ", text.to_lowercase()), &text) && !is_right("", &text));
        assert!(
            is_right("３ａ\u{200b}Ｂ ４", "3AB4")
                && !is_right("3AB", "3AB4")
                && !is_right("3AB④", "3AB4")
        );
    }

    #[test]
    fn a_picture_has_a_uuid() {
        let id = PictureId::random([0xff; 16]);
        assert_eq!(id.as_str(), "ffffffff-ffff-4fff-bfff-ffffffffffff");
        assert_eq!(PictureId::parse(&id.as_str().to_uppercase()), Some(id));
        for text in [
            "",
            "ffffffff-ffff-4fff-bfff-fffffffffff",
            "fffffffff-fff-4fff-bfff-ffffffffffff",
            "../../etc/passwd",
            "zfffffff-ffff-4fff-bfff-ffffffffffff",
        ] {
            assert_eq!(PictureId::parse(text), None, "{text}");
        }
    }
}
