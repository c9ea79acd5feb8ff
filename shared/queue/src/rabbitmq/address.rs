//! What a `QUEUE_URL` of RabbitMQ may say. The client would swallow what it does not know, or
//! connect elsewhere.

use sms_outbound::dsn::{Dsn, DsnError};
use url::{Host, Url};

use super::topology::QueueType;

/// Name of the queue, unless the URL has `?queue=`.
pub const DEFAULT_QUEUE: &str = "sms-verify";

/// Seconds between heartbeats, unless the URL has `?heartbeat=`: a broker that vanished is noticed
/// after two.
const HEARTBEAT: u16 = 10;

/// Largest frame in bytes, unless the URL has `?frame_max=`: jobs have a few hundred. lapin keeps
/// room for 32 frames in each direction, which is 8 MiB of each connection with RabbitMQ's own 128
/// KiB. RabbitMQ 4 takes no less than this.
const FRAME_MAX: u32 = 8192;

/// A URL taken apart.
pub(super) struct Address {
    /// With the options that the client knows.
    pub(super) url: Url,
    pub(super) queue: String,
    pub(super) kind: QueueType,
}

impl Address {
    /// # Errors
    /// When it says what cannot be meant.
    pub(super) fn parse(url: &str) -> Result<Self, DsnError> {
        let mut dsn = Dsn::parse(url)?;
        let wrong = |what| Err(DsnError::Server(what));
        match dsn.url().host() {
            Some(Host::Ipv6(_)) => {
                return wrong(
                    "has an IPv6 address, which is not known here: it needs a name or an IPv4 address",
                );
            }
            Some(host) if !host.to_string().contains(',') => {}
            _ => return wrong("needs one host"),
        }
        if dsn.url().fragment().is_some() {
            return wrong("has a # in it, which in a password is written %23");
        }
        if !dsn.url().username().is_empty() && dsn.url().password().is_none() {
            return wrong("has a user and no password");
        }
        if dsn.url().path() == "/" {
            return wrong(
                "has a virtual host without a name: the default one is %2f, amqp://user:password@host/%2f",
            );
        }
        dsn.credentials()?;
        let queue = dsn.option("queue")?.unwrap_or_else(|| DEFAULT_QUEUE.to_owned());
        // The longest name made of it is 255 bytes.
        if queue.len() > 200 {
            return wrong("has a queue whose name is longer than 200 bytes");
        }
        let kind = dsn
            .option("type")
            .map_err(|_| DsnError::Value("type (quorum or classic)"))?
            .unwrap_or(QueueType::Quorum);
        let heartbeat = dsn.option("heartbeat")?.unwrap_or(HEARTBEAT);
        if heartbeat == 0 {
            return wrong(
                "has heartbeat=0: without heartbeats nobody notices a broker that has vanished",
            );
        }
        let frame_max = dsn.option("frame_max")?.unwrap_or(FRAME_MAX);
        if frame_max < FRAME_MAX {
            return wrong("has a frame_max below 8192, which RabbitMQ 4 does not take");
        }
        let mut url = dsn.url().clone();
        dsn.finish()?;
        url.set_query(Some(&format!("heartbeat={heartbeat}&frame_max={frame_max}")));
        Ok(Self { url, queue, kind })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
            ("amqp://u:p@a,b", "one host"),
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
            assert_eq!(Address::parse(url).expect(url).url.as_str(), client);
        }
    }
}
