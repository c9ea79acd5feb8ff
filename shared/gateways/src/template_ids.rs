//! IDs of a vendor's templates by purpose and language, and the length of a code that they accept.

use std::collections::BTreeMap;

use sms_domain::locale::Locale;
use sms_domain::verification_id::Purpose;
use sms_outbound::dsn::{Dsn, DsnError};

/// IDs of a vendor's templates.
pub(crate) struct Templates {
    default: String,
    own: BTreeMap<String, String>,
}

impl Templates {
    /// ID of the template for a purpose in a language: that of both, else of the purpose, else of
    /// the language, else the default. Traditional Chinese falls back to simplified.
    pub(crate) fn id_for(&self, purpose: &Purpose, locale: Locale) -> &str {
        let purpose = purpose.as_str();
        let locales = locale.choose(&["en"][..], &["zh-CN"], &["zh-Hant", "zh-CN"]);
        let of_both = locales.iter().map(|locale| format!("template.{purpose}.{locale}"));
        let of_one = std::iter::once(purpose)
            .chain(locales.iter().copied())
            .map(|one| format!("template.{one}"));
        of_both.chain(of_one).find_map(|name| self.own.get(&name)).unwrap_or(&self.default)
    }

    fn is_name(name: &str) -> bool {
        let is_locale = |text: &str| Locale::ALL.iter().any(|locale| locale.tag() == text);
        let is_purpose = |text: &str| !text.is_empty() && Purpose::parse(text).is_some();
        let parts: Vec<&str> = name.split('.').skip(1).collect();
        match parts[..] {
            [one] => is_locale(one) || is_purpose(one),
            [purpose, locale] => is_purpose(purpose) && is_locale(locale),
            _ => false,
        }
    }
}

/// Reads `template=1` and, for a purpose or a language with a template of its own,
/// `template.login=2`, `template.en=3`, `template.login.en=4`.
pub(crate) fn templates(dsn: &mut Dsn) -> Result<Templates, DsnError> {
    let default = dsn.required("template")?;
    let own = dsn.take_prefixed("template.");
    match own.keys().find(|name| !Templates::is_name(name)) {
        Some(name) => Err(DsnError::Unknown(name.clone())),
        None => Ok(Templates { default, own }),
    }
}

/// Reads `template_kind`: the variables of a vendor's verification templates have at most `most`
/// digits, those of a `notice` any number.
pub(crate) fn max_digits(dsn: &mut Dsn, max: usize) -> Result<Option<usize>, DsnError> {
    match dsn.option::<String>("template_kind")?.as_deref() {
        None | Some("verification") => Ok(Some(max)),
        Some("notice") => Ok(None),
        Some(_) => Err(DsnError::Value("template_kind (verification or notice)")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_purpose_and_a_language_may_have_a_template_of_their_own() {
        let mut dsn =
            Dsn::parse("x://h?template=1&template.login=2&template.en=3&template.login.en=4")
                .expect("a DSN");
        let ids = templates(&mut dsn).expect("templates");
        let of = |purpose, locale| {
            ids.id_for(&Purpose::parse(purpose).expect("a purpose"), locale).to_owned()
        };
        assert_eq!([of("", Locale::ZhCn), of("login", Locale::ZhCn)], ["1", "2"]);
        assert_eq!([of("other", Locale::En), of("login", Locale::En)], ["3", "4"]);
        assert_eq!([of("", Locale::ZhHant), of("login", Locale::ZhHant)], ["1", "2"]);
        dsn.finish().expect("all options are taken");

        let own = "x://h?template=1&template.zh-CN=2&template.login.zh-CN=3\
                   &template.login.zh-Hant=4&template.pay=5";
        let mut dsn = Dsn::parse(own).expect("a DSN");
        let ids = templates(&mut dsn).expect("templates");
        let of = |purpose| {
            ids.id_for(&Purpose::parse(purpose).expect("a purpose"), Locale::ZhHant).to_owned()
        };
        assert_eq!([of(""), of("login"), of("pay")], ["2", "4", "5"]);
        dsn.finish().expect("all options are taken");
    }
}
