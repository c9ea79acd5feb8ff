//! The queue on RabbitMQ (3.10 or later): durable queues, publisher confirms, `mandatory`.
//!
//! ```text
//! sms-verify ──▶ worker ──▶ sms-verify.wait.3s (TTL) ──▶ sms-verify      another attempt
//!                      └──▶ sms-verify.dead                              dead letters
//! ```
//! A TTL expires only at the head of a queue, so there is one wait queue per delay, named by it. A
//! waiting message is a new message: the worker publishes it, waits for the confirm, and only then
//! acknowledges the old one.
//!
//! A message of the main queue may have several jobs. They are handed out as single jobs, and it is
//! acknowledged when all of them are done. Waiting jobs and dead letters are single.

mod acker;
mod address;
mod consumer;
mod dead_letters;
mod node_watch;
mod nodes;
mod publisher;
mod topology;

use std::sync::atomic::AtomicU32;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use std::{fmt, io};

use lapin::options::{ConfirmSelectOptions, QueueDeclareOptions};
use lapin::types::FieldTable;
use lapin::{BasicProperties, Channel, Connection};
use sms_domain::job_batch;
use sms_domain::retry_schedule::Delay;
use sms_domain::trace_context::TraceParent;
use sms_outbound::dsn::DsnError;
use tracing::debug;

use self::address::Address;
pub use self::address::DEFAULT_QUEUE;
pub(super) use self::consumer::{AckHandle, RabbitMqConsumer};
pub(super) use self::dead_letters::DeadLetters;
use self::nodes::{Nodes, Opened};
use self::publisher::{Connecting, Target, publish_on};
use self::topology::Topology;
use crate::dead_letter::{DeadLetterReason, Depth};
use crate::error::QueueError;
use crate::group_commit::GroupCommit;

/// Timeout of acknowledging a message or closing a connection: a broker that no longer answers must
/// not keep a process from ending.
const END_TIMEOUT: Duration = Duration::from_secs(2);

/// Rounds of publishes at a time. RabbitMQ does most for its processor's time with messages that
/// come one right after the other.
const ROUNDS: usize = 1;

#[derive(Clone)]
pub(super) struct RabbitMqQueue {
    nodes: Arc<Nodes>,
    queues: Topology,
    publisher: Arc<Mutex<Option<Connecting>>>,
    /// Publishers that were replaced because RabbitMQ refused a message, without a success since.
    refused: Arc<AtomicU32>,
    group: GroupCommit,
}

impl RabbitMqQueue {
    pub(super) fn new(url: &str) -> Result<Self, QueueError> {
        sms_outbound::tls::install();
        let Address { nodes, queue, queue_type, tls } = Address::parse(url)?;
        Ok(Self {
            nodes: Arc::new(Nodes::new(&nodes, tls)),
            queues: Topology::new(&queue, queue_type),
            publisher: Arc::default(),
            refused: Arc::default(),
            group: GroupCommit::new(job_batch::MOST.into(), ROUNDS),
        })
    }

    /// Puts up to `most` jobs into one message.
    pub(super) fn set_jobs_per_message(&mut self, most: usize) {
        self.group = GroupCommit::new(most, ROUNDS);
    }

    /// Validates a URL.
    pub(super) fn check(url: &str) -> Result<(), DsnError> {
        Address::parse(url).map(drop)
    }

    /// Sends a job to the main queue, in one message with those that wait at the same time.
    pub(super) async fn send_together(
        &self,
        body: String,
        trace: Option<TraceParent>,
    ) -> Result<(), QueueError> {
        let queue = self.clone();
        let publish = move |batch| {
            let queue = queue.clone();
            async move { queue.publish_batch(batch).await }
        };
        self.group.send(body, trace, None, publish).await
    }

    /// Sends a job in a message of its own.
    pub(super) async fn send(
        &self,
        body: &[u8],
        delay: Delay,
        trace: Option<&TraceParent>,
    ) -> Result<(), QueueError> {
        let target =
            if delay.base.is_zero() { Target::Main(trace) } else { Target::Wait(delay, trace) };
        self.publish(target, body).await
    }

    pub(super) async fn dead_letter(
        &self,
        body: &[u8],
        foreign: Option<&BasicProperties>,
        reason: &DeadLetterReason,
    ) -> Result<(), QueueError> {
        self.publish(Target::Dead(reason, foreign), body).await
    }

    pub(super) async fn ping(&self) -> Result<(), QueueError> {
        let publisher = self.unblocked_publisher().await?;
        self.probe(&publisher.connection).await
    }

    /// Publishes to a queue of which nobody reads: a node without its majority may answer all
    /// questions, and confirm no message. On a channel of its own, which an error closes.
    async fn probe(&self, connection: &Connection) -> Result<(), QueueError> {
        let channel = connection.create_channel().await?;
        let passive = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::durable() };
        channel.queue_declare(self.queues.main().into(), passive, FieldTable::default()).await?;
        self.queues.declare_probe(&channel).await?;
        channel.confirm_select(ConfirmSelectOptions::default()).await?;
        publish_on(&channel, self.queues.probe(), b"", BasicProperties::default()).await?;
        channel.close(200, "done".into()).await?;
        Ok(())
    }

    pub(super) async fn depth(&self) -> Result<Depth, QueueError> {
        let publisher = self.publisher().await?;
        let channel = publisher.connection.create_channel().await?;
        let messages = count(&channel, self.queues.main()).await?;
        let dead = count(&channel, &self.queues.dead()).await?;
        channel.close(200, "done".into()).await?;
        Ok(Depth { messages, dead: Some(dead) })
    }

    pub(super) fn consumer(&self, prefetch: u16) -> RabbitMqConsumer {
        RabbitMqConsumer { queue: self.clone(), prefetch, open: None }
    }
}

impl fmt::Debug for RabbitMqQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RabbitMqQueue({})", self.queues.main())
    }
}

/// Number of messages that are ready in a queue.
async fn count(channel: &Channel, queue: &str) -> Result<usize, lapin::Error> {
    let passive = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::durable() };
    let queue = channel.queue_declare(queue.into(), passive, FieldTable::default()).await?;
    Ok(usize::try_from(queue.message_count()).unwrap_or(usize::MAX))
}

async fn close(connection: &Connection) {
    if let Err(error) = with_end_timeout(connection.close(200, "done".into())).await {
        debug!(%error, "closing a connection");
    }
}

/// Runs a call with [`END_TIMEOUT`].
async fn with_end_timeout<T>(
    call: impl Future<Output = Result<T, lapin::Error>>,
) -> Result<T, lapin::Error> {
    tokio::time::timeout(END_TIMEOUT, call).await.unwrap_or_else(|_| Err(timed_out("timed out")))
}

fn timed_out(what: &'static str) -> lapin::Error {
    io::Error::new(io::ErrorKind::TimedOut, what).into()
}
