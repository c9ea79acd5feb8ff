//! The connection to Redis: one server, a cluster, or the primary that Sentinels name.
//!
//! A call waits for [`DEADLINE`] at most, except in a simulation. After any failure of a
//! connection, the next calls use a new one.

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use redis::cluster::ClusterConfig;
use redis::cluster_async::ClusterConnection;
use redis::{
    Client, Cmd, ErrorKind, FromRedisValue, ParsingError, RedisError, ServerErrorKind, Value,
};
use sms_domain::sync::lock;
use sms_outbound::dsn::DsnError;
use tokio::sync::Notify;
use tokio::task::AbortHandle;
use tracing::{debug, info};

use super::call::{Call, is_cross_slot_of_proxy};
use super::cluster;
use super::sentinel::{Follower, Found};
use super::servers::{CLIENT_NAME, Servers};
use crate::StoreError;

/// Longest wait of a request for the store, reconnection included. Store and queue together answer
/// within a second, or the caller gets a 503 within that second.
pub(crate) const DEADLINE: Duration = Duration::from_millis(500);

/// Longest time for which data may stay unacknowledged before the kernel closes the connection. A
/// peer that vanished silently (a frozen Lambda environment, a failover) costs this much and not
/// TCP's 15 minutes. It leaves half of the deadline for a second try on a new connection. (A slow
/// server still acknowledges.)
pub(super) const TCP_USER_TIMEOUT: Duration = Duration::from_millis(250);

/// Longest wait in a simulation.
const SIMULATION_DEADLINE: Duration = Duration::from_secs(30);

/// Time for which a problem with the servers is the reason why calls get no answer.
const PROBLEM_LASTS: Duration = Duration::from_secs(5);

/// Waits between tries within the deadline, in milliseconds: the first, and the longest.
const RETRY_WAIT: (u64, u64) = (20, 100);

/// Tries of the cluster client within the deadline: a slot may be migrating from one node to
/// another.
const CLUSTER_RETRIES: u32 = 8;

/// A link that commands are sent on; clones share one connection.
#[derive(Clone)]
pub(super) enum Link {
    Server(ConnectionManager),
    Cluster(ClusterConnection),
}

impl Link {
    pub(super) async fn query<T: FromRedisValue>(&mut self, cmd: &Cmd) -> Result<T, RedisError> {
        match self {
            Self::Server(connection) => cmd.query_async(connection).await,
            Self::Cluster(connection) => cmd.query_async(connection).await,
        }
    }
}

/// The present link, and the servers to which the next one is opened.
#[derive(Clone)]
pub(super) struct Connection {
    shared: Arc<Shared>,
    deadline: Duration,
}

struct Shared {
    servers: Servers,
    present: Mutex<Present>,
    /// Told when there is a link after there was none.
    linked: Notify,
    /// Held by the call that joins the cluster of several hosts.
    joining: tokio::sync::Mutex<()>,
    /// Told when the Sentinels are to be asked again.
    lost: Arc<Notify>,
}

struct Present {
    /// `None` before the first call to several servers, and while a failover is under way.
    link: Option<Link>,
    /// Time of the link's creation: it is not replaced within [`DEADLINE`] of it.
    since: Instant,
    /// True if the server is known to be a proxy in front of a cluster.
    behind_proxy: bool,
    /// The task that follows the primary, if there are Sentinels.
    follower: Option<AbortHandle>,
    /// The last reason why there was no primary, or why a part of a cluster could not be reached.
    problem: Option<(Instant, RedisError)>,
}

impl Drop for Present {
    fn drop(&mut self) {
        if let Some(follower) = &self.follower {
            follower.abort();
        }
    }
}

impl Connection {
    /// A connection that is opened when it is first used.
    pub(super) fn new(url: &str) -> Result<Self, StoreError> {
        sms_outbound::tls::install();
        let servers = Servers::parse(url)?;
        let link = match &servers.hosts[..] {
            [server] if servers.watched.is_none() => Some(Link::Server(connect(server)?)),
            _ => None,
        };
        let since = Instant::now();
        let present = Present { link, since, behind_proxy: false, follower: None, problem: None };
        let (present, linked) = (Mutex::new(present), Notify::new());
        let (joining, lost) = Default::default();
        let shared = Arc::new(Shared { servers, present, linked, joining, lost });
        Ok(Self { shared, deadline: DEADLINE })
    }

