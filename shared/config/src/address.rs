//! Addresses of servers: `REDIS_URL`, and the checks that the URLs of all servers share.

use std::fmt;

use sms_outbound::dsn::{self, DsnError};
use url::Url;

use crate::settings::{self, Setting};
use crate::vars::Vars;

/// Schemes of `REDIS_URL`.
const REDIS_SCHEMES: [&str; 4] = ["redis", "rediss", "redis+sentinel", "rediss+sentinel"];

/// A URL that may hold credentials: `Debug` and `Display` show scheme, hosts and path only.
#[derive(Clone)]
pub struct Address {
    text: String,
    /// One for each host.
    urls: Vec<Url>,
}

impl Address {
    fn parse(text: &str) -> Option<Self> {
        let urls = dsn::each_host(text)
            .iter()
            .map(|url| Url::parse(url).ok().filter(Url::has_host))
            .collect::<Option<_>>()?;
        Some(Self { text: text.trim().to_owned(), urls })
    }

    /// The whole URL, for the client that connects to it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.text
    }

    pub(super) fn is_http(&self) -> bool {
        matches!(self.url().scheme(), "https" | "http")
    }

    /// The URL, with its first host.
    pub(super) fn url(&self) -> &Url {
        &self.urls[0]
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://", self.url().scheme())?;
        for (index, url) in self.urls.iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            write!(f, "{comma}{}", url.host_str().unwrap_or_default())?;
            if let Some(port) = url.port() {
                write!(f, ":{port}")?;
            }
        }
        f.write_str(self.url().path())
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Vars<'_> {
    /// `REDIS_URL`.
    pub(super) fn redis(&mut self) -> Option<Address> {
        self.address(&settings::REDIS_URL, &REDIS_SCHEMES, sms_store::check_url)
    }

    pub(super) fn address(
        &mut self,
        setting: &Setting,
        schemes: &[&str],
        check: impl Fn(&str) -> Result<(), DsnError>,
    ) -> Option<Address> {
        let text = self.get(setting)?;
        if !schemes.iter().any(|scheme| text.starts_with(&format!("{scheme}://"))) {
            // The error does not suggest http://, which is for servers on this machine, in tests.
            let forms = schemes
                .iter()
                .filter(|scheme| **scheme != "http")
                .map(|scheme| format!("{scheme}://"));
            self.problem(
                setting,
                &format!("needs a URL that starts with {}", forms.collect::<Vec<_>>().join(" or ")),
            );
            return None;
        }
        let Some(address) = Address::parse(&text) else {
            self.problem(
                setting,
                "is not a URL such as scheme://user:password@host:port; \
                 in a password, write # / ? @ % as %23 %2F %3F %40 %25",
            );
            return None;
        };
        if let Err(error) = check(&text) {
            self.problem(setting, &error.to_string());
            return None;
        }
        Some(address)
    }
}
