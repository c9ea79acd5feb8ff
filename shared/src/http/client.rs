//! Who asks: the address that limits are counted for.

use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};

use axum::extract::{ConnectInfo, FromRequestParts};
use axum::http::HeaderName;
use axum::http::request::Parts;

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// `TRUSTED_PROXIES`: how many proxies in front of this process write down whom they were asked by. Each adds one address
/// at the end of `X-Forwarded-For`; whatever stands before those is what a caller may have made up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TrustedProxies(pub u8);

/// The addresses that came with a request.
#[derive(Debug, Default)]
pub(super) struct Caller {
    peer: Option<IpAddr>,
    /// The last first; nothing where it is no address.
    forwarded: Vec<Option<IpAddr>>,
}

impl Caller {
    /// The address that limits are counted for. Nothing where none is known, and for this machine itself: that is a proxy
    /// which nobody has told of, or a developer.
    pub(super) fn ip(&self, proxies: TrustedProxies) -> Option<IpAddr> {
        let ip = match usize::from(proxies.0).checked_sub(1) {
            None => self.peer,
            Some(index) => self.forwarded.get(index).copied().flatten(),
        };
        ip.filter(|ip| !ip.to_canonical().is_loopback())
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Caller {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Infallible> {
        let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>().map(|ConnectInfo(peer)| peer.ip());
        let lists = parts.headers.get_all(FORWARDED_FOR).iter().filter_map(|list| list.to_str().ok());
        let forwarded = lists.flat_map(|list| list.split(',')).map(|address| read(address.trim()));
        let mut forwarded: Vec<Option<IpAddr>> = forwarded.collect();
        forwarded.reverse();
        Ok(Self { peer, forwarded })
    }
}

/// An address as proxies write it, some with the port.
fn read(text: &str) -> Option<IpAddr> {
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

    #[tokio::test]
    async fn only_what_trusted_proxies_wrote_counts() {
        assert_eq!(ip("192.0.2.1", &["198.51.100.1"], 0).await, "192.0.2.1", "made up by the caller");
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