    /// Validates a URL, and reads the files that it names.
    pub(super) fn check(url: &str) -> Result<(), DsnError> {
        sms_outbound::tls::install();
        Servers::parse(url).map(drop)
    }

    /// Sets the longer deadline of a simulation, where no user waits, and every reply counts.
    pub(super) fn for_simulation(self) -> Self {
        Self { deadline: SIMULATION_DEADLINE, ..self }
    }

    /// Calls a script, a second time if the connection is dead.
    pub(super) async fn run<T: FromRedisValue>(&self, call: &Call) -> Result<T, StoreError> {
        self.in_time(async {
            let mut link = self.link().await?;
            match call.query(&mut link).await {
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
                    link = self.link().await?;
                    call.query(&mut link).await
                }
                result => result,
            }
        })
        .await
    }

    /// Reads a section of `INFO`, from each primary of a cluster. An error does not replace the
    /// connection.
    pub(super) async fn info(&self, section: &str) -> Result<Vec<String>, StoreError> {
        let mut cmd = redis::cmd("INFO");
        cmd.arg(section);
        let asked = async { self.link().await?.query(&cmd).await };
        let answer =
            tokio::time::timeout(self.deadline, asked).await.map_err(|_| StoreError::Timeout)??;
        let nodes = if let Value::Map(nodes) = answer { nodes } else { vec![(Value::Nil, answer)] };
        Ok(nodes
            .into_iter()
            .map(|(_, text)| redis::from_redis_value(text))
            .collect::<Result<_, ParsingError>>()
            .map_err(RedisError::from)?)
    }

    /// Names the connection in `CLIENT LIST`. Nothing depends on it.
    pub(super) async fn set_name(&self) {
        let mut cmd = redis::cmd("CLIENT");
        cmd.arg("SETNAME").arg(CLIENT_NAME);
        let named = async { self.link().await?.query::<()>(&cmd).await };
        if let Ok(Err(error)) = tokio::time::timeout(self.deadline, named).await {
            debug!(%error, "the connection has no name");
        }
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
                Ok(Err(error)) if !error.is_timeout() => StoreError::Redis(error),
                Ok(Err(_)) | Err(_) => match &self.lock().problem {
                    Some((at, error)) if at.elapsed() < PROBLEM_LASTS => {
                        StoreError::Redis(error.clone())
                    }
                    _ => StoreError::Timeout,
                },
            };
            self.renew();
            Err(error)
        })
    }

    /// Returns true if the server is known to belong to a cluster, or to hide one.
    pub(super) fn is_cluster(&self) -> bool {
        let present = self.lock();
        present.behind_proxy || matches!(present.link, Some(Link::Cluster(_)))
    }

    /// The present link, or the next one.
    async fn link(&self) -> Result<Link, RedisError> {
        let present = self.lock().link.clone();
        match present {
            Some(link) => Ok(link),
            None if self.shared.servers.watched.is_some() => Box::pin(self.next_link()).await,
            None => Box::pin(self.first_link()).await,
        }
    }

    /// The first link to several hosts, which must be nodes of a cluster.
    async fn first_link(&self) -> Result<Link, RedisError> {
        let _one = self.shared.joining.lock().await;
        if let Some(link) = self.lock().link.clone() {
            return Ok(link);
        }
        if let Err(error) = cluster::find(&self.shared.servers.hosts).await {
            self.lock().problem = Some((Instant::now(), error.clone()));
            return Err(error);
        }
        self.join_cluster()
    }

    /// Waits for the next link to a primary that Sentinels name.
    async fn next_link(&self) -> Result<Link, RedisError> {
        self.follow();
        loop {
            let linked = self.shared.linked.notified();
            if let Some(link) = self.lock().link.clone() {
                return Ok(link);
            }
            linked.await;
        }
    }

    /// Starts to follow the primary that Sentinels name.
    fn follow(&self) {
        let mut present = self.lock();
        let Some(watched) = &self.shared.servers.watched else { return };
        if present.follower.as_ref().is_some_and(|follower| !follower.is_finished()) {
            return;
        }
        let shared = Arc::downgrade(&self.shared);
        let found = move |found| {
            if let Some(shared) = shared.upgrade() {
                shared.set_primary(found);
            }
        };
        let (hosts, lost) = (self.shared.servers.hosts.clone(), Arc::clone(&self.shared.lost));
        let follower = Follower::new(hosts, watched.clone(), lost);
        present.follower = Some(tokio::spawn(follower.run(found)).abort_handle());
    }

    /// Replaces the connection after a failure. The client itself notices only a broken one, and
    /// not a silent peer, a server that became a replica, or a password that has become right.
    fn renew(&self) {
        let mut present = self.lock();
        if present.since.elapsed() < DEADLINE {
            return;
        }
        present.since = Instant::now();
        if self.shared.servers.watched.is_some() {
            self.shared.lost.notify_one();
            return;
        }
        match &present.link {
            None => {}
            Some(Link::Server(_)) => match connect(&self.shared.servers.hosts[0]) {
                Ok(connection) => present.link = Some(Link::Server(connection)),
                Err(error) => debug!(%error, "no new connection"),
            },
            // The nodes of REDIS_URL may be those that are down: the connection to the cluster is
            // kept until there is a new one.
            Some(Link::Cluster(_)) => {
                let this = self.clone();
                tokio::spawn(async move { this.renew_cluster().await });
            }
        }
    }

    async fn renew_cluster(&self) {
        let opened = match self.cluster() {
            Ok(cluster) => cluster.get_async_connection().await,
            Err(error) => Err(error),
        };
        let failure = match opened {
            Ok(connection) => {
                self.lock().link = Some(Link::Cluster(connection));
                None
            }
            Err(error) => Some(error),
        };
        let tried = cluster::try_nodes(&self.shared.servers.hosts).await;
        if let Some(error) = tried.err().or(failure) {
            debug!(%error, "the cluster, or a part of it, cannot be reached");
            self.lock().problem = Some((Instant::now(), error));
        }
    }

    /// Switches to the cluster, after a server answered that another one has the key.
    pub(super) fn join_cluster(&self) -> Result<Link, RedisError> {
        let mut present = self.lock();
        if let Some(Link::Cluster(connection)) = &present.link {
            return Ok(Link::Cluster(connection.clone()));
        }
        info!("REDIS_URL names nodes of a cluster");
        let connection =
            self.cluster()?.get_pending_async_connection_with_config(ClusterConfig::new());
        let link = Link::Cluster(connection);
        (present.link, present.since) = (Some(link.clone()), Instant::now());
        Ok(link)
    }

    fn cluster(&self) -> Result<redis::cluster::ClusterClient, RedisError> {
        self.shared
            .servers
            .cluster()
            .connection_timeout(self.deadline)
            .response_timeout(self.deadline)
            .overall_response_timeout(None)
            .retries(CLUSTER_RETRIES)
            .min_retry_wait(RETRY_WAIT.0)
            .max_retry_wait(RETRY_WAIT.1)
            .build()
    }

    fn lock(&self) -> MutexGuard<'_, Present> {
        lock(&self.shared.present)
    }
}

impl Shared {
    /// Takes the primary that Sentinels name: calls wait while there is none.
    fn set_primary(&self, found: Found) {
        let mut present = lock(&self.present);
        match found {
            Found::Primary(client) => match connect(&client) {
                Ok(connection) => {
                    present.link = Some(Link::Server(connection));
                    (present.problem, present.since) = (None, Instant::now());
                    self.linked.notify_waiters();
                }
                Err(error) => present.problem = Some((Instant::now(), error)),
            },
            Found::Failover => present.link = None,
            Found::None(error) => present.problem = Some((Instant::now(), error)),
        }
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
