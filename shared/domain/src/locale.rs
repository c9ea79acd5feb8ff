//! Supported languages, and the tags and headers that select them.

use crate::phone::PhoneNumber;

/// The language of a message or of an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Locale {
    /// Chinese in simplified characters.
    ZhCn,
    /// English.
    En,
    /// Chinese in traditional characters.
    ZhHant,
}

/// Regions where Chinese is written in traditional characters, unless a tag says otherwise.
const TRADITIONAL: [&str; 3] = ["TW", "HK", "MO"];

/// Highest number of language ranges that are read from a header.
const MAX_RANGES: usize = 16;

impl Locale {
    /// Every language.
    pub const ALL: [Self; 3] = [Self::ZhCn, Self::En, Self::ZhHant];

    /// Reads a BCP 47 tag such as `zh-TW`, `zh-Hans` or `en-GB`; `None` if it is not supported.
    #[must_use]
    pub fn parse(tag: &str) -> Option<Self> {
        Self::asked_for(tag).first().copied()
    }

    /// Returns true if the text is a well-formed tag, supported or not: a language, and then
    /// subtags after hyphens.
    #[must_use]
    pub fn is_tag(tag: &str) -> bool {
        let mut subtags = subtags(tag);
        let language = subtags.next().unwrap_or_default();
        let is_language = (2..=8).contains(&language.len())
            && language.bytes().all(|byte| byte.is_ascii_alphabetic());
        let is_subtag = |subtag: &str| {
            (1..=8).contains(&subtag.len())
                && subtag.bytes().all(|byte| byte.is_ascii_alphanumeric())
        };
        is_language && subtags.all(is_subtag)
    }

    /// The supported language with the highest weight of an `Accept-Language` header
    /// (RFC 9110 §12.5.4); `None` if it prefers none.
    #[must_use]
    pub fn from_accept_language(header: &str) -> Option<Self> {
        let (mut best, mut star, mut named) = (None, 0.0, [false; Self::ALL.len()]);
        let mut offer = |locale: Self, weight: f32| {
            // Of equal weights the first wins.
            if weight > best.map_or(0.0, |(_, best)| best) {
                best = Some((locale, weight));
            }
        };
        for (range, weight) in header.split(',').take(MAX_RANGES).filter_map(range) {
            if range == "*" {
                star = weight;
            }
            for locale in Self::asked_for(range) {
                named[*locale as usize] = true;
                offer(*locale, weight);
            }
        }
        // The star is for languages that no other range matches; alone it is no choice.
        if named.contains(&true) {
            let others = [Self::En, Self::ZhCn, Self::ZhHant]
                .into_iter()
                .filter(|one| !named[*one as usize]);
            others.for_each(|locale| offer(locale, star));
        }
        best.map(|(locale, _)| locale)
    }

    /// Languages that a tag or a range matches, the likeliest first.
    fn asked_for(tag: &str) -> &'static [Self] {
        let mut subtags = subtags(tag);
        let language = subtags.next().unwrap_or_default();
        if language.eq_ignore_ascii_case("en") {
            &[Self::En]
        } else if language.eq_ignore_ascii_case("zh") {
            chinese(subtags)
        } else {
            &[]
        }
    }

    /// Default language of a number: Chinese for +86, English elsewhere.
    #[must_use]
    pub fn of(number: &PhoneNumber) -> Self {
        if number.country_code() == "86" { Self::ZhCn } else { Self::En }
    }

    /// The BCP 47 tag.
    #[must_use]
    pub fn tag(self) -> &'static str {
        self.choose("en", "zh-CN", "zh-Hant")
    }

    /// Selects the value for this language.
    #[must_use]
    pub fn choose<T>(self, en: T, zh_cn: T, zh_hant: T) -> T {
        match self {
            Self::En => en,
            Self::ZhCn => zh_cn,
            Self::ZhHant => zh_hant,
        }
    }
}

fn subtags(tag: &str) -> impl Iterator<Item = &str> + Clone {
    tag.split(['-', '_'])
}

