//! The nodes of a cluster, of which any one serves all queues, and connections to them.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use lapin::tcp::OwnedTLSConfig;
use lapin::{Channel, Connection, ConnectionProperties, runtime};
use tracing::debug;
use url::Url;

use super::{RabbitMqQueue, timed_out};

/// Timeout of opening a connection. (lapin itself waits for as long as TCP does.)
pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Timeout of one node's answer where there are others: one that has vanished answers nothing.
const NODE_TIMEOUT: Duration = Duration::from_secs(1);

/// The nodes of a `QUEUE_URL`.
pub(super) struct Nodes {
    urls: Vec<String>,
    tls: OwnedTLSConfig,
    /// The node that the next connection is opened to.
    next: AtomicUsize,
}

impl Nodes {
    pub(super) fn new(urls: &[Url], tls: OwnedTLSConfig) -> Self {
        let urls = urls.iter().map(ToString::to_string).collect();
        Self { urls, tls, next: AtomicUsize::new(0) }
    }

    /// The numbers of all nodes in the order in which they are tried: first the one that was in
    /// use.
    pub(super) fn in_order(&self) -> impl Iterator<Item = usize> + use<> {
        let (begin, count) = (self.next.load(Ordering::Relaxed), self.urls.len());
        (begin..begin + count).map(move |number| number % count)
    }

    /// Begins with this node from now on.
    pub(super) fn prefer(&self, number: usize) {
        self.next.store(number, Ordering::Relaxed);
    }

    /// Begins with the node behind this one, if it was this one's turn. A node that answers, and
    /// stores nothing, may be cut off from the others.
    pub(super) fn avoid(&self, number: usize) {
        let behind = (number + 1) % self.urls.len();
        let _ = self.next.compare_exchange(number, behind, Ordering::Relaxed, Ordering::Relaxed);
    }

    pub(super) fn are_several(&self) -> bool {
        self.urls.len() > 1
    }

    /// Opens a connection to a node.
    pub(super) async fn connect(
        &self,
        number: usize,
        purpose: &str,
    ) -> Result<Connection, lapin::Error> {
        let name = format!("sms-verify {purpose}");
        let properties = ConnectionProperties::default().with_connection_name(name.into());
        let (tls, runtime) = (self.tls.clone(), runtime::default_runtime()?);
        let connect = Connection::connect_with_config(&self.urls[number], properties, tls, runtime);
        if self.urls.len() == 1 {
            return connect.await;
        }
        tokio::time::timeout(NODE_TIMEOUT, connect)
            .await
            .unwrap_or_else(|_| Err(timed_out("a node did not answer")))
    }
}

/// A connection to a node.
pub(super) struct Opened {
    pub(super) connection: Connection,
    pub(super) channel: Channel,
    pub(super) node: usize,
}

impl RabbitMqQueue {
    /// Opens a connection to the first node with which it succeeds within [`CONNECT_TIMEOUT`], and
    /// a channel, and declares the queues.
    pub(super) async fn open(&self, purpose: &str) -> Result<Opened, lapin::Error> {
        let mut failure = timed_out("there is no node");
        for node in self.nodes.in_order() {
            let opened = tokio::time::timeout(CONNECT_TIMEOUT, self.open_on(node, purpose));
            match opened.await.unwrap_or_else(|_| Err(timed_out("connecting timed out"))) {
                Ok(opened) => {
                    self.nodes.prefer(node);
                    return Ok(opened);
                }
                Err(error) => {
                    debug!(%error, node, "a node of RabbitMQ cannot be used");
                    self.nodes.avoid(node);
                    // An answer of RabbitMQ says more than the lack of one.
                    if is_io(&failure) {
                        failure = error;
                    }
                }
            }
        }
        Err(failure)
    }

    async fn open_on(&self, node: usize, purpose: &str) -> Result<Opened, lapin::Error> {
        let connection = self.nodes.connect(node, purpose).await?;
        let channel = connection.create_channel().await?;
        match self.queues.declare(&channel).await {
            Ok(()) => Ok(Opened { connection, channel, node }),
            Err(error) if self.queues.main_differs(&error) => {
                let channel = connection.create_channel().await?;
                Err(self.queues.has_type(&channel).await.err().unwrap_or(error))
            }
            Err(error) => Err(error),
        }
    }
}

fn is_io(error: &lapin::Error) -> bool {
    matches!(error.kind(), lapin::ErrorKind::IOError(_))
}
