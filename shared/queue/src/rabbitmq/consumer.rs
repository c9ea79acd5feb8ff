//! The consumer: it has a connection of its own, and reconnects whenever that is lost.
//!
//! It hands out jobs, also those of a message that has several. A job that ends the process which
//! takes it brings all of its message back: such a message is split, so that each of its jobs is a
//! message of its own from then on.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::stream::StreamExt;
use lapin::Connection;
use lapin::message::Delivery;
use lapin::options::{BasicConsumeOptions, BasicQosOptions};
use lapin::types::FieldTable;
use sms_domain::job_batch;
use sms_telemetry::causes;
use tokio::task::{JoinHandle, JoinSet};
use tracing::{debug, info, warn};

use super::acker::Acker;
use super::nodes::CONNECT_TIMEOUT;
use super::{END_TIMEOUT, Opened, RabbitMqQueue, close, dead_letters, node_watch, timed_out};
use crate::error::QueueError;
use crate::message::{AckHandle as AnyAckHandle, Message};
use crate::{Backend, Queue};

/// Handle to acknowledge a job. The last one of a message settles it, on the channel that delivered
/// it.
#[derive(Debug)]
pub(crate) struct AckHandle(Arc<Unsettled>);

/// A message with jobs that are not done.
#[derive(Debug)]
struct Unsettled {
    tag: u64,
    acker: Acker,
    jobs: AtomicUsize,
    /// True if a job is to come again, and thus all of the message.
    requeue: AtomicBool,
}

impl AckHandle {
    pub(crate) fn ack(self) {
        self.0.settle_job();
    }

    pub(crate) fn requeue(self) {
        self.0.requeue.store(true, Ordering::Relaxed);
        self.0.settle_job();
    }
}

impl Unsettled {
    fn settle_job(&self) {
        if self.jobs.fetch_sub(1, Ordering::AcqRel) > 1 {
            return;
        }
        if self.requeue.load(Ordering::Relaxed) {
            self.acker.requeue(self.tag);
        } else {
            self.acker.ack(self.tag);
        }
    }
}

/// Consumer of the main queue.
#[derive(Debug)]
pub(crate) struct RabbitMqConsumer {
    pub(super) queue: RabbitMqQueue,
    pub(super) prefetch: u16,
    pub(super) open: Option<OpenConsumer>,
}

/// An open connection: its messages, and their acknowledgements.
#[derive(Debug)]
pub(super) struct OpenConsumer {
    connection: Connection,
    node: usize,
    messages: lapin::Consumer,
    /// Jobs of messages with several that are not handed out yet.
    jobs: VecDeque<Message>,
    /// Ends when the node is found to store nothing; there is none where there is one node.
    watch: JoinSet<()>,
    /// Messages that are being split; what they return is left as it was.
    splitting: JoinSet<Vec<Message>>,
    acker: Acker,
    acknowledging: JoinHandle<()>,
}

