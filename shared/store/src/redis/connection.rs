//! The connection to Redis: one server, or a cluster as soon as a server says that it belongs to
//! one.
//!
//! A call waits for [`DEADLINE`] at most, except in a simulation. After any failure of a
//! connection, the next calls use a new one.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use redis::cluster::ClusterClient;
use redis::cluster_async::ClusterConnection;
use redis::io::tcp::TcpSettings;
use redis::{
    Arg, Client, Cmd, ErrorKind, FromRedisValue, IntoConnectionInfo, ParsingError, RedisError,
    ServerErrorKind, ToRedisArgs, Value,
};
use sms_domain::sync::lock;
use tracing::{debug, info};

use crate::StoreError;

/// Longest wait of a request for the store, reconnection included. Store and queue together answer
/// within a second, or the caller gets a 503 within that second.
pub(crate) const DEADLINE: Duration = Duration::from_millis(500);

/// Longest time for which data may stay unacknowledged before the kernel closes the connection. A
/// peer that vanished silently (a frozen Lambda environment, a failover) costs this much and not
/// TCP's 15 minutes. It leaves half of the deadline for a second try on a new connection. (A slow
/// server still acknowledges.)
const TCP_USER_TIMEOUT: Duration = Duration::from_millis(250);

/// Longest wait in a simulation.
const SIMULATION_DEADLINE: Duration = Duration::from_secs(30);

/// Waits between tries within the deadline, in milliseconds: the first, and the longest.
const RETRY_WAIT: (u64, u64) = (20, 100);

/// Tries of the cluster client within the deadline: a slot may be migrating from one node to
/// another.
const CLUSTER_RETRIES: u32 = 8;

/// A script, with the hash by which a server caches it.
pub(super) struct Script {
    source: String,
    hash: String,
    keys: usize,
    /// Held by the one call that sends the source; the others wait.
    sending: tokio::sync::Mutex<()>,
    /// How often the source was sent.
    sent: AtomicUsize,
}

impl Script {
    pub(super) fn new(source: String, keys: usize) -> Self {
        let hash = redis::Script::new(&source).get_hash().to_owned();
        let (sending, sent) = Default::default();
        Self { source, hash, keys, sending, sent }
    }

    pub(super) fn source(&self) -> &str {
        &self.source
    }

    /// A call with these keys, which must be on one shard or on a server without a cluster.
    pub(super) fn call(self: &Arc<Self>, keys: impl AsRef<[String]>) -> Call {
        debug_assert_eq!(self.keys, keys.as_ref().len(), "{:?}", keys.as_ref());
        // Enough for an admission.
        let mut cmd = Cmd::with_capacity(48, 512);
        cmd.arg("EVALSHA").arg(&self.hash).arg(keys.as_ref().len()).arg(keys.as_ref());
        Call { script: Arc::clone(self), cmd }
    }
}

/// A script with its arguments.
pub(super) struct Call {
    script: Arc<Script>,
    cmd: Cmd,
}

impl Call {
    pub(super) fn arg(mut self, value: impl ToRedisArgs) -> Self {
        self.cmd.arg(value);
        self
    }

    /// Number of parts of the command so far.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.cmd.args_iter().count()
    }

    /// Sends the call, with the script's source if the server has not cached it. (Loading it first
    /// would take one more round trip, and the cache may be flushed in between.)
    async fn query<T: FromRedisValue>(&self, link: &mut Link) -> Result<T, RedisError> {
        let sent = self.script.sent.load(Ordering::Relaxed);
        match link.query(&self.cmd).await {
            Err(error) if is_not_cached(&error) => Box::pin(self.query_uncached(link, sent)).await,
            result => result,
        }
    }

    /// Sends the call with the source, unless another call has done so since the source was sent
    /// `sent` times: a thousand calls at once do not send it a thousand times to a server that has
    /// just started.
    async fn query_uncached<T: FromRedisValue>(
        &self,
        link: &mut Link,
        sent: usize,
    ) -> Result<T, RedisError> {
        let sending = self.script.sending.lock().await;
        if self.script.sent.load(Ordering::Relaxed) != sent {
            drop(sending);
            match link.query(&self.cmd).await {
                // The other call went to another server.
                Err(error) if is_not_cached(&error) => {}
                result => return result,
            }
        }
        let result = link.query(&self.with_source()).await;
        if !matches!(&result, Err(error) if error.is_io_error()) {
            self.script.sent.fetch_add(1, Ordering::Relaxed);
        }
        result
    }

    fn with_source(&self) -> Cmd {
        let mut cmd = redis::cmd("EVAL");
        cmd.arg(&self.script.source);
        for arg in self.cmd.args_iter().skip(2) {
            if let Arg::Simple(bytes) = arg {
                cmd.arg(bytes);
            }
        }
        cmd
    }
}