/// Variants of Chinese, by a tag's script, else by its region. Subtags after a single letter (an
/// extension or private use) are neither.
fn chinese<'a>(subtags: impl Iterator<Item = &'a str> + Clone) -> &'static [Locale] {
    let subtags = subtags.take_while(|subtag| subtag.len() > 1);
    let has = |name: &str| subtags.clone().any(|subtag| subtag.eq_ignore_ascii_case(name));
    if has("Hans") {
        &[Locale::ZhCn]
    } else if has("Hant") || TRADITIONAL.into_iter().any(has) {
        &[Locale::ZhHant]
    } else if subtags.clone().next().is_some() {
        &[Locale::ZhCn]
    } else {
        &[Locale::ZhCn, Locale::ZhHant]
    }
}

/// A language range of the header, and its weight, by default 1.
fn range(part: &str) -> Option<(&str, f32)> {
    let (range, weight) = part.split_once(';').unwrap_or((part, "q=1"));
    let (name, weight) = weight.split_once('=')?;
    let weight: f32 = weight.trim().parse().ok()?;
    (name.trim().eq_ignore_ascii_case("q") && (0.0..=1.0).contains(&weight))
        .then_some((range.trim(), weight))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_names_language_and_script() {
        for (tag, expected) in [
            ("zh", Some(Locale::ZhCn)),
            ("zh-CN", Some(Locale::ZhCn)),
            ("zh_Hans", Some(Locale::ZhCn)),
            ("zh-SG", Some(Locale::ZhCn)),
            ("zh-Hans-HK", Some(Locale::ZhCn)),
            ("zh-x-hant", Some(Locale::ZhCn)),
            ("zh-Hant", Some(Locale::ZhHant)),
            ("zh-Hant-CN", Some(Locale::ZhHant)),
            ("zh-TW", Some(Locale::ZhHant)),
            ("zh-hk", Some(Locale::ZhHant)),
            ("ZH_mo", Some(Locale::ZhHant)),
            ("zh-yue-HK", Some(Locale::ZhHant)),
            ("en-GB", Some(Locale::En)),
            ("fr", None),
            ("", None),
        ] {
            assert_eq!(Locale::parse(tag), expected, "{tag}");
        }
        for locale in Locale::ALL {
            assert_eq!(Locale::parse(locale.tag()), Some(locale));
        }
    }

    #[test]
    fn what_is_no_tag_is_told_from_what_is_not_spoken() {
        for tag in [
            "fr",
            "tlh",
            "de-CH-1996",
            "zh-Hant-TW",
            "en_US",
            "sr-Latn",
            "de-u-co-phonebk",
            "zh-x-a1",
        ] {
            assert!(Locale::is_tag(tag), "{tag}");
        }
        for tag in [
            "",
            "e",
            "-",
            "en-",
            "en--US",
            "中文",
            "en US",
            "e1",
            "en.UTF-8",
            "languages1",
            " en",
            "zh-\u{0}",
        ] {
            assert!(!Locale::is_tag(tag), "{tag}");
        }
    }

    #[test]
    fn accept_language_is_read_by_weight() {
        for (header, expected) in [
            ("zh-CN,zh;q=0.9,en;q=0.8", Some(Locale::ZhCn)),
            ("zh-TW,zh;q=0.9,en;q=0.8", Some(Locale::ZhHant)),
            ("zh-HK, zh-CN;q=0.5", Some(Locale::ZhHant)),
            ("fr, en;q=0.3, zh;q=0.7", Some(Locale::ZhCn)),
            ("fr, zh-Hant ; Q = 0.7, en;q=0.3", Some(Locale::ZhHant)),
            ("en-GB", Some(Locale::En)),
            ("zh;q=0, en;q=0.1", Some(Locale::En)),
            ("zh;q=0, *", Some(Locale::En)),
            ("en;q=0, *;q=0.1", Some(Locale::ZhCn)),
            ("en;q=0.2, *;q=0.1", Some(Locale::En)),
            ("zh;q=0", None),
            ("fr, *;q=0.5", None),
            ("*", None),
            ("de", None),
            ("en;q=2, zh;q=nan", None),
            ("", None),
            (";;;q=,,", None),
        ] {
            assert_eq!(Locale::from_accept_language(header), expected, "{header:?}");
        }
    }
}
