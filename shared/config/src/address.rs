//! Addresses of servers: `REDIS_URL`, and the checks that the URLs of all servers share.

use std::fmt;

use sms_outbound::dsn::DsnError;
use url::Url;

use crate::settings::{self, Setting};
use crate::vars::Vars;

/// A URL that may hold credentials: `Debug` and `Display` show scheme, host and path only.
#[derive(Clone)]
pub struct Address(Url);

impl Address {
    /// The whole URL, for the client that connects to it.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.as_str()
    }

    pub(super) fn is_http(&self) -> bool {
        matches!(self.0.scheme(), "https" | "http")
    }

    pub(super) fn url(&self) -> &Url {
        &self.0
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.0.scheme(), self.0.host_str().unwrap_or_default())?;
        if let Some(port) = self.0.port() {
            write!(f, ":{port}")?;
        }
        f.write_str(self.0.path())
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
        self.address(&settings::REDIS_URL, &["redis", "rediss"], sms_store::check_url)
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
        let Some(url) = Url::parse(&text).ok().filter(Url::has_host) else {
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
        Some(Address(url))
    }
}
