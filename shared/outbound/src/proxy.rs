//! The outgoing proxy that `HTTPS_PROXY` names, for gateways, captcha vendors and AWS.
//!
//! Only `https://` requests go through it, so that it sees hosts and no messages. `http://`
//! requests go to this machine or its host, such as to the endpoint of AWS credentials.

use std::env;

use aws_smithy_http_client::proxy::ProxyConfig;
use reqwest::NoProxy;
use url::Url;

/// The conventional variables; the first that is set counts.
const VARIABLES: [&str; 4] = ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"];

/// Hosts that are never reached through a proxy, in the format of `NO_PROXY`.
const LOOPBACK: &str = "localhost,127.0.0.0/8,::1";

/// A proxy, and the hosts that are reached without it.
#[derive(Clone)]
pub struct Proxy {
    url: String,
    direct: String,
}

impl Proxy {
    /// The proxy of the process's environment, if it names a valid one.
    #[expect(
        clippy::disallowed_methods,
        reason = "every program's variables, and no settings of this one"
    )]
    pub fn from_env() -> Option<Self> {
        let lookup = |name: &str| env::var(name).ok();
        let (_, url) = named(&lookup)?;
        let direct =
            first(&lookup, &["NO_PROXY", "no_proxy"]).map(|(_, list)| list).unwrap_or_default();
        Some(Self { url: usable(&url)?, direct: format!("{direct},{LOOPBACK}") })
    }

    /// The proxy for the HTTP client of gateways.
    ///
    /// # Errors
    /// When the proxy's URL cannot be used.
    pub fn reqwest(&self) -> Result<reqwest::Proxy, reqwest::Error> {
        Ok(reqwest::Proxy::https(&self.url)?.no_proxy(NoProxy::from_string(&self.direct)))
    }

    /// The proxy for AWS's clients.
    pub fn aws(&self) -> Option<ProxyConfig> {
        Some(ProxyConfig::https(self.url.clone()).ok()?.no_proxy(&self.direct))
    }
}

/// The variable whose proxy is not valid, if there is one: bypassing a proxy silently would be
/// wrong.
pub fn unusable(lookup: &dyn Fn(&str) -> Option<String>) -> Option<&'static str> {
    let (name, url) = named(lookup)?;
    usable(&url).is_none().then_some(name)
}

fn named(lookup: &dyn Fn(&str) -> Option<String>) -> Option<(&'static str, String)> {
    first(lookup, &VARIABLES)
}

fn first(
    lookup: &dyn Fn(&str) -> Option<String>,
    names: &[&'static str],
) -> Option<(&'static str, String)> {
    names.iter().find_map(|name| Some((*name, lookup(name).filter(|value| !value.is_empty())?)))
}

/// Normalises a proxy's URL: `http://` or `https://`, or a host and a port alone.
fn usable(text: &str) -> Option<String> {
    let text = if text.contains("://") { text.to_owned() } else { format!("http://{text}") };
    let url = Url::parse(&text).ok()?;
    (matches!(url.scheme(), "http" | "https") && url.has_host()).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proxy_is_one_for_http() {
        let unusable = |vars: &[(&str, &str)]| {
            let found = |name: &str| {
                vars.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
            };
            unusable(&found)
        };
        for good in [
            "http://proxy:3128",
            "https://user:pass@proxy",
            "proxy.example:3128",
            "http://[::1]:3128",
        ] {
            assert_eq!(unusable(&[("HTTPS_PROXY", good)]), None, "{good}");
        }
        for bad in ["socks5://127.0.0.1:1080", "nonsense://proxy", "http://"] {
            assert_eq!(unusable(&[("HTTPS_PROXY", bad)]), Some("HTTPS_PROXY"), "{bad}");
            assert_eq!(unusable(&[("all_proxy", bad)]), Some("all_proxy"), "{bad}");
            assert_eq!(
                unusable(&[("all_proxy", bad), ("https_proxy", "http://proxy")]),
                None,
                "the first counts"
            );
        }
        assert_eq!(unusable(&[("HTTPS_PROXY", ""), ("HTTP_PROXY", "socks5://x")]), None);
    }
}
