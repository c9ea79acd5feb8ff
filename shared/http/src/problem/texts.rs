//! The texts of problems: `templates/problems.*.toml`, a file for each language, a table for each
//! type of problem.
//!
//! The files are read by lines, when a problem is first written in their language: so the functions
//! need no TOML parser, and their start does not wait for one. A test compares the result with that
//! of `toml`.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::LazyLock;

use sms_domain::locale::Locale;

const EN: &str = include_str!("../../../../templates/problems.en.toml");
const ZH_CN: &str = include_str!("../../../../templates/problems.zh-CN.toml");
const ZH_HANT: &str = include_str!("../../../../templates/problems.zh-Hant.toml");

/// Texts by table and key.
type Texts = HashMap<(&'static str, &'static str), &'static str>;

static TEXTS: [LazyLock<Texts>; 3] =
    [LazyLock::new(|| read(EN)), LazyLock::new(|| read(ZH_CN)), LazyLock::new(|| read(ZH_HANT))];

/// Finds the text of a key in a table; `None` if the language does not have it.
pub(crate) fn find(locale: Locale, table: &str, key: &str) -> Option<&'static str> {
    TEXTS[locale.choose(0, 1, 2)].get(&(table, key)).copied()
}

fn read(file: &'static str) -> Texts {
    let (mut texts, mut table) = (HashMap::new(), "");
    for line in file.lines() {
        if let Some(name) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            table = name;
        } else if let Some((key, text)) =
            line.strip_suffix('"').and_then(|line| line.split_once(" = \""))
        {
            texts.insert((table, key), text);
        }
    }
    texts
}

/// Fills in the placeholders of a text.
pub(crate) fn fill(text: &'static str, values: &[(&str, String)]) -> Cow<'static, str> {
    if values.is_empty() {
        return Cow::Borrowed(text);
    }
    let mut filled = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, (name, after))) =
        rest.split_once('{').and_then(|(before, rest)| Some((before, rest.split_once('}')?)))
    {
        filled.push_str(before);
        if let Some((_, value)) = values.iter().find(|(known, _)| *known == name) {
            filled.push_str(value);
        }
        rest = after;
    }
    filled.push_str(rest);
    Cow::Owned(filled)
}

#[cfg(test)]
pub(crate) mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;

    type File = BTreeMap<String, BTreeMap<String, String>>;

    pub(crate) fn read(locale: Locale) -> File {
        toml::from_str(locale.choose(EN, ZH_CN, ZH_HANT)).expect("tables of texts")
    }

    fn placeholders(text: &str) -> BTreeSet<&str> {
        text.split('{').skip(1).filter_map(|rest| Some(rest.split_once('}')?.0)).collect()
    }

    #[test]
    fn every_text_is_found() {
        for locale in Locale::ALL {
            for (table, texts) in read(locale) {
                for (key, text) in texts {
                    let found = find(locale, &table, &key);
                    assert_eq!(found, Some(text.as_str()), "{locale:?} {table} {key}");
                }
                assert_eq!(find(locale, &table, "no-such-key"), None, "{locale:?} {table}");
            }
            assert_eq!(find(locale, "no-such-table", "title"), None);
        }
    }

    /// The table `errmsg` may be missing in a language; otherwise it has all keys.
    #[test]
    fn every_language_has_the_same_keys_and_placeholders() {
        type Placeholders<'a> = BTreeMap<&'a str, BTreeSet<&'a str>>;

        fn keys(file: &File) -> BTreeMap<&str, Placeholders<'_>> {
            fn of_table(texts: &BTreeMap<String, String>) -> Placeholders<'_> {
                texts.iter().map(|(key, text)| (key.as_str(), placeholders(text))).collect()
            }
            file.iter().map(|(table, texts)| (table.as_str(), of_table(texts))).collect()
        }
        let [english, chinese] = [Locale::En, Locale::ZhCn].map(read);
        for locale in Locale::ALL {
            let file = read(locale);
            let mut found = keys(&file);
            let errmsg = found.remove("errmsg");
            assert_eq!(found, keys(&english), "{locale:?}");
            if let Some(errmsg) = errmsg {
                assert_eq!(Some(&errmsg), keys(&chinese).get("errmsg"), "{locale:?}");
            }
        }
    }

    #[test]
    fn placeholders_are_filled_in() {
        let values = [("line", "1".to_owned()), ("column", "{line}".to_owned())];
        assert_eq!(fill("{line} and {column}", &values), "1 and {line}");
    }
}
