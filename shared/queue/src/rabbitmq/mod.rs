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
mod nodes;
mod topology;

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};
use std::{fmt, io};

use futures_util::future::{BoxFuture, FutureExt, Shared};
use lapin::options::{BasicPublishOptions, ConfirmSelectOptions, QueueDeclareOptions};
use lapin::types::FieldTable;
use lapin::{BasicProperties, Channel, Connection};
use sms_domain::job_batch;
use sms_domain::retry_schedule::Delay;
use sms_domain::sync::lock;
use sms_domain::trace_context::TraceParent;
use sms_outbound::dsn::DsnError;
use sms_telemetry::causes;
use tracing::debug;

use self::address::Address;
pub use self::address::DEFAULT_QUEUE;
pub(super) use self::consumer::{AckHandle, RabbitMqConsumer};
pub(super) use self::dead_letters::DeadLetters;
use self::nodes::{Nodes, Opened};
use self::topology::{Topology, text};
use crate::DEADLINE;
use crate::dead_letter::{DeadLetterReason, Depth};
use crate::error::QueueError;
use crate::group_commit::{Batch, GroupCommit};

/// Timeout of acknowledging a message or closing a connection: a broker that no longer answers must
/// not keep a process from ending.
const END_TIMEOUT: Duration = Duration::from_secs(2);

/// Age from which a publisher is replaced after RabbitMQ refused a message: a channel that was
/// first used while a quorum queue had no leader may refuse all that follows.
const NACKED_AGE: Duration = Duration::from_millis(200);

/// Rounds of publishes at a time. RabbitMQ does most for its processor's time with messages that
/// come one right after the other.
const ROUNDS: usize = 1;

const PERSISTENT: u8 = 2;

/// Header with a job's trace context.
const TRACE: &str = "traceparent";

#[derive(Clone)]
pub(super) struct RabbitMqQueue {
    nodes: Arc<Nodes>,
    queues: Topology,
    publisher: Arc<Mutex<Option<Connecting>>>,
    group: GroupCommit,
}

/// A publisher that is being connected, shared by all callers that wait for it; it continues if one
/// of them gives up.
type Connecting = Shared<BoxFuture<'static, Result<Arc<Publisher>, lapin::Error>>>;

struct Publisher {
    channel: Channel,
    connection: Connection,
    node: usize,
    since: Instant,
    /// Delays whose wait queue was declared on this connection.
    declared: Mutex<HashSet<Duration>>,
}

impl Publisher {
    fn declared(&self) -> MutexGuard<'_, HashSet<Duration>> {
        lock(&self.declared)
    }
}

