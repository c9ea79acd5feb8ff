//! Data source names: `scheme://user:password@host:port?option=value`, as notifiers write them.
//!
//! What is reserved in URLs is percent-encoded in them. A `+` is a plus, so that
//! `from=+15005550006` is that number. The host `default` is the vendor's own.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use percent_encoding::percent_decode_str;
use sha2::{Digest, Sha256};
use url::{Host, Url};

use crate::message::Locale;
use crate::signing::hex;
use crate::verification::Purpose;

/// What is wrong with an `SMS_DSN`, a `CHALLENGE` or the URL of a server. It names parts, never
/// their secret values.
#[derive(Debug, thiserror::Error)]
pub enum DsnError {
    /// Not a URL.
    #[error("is not a URL of the form scheme://user:password@host?option=value")]
    Url(#[from] url::ParseError),
    /// No gateway of this name.
    #[error("has an unknown gateway {0}:// (docs/reference/gateways.md lists them)")]
    Scheme(String),
    /// No challenge of this name.
    #[error(
        "is an unknown challenge: use off, pow, picture, turnstile://, hcaptcha:// or recaptcha://"
    )]
    NoChallenge,
    /// The routes around the DSNs do not fit together.
    #[error("{0}")]
    Route(&'static str),
    /// A part that the gateway needs.
    #[error("lacks {0}")]
    Missing(&'static str),
    /// An option with a value that cannot be.
    #[error("has a wrong value for {0}")]
    Value(&'static str),
    /// An option that is there twice.
    #[error("has the option {0} twice")]
    Twice(String),
    /// What a server's URL cannot say.
    #[error("{0}")]
    Server(&'static str),
    /// An option that is not known.
    #[error("has an unknown option {0}")]
    Unknown(String),
    /// Credentials would travel in clear.
    #[error(
        "has tls=false, which is allowed for a stub on this machine only \
         (127.0.0.1, [::1], localhost)"
    )]
    ClearText,
    /// A percent sign that encodes nothing.
    #[error("has a part that is not percent-encoded UTF-8")]
    Encoding,
}

/// A parsed DSN. Options are taken out of it; what is left over at the end is an error.
pub(crate) struct Dsn {
    url: Url,
    options: BTreeMap<String, String>,
}

impl Dsn {
    pub(crate) fn parse(text: &str) -> Result<Self, DsnError> {
        let url = Url::parse(text.trim())?;
        let mut options = BTreeMap::new();
        for pair in url.query().unwrap_or_default().split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let (name, value) = (decode(name), decode(value));
            let (Some(name), Some(value)) = (name, value) else { return Err(DsnError::Encoding) };
            if let Some(name) = options.insert(name.clone(), value).map(|_| name) {
                return Err(DsnError::Twice(shown(name)));
            }
        }
        Ok(Self { url, options })
    }

    /// A name for the account that holds no secret: 64 bits of a hash.
    pub(crate) fn identity(&self) -> String {
        let (scheme, user) = (self.url.scheme(), self.url.username());
        let (host, port) =
            (self.url.host_str().unwrap_or_default(), self.url.port().unwrap_or_default());
        hex(&Sha256::digest(format!("{scheme}://{user}@{host}:{port}"))[..8])
    }

    /// Host and port; empty where they are the vendor's own.
    pub(crate) fn host(&self) -> String {
        match self.url.host_str() {
            None | Some("default") => String::new(),
            Some(host) => {
                self.url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
            }
        }
    }

    pub(crate) fn url(&self) -> &Url {
        &self.url
    }

    /// The names of the options that are left.
    pub(crate) fn options(&self) -> impl Iterator<Item = &str> {
        self.options.keys().map(String::as_str)
    }

    /// User and password, where there are any, can be read.
    pub(crate) fn credentials(&self) -> Result<(), DsnError> {
        let parts = [Some(self.url.username()), self.url.password()];
        if parts.into_iter().flatten().all(|part| decode(part).is_some()) {
            Ok(())
        } else {
            Err(DsnError::Encoding)
        }
    }

    pub(crate) fn scheme(&self) -> &str {
        self.url.scheme()
    }

    pub(crate) fn user(&self) -> Result<String, DsnError> {
        decoded(self.url.username()).ok_or(DsnError::Missing("the user before the @"))
    }

    pub(crate) fn password(&self) -> Result<String, DsnError> {
        self.url.password().and_then(decoded).ok_or(DsnError::Missing("the password before the @"))
    }

    /// `https://host:port`, or `http://` with the option `tls=false`, which only this machine may
    /// be given. The host `default` is `vendor`.
    pub(crate) fn base_url(&mut self, vendor: &str) -> Result<Url, DsnError> {
        let tls = self.option::<bool>("tls")?.unwrap_or(true);
        if !tls && !self.is_loopback() {
            return Err(DsnError::ClearText);
        }
        if self.url.host_str() == Some("default") {
            return Ok(Url::parse(&format!("https://{vendor}/"))?);
        }
        self.base_url_with(if tls { "https" } else { "http" })
    }

    /// The URL behind `scheme+`: `webhook+https://host/path` is `https://host/path`. `http` leads
    /// to this machine only.
    pub(crate) fn inner_url(&self) -> Result<Url, DsnError> {
        let scheme = self.url.scheme().split_once('+').map_or("https", |(_, scheme)| scheme);
        if scheme != "https" && !self.is_loopback() {
            return Err(DsnError::ClearText);
        }
        Ok(self.base_url_with(scheme)?.join(self.url.path())?)
    }

    pub(crate) fn base_url_with(&self, scheme: &str) -> Result<Url, DsnError> {
        let host = self
            .url
            .host_str()
            .filter(|host| !host.is_empty())
            .ok_or(DsnError::Missing("a host"))?;
        let port = self.url.port().map(|port| format!(":{port}")).unwrap_or_default();
        Ok(Url::parse(&format!("{scheme}://{host}{port}/"))?)
    }

    pub(crate) fn is_loopback(&self) -> bool {
        // Of a scheme that is not the web's, the parser leaves an IPv4 address as a name.
        match self.url.host() {
            Some(Host::Ipv6(address)) => address.is_loopback(),
            Some(Host::Domain("localhost")) => true,
            Some(host) => host
                .to_string()
                .parse::<std::net::Ipv4Addr>()
                .is_ok_and(|address| address.is_loopback()),
            None => false,
        }
    }

    pub(crate) fn option<T: FromStr>(&mut self, name: &'static str) -> Result<Option<T>, DsnError> {
        let value = self.options.remove(name).filter(|value| !value.is_empty());
        value.map(|value| value.parse().map_err(|_| DsnError::Value(name))).transpose()
    }

    /// An option that may be there and empty.
    pub(crate) fn option_or_empty(&mut self, name: &'static str) -> Option<String> {
        self.options.remove(name)
    }

    pub(crate) fn required(&mut self, name: &'static str) -> Result<String, DsnError> {
        self.option(name)?.ok_or(DsnError::Missing(name))
    }

    /// `template=1` and, where a purpose or a language has one of its own, `template.login=2`,
    /// `template.en=3`, `template.login.en=4`.
    pub(crate) fn templates(&mut self) -> Result<Templates, DsnError> {
        let default = self.required("template")?;
        let own = self
            .options
            .extract_if(.., |name, _| name.starts_with("template."))
            .collect::<BTreeMap<_, _>>();
        match own.keys().find(|name| !Templates::is_name(name)) {
            Some(name) => Err(DsnError::Unknown(name.clone())),
            None => Ok(Templates { default, own }),
        }
    }

    /// `template_kind`: the variables of a vendor's verification templates have `most` digits at
    /// most, those of a `notice` as many as one likes.
    pub(crate) fn most_digits(&mut self, most: usize) -> Result<Option<usize>, DsnError> {
        match self.option::<String>("template_kind")?.as_deref() {
            None | Some("verification") => Ok(Some(most)),
            Some("notice") => Ok(None),
            Some(_) => Err(DsnError::Value("template_kind (verification or notice)")),
        }
    }

    pub(crate) fn finish(self) -> Result<(), DsnError> {
        match self.options.into_keys().next() {
            Some(name) => Err(DsnError::Unknown(shown(name))),
            None => Ok(()),
        }
    }
}

