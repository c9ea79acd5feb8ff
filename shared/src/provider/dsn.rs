//! Data source names: `scheme://user:password@host:port?option=value`, as notifiers write them.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use percent_encoding::percent_decode_str;
use url::{Host, Url};

/// What is wrong with an `SMS_DSN`. It names parts, never their secret values.
#[derive(Debug, thiserror::Error)]
pub enum DsnError {
    /// Not a URL.
    #[error("is not a URL of the form scheme://user:password@host?option=value")]
    Url(#[from] url::ParseError),
    /// No gateway of this name.
    #[error("names no gateway that is known here: {0}:// (known: ccp://, inbox+http://)")]
    Scheme(String),
    /// A part that the gateway needs.
    #[error("lacks {0}")]
    Missing(&'static str),
    /// An option with a value that cannot be.
    #[error("has a wrong value for {0}")]
    Value(&'static str),
    /// An option that the gateway does not know.
    #[error("has an unknown option {0}")]
    Unknown(String),
    /// Credentials would travel in clear.
    #[error("has tls=false, which is for a stub on this machine only (127.0.0.1, [::1], localhost)")]
    ClearText,
    /// The HTTP client cannot be built.
    #[error("cannot be used: the HTTP client does not start")]
    Client(#[from] reqwest::Error),
}

/// A parsed DSN. Options are taken out of it; what is left over at the end is an error.
pub(super) struct Dsn {
    url: Url,
    options: BTreeMap<String, String>,
}

impl Dsn {
    pub(super) fn parse(text: &str) -> Result<Self, DsnError> {
        let url = Url::parse(text.trim())?;
        let options = url.query_pairs().into_owned().collect();
        Ok(Self { url, options })
    }

    pub(super) fn scheme(&self) -> &str {
        self.url.scheme()
    }

    pub(super) fn user(&self) -> Result<String, DsnError> {
        decoded(self.url.username()).ok_or(DsnError::Missing("the user before the @"))
    }

    pub(super) fn password(&self) -> Result<String, DsnError> {
        self.url.password().and_then(decoded).ok_or(DsnError::Missing("the password before the @"))
    }

    /// `https://host:port`, or `http://` with the option `tls=false`, which only this machine may be given.
    pub(super) fn base_url(&mut self) -> Result<Url, DsnError> {
        let tls = self.option::<bool>("tls")?.unwrap_or(true);
        if !tls && !self.is_loopback() {
            return Err(DsnError::ClearText);
        }
        self.base_url_with(if tls { "https" } else { "http" })
    }

    pub(super) fn base_url_with(&self, scheme: &str) -> Result<Url, DsnError> {
        let host = self.url.host_str().filter(|host| !host.is_empty()).ok_or(DsnError::Missing("a host"))?;
        let port = self.url.port().map(|port| format!(":{port}")).unwrap_or_default();
        Ok(Url::parse(&format!("{scheme}://{host}{port}/"))?)
    }

    pub(super) fn is_loopback(&self) -> bool {
        // Of a scheme that is not the web's, the parser leaves an IPv4 address as a name.
        match self.url.host() {
            Some(Host::Ipv6(address)) => address.is_loopback(),
            Some(Host::Domain("localhost")) => true,
            Some(host) => host.to_string().parse::<std::net::Ipv4Addr>().is_ok_and(|address| address.is_loopback()),
            None => false,
        }
    }

    pub(super) fn option<T: FromStr>(&mut self, name: &'static str) -> Result<Option<T>, DsnError> {
        let value = self.options.remove(name).filter(|value| !value.is_empty());
        value.map(|value| value.parse().map_err(|_| DsnError::Value(name))).transpose()
    }

    pub(super) fn required(&mut self, name: &'static str) -> Result<String, DsnError> {
        self.option(name)?.ok_or(DsnError::Missing(name))
    }

    pub(super) fn finish(self) -> Result<(), DsnError> {
        match self.options.into_keys().next() {
            Some(name) => Err(DsnError::Unknown(name)),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for Dsn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Dsn({}://…)", self.url.scheme())
    }
}

fn decoded(part: &str) -> Option<String> {
    let text = percent_decode_str(part).decode_utf8().ok()?.into_owned();
    (!text.is_empty()).then_some(text)
}

#[cfg(test)]
mod tests {
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
        ] {
            let error = Provider::from_dsn(dsn).map(|_| ()).expect_err(dsn);
            let shown = format!("{error} {error:?}");
            assert!(error.to_string().contains(problem), "{dsn}: {error}");
            assert!(!shown.contains("hunter2"), "{shown}");
        }
        let dsn = "ccp://sid:hunter2@127.0.0.1:1?app_id=A&template=1&tls=false";
        assert!(!format!("{:?}", Provider::from_dsn(dsn)).contains("hunter2"));
    }
}
