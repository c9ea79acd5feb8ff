//! Numbers in an outdated or incomplete form of their country.
//!
//! If it is certain which number is meant, it is read as that one. Otherwise the error says which
//! digit is missing.

/// A form that was in use until a country changed its numbers.
struct OldForm {
    country_code: i32,
    /// Leading digits in the old form.
    old_prefix: &'static str,
    /// Leading digits that replace them.
    new_prefix: &'static str,
    /// Number of digits that follow.
    digits: usize,
}

const fn old_form(
    country_code: i32,
    old_prefix: &'static str,
    new_prefix: &'static str,
    digits: usize,
) -> OldForm {
    OldForm { country_code, old_prefix, new_prefix, digits }
}

const OLD_FORMS: [OldForm; 5] = [
    // Mexico, since 2019-08-03: ten digits everywhere. Before that, mobile numbers had a 1 after
    // +52 (as WhatsApp and address books still show them), and 044 or 045 within the country; 01
    // was the prefix of other areas.
    old_form(52, "1", "", 10),
    old_form(52, "01", "", 10),
    old_form(52, "044", "", 10),
    old_form(52, "045", "", 10),
    // Benin, since 2024-11-30: 01 in front of the eight digits.
    old_form(229, "", "01", 8),
];

/// Calling codes of the countries whose numbers may come in another form.
pub const WITH_OTHER_FORMS: [i32; 4] = [52, 54, 55, 229];

/// Converts a number in an old form to E.164; `None` if it is in none.
pub fn renumbered(country_code: i32, national: &str) -> Option<String> {
    OLD_FORMS.iter().filter(|form| form.country_code == country_code).find_map(|form| {
        let rest =
            national.strip_prefix(form.old_prefix).filter(|rest| rest.len() == form.digits)?;
        Some(format!("+{country_code}{}{rest}", form.new_prefix))
    })
}

/// An Argentine number with the 9 that distinguishes mobile numbers from landlines.
pub fn with_argentine_nine(country_code: i32, national: &str) -> Option<String> {
    (country_code == 54).then(|| format!("+549{national}"))
}

/// A Brazilian number with the 9 that mobile numbers have had after the area code (two digits)
/// since 2016.
pub fn with_brazilian_nine(country_code: i32, national: &str) -> Option<String> {
    let (area, rest) = national.split_at_checked(2)?;
    (country_code == 55 && rest.len() == 8).then(|| format!("+55{area}9{rest}"))
}
