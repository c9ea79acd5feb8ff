//! Validation of a RabbitMQ `QUEUE_URL`. The client itself ignores unknown options, or connects to
//! another host.

use lapin::tcp::{OwnedIdentity, OwnedTLSConfig};
use sms_outbound::dsn::{Dsn, DsnError, each_host};
use sms_outbound::tls_files::TlsFiles;
use url::{Host, Url};

use super::topology::QueueType;

/// Name of the queue, unless the URL has `?queue=`.
pub const DEFAULT_QUEUE: &str = "sms-verify";

/// Seconds between heartbeats, unless the URL has `?heartbeat=`: a broker that vanished is noticed
/// after two intervals.
const HEARTBEAT: u16 = 10;

/// Largest frame in bytes, unless the URL has `?frame_max=`: jobs have a few hundred. lapin
/// allocates 32 frames in each direction, which is 8 MiB for each connection with RabbitMQ's
/// default of 128 KiB. RabbitMQ 4 accepts no smaller value.
const FRAME_MAX: u32 = 8192;

/// A parsed `QUEUE_URL`.
pub(super) struct Address {
    /// A URL for the client of each node, with the options that it knows.
    pub(super) nodes: Vec<Url>,
    pub(super) queue: String,
    pub(super) queue_type: QueueType,
    pub(super) tls: OwnedTLSConfig,
}

impl Address {
    /// # Errors
    /// When it is not valid.
    pub(super) fn parse(url: &str) -> Result<Self, DsnError> {
        let mut all: Option<Self> = None;
        for url in each_host(url) {
            let mut one = Self::parse_one(&url)?;
            match &mut all {
                None => all = Some(one),
                Some(all) => all.nodes.append(&mut one.nodes),
            }
        }
        all.ok_or(DsnError::Missing("a host"))
    }

    /// Reads a URL with one host.
    fn parse_one(url: &str) -> Result<Self, DsnError> {
        let mut dsn = Dsn::parse(url)?;
        let wrong = |what| Err(DsnError::Server(what));
        match dsn.url().host() {
            Some(Host::Ipv6(_)) => {
                return wrong(
                    "has an IPv6 address, which is not supported: use a host name or an IPv4 \
                     address",
                );
            }
            Some(host) if !host.to_string().is_empty() => {}
            _ => return wrong("needs a host, or several of one cluster: amqp://a,b,c/%2f"),
        }
        if dsn.url().fragment().is_some() {
            return wrong("has a #, which in a password is written %23");
        }
        if !dsn.url().username().is_empty() && dsn.url().password().is_none() {
            return wrong("has a user and no password");
        }
        if dsn.url().path() == "/" {
            return wrong(
                "has an empty virtual host: the default one is %2f, as in \
                 amqp://user:password@host/%2f",
            );
        }
        dsn.check_credentials()?;
        let queue = dsn.option("queue")?.unwrap_or_else(|| DEFAULT_QUEUE.to_owned());
        // The names derived from it must fit into 255 bytes.
        if queue.len() > 200 {
            return wrong("has a queue name longer than 200 bytes");
        }
        let queue_type = dsn
            .option("type")
            .map_err(|_| DsnError::Value("type (quorum or classic)"))?
            .unwrap_or(QueueType::Quorum);
        let heartbeat = dsn.option("heartbeat")?.unwrap_or(HEARTBEAT);
        if heartbeat == 0 {
            return wrong("has heartbeat=0: without heartbeats a vanished broker is not noticed");
        }
        let frame_max = dsn.option("frame_max")?.unwrap_or(FRAME_MAX);
        if frame_max < FRAME_MAX {
            return wrong("has a frame_max below 8192, the minimum of RabbitMQ 4");
        }
        let secure = dsn.scheme() == "amqps";
        let tls = TlsFiles::take(&mut dsn, secure)?.map(tls_config).transpose()?;
        let mut url = dsn.url().clone();
        dsn.finish()?;
        url.set_query(Some(&format!("heartbeat={heartbeat}&frame_max={frame_max}")));
        Ok(Self { nodes: vec![url], queue, queue_type, tls: tls.unwrap_or_default() })
    }
}

fn tls_config(files: TlsFiles) -> Result<OwnedTLSConfig, DsnError> {
    let identity =
        files.client.map(|files| OwnedIdentity::PKCS8 { pem: files.cert, key: files.key });
    let cert_chain = files.ca.map(String::from_utf8).transpose();
    let cert_chain =
        cert_chain.map_err(|_| DsnError::File("ca", "is not a text in UTF-8".to_owned()))?;
    Ok(OwnedTLSConfig { identity, cert_chain })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nodes(url: &str) -> Vec<String> {
        Address::parse(url).expect(url).nodes.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn what_the_client_would_swallow_is_told() {
        for (url, problem) in [
            ("amqp://u:p@h?frame_max=4096", "below 8192"),
            ("amqp://u:p@h?frame_max=many", "a wrong value for frame_max"),
            ("amqp://u:p@h?heartbeat=0", "heartbeat=0"),
            ("amqp://u:p@h?heartbeat=-1", "a wrong value for heartbeat"),
            ("amqp://u:p@h?channel_max=1", "an unknown option channel_max"),
            ("amqps://u:p@h?verify=verify_none", "an unknown option verify"),
            ("amqp://u:p@h?type=stream", "a wrong value for type"),
            ("amqp://u:p@h?type=classic&type=quorum", "the option type twice"),
            ("amqp://u:p@h/", "%2f"),
            ("amqp://u:p@h#x", "%23"),
            ("amqp://u@h", "a user and no password"),
            ("amqp://u:p%ff@h", "percent-encoded"),
            ("amqp://u:p@[::1]:5672", "IPv6"),
            ("amqp://a,,b", "needs a host"),
            ("amqp://a?ca=/nowhere", "cannot be read"),
        ] {
            let error = Address::parse(url).map(|_| ()).expect_err(url).to_string();
            assert!(error.contains(problem), "{url}: {error}");
        }
        for (url, client) in [
            ("amqp://h", "amqp://h?heartbeat=10&frame_max=8192"),
            (
                "amqp://u:p%2F@h:1//?queue=q+1&type=classic",
                "amqp://u:p%2F@h:1//?heartbeat=10&frame_max=8192",
            ),
            (
                "amqps://10.0.0.1/%2f?heartbeat=5&frame_max=131072",
                "amqps://10.0.0.1/%2f?heartbeat=5&frame_max=131072",
            ),
        ] {
            assert_eq!(nodes(url), [client]);
        }
        assert_eq!(
            nodes("amqp://u:p@a:1,b/v?queue=q"),
            [
                "amqp://u:p@a:1/v?heartbeat=10&frame_max=8192",
                "amqp://u:p@b/v?heartbeat=10&frame_max=8192"
            ]
        );
    }
}
