//! Numbers in a form that their country does not have, or no longer has.
//!
//! Where it is certain which number is meant, it is read as that one. Elsewhere a person is told
//! what is missing.

/// A form that was in use until a country changed its numbers.
struct OldForm {
    country_code: i32,
    /// What stood in front, which is left out now.
    front: &'static str,
    /// What is put in front in its place.
    now: &'static str,
    /// How many digits follow.
    digits: usize,
}

const fn old_form(
    country_code: i32,
    front: &'static str,
    now: &'static str,
    digits: usize,
) -> OldForm {
    OldForm { country_code, front, now, digits }
}

const OLD_FORMS: [OldForm; 5] = [
    // Mexico, since 2019-08-03: ten digits from everywhere. Before, a 1 after +52 said that the
    // phone is a mobile one (as WhatsApp and address books have it still), within the country 044
    // and 045 did, and 01 was the prefix of other areas.
    old_form(52, "1", "", 10),
    old_form(52, "01", "", 10),
    old_form(52, "044", "", 10),
    old_form(52, "045", "", 10),
    // Benin, since 2024-11-30: 01 in front of the eight digits.
    old_form(229, "", "01", 8),
];

/// The calling codes of countries whose numbers may come in another form than they have: nothing is
/// tried for all others.
pub const HAVE_OTHERS: [i32; 4] = [52, 54, 55, 229];

/// The number as its country has it now, of one that it does not have: calling code and digits
/// after it.
pub fn renumbered(country_code: i32, national: &str) -> Option<String> {
    OLD_FORMS.iter().filter(|form| form.country_code == country_code).find_map(|form| {
        let rest = national.strip_prefix(form.front).filter(|rest| rest.len() == form.digits)?;
        Some(format!("+{country_code}{}{rest}", form.now))
    })
}

/// An Argentine number with the 9 that tells a mobile phone's from a landline's.
pub fn with_argentine_nine(country_code: i32, national: &str) -> Option<String> {
    (country_code == 54).then(|| format!("+549{national}"))
}

/// A Brazilian number with the 9 that mobile ones have had in front, after the two digits of the
/// area, since 2016.
pub fn with_brazilian_nine(country_code: i32, national: &str) -> Option<String> {
    let (area, rest) = national.split_at_checked(2)?;
    (country_code == 55 && rest.len() == 8).then(|| format!("+55{area}9{rest}"))
}