/// Target queue of a message, with its metadata.
#[derive(Clone, Copy)]
enum Target<'a> {
    /// The main queue, with the job's trace context; none with several jobs.
    Main(Option<&'a TraceParent>),
    Wait(Delay, Option<&'a TraceParent>),
    /// With what another program has put beside the body.
    Dead(&'a DeadLetterReason, Option<&'a BasicProperties>),
}

impl RabbitMqQueue {
    pub(super) fn new(url: &str) -> Result<Self, QueueError> {
        sms_outbound::tls::install();
        let Address { nodes, queue, queue_type, tls } = Address::parse(url)?;
        Ok(Self {
            nodes: Arc::new(Nodes::new(&nodes, tls)),
            queues: Topology::new(&queue, queue_type),
            publisher: Arc::default(),
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
        let publisher = self.publisher().await?;
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

    /// Discards a connection that has not answered in time, unless the broker blocks it. Callers
    /// that still wait on it keep it.
    pub(super) fn discard_silent_connection(&self) {
        let mut current = lock(&self.publisher);
        let silent = |publisher: &Arc<Publisher>| !publisher.connection.status().blocked();
        if let Some(Some(Ok(publisher))) = current.as_ref().map(Shared::peek)
            && silent(publisher)
        {
            self.nodes.avoid(publisher.node);
            *current = None;
        }
    }

    pub(super) fn consumer(&self, prefetch: u16) -> RabbitMqConsumer {
        RabbitMqConsumer { queue: self.clone(), prefetch, open: None }
    }

    /// Publishes the jobs of a batch and answers their requests, which are over after
    /// [`DEADLINE`].
    async fn publish_batch(&self, mut batch: Batch) {
        let published = tokio::time::timeout(DEADLINE, async {
            match self.try_publish_batch(&mut batch).await {
                Err(error) if self.may_succeed_anew(&error) => {
                    debug!(error = causes(&error), "publishing again on a new connection");
                    self.try_publish_batch(&mut batch).await
                }
                result => result,
            }
        });
        let result = published.await.unwrap_or(Err(QueueError::Timeout));
        batch.answer(&result);
    }

    async fn try_publish_batch(&self, batch: &mut Batch) -> Result<(), QueueError> {
        let publisher = self.unblocked_publisher().await?;
        match batch.jobs() {
            [] => Ok(()),
            [job] => {
                let target = Target::Main(job.trace.as_ref());
                self.publish_on(&publisher, target, job.body.as_bytes()).await
            }
            jobs => {
                let body = job_batch::join(jobs.iter().map(|job| job.body.as_bytes()));
                self.publish_on(&publisher, Target::Main(None), &body).await
            }
        }
    }

    /// Publishes and waits for the confirm; retries once if the connection turned out to be dead.
    /// If that publishes a job twice, its SMS is still sent only once.
    async fn publish(&self, target: Target<'_>, body: &[u8]) -> Result<(), QueueError> {
        match self.try_publish(target, body).await {
            Err(error) if self.may_succeed_anew(&error) => {
                debug!(error = causes(&error), "publishing again on a new connection");
                Box::pin(self.try_publish(target, body)).await
            }
            result => result,
        }
    }

    async fn try_publish(&self, target: Target<'_>, body: &[u8]) -> Result<(), QueueError> {
        let publisher = self.unblocked_publisher().await?;
        if let Target::Wait(delay, _) = target {
            // Boxed, since this is rare and should not make every publish larger.
            Box::pin(self.declare_wait_queue(&publisher, delay.base)).await?;
        }
        self.publish_on(&publisher, target, body).await
    }

    async fn publish_on(
        &self,
        publisher: &Publisher,
        target: Target<'_>,
        body: &[u8],
    ) -> Result<(), QueueError> {
        let queue = match target {
            Target::Main(_) => self.queues.main().to_owned(),
            Target::Wait(delay, _) => self.queues.wait(delay.base),
            Target::Dead(..) => self.queues.dead(),
        };
        publish_on(&publisher.channel, queue, body, properties(target)).await
    }

    /// Returns true if a publish may succeed on another connection.
    fn may_succeed_anew(&self, error: &QueueError) -> bool {
        match error {
            QueueError::RabbitMq(_) => true,
            QueueError::Nacked => self.discard_refusing_connection(),
            _ => false,
        }
    }

    /// Discards a connection on which RabbitMQ refused a message, unless it is new. Returns true if
    /// the next publish is on another one.
    fn discard_refusing_connection(&self) -> bool {
        let mut current = lock(&self.publisher);
        let is_new = |publisher: &Arc<Publisher>| publisher.since.elapsed() < NACKED_AGE;
        match current.as_ref().map(Shared::peek) {
            Some(Some(Ok(publisher))) if is_new(publisher) => false,
            Some(Some(opened)) => {
                if let Ok(publisher) = opened {
                    self.nodes.avoid(publisher.node);
                }
                *current = None;
                true
            }
            _ => true,
        }
    }

    /// The publisher, unless the broker blocks it. Messages published now would wait in memory,
    /// each retry among them, and go out when the alarm is over.
    async fn unblocked_publisher(&self) -> Result<Arc<Publisher>, QueueError> {
        let publisher = self.publisher().await?;
        if publisher.connection.status().blocked() {
            return Err(QueueError::Refused("its disk or memory alarm is on"));
        }
        Ok(publisher)
    }

    /// The publisher, connected by the first caller that needs it after it was lost.
    async fn publisher(&self) -> Result<Arc<Publisher>, lapin::Error> {
        let connecting = {
            let mut current = lock(&self.publisher);
            match current.as_ref().map(|connecting| (connecting, connecting.peek())) {
                Some((_, Some(Ok(publisher)))) if publisher.channel.status().connected() => {
                    return Ok(Arc::clone(publisher));
                }
                Some((connecting, None)) => connecting.clone(),
                _ => {
                    let connecting = connect_publisher(self.clone()).boxed().shared();
                    tokio::spawn(connecting.clone());
                    current.insert(connecting).clone()
                }
            }
        };
        connecting.await
    }

    /// Declares a wait queue once for each connection, on a channel of its own: it is closed if the
    /// queue exists with other arguments.
    async fn declare_wait_queue(
        &self,
        publisher: &Publisher,
        base: Duration,
    ) -> Result<(), lapin::Error> {
        if publisher.declared().contains(&base) {
            return Ok(());
        }
        let channel = publisher.connection.create_channel().await?;
        self.queues.declare_wait(&channel, base).await?;
        channel.close(200, "done".into()).await?;
        publisher.declared().insert(base);
        Ok(())
    }
}

impl fmt::Debug for RabbitMqQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RabbitMqQueue({})", self.queues.main())
    }
}

async fn connect_publisher(queue: RabbitMqQueue) -> Result<Arc<Publisher>, lapin::Error> {
    let Opened { connection, channel, node } = queue.open("publisher").await?;
    channel.confirm_select(ConfirmSelectOptions::default()).await?;
    let (since, declared) = (Instant::now(), Mutex::default());
    Ok(Arc::new(Publisher { channel, connection, node, since, declared }))
}

/// Publishes to a queue, which must exist, and waits for the confirm.
async fn publish_on(
    channel: &Channel,
    queue: String,
    body: &[u8],
    properties: BasicProperties,
) -> Result<(), QueueError> {
    let options = BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() };
    let confirm = channel.basic_publish("".into(), queue.into(), options, body, properties).await?;
    let confirmation = confirm.await?;
    if !confirmation.is_ack() {
        return Err(QueueError::Nacked);
    }
    match confirmation.take_message() {
        Some(_) => Err(QueueError::Refused("no such queue")),
        None => Ok(()),
    }
}

fn properties(target: Target<'_>) -> BasicProperties {
    let of_job = || BasicProperties::default().with_content_type("application/json".into());
    let properties = match target {
        Target::Dead(_, Some(foreign)) => foreign.clone(),
        _ => of_job(),
    };
    let properties = properties.with_delivery_mode(PERSISTENT);
    match target {
        Target::Main(trace) => traced(properties, trace),
        Target::Wait(delay, trace) => {
            traced(properties, trace).with_expiration(delay.total().as_millis().to_string().into())
        }
        Target::Dead(reason, _) => dead_letters::properties(properties, reason),
    }
}

/// Adds the trace context as a header, for tools that read headers; the job itself holds it, too.
fn traced(properties: BasicProperties, trace: Option<&TraceParent>) -> BasicProperties {
    let Some(trace) = trace.filter(|trace| trace.is_sampled()) else { return properties };
    let mut headers = FieldTable::default();
    headers.insert(TRACE.into(), text(trace.as_str()));
    properties.with_headers(headers)
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