/// Returns true if the keys of a call are on different shards, by the answer of a cluster or of a
/// proxy in front of one.
pub(super) fn is_cross_slot(error: &RedisError) -> bool {
    error.kind() == ErrorKind::Server(ServerErrorKind::CrossSlot) || is_cross_slot_of_proxy(error)
}

/// Tair and Redis of Alibaba Cloud say `ERR 'EVAL' command keys must in same slot`, or
/// `ERR eval/evalsha command keys must be in same slot`
/// (<https://www.alibabacloud.com/help/en/redis/support/usage-of-lua-scripts>).
fn is_cross_slot_of_proxy(error: &RedisError) -> bool {
    error.detail().is_some_and(|text| text.contains("in same slot"))
}

/// Returns true if a server has not cached the script.
fn is_not_cached(error: &RedisError) -> bool {
    error.kind() == ErrorKind::Server(ServerErrorKind::NoScript)
}

/// A link that commands are sent on; clones share one connection.
#[derive(Clone)]
pub(super) enum Link {
    Server(ConnectionManager),
    Cluster(ClusterConnection),
}

impl Link {
    async fn query<T: FromRedisValue>(&mut self, cmd: &Cmd) -> Result<T, RedisError> {
        match self {
            Self::Server(connection) => cmd.query_async(connection).await,
            Self::Cluster(connection) => cmd.query_async(connection).await,
        }
    }
}

/// The present link, and the client that opens the next one.
#[derive(Clone)]
pub(super) struct Connection {
    client: Client,
    present: Arc<Mutex<Present>>,
    deadline: Duration,
}

struct Present {
    link: Link,
    /// Time of the link's creation: it is not replaced within [`DEADLINE`] of it.
    since: Instant,
    /// True if the server is known to be a proxy in front of a cluster.
    behind_proxy: bool,
}

impl Connection {
    /// A connection that is opened when it is first used.
    pub(super) fn new(url: &str) -> Result<Self, RedisError> {
        sms_outbound::tls::install();
        let tcp = TcpSettings::default().set_user_timeout(TCP_USER_TIMEOUT).set_nodelay(true);
        let client = Client::open(url.into_connection_info()?.set_tcp_settings(tcp))?;
        let link = Link::Server(connect(&client)?);
        let present =
            Arc::new(Mutex::new(Present { link, since: Instant::now(), behind_proxy: false }));
        Ok(Self { client, present, deadline: DEADLINE })
    }

    /// Sets the longer deadline of a simulation, where no user waits, and every reply counts.
    pub(super) fn for_simulation(self) -> Self {
        Self { deadline: SIMULATION_DEADLINE, ..self }
    }

    /// Calls a script, a second time if the connection is dead.
    pub(super) async fn run<T: FromRedisValue>(&self, call: &Call) -> Result<T, StoreError> {
        self.in_time(async {
            match call.query(&mut self.link()).await {
                Err(error) if error.kind() == ErrorKind::Server(ServerErrorKind::Moved) => {
                    call.query(&mut self.join_cluster()?).await
                }
                Err(error) if error.kind() == ErrorKind::Server(ServerErrorKind::CrossSlot) => {
                    self.join_cluster()?;
                    Err(error)
                }
                Err(error) if is_cross_slot_of_proxy(&error) => {
                    if !std::mem::replace(&mut self.lock().behind_proxy, true) {
                        info!("REDIS_URL names a proxy in front of a cluster");
                    }
                    Err(error)
                }
                Err(error) if error.is_io_error() && !error.is_timeout() => {
                    call.query(&mut self.link()).await
                }
                result => result,
            }
        })
        .await
    }

