//! Publishing: one connection and channel for all callers, replaced when it is lost, silent or
//! refusing.

use std::collections::HashSet;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use futures_util::future::{BoxFuture, FutureExt, Shared};
use lapin::options::{BasicPublishOptions, ConfirmSelectOptions};
use lapin::types::FieldTable;
use lapin::{BasicProperties, Channel, Connection};
use sms_domain::job_batch;
use sms_domain::retry_schedule::Delay;
use sms_domain::sync::lock;
use sms_domain::trace_context::TraceParent;
use sms_telemetry::causes;
use tracing::debug;

use super::nodes::Opened;
use super::topology::text;
use super::{RabbitMqQueue, dead_letters};
use crate::DEADLINE;
use crate::dead_letter::DeadLetterReason;
use crate::error::QueueError;
use crate::group_commit::Batch;

/// Age from which a publisher is replaced after RabbitMQ refused a message: a channel that was
/// first used while a quorum queue had no leader may refuse all that follows. It doubles with each
/// replacement without a success, up to 6.4 s: a queue that is full refuses on all of them.
const NACKED_AGE: Duration = Duration::from_millis(200);
const NACKED_DOUBLINGS: u32 = 5;

const PERSISTENT: u8 = 2;

/// Header with a job's trace context.
pub(super) const TRACE: &str = "traceparent";

/// A publisher that is being connected, shared by all callers that wait for it; it continues if one
/// of them gives up.
pub(super) type Connecting = Shared<BoxFuture<'static, Result<Arc<Publisher>, lapin::Error>>>;

pub(super) struct Publisher {
    channel: Channel,
    pub(super) connection: Connection,
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
pub(super) enum Target<'a> {
    /// The main queue, with the job's trace context; none with several jobs.
    Main(Option<&'a TraceParent>),
    Wait(Delay, Option<&'a TraceParent>),
    /// With what another program has put beside the body.
    Dead(&'a DeadLetterReason, Option<&'a BasicProperties>),
}

/// A message was not stored.
enum Failed {
    /// Another connection may succeed.
    OnThisConnection(QueueError),
    OnAny(QueueError),
}

impl Failed {
    fn into_error(self) -> QueueError {
        match self {
            Self::OnThisConnection(error) | Self::OnAny(error) => error,
        }
    }
}

impl From<QueueError> for Failed {
    fn from(error: QueueError) -> Self {
        match error {
            QueueError::RabbitMq(_) => Self::OnThisConnection(error),
            _ => Self::OnAny(error),
        }
    }
}

impl RabbitMqQueue {
    /// Publishes the jobs of a batch and answers their requests, which are over after
    /// [`DEADLINE`].
    pub(super) async fn publish_batch(&self, mut batch: Batch) {
        let published = tokio::time::timeout(DEADLINE, async {
            match self.try_publish_batch(&mut batch).await {
                Err(Failed::OnThisConnection(error)) => {
                    debug!(error = causes(&error), "publishing again on a new connection");
                    self.try_publish_batch(&mut batch).await
                }
                result => result,
            }
        });
        let result = published.await.unwrap_or(Err(Failed::OnAny(QueueError::Timeout)));
        batch.answer(&result.map_err(Failed::into_error));
    }

    async fn try_publish_batch(&self, batch: &mut Batch) -> Result<(), Failed> {
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
    pub(super) async fn publish(&self, target: Target<'_>, body: &[u8]) -> Result<(), QueueError> {
        let published = match self.try_publish(target, body).await {
            Err(Failed::OnThisConnection(error)) => {
                debug!(error = causes(&error), "publishing again on a new connection");
                Box::pin(self.try_publish(target, body)).await
            }
            result => result,
        };
        published.map_err(Failed::into_error)
    }

    async fn try_publish(&self, target: Target<'_>, body: &[u8]) -> Result<(), Failed> {
        let publisher = self.unblocked_publisher().await?;
        if let Target::Wait(delay, _) = target {
            // Boxed, since this is rare and should not make every publish larger.
            let declared = Box::pin(self.declare_wait_queue(&publisher, delay.base)).await;
            declared.map_err(QueueError::from)?;
        }
        self.publish_on(&publisher, target, body).await
    }

    async fn publish_on(
        &self,
        publisher: &Arc<Publisher>,
        target: Target<'_>,
        body: &[u8],
    ) -> Result<(), Failed> {
        let queue = match target {
            Target::Main(_) => self.queues.main().to_owned(),
            Target::Wait(delay, _) => self.queues.wait(delay.base),
            Target::Dead(..) => self.queues.dead(),
        };
        match publish_on(&publisher.channel, queue, body, properties(target)).await {
            Ok(()) => {
                if self.refused.load(Ordering::Relaxed) > 0 {
                    self.refused.store(0, Ordering::Relaxed);
                }
                Ok(())
            }
            Err(QueueError::Nacked) if self.replaces(publisher) => {
                Err(Failed::OnThisConnection(QueueError::Nacked))
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Discards the publisher that RabbitMQ has refused a message on, unless it is too new. Returns
    /// true if the next publish is on another one.
    fn replaces(&self, refused: &Arc<Publisher>) -> bool {
        let mut current = lock(&self.publisher);
        if let Some(Some(Ok(publisher))) = current.as_ref().map(Shared::peek)
            && Arc::ptr_eq(publisher, refused)
        {
            let times = self.refused.load(Ordering::Relaxed);
            if refused.since.elapsed() < NACKED_AGE * (1 << times.min(NACKED_DOUBLINGS)) {
                return false;
            }
            self.refused.store(times.saturating_add(1), Ordering::Relaxed);
            self.nodes.avoid(refused.node);
            *current = None;
        }
        true
    }

    /// The publisher, unless the broker blocks it. Messages published now would wait in memory,
    /// each retry among them, and go out when the alarm is over.
    pub(super) async fn unblocked_publisher(&self) -> Result<Arc<Publisher>, QueueError> {
        let publisher = self.publisher().await?;
        if publisher.connection.status().blocked() {
            return Err(QueueError::Refused("its disk or memory alarm is on"));
        }
        Ok(publisher)
    }

    /// The publisher, connected by the first caller that needs it after it was lost.
    pub(super) async fn publisher(&self) -> Result<Arc<Publisher>, lapin::Error> {
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

    /// Discards a connection that has not answered in time, unless the broker blocks it, or it is
    /// newer than the call that was not answered. Callers that still wait on it keep it.
    pub(in super::super) fn discard_silent_connection(&self) {
        let mut current = lock(&self.publisher);
        let silent = |publisher: &Arc<Publisher>| {
            publisher.since.elapsed() >= DEADLINE && !publisher.connection.status().blocked()
        };
        if let Some(Some(Ok(publisher))) = current.as_ref().map(Shared::peek)
            && silent(publisher)
        {
            self.nodes.avoid(publisher.node);
            *current = None;
        }
    }
}

async fn connect_publisher(queue: RabbitMqQueue) -> Result<Arc<Publisher>, lapin::Error> {
    let Opened { connection, channel, node } = queue.open("publisher").await?;
    channel.confirm_select(ConfirmSelectOptions::default()).await?;
    let (since, declared) = (Instant::now(), Mutex::default());
    Ok(Arc::new(Publisher { channel, connection, node, since, declared }))
}

/// Publishes to a queue, which must exist, and waits for the confirm.
pub(super) async fn publish_on(
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
