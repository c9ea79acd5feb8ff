//! Data source names (DSNs): `scheme://user:password@host:port?option=value`.
//!
//! Characters that are reserved in URLs are percent-encoded. A `+` is a plus, so that
//! `from=+15005550006` is that number. The host `default` stands for the vendor's own.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use percent_encoding::percent_decode_str;
use sha2::{Digest, Sha256};
use url::{Host, Url};

/// Error in a DSN or a server's URL. It names parts, never their secret values.
#[derive(Debug, Clone, thiserror::Error)]
pub enum DsnError {
    /// Not a URL.
    #[error("is not a URL of the form scheme://user:password@host?option=value")]
    Url(#[from] url::ParseError),
    /// A required part is missing.
    #[error("lacks {0}")]
    Missing(&'static str),
    /// An option has an invalid value.
    #[error("has a wrong value for {0}")]
    Value(&'static str),
    /// An option is there twice.
    #[error("has the option {0} twice")]
    Duplicate(String),
    /// A server's URL is not valid, for the reason given.
    #[error("{0}")]
    Server(&'static str),
    /// An option is unknown.
    #[error("has an unknown option {0}")]
    Unknown(String),
    /// A file cannot be used.
    #[error("has {0}=FILE, but the file {1}")]
    File(&'static str, String),
    /// Credentials would be sent in clear text.
    #[error(
        "has tls=false, which is allowed for a stub on this machine only \
         (127.0.0.1, [::1], localhost)"
    )]
    ClearText,
    /// A part is not valid percent-encoding.
    #[error("has a part that is not percent-encoded UTF-8")]
    Encoding,
}

/// The URL of each host of a URL that may name several: `redis://user:password@a:1,b:2/3` stands
/// for `redis://user:password@a:1/3` and `redis://user:password@b:2/3`.
#[must_use]
pub fn each_host(url: &str) -> Vec<String> {
    let url = url.trim();
    let begin = url.find("://").map_or(0, |scheme| scheme + 3);
    let end = url[begin..].find(['/', '?', '#']).map_or(url.len(), |length| begin + length);
    let begin = url[begin..end].rfind('@').map_or(begin, |user| begin + user + 1);
    let (before, behind) = (&url[..begin], &url[end..]);
    url[begin..end].split(',').map(|host| format!("{before}{host}{behind}")).collect()
}

/// A parsed DSN. Options are taken out of it; one that is left over at the end is an error.
pub struct Dsn {
    url: Url,
    options: BTreeMap<String, String>,
}

impl Dsn {
    /// Reads a DSN.
    ///
    /// # Errors
    /// [`DsnError`] for text that is not a URL, or an option that is there twice.
    pub fn parse(text: &str) -> Result<Self, DsnError> {
        let url = Url::parse(text.trim())?;
        let mut options = BTreeMap::new();
        for pair in url.query().unwrap_or_default().split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let (name, value) = (decode(name), decode(value));
            let (Some(name), Some(value)) = (name, value) else { return Err(DsnError::Encoding) };
            if let Some(name) = options.insert(name.clone(), value).map(|_| name) {
                return Err(DsnError::Duplicate(safe_name(name)));
            }
        }
        Ok(Self { url, options })
    }

    /// An ID of the account that reveals no secret: 64 bits of a hash of scheme, user, host and
    /// port.
    pub fn identity(&self) -> String {
        let (scheme, user) = (self.url.scheme(), self.url.username());
        let (host, port) =
            (self.url.host_str().unwrap_or_default(), self.url.port().unwrap_or_default());
        hex::encode(&Sha256::digest(format!("{scheme}://{user}@{host}:{port}"))[..8])
    }

    /// Host and port; empty for the vendor's own host.
    pub fn host(&self) -> String {
        match self.url.host_str() {
            None | Some("default") => String::new(),
            Some(host) => {
                self.url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
            }
        }
    }

    /// The whole URL.
    #[must_use]
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// Names of the options that are left.
    pub fn options(&self) -> impl Iterator<Item = &str> {
        self.options.keys().map(String::as_str)
    }

    /// Checks that user and password, if any, can be decoded.
    ///
    /// # Errors
    /// When they are not percent-encoded UTF-8.
    pub fn check_credentials(&self) -> Result<(), DsnError> {
        let parts = [Some(self.url.username()), self.url.password()];
        if parts.into_iter().flatten().all(|part| decode(part).is_some()) {
            Ok(())
        } else {
            Err(DsnError::Encoding)
        }
    }

    /// The scheme: a gateway's or a challenge's name.
    #[must_use]
    pub fn scheme(&self) -> &str {
        self.url.scheme()
    }

    /// The user, decoded.
    ///
    /// # Errors
    /// When there is none.
    pub fn user(&self) -> Result<String, DsnError> {
        decoded(self.url.username()).ok_or(DsnError::Missing("the user before the @"))
    }

    /// The password, decoded.
    ///
    /// # Errors
    /// When there is none.
    pub fn password(&self) -> Result<String, DsnError> {
        self.url.password().and_then(decoded).ok_or(DsnError::Missing("the password before the @"))
    }

    /// `https://host:port`, or `http://` with the option `tls=false`, which is allowed for this
    /// machine only. The host `default` is `vendor`.
    ///
    /// # Errors
    /// When the option's value is wrong, or TLS is off for another machine.
    pub fn base_url(&mut self, vendor: &str) -> Result<Url, DsnError> {
        let tls = self.option::<bool>("tls")?.unwrap_or(true);
        if !tls && !self.is_loopback() {
            return Err(DsnError::ClearText);
        }
        if self.url.host_str() == Some("default") {
            return Ok(Url::parse(&format!("https://{vendor}/"))?);
        }
        self.base_url_with(if tls { "https" } else { "http" })
    }

    /// The URL behind `scheme+`: `webhook+https://host/path` is `https://host/path`. `http` is
    /// allowed for this machine only.
    ///
    /// # Errors
    /// When it is not `https` for another machine, or has no host.
    pub fn inner_url(&self) -> Result<Url, DsnError> {
        let scheme = self.url.scheme().split_once('+').map_or("https", |(_, scheme)| scheme);
        if scheme != "https" && !self.is_loopback() {
            return Err(DsnError::ClearText);
        }
        Ok(self.base_url_with(scheme)?.join(self.url.path())?)
    }

    /// `SCHEME://host:port/`.
    ///
    /// # Errors
    /// When the DSN has no host.
    pub fn base_url_with(&self, scheme: &str) -> Result<Url, DsnError> {
        let host = self
            .url
            .host_str()
            .filter(|host| !host.is_empty())
            .ok_or(DsnError::Missing("a host"))?;
        let port = self.url.port().map(|port| format!(":{port}")).unwrap_or_default();
        Ok(Url::parse(&format!("{scheme}://{host}{port}/"))?)
    }

    /// Returns true if the host is this machine.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        // For schemes other than the web's, the parser keeps an IPv4 address as a name.
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

    /// Takes an option out; an empty one counts as missing.
    ///
    /// # Errors
    /// When its value cannot be parsed.
    pub fn option<T: FromStr>(&mut self, name: &'static str) -> Result<Option<T>, DsnError> {
        let value = self.options.remove(name).filter(|value| !value.is_empty());
        value.map(|value| value.parse().map_err(|_| DsnError::Value(name))).transpose()
    }

    /// Takes an option out that may be there and empty.
    pub fn option_or_empty(&mut self, name: &'static str) -> Option<String> {
        self.options.remove(name)
    }

    /// Takes a required option out.
    ///
    /// # Errors
    /// When it is missing.
    pub fn required(&mut self, name: &'static str) -> Result<String, DsnError> {
        self.option(name)?.ok_or(DsnError::Missing(name))
    }

    /// Takes all options out whose names begin with `prefix`.
    #[must_use]
    pub fn take_prefixed(&mut self, prefix: &str) -> BTreeMap<String, String> {
        self.options.extract_if(.., |name, _| name.starts_with(prefix)).collect()
    }

    /// Checks that no option is left.
    ///
    /// # Errors
    /// When one is: it is unknown.
    pub fn finish(self) -> Result<(), DsnError> {
        match self.options.into_keys().next() {
            Some(name) => Err(DsnError::Unknown(safe_name(name))),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for Dsn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Dsn({}://…)", self.url.scheme())
    }
}

/// An option's name, if it looks like one: the text behind an `&` that is not encoded may be part
/// of a secret.
fn safe_name(name: String) -> String {
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

    #[test]
    fn each_host_of_a_url_has_a_url_of_its_own() {
        for (url, urls) in [
            (
                "redis://u:p,q@a:1,[::1]:2/3?x=y,z",
                &["redis://u:p,q@a:1/3?x=y,z", "redis://u:p,q@[::1]:2/3?x=y,z"][..],
            ),
            ("amqp://a", &["amqp://a"]),
            ("amqp://a,?queue=@b", &["amqp://a?queue=@b", "amqp://?queue=@b"]),
            ("no URL", &["no URL"]),
        ] {
            assert_eq!(each_host(url), urls);
        }
    }

    #[test]
    fn the_same_account_has_the_same_name_whatever_its_options() {
        let name = |text| Dsn::parse(text).expect("a DSN").identity();
        assert_eq!(name("ccp://sid:old@h:8883?rate=5"), name("ccp://sid:new@h:8883"));
        assert_ne!(name("ccp://sid:old@h:8883"), name("ccp://other:old@h:8883"));
    }
}