    /// Reads a section of `INFO`, from each primary of a cluster. An error does not replace the
    /// connection.
    pub(super) async fn info(&self, section: &str) -> Result<Vec<String>, StoreError> {
        let (mut link, mut cmd) = (self.link(), redis::cmd("INFO"));
        cmd.arg(section);
        let answer = tokio::time::timeout(self.deadline, link.query(&cmd))
            .await
            .map_err(|_| StoreError::Timeout)??;
        let nodes = if let Value::Map(nodes) = answer { nodes } else { vec![(Value::Nil, answer)] };
        Ok(nodes
            .into_iter()
            .map(|(_, text)| redis::from_redis_value(text))
            .collect::<Result<_, ParsingError>>()
            .map_err(RedisError::from)?)
    }

    /// Waits for a call until the deadline. (Not an `async fn`, whose future would hold the call
    /// twice.)
    fn in_time<'a, T: 'a>(
        &'a self,
        call: impl Future<Output = Result<T, RedisError>> + 'a,
    ) -> impl Future<Output = Result<T, StoreError>> + 'a {
        tokio::time::timeout(self.deadline, call).map(|result| {
            let error = match result {
                Ok(Ok(value)) => return Ok(value),
                Ok(Err(error)) if error.is_timeout() => StoreError::Timeout,
                Ok(Err(error)) => StoreError::Redis(error),
                Err(_) => StoreError::Timeout,
            };
            self.renew();
            Err(error)
        })
    }

    /// Returns true if the server is known to belong to a cluster, or to hide one.
    pub(super) fn is_cluster(&self) -> bool {
        let present = self.lock();
        present.behind_proxy || matches!(present.link, Link::Cluster(_))
    }

    fn link(&self) -> Link {
        self.lock().link.clone()
    }

    /// Replaces the connection after a failure. The client itself notices only a broken one, and
    /// not a silent peer, a server that became a replica, or a password that has become right.
    fn renew(&self) {
        let mut present = self.lock();
        if present.since.elapsed() < DEADLINE {
            return;
        }
        present.since = Instant::now();
        match &present.link {
            Link::Server(_) => match connect(&self.client) {
                Ok(connection) => present.link = Link::Server(connection),
                Err(error) => debug!(%error, "no new connection"),
            },
            // The node of REDIS_URL may be the one that is down: the connection to the cluster is
            // kept until there is a new one.
            Link::Cluster(_) => {
                let this = self.clone();
                tokio::spawn(async move {
                    match this.cluster() {
                        Ok(cluster) => match cluster.get_async_connection().await {
                            Ok(connection) => this.lock().link = Link::Cluster(connection),
                            Err(error) => debug!(%error, "no new connection to the cluster"),
                        },
                        Err(error) => debug!(%error, "no new connection to the cluster"),
                    }
                });
            }
        }
    }

    /// Switches to the cluster, after a server answered that another one has the key.
    pub(super) fn join_cluster(&self) -> Result<Link, RedisError> {
        let mut present = self.lock();
        if matches!(present.link, Link::Server(_)) {
            info!("REDIS_URL names a node of a cluster");
            let config = redis::cluster::ClusterConfig::new();
            let connection = self.cluster()?.get_pending_async_connection_with_config(config);
            (present.link, present.since) = (Link::Cluster(connection), Instant::now());
        }
        Ok(present.link.clone())
    }

    fn cluster(&self) -> Result<ClusterClient, RedisError> {
        let node = self.client.get_connection_info().clone();
        let tcp = node.tcp_settings().clone();
        ClusterClient::builder([node])
            .tcp_settings(tcp)
            .connection_timeout(self.deadline)
            .response_timeout(self.deadline)
            .overall_response_timeout(None)
            .retries(CLUSTER_RETRIES)
            .min_retry_wait(RETRY_WAIT.0)
            .max_retry_wait(RETRY_WAIT.1)
            .build()
    }

    fn lock(&self) -> MutexGuard<'_, Present> {
        lock(&self.present)
    }
}

fn connect(client: &Client) -> Result<ConnectionManager, RedisError> {
    let config = ConnectionManagerConfig::new()
        .set_number_of_retries(1)
        .set_min_delay(Duration::from_millis(RETRY_WAIT.0))
        .set_connection_timeout(Some(DEADLINE))
        // Every call has the deadline already: no second timer is needed.
        .set_response_timeout(None);
    ConnectionManager::new_lazy_with_config(client.clone(), config)
}