/// The ids of a vendor's templates.
pub(crate) struct Templates {
    default: String,
    own: BTreeMap<String, String>,
}

impl Templates {
    /// The one for a purpose in a language: that of both, else of the purpose, else of the
    /// language, else the default. Whoever has none in traditional characters can read that in
    /// simplified ones.
    pub(crate) fn of(&self, purpose: &Purpose, locale: Locale) -> &str {
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

impl fmt::Debug for Dsn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Dsn({}://…)", self.url.scheme())
    }
}

/// An option's name, if it is like one: what an `&` that is not encoded cuts off may be part of a
/// secret.
fn shown(name: String) -> String {
    let plain = name.len() <= 40
        && name.bytes().all(|b| b.is_ascii_lowercase() || matches!(b, b'_' | b'.'));
    if plain { name } else { "(an & within a value is written %26)".to_owned() }
}

fn decode(part: &str) -> Option<String> {
    Some(percent_decode_str(part).decode_utf8().ok()?.into_owned())
}

fn decoded(part: &str) -> Option<String> {
    decode(part).filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::provider::Provider;

    #[test]
    fn a_wrong_dsn_says_what_is_wrong_and_shows_no_secret() {
        for (dsn, problem) in [
            ("", "is not a URL"),
            ("smtp://u:hunter2@h", "smtp://"),
            ("ccp://h:8883?app_id=A&template=1", "lacks the user"),
            ("ccp://sid@h:8883?app_id=A&template=1", "lacks the password"),
            ("ccp://sid:hunter2@?app_id=A&template=1", "is not a URL"),
            ("ccp://sid:hunter2@h?app_id=A", "lacks template"),
            ("ccp://sid:hunter2@h?app_id=A&template=1&tempalte=2", "unknown option tempalte"),
            ("ccp://sid:hunter2@h?app_id=A&template=1&tls=maybe", "wrong value for tls"),
            ("ccp://sid:hunter2@example.com?app_id=A&template=1&tls=false", "on this machine only"),
            ("ccp://sid:hunter2@h?app_id=A&template=1&utc_offset=99", "wrong value for utc_offset"),
            ("inbox+http://example.com:8080", "on this machine only"),
            (
                "ccp://sid:hunter2@h?app_id=A&template=1&template.a.b.c=2",
                "unknown option template.a.b.c",
            ),
            ("ccp://sid:hunter2@h?app_id=A&template=1&rate=0", "wrong value for rate"),
            ("ccp://sid:hunter2@h?app_id=A&template=1&receipts=short", "wrong value for receipts"),
            ("ccp://sid:hunter2@h?app_id=%ff&template=1", "not percent-encoded"),
            ("aliyun://key:hunter2@default?template=1", "lacks sign"),
            ("tencent://id:hunter2@default?sign=S&template=1", "lacks app_id"),
            ("twilio://sid:hunter2@default", "lacks from"),
            (
                "twilio://sid:hunter2@default?from=+15005550006&callback=no",
                "wrong value for callback",
            ),
            (
                "twilio://SK00112233445566778899aabbccddeeff:hunter2@default?from=+15005550006",
                "lacks account",
            ),
            (
                "twilio://AC1:hunter2@default?from=+15005550006&shared_key=hunter2",
                "wrong value for shared_key",
            ),
            ("twilio://AC1:hunter2@default?from=+15005550006&shared_key=id:a", "lacks callback"),
            (
                "twilio://AC1:hunter2@default?from=+15005550006&callback=https://h/&shared_key=id:a&hunter2",
                "%26",
            ),
            ("aws://default", "lacks origination"),
            ("webhook+https://example.com/sms", "lacks the password"),
            ("webhook+http://:hunter2hunter2hunter2@example.com/sms", "on this machine only"),
            ("failover(ccp://sid:hunter2@h?app_id=A&template=1 || smtp://u:hunter2@h)", "smtp://"),
        ] {
            let error = Provider::from_dsn(dsn).map(|_| ()).expect_err(dsn);
            let shown = format!("{error} {error:?}");
            assert!(error.to_string().contains(problem), "{dsn}: {error}");
            assert!(!shown.contains("hunter2"), "{shown}");
        }
        let dsn = "ccp://sid:hunter2@127.0.0.1:1?app_id=A&template=1&tls=false";
        assert!(!format!("{:?}", Provider::from_dsn(dsn)).contains("hunter2"));
    }

    #[test]
    fn a_purpose_and_a_language_may_have_a_template_of_their_own() {
        let mut dsn =
            Dsn::parse("x://h?template=1&template.login=2&template.en=3&template.login.en=4")
                .expect("a DSN");
        let templates = dsn.templates().expect("templates");
        let of = |purpose, locale| {
            templates.of(&Purpose::parse(purpose).expect("a purpose"), locale).to_owned()
        };
        assert_eq!([of("", Locale::ZhCn), of("login", Locale::ZhCn)], ["1", "2"]);
        assert_eq!([of("other", Locale::En), of("login", Locale::En)], ["3", "4"]);
        assert_eq!([of("", Locale::ZhHant), of("login", Locale::ZhHant)], ["1", "2"]);
        dsn.finish().expect("all options are taken");

        let own = "x://h?template=1&template.zh-CN=2&template.login.zh-CN=3&template.login.zh-Hant=4&template.pay=5";
        let mut dsn = Dsn::parse(own).expect("a DSN");
        let templates = dsn.templates().expect("templates");
        let of = |purpose| {
            templates.of(&Purpose::parse(purpose).expect("a purpose"), Locale::ZhHant).to_owned()
        };
        assert_eq!([of(""), of("login"), of("pay")], ["2", "4", "5"]);
        dsn.finish().expect("all options are taken");
    }

    #[test]
    fn the_same_account_has_the_same_name_whatever_its_options() {
        let name = |text| Dsn::parse(text).expect("a DSN").identity();
        assert_eq!(name("ccp://sid:old@h:8883?rate=5"), name("ccp://sid:new@h:8883"));
        assert_ne!(name("ccp://sid:old@h:8883"), name("ccp://other:old@h:8883"));
    }
}
