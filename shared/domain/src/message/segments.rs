//! Segments of a text: one that does not fit into a single SMS is split into several, and each is
//! charged for.

/// GSM 03.38's basic alphabet, in the order of 3GPP TS 23.038 §6.2.1.
const BASIC: &str = "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?\
    ¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà";

/// GSM 03.38's extension table (§6.2.1.1): each character takes an escape and a septet.
const EXTENSION: &str = "\u{c}^{}\\[~]|€";

/// Septets of a single SMS (140 bytes), and of each part of a longer one (whose header takes the
/// rest).
const SEPTETS: (usize, usize) = (160, 153);

/// UCS-2 code units of a single SMS, and of each part of a longer one.
const UNITS: (usize, usize) = (70, 67);

/// The number of SMS that a text takes.
#[must_use]
pub fn segments(text: &str) -> usize {
    let septets = |c| if BASIC.contains(c) { Some(1) } else { EXTENSION.contains(c).then_some(2) };
    let (costs, (single, part)) = match text.chars().map(septets).collect::<Option<Vec<_>>>() {
        Some(costs) => (costs, SEPTETS),
        None => (text.chars().map(char::len_utf16).collect(), UNITS),
    };
    if costs.iter().sum::<usize>() <= single {
        return 1;
    }
    // A part never ends within a character.
    let fill = |(parts, used), cost| {
        if used + cost > part { (parts + 1, cost) } else { (parts, used + cost) }
    };
    costs.into_iter().fold((1, 0), fill).0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_counted_as_phones_count_them() {
        for (text, expected) in [
            ("", 1),
            (&"a".repeat(160), 1),
            (&"a".repeat(161), 2),
            (&"a".repeat(306), 2),
            (&"a".repeat(307), 3),
            // Each of these takes two.
            (&"€".repeat(80), 1),
            (&"[".repeat(81), 2),
            // 152 and an escape do not fit into 153.
            (&format!("{}{}", "a".repeat(152), "€".repeat(77)), 3),
            ("ñ¿Δ@\n", 1),
            // One character outside of the alphabet makes all of them 16 bits.
            (&format!("{}ç", "a".repeat(69)), 1),
            (&format!("{}ç", "a".repeat(70)), 2),
            (&"码".repeat(70), 1),
            (&"码".repeat(71), 2),
            (&"码".repeat(134), 2),
            (&"码".repeat(135), 3),
            // Two units each, never cut in half: 33 to a part.
            (&"😀".repeat(35), 1),
            (&"😀".repeat(36), 2),
            (&"😀".repeat(67), 3),
        ] {
            assert_eq!(segments(text), expected, "{text}");
        }
        assert_eq!(
            (BASIC.chars().count(), EXTENSION.chars().count()),
            (127, 10),
            "128 with the escape itself"
        );
    }
}