impl RabbitMqConsumer {
    /// Wait between attempts to connect: initial and maximum.
    const RECONNECT: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(3));

    pub(crate) async fn receive(&mut self) -> Message {
        let (mut wait, longest) = Self::RECONNECT;
        loop {
            if self.open.is_none() {
                match self.connect().await {
                    Ok(open) => self.open = Some(open),
                    Err(error) => {
                        let retry_ms = u64::try_from(wait.as_millis()).unwrap_or_default();
                        let error = QueueError::from(error);
                        warn!(error = causes(&error), retry_ms, "no connection to RabbitMQ");
                        tokio::time::sleep(wait).await;
                        wait = (wait * 2).min(longest);
                        continue;
                    }
                }
            }
            if let Some(open) = &mut self.open {
                if let Some(job) = open.receive(&self.queue).await {
                    return job;
                }
                if let Some(OpenConsumer { connection, .. }) = self.open.take() {
                    // Else a node that is left would go on giving it jobs.
                    tokio::spawn(async move { close(&connection).await });
                }
            }
        }
    }

    async fn connect(&self) -> Result<OpenConsumer, lapin::Error> {
        let Opened { connection, channel, node } = self.queue.open("worker").await?;
        let name = self.queue.queues.main().into();
        let begin = async {
            channel.basic_qos(self.prefetch, BasicQosOptions::default()).await?;
            let (options, arguments) = (BasicConsumeOptions::default(), FieldTable::default());
            channel.basic_consume(name, "".into(), options, arguments).await
        };
        let begun = tokio::time::timeout(CONNECT_TIMEOUT, begin).await;
        let messages = match begun.unwrap_or_else(|_| Err(timed_out("consuming timed out"))) {
            Ok(messages) => messages,
            Err(error) => {
                self.queue.nodes.avoid(node);
                // Else a queue that has no leader yet would give it jobs as soon as it has one.
                tokio::spawn(async move { close(&connection).await });
                return Err(error);
            }
        };
        info!(queue = self.queue.queues.main(), "consuming from RabbitMQ");
        let (acker, acknowledging) = Acker::start(channel);
        let (jobs, splitting) = (VecDeque::new(), JoinSet::new());
        let mut watch = JoinSet::new();
        if self.queue.nodes.are_several() {
            watch.spawn(node_watch::stores_nothing(self.queue.clone(), node));
        }
        Ok(OpenConsumer {
            connection,
            node,
            messages,
            jobs,
            watch,
            splitting,
            acker,
            acknowledging,
        })
    }

    pub(crate) async fn close(self) {
        if let Some(OpenConsumer {
            connection, jobs, mut splitting, acker, acknowledging, ..
        }) = self.open
        {
            // Each ends within the deadline of its calls. What it could not split goes back.
            while splitting.join_next().await.is_some() {}
            // No message is being processed: the task sends the last acknowledgements and ends.
            drop((jobs, acker));
            if tokio::time::timeout(END_TIMEOUT, acknowledging).await.is_err() {
                debug!("not all acknowledgements were sent");
            }
            close(&connection).await;
        }
    }
}

impl OpenConsumer {
    /// The next job; `None` when the connection is lost.
    async fn receive(&mut self, queue: &RabbitMqQueue) -> Option<Message> {
        loop {
            if let Some(job) = self.jobs.pop_front() {
                return Some(job);
            }
            tokio::select! {
                Some(left) = self.splitting.join_next() => {
                    self.jobs.extend(left.unwrap_or_default());
                }
                delivery = self.messages.next() => match delivery {
                    Some(Ok(delivery)) => self.take(delivery, queue),
                    Some(Err(error)) => {
                        warn!(%error, "connection to RabbitMQ lost");
                        return None;
                    }
                    None => {
                        warn!("RabbitMQ cancelled the consumer");
                        return None;
                    }
                },
                Some(_) = self.watch.join_next() => {
                    warn!("this node of RabbitMQ stores nothing: the next one is tried");
                    queue.nodes.avoid(self.node);
                    return None;
                }
            }
        }
    }

    fn take(&mut self, delivery: Delivery, queue: &RabbitMqQueue) {
        let Delivery { delivery_tag: tag, redelivered, data, properties, .. } = delivery;
        let bodies = job_batch::split(&data).unwrap_or_else(|| vec![data]);
        let foreign = dead_letters::of_foreign(&properties);
        let (jobs, requeue) = (AtomicUsize::new(bodies.len()), AtomicBool::new(false));
        let several = bodies.len() > 1;
        let message = Arc::new(Unsettled { tag, acker: self.acker.clone(), jobs, requeue });
        let handle = || AnyAckHandle::RabbitMq(AckHandle(Arc::clone(&message)));
        let jobs = bodies.into_iter().map(|body| Message {
            body,
            foreign: foreign.clone(),
            handle: handle(),
        });
        if redelivered && several {
            self.splitting.spawn(split(Queue(Backend::RabbitMq(queue.clone())), jobs.collect()));
        } else {
            self.jobs.extend(jobs);
        }
    }
}

/// Queues the jobs of a message as single ones, and acknowledges it. Returns them if that fails:
/// they are then processed as they came.
async fn split(queue: Queue, jobs: Vec<Message>) -> Vec<Message> {
    let bodies: Vec<&[u8]> = jobs.iter().map(|job| &*job.body).collect();
    if let Err(error) = queue.send_each(&bodies).await {
        warn!(error = causes(&error), "a message that was delivered before cannot be split");
        return jobs;
    }
    jobs.into_iter().for_each(Message::ack);
    Vec::new()
}
