//! The texts of `templates/`: a file for each language, a table for each purpose. They are compiled
//! in, so that an invalid text fails a test and not a delivery.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde::Deserialize;

use crate::locale::Locale;

/// Plural forms of a text, by CLDR's plural category of the minutes.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Forms {
    /// Form for one minute, in languages that distinguish it.
    one: Option<String>,
    other: String,
    /// Form without minutes, for codes whose lifetime is not known.
    plain: String,
}

type Texts = BTreeMap<String, Forms>;

/// Name of the table for purposes without one of their own.
const DEFAULT: &str = "default";

static ZH_CN: LazyLock<Texts> =
    LazyLock::new(|| read(include_str!("../../../../templates/zh-CN.toml")));
static ZH_HANT: LazyLock<Texts> =
    LazyLock::new(|| read(include_str!("../../../../templates/zh-Hant.toml")));
static EN: LazyLock<Texts> = LazyLock::new(|| read(include_str!("../../../../templates/en.toml")));

#[expect(clippy::expect_used, reason = "the files are part of the program, and a test reads them")]
fn read(file: &str) -> Texts {
    let texts: Texts =
        toml::from_str(file).expect("a template file is a table of texts for each purpose");
    assert!(texts.contains_key(DEFAULT), "a template file has a default");
    texts
}

fn texts(locale: Locale) -> &'static Texts {
    locale.choose(&EN, &ZH_CN, &ZH_HANT)
}

/// The text for a purpose, with its variables filled in.
pub fn fill(locale: Locale, purpose: &str, code: &str, minutes: Option<u64>) -> String {
    let texts = texts(locale);
    let forms = texts.get(purpose).unwrap_or(&texts[DEFAULT]);
    let text = match minutes {
        Some(1) => forms.one.as_ref().unwrap_or(&forms.other),
        Some(_) => &forms.other,
        None => &forms.plain,
    };
    text.replace("{minutes}", &minutes.unwrap_or_default().to_string()).replace("{code}", code)
}

/// Purposes with a text of their own, and the default.
pub fn purposes(locale: Locale) -> impl Iterator<Item = &'static str> {
    texts(locale).keys().map(String::as_str)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_text_names_the_code_and_the_minutes() {
        for locale in Locale::ALL {
            for (purpose, forms) in texts(locale) {
                assert_eq!(forms.plain.matches("{code}").count(), 1, "{locale:?} {purpose}");
                assert_eq!(forms.plain.matches(['{', '}']).count(), 2, "{locale:?} {purpose}");
                for text in [Some(&forms.other), forms.one.as_ref()].into_iter().flatten() {
                    let placeholders =
                        (text.matches("{code}").count(), text.matches("{minutes}").count());
                    assert_eq!(placeholders, (1, 1), "{locale:?} {purpose}: {text}");
                    assert_eq!(text.matches(['{', '}']).count(), 4, "{locale:?} {purpose}: {text}");
                }
            }
        }
        assert_eq!(
            fill(Locale::En, "login", "012345", Some(1)),
            "Your login code is 012345. It is valid for 1 minute. Do not share it."
        );
        assert_eq!(
            fill(Locale::En, "no-such", "012345", None),
            "Your verification code is 012345. Do not share it."
        );
    }
}
