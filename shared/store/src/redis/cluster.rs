//! Questions about a cluster that the client does not ask: it would take servers that belong to
//! none for one, and use any of them for any key; and it does not tell that it cannot reach a node.

use std::collections::BTreeSet;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use redis::{Client, ErrorKind, RedisError, Value};
use tokio::time::timeout;

use super::servers::{QUESTION, at, connect};

/// Succeeds if one of these servers belongs to a cluster.
///
/// # Errors
/// That of a server which belongs to none, or of one that cannot be reached.
pub(super) async fn find(hosts: &[Client]) -> Result<(), RedisError> {
    let mut answers: FuturesUnordered<_> = hosts.iter().map(nodes).collect();
    let mut failure = None::<RedisError>;
    while let Some(answer) = answers.next().await {
        match answer {
            Ok(_) => return Ok(()),
            Err(error) if error.is_io_error() && failure.is_some() => {}
            Err(error) => failure = Some(error),
        }
    }
    Err(failure.unwrap_or_else(|| (ErrorKind::InvalidClientConfig, "no host").into()))
}

/// Tries each node that the cluster announces.
///
/// # Errors
/// That of the first node that cannot be reached, with its address.
pub(super) async fn try_nodes(hosts: &[Client]) -> Result<(), RedisError> {
    for host in hosts {
        let Ok(nodes) = nodes(host).await else { continue };
        for (address, port) in nodes {
            if let Err(error) = reach(&at(host, &address, port)?).await {
                let node = format!("{address}:{port}: {error}");
                return Err(RedisError::from((ErrorKind::Io, "a node cannot be reached", node)));
            }
        }
        return Ok(());
    }
    Ok(())
}

/// The nodes by one of them.
async fn nodes(host: &Client) -> Result<BTreeSet<(String, u16)>, RedisError> {
    let mut connection = reach(host).await?;
    let slots: Vec<Vec<Value>> =
        redis::cmd("CLUSTER").arg("SLOTS").query_async(&mut connection).await?;
    let nodes = slots.into_iter().flat_map(|range| range.into_iter().skip(2));
    let address = |node: Value| {
        let (host, port): (String, u16) = match node {
            Value::Array(mut parts) => {
                parts.truncate(2);
                redis::from_redis_value(Value::Array(parts)).ok()?
            }
            _ => return None,
        };
        // None: that at which it was asked.
        (!matches!(host.as_str(), "" | "?")).then_some((host, port))
    };
    Ok(nodes.filter_map(address).collect())
}

async fn reach(host: &Client) -> Result<redis::aio::MultiplexedConnection, RedisError> {
    let timed_out = || std::io::Error::from(std::io::ErrorKind::TimedOut).into();
    timeout(QUESTION, connect(host)).await.unwrap_or_else(|_| Err(timed_out()))
}
