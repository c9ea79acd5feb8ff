//! Characters of user input: digits of any script, and the separators around them.

/// Zeros of Unicode's decimal digits (category Nd, version 17), each followed by its one to nine.
const ZEROS: [u32; 77] = [
    0x30, 0x660, 0x6f0, 0x7c0, 0x966, 0x9e6, 0xa66, 0xae6, 0xb66, 0xbe6, 0xc66, 0xce6, 0xd66,
    0xde6, 0xe50, 0xed0, 0xf20, 0x1040, 0x1090, 0x17e0, 0x1810, 0x1946, 0x19d0, 0x1a80, 0x1a90,
    0x1b50, 0x1bb0, 0x1c40, 0x1c50, 0xa620, 0xa8d0, 0xa900, 0xa9d0, 0xa9f0, 0xaa50, 0xabf0, 0xff10,
    0x104a0, 0x10d30, 0x10d40, 0x11066, 0x110f0, 0x11136, 0x111d0, 0x112f0, 0x11450, 0x114d0,
    0x11650, 0x116c0, 0x116d0, 0x116da, 0x11730, 0x118e0, 0x11950, 0x11bf0, 0x11c50, 0x11d50,
    0x11da0, 0x11de0, 0x11f50, 0x16130, 0x16a60, 0x16ac0, 0x16b50, 0x16d70, 0x1ccf0, 0x1d7ce,
    0x1d7d8, 0x1d7e2, 0x1d7ec, 0x1d7f6, 0x1e140, 0x1e2f0, 0x1e4f0, 0x1e5f1, 0x1e950, 0x1fbf0,
];

/// The ASCII form of a decimal digit of any script. Circled or raised digits are not decimal
/// digits.
pub fn ascii_digit(c: char) -> Option<char> {
    if c.is_ascii() {
        return c.is_ascii_digit().then_some(c);
    }
    let c = u32::from(c);
    let zero = ZEROS.partition_point(|zero| *zero <= c).checked_sub(1)?;
    char::from_digit(c - ZEROS[zero], 10)
}

/// Returns true if a character carries no meaning: white space, separators between groups of
/// digits, and invisible characters that contacts and documents put around numbers.
///
/// Characters that may carry a meaning are not skipped: letters, a tilde, a second plus, and the
/// override that shows digits in reverse (U+202E).
pub fn is_skipped(c: char) -> bool {
    is_separator(c) || is_invisible(c) || c.is_whitespace()
}

fn is_separator(c: char) -> bool {
    matches!(c,
        '-' | '.' | '/' | '(' | ')' | '[' | ']'
        // Their full-width forms.
        | '\u{ff0d}'..='\u{ff0f}' | '\u{ff08}' | '\u{ff09}' | '\u{ff3b}' | '\u{ff3d}'
        // Hyphens, dashes, a bullet, the minus, Japanese's long vowel, and small forms.
        | '\u{2010}'..='\u{2015}' | '\u{2043}' | '\u{2212}' | '\u{30fc}' | '\u{fe58}' | '\u{fe63}')
}

fn is_invisible(c: char) -> bool {
    matches!(c,
        // The soft hyphen, spaces without a width, joiners, and the byte order mark.
        '\u{ad}' | '\u{200b}'..='\u{200d}' | '\u{2060}' | '\u{feff}'
        // Marks of direction, embeddings and isolates.
        | '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202d}' | '\u{2066}'..='\u{2069}'
        // Variation selectors.
        | '\u{fe00}'..='\u{fe0f}')
}

/// Returns true for a plus sign, of any width.
pub fn is_plus(c: char) -> bool {
    matches!(c, '+' | '\u{ff0b}' | '\u{fe62}')
}

#[cfg(test)]
mod tests {
    use rlibphonenumber::PHONE_NUMBER_UTIL;

    use super::*;

    #[test]
    fn the_digits_are_those_of_unicode() {
        let mut found = 0;
        for c in '\0'..=char::MAX {
            let known = PHONE_NUMBER_UTIL.normalize_digits_only(c.to_string());
            assert_eq!(ascii_digit(c), known.chars().next(), "{c:?}");
            found += known.len();
        }
        assert_eq!(found, ZEROS.len() * 10);
    }

    #[test]
    fn nothing_is_both_a_digit_and_skipped() {
        for c in '\0'..=char::MAX {
            let roles = [
                is_skipped(c),
                is_plus(c),
                ascii_digit(c).is_some(),
                c.is_alphabetic() && c != '\u{30fc}',
            ];
            assert!(roles.into_iter().filter(|role| *role).count() <= 1, "{c:?}");
        }
    }
}
