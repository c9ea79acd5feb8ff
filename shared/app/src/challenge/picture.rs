//! The tutorial's picture code: a picture of four characters, which is drawn for a UUID that the
//! page chose and kept in the store under that until it is typed in, once, right or wrong.

use captcha::Captcha;
use captcha::filters::{Dots, Noise, Wave};
use sms_domain::phone::{ascii_digit, is_skipped};

/// Characters that cannot be taken for one another.
const CHARACTERS: &str = "34578ABCDEFHJKMNPQRTUVWXY";
const LENGTH: u32 = 4;
/// How far full-width letters are from those of ASCII.
const WIDER: u32 = 0xfee0;
/// Pixels.
const SIZE: (u32, u32) = (220, 100);

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
}
