//! The tutorial's picture code: a picture of four characters for a UUID that the page chose. The
//! characters stay in the store under that UUID until they are typed once, right or wrong.

use captcha::Captcha;
use captcha::filters::{Dots, Noise, Wave};
use sms_domain::phone::{ascii_digit, is_skipped};

/// Characters of pictures, of which no two look alike.
const CHARACTERS: &str = "34578ABCDEFHJKMNPQRTUVWXY";
const LENGTH: u32 = 4;
/// Offset of full-width letters from those of ASCII.
const FULL_WIDTH: u32 = 0xfee0;
/// Width and height of a picture in pixels.
const SIZE: (u32, u32) = (220, 100);

/// Draws a picture: its characters, and the picture as PNG; `None` if the library fails.
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

/// Returns true if the typed text has the picture's characters, in any case and in full-width or
/// ASCII letters.
pub(super) fn is_right(typed: &str, shown: &str) -> bool {
    let typed: String = typed.chars().filter(|c| !is_skipped(*c)).map(narrow).collect();
    typed.eq_ignore_ascii_case(shown)
}

/// The ASCII form of a digit, or of a full-width letter.
fn narrow(c: char) -> char {
    let letter = || {
        u32::from(c)
            .checked_sub(FULL_WIDTH)
            .and_then(char::from_u32)
            .filter(char::is_ascii_alphabetic)
    };
    ascii_digit(c).or_else(letter).unwrap_or(c)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_characters_of_a_picture_can_be_typed() {
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
