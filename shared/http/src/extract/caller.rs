//! The caller: the address that limits are counted for, and the API key.

use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;

use axum::extract::{ConnectInfo, FromRequestParts};
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};
use sms_domain::job::is_tenant;
use sms_domain::trace_context::RequestContext;
use subtle::ConstantTimeEq;

use super::failed_credentials::FailedCredentials;
use crate::problem::Problem;

/// The addresses that a request was forwarded for.
pub const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// `TRUSTED_PROXIES`: the number of proxies in front of this process that record their client's
/// address. Each appends one address to `X-Forwarded-For`; those before may be forged by the
/// caller. (In a function the list ends with the address that the event names as the caller's.)
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TrustedProxies(pub u8);

/// The caller's address as the event of a function names it; elsewhere the connection has it.
#[derive(Debug, Clone, Copy)]
pub struct SourceIp(pub IpAddr);

/// `API_KEYS`: the callers, each with the SHA-256 of its key. Without any, everybody may call.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ApiKeys(Arc<[(String, String)]>);

impl ApiKeys {
    /// Reads `shop=HASH,app=HASH`, with lower-case hexadecimal hashes; `None` if an entry does not
    /// have that form, or a name occurs twice.
    #[must_use]
    pub fn parse(list: &str) -> Option<Self> {
        let mut keys: Vec<(String, String)> = Vec::new();
        for item in list.split(',').map(str::trim).filter(|item| !item.is_empty()) {
            let (name, hash) = item.split_once('=')?;
            let hashed = hash.len() == 64
                && hash.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
            if !is_tenant(name) || !hashed || keys.iter().any(|(other, _)| other == name) {
                return None;
            }
            keys.push((name.to_owned(), hash.to_owned()));
        }
        // A list of commas alone is a mistake, and would let everybody in.
        (list.trim().is_empty() || !keys.is_empty()).then(|| Self(keys.into()))
    }

    /// True if there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// True if one of the keys is of this holder.
    pub(crate) fn has_holder(&self, name: &str) -> bool {
        self.0.iter().any(|(holder, _)| holder == name)
    }

    /// The name of the key's holder. All keys are compared, in constant time.
    fn tenant(&self, key: &str) -> Option<&str> {
        let hash = hex::encode(Sha256::digest(key));
        let mut found = None;
        for (name, expected) in &*self.0 {
            if bool::from(hash.as_bytes().ct_eq(expected.as_bytes())) {
                found = Some(name.as_str());
            }
        }
        found
    }
}

/// Settings that identify the caller.
#[derive(Debug, Clone, Default)]
pub struct Callers {
    /// `TRUSTED_PROXIES`.
    pub proxies: TrustedProxies,
    /// `API_KEYS`.
    pub keys: ApiKeys,
    /// The addresses whose keys were wrong.
    pub failed: FailedCredentials,
}

/// An account of Twilio's, as a client of the façade names it: its token is one of the API keys.
#[derive(Debug)]
pub(crate) struct Account<'a> {
    /// `AC…`: any.
    pub(crate) sid: String,
    /// The name of the key's holder.
    pub(crate) tenant: &'a str,
}

/// The parts of a request that identify its caller.
#[derive(Debug, Default)]
pub(crate) struct Caller {
    peer: Option<IpAddr>,
    /// Addresses of `X-Forwarded-For`, the last first; `None` for an invalid one.
    forwarded: Vec<Option<IpAddr>>,
    bearer: Option<String>,
    /// User and password.
    basic: Option<(String, String)>,
    pub(crate) context: RequestContext,
}

impl Caller {
    /// The address that limits are counted for. `None` if none is known, and for loopback, which is
    /// a proxy that is not configured, or a developer.
    pub(crate) fn ip(&self, proxies: TrustedProxies) -> Option<IpAddr> {
        let ip = match usize::from(proxies.0).checked_sub(1) {
            None => self.peer,
            Some(index) => self.forwarded.get(index).copied().flatten(),
        };
        ip.filter(|ip| !ip.to_canonical().is_loopback())
    }

    /// The name of the key's holder; `None` if no keys are configured.
    pub(crate) fn tenant<'a>(&self, callers: &'a Callers) -> Result<Option<&'a str>, Problem> {
        if callers.keys.is_empty() {
            return Ok(None);
        }
        self.holder(self.bearer.as_deref(), callers).map(Some)
    }

    /// The account of Basic authentication.
    pub(crate) fn account<'a>(&self, callers: &'a Callers) -> Result<Account<'a>, Problem> {
        let basic = self.basic.as_ref().filter(|(user, _)| user.starts_with("AC"));
        let tenant = self.holder(basic.map(|(_, key)| key.as_str()), callers)?;
        Ok(Account { sid: basic.map(|(user, _)| user.clone()).unwrap_or_default(), tenant })
    }

    /// The name of a key's holder. An address whose keys were wrong too often is refused before its
    /// key is looked at.
    fn holder<'a>(&self, key: Option<&str>, callers: &'a Callers) -> Result<&'a str, Problem> {
        let (ip, now) = (self.ip(callers.proxies), Instant::now());
        if let Some(wait) = callers.failed.wait(ip, now) {
            return Err(Problem::TooManyFailures(wait));
        }
        let holder = key.and_then(|key| callers.keys.tenant(key));
        // (A call without a key guesses none.)
        if holder.is_none() && key.is_some() {
            callers.failed.add(ip, now);
        }
        holder.ok_or(Problem::Unauthorized)
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Caller {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Infallible> {
        let connected =
            parts.extensions.get::<ConnectInfo<SocketAddr>>().map(|ConnectInfo(peer)| peer.ip());
        let peer = connected.or_else(|| parts.extensions.get().map(|SourceIp(ip)| *ip));
        let mut forwarded: Vec<Option<IpAddr>> =
            forwarded(&parts.headers).map(read_address).collect();
        forwarded.reverse();
        let authorization = parts.headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
        let credentials = |wanted: &str| {
            let (scheme, credentials) = authorization?.split_once(' ')?;
            scheme.eq_ignore_ascii_case(wanted).then(|| credentials.trim())
        };
        let bearer = credentials("bearer").map(ToOwned::to_owned);
        let basic = credentials("basic").and_then(user_and_password);
        let context = parts.extensions.remove::<RequestContext>().unwrap_or_default();
        Ok(Self { peer, forwarded, bearer, basic, context })
    }
}

/// Reads the credentials of Basic authentication.
fn user_and_password(credentials: &str) -> Option<(String, String)> {
    let text = String::from_utf8(STANDARD.decode(credentials).ok()?).ok()?;
    text.split_once(':').map(|(user, password)| (user.to_owned(), password.to_owned()))
}

/// The addresses in `X-Forwarded-For`, in their order.
pub fn forwarded(headers: &HeaderMap) -> impl DoubleEndedIterator<Item = &str> {
    let lists = headers.get_all(FORWARDED_FOR).iter().filter_map(|list| list.to_str().ok());
    lists.flat_map(|list| list.split(',')).map(str::trim)
}

/// Reads an address in a form that proxies write: with or without brackets and port.
#[must_use]
pub fn read_address(text: &str) -> Option<IpAddr> {
    let bare = text.trim_matches(['[', ']']);
    bare.parse().ok().or_else(|| text.parse::<SocketAddr>().ok().map(|address| address.ip()))
}

#[cfg(test)]
mod tests {
    use axum::http::Request;

    use super::*;

    async fn ip(peer: &str, forwarded: &[&str], proxies: u8) -> String {
        let mut request = Request::builder();
        for list in forwarded {
            request = request.header(FORWARDED_FOR, *list);
        }
        let (mut parts, ()) = request.body(()).expect("a request").into_parts();
        parts.extensions.insert(ConnectInfo(SocketAddr::new(peer.parse().expect("an address"), 1)));
        let Ok(caller) = Caller::from_request_parts(&mut parts, &()).await;
        caller.ip(TrustedProxies(proxies)).map(|ip| ip.to_string()).unwrap_or_default()
    }

    #[test]
    fn keys_are_known_by_their_hash() {
        // `printf secret | sha256sum`
        let hash = "2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b";
        let keys = ApiKeys::parse(&format!("shop={hash}, app={}", "0".repeat(64))).expect("a list");
        assert_eq!(
            (keys.tenant("secret"), keys.tenant("secrets"), keys.tenant("")),
            (Some("shop"), None, None)
        );
        assert_eq!(ApiKeys::parse(""), Some(ApiKeys::default()));
        for wrong in [
            ",",
            "shop",
            "shop=secret",
            &format!("a b={hash}"),
            &format!("={hash}"),
            &format!("{}={hash}", "a".repeat(129)),
            &format!("a={hash},a={hash}"),
        ] {
            assert_eq!(ApiKeys::parse(wrong), None, "{wrong}");
        }
    }

    #[tokio::test]
    async fn only_addresses_of_trusted_proxies_count() {
        assert_eq!(
            ip("192.0.2.1", &["198.51.100.1"], 0).await,
            "192.0.2.1",
            "forged by the caller"
        );
        assert_eq!(ip("192.0.2.1", &["203.0.113.1, 198.51.100.1"], 1).await, "198.51.100.1");
        assert_eq!(ip("192.0.2.1", &["203.0.113.1", "198.51.100.1"], 2).await, "203.0.113.1");
        assert_eq!(ip("192.0.2.1", &["198.51.100.1"], 2).await, "", "fewer than there should be");
        assert_eq!(ip("192.0.2.1", &["unknown"], 1).await, "");
        assert_eq!(ip("192.0.2.1", &["[2001:db8::1]:443"], 1).await, "2001:db8::1");
        assert_eq!(ip("192.0.2.1", &["198.51.100.1:443"], 1).await, "198.51.100.1");
        assert_eq!(ip("127.0.0.1", &[], 0).await, "", "this machine");
        assert_eq!(ip("::ffff:127.0.0.1", &[], 0).await, "", "this machine");
    }
}
