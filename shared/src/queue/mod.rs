//! The queue: jobs on their way to the sender, jobs that wait for another attempt, and dead
//! letters.
//!
//! `send` and `bury` work on every queue. RabbitMQ's and the memory's messages are taken by a
//! [`Consumer`]; SQS hands its own to a function.

mod dead;
mod memory;
mod rabbitmq;
mod sqs;

use std::time::Duration;

use futures_util::FutureExt;
use jiff::Timestamp;
use tracing::debug;

pub use self::dead::DeadLetters;
use self::dead::Taken;
pub use self::rabbitmq::DEFAULT_QUEUE;
use crate::dsn::DsnError;
use crate::job::Job;
use crate::provider::Class;
use crate::telemetry::causes;

/// A queue, chosen by URL scheme.
#[derive(Debug, Clone)]
pub struct Queue(Backend);

#[derive(Debug, Clone)]
enum Backend {
    Sqs(sqs::SqsQueue),
    RabbitMq(rabbitmq::RabbitMqQueue),
    Memory(memory::MemoryQueue),
}

/// How long a message waits before it is handed out: a base that is one of few, and a jitter on top
/// of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Delay {
    /// Names the wait queue on RabbitMQ.
    pub base: Duration,
    /// At most a tenth of the base.
    pub jitter: Duration,
}

impl Delay {
    /// At once.
    pub const NONE: Self = Self { base: Duration::ZERO, jitter: Duration::ZERO };

    /// The longest of 1, 2, 4, 8, … s that is within `wait`, for a wait that may be resumed: so
    /// that waits stay few, each of which is a queue on RabbitMQ.
    #[must_use]
    pub fn within(wait: Duration) -> Self {
        let seconds = wait.as_secs().max(1);
        Self { base: Duration::from_secs(1 << seconds.ilog2()), jitter: Duration::ZERO }
    }

    /// Both together.
    #[must_use]
    pub fn total(self) -> Duration {
        self.base.saturating_add(self.jitter)
    }
}

/// A message that will not be delivered without an operator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetter {
    /// The message as it was.
    pub body: Vec<u8>,
    /// Why it is here.
    pub death: Death,
    /// Since when, if the queue knows it.
    pub at: Option<Timestamp>,
    taken: Taken,
}

/// Why a message is a dead letter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Death {
    /// In words that hold nothing secret.
    pub reason: String,
    /// The class of the last error, if a gateway was called.
    pub class: Option<Class>,
    /// Delivery attempts that were made.
    pub attempts: u32,
}

impl From<&str> for Death {
    /// Without an attempt.
    fn from(reason: &str) -> Self {
        Self { reason: reason.to_owned(), class: None, attempts: 0 }
    }
}

/// How many messages there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Depth {
    /// Jobs that wait to be handed out, without those that wait for another attempt.
    pub jobs: usize,
    /// Dead letters; none where it is not known, as on SQS without the dead-letter queue's URL.
    pub dead: Option<usize>,
}

/// The queue did not take or give a message.
#[derive(Debug, thiserror::Error)]
pub enum QueueError {
    /// The URL names no queue that is known here.
    #[error("{0}")]
    Url(&'static str),
    /// The URL says what cannot be meant.
    #[error("it {0}")]
    Address(#[from] DsnError),
    /// RabbitMQ, or the way to it.
    #[error("RabbitMQ failed{}", rabbitmq::in_words(.0))]
    RabbitMq(#[from] lapin::Error),
    /// RabbitMQ answered that it did not keep the message.
    #[error("RabbitMQ did not keep the message: {0}")]
    Refused(&'static str),
    /// SQS, or the way to it.
    #[error("SQS failed")]
    Sqs(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// No answer within the time that a request may take.
    #[error("the queue did not answer in time")]
    Timeout,
}

/// Longest time that a request waits for the queue, reconnection included.
const DEADLINE: Duration = Duration::from_millis(400);

impl Queue {
    /// An `amqp://` or `amqps://` URL, or the `https://` URL of an SQS queue with that of its
    /// dead-letter queue (which only a sender needs). Connects in the background and whenever it
    /// must.
    ///
    /// # Errors
    /// When the URL cannot be used. A server that cannot be reached is an error of each call
    /// instead.
    pub fn from_url(url: &str, dead_url: Option<&str>) -> Result<Self, QueueError> {
        let backend = match url.split_once("://").map_or("", |(scheme, _)| scheme) {
            "amqp" | "amqps" => Backend::RabbitMq(rabbitmq::RabbitMqQueue::new(url)?),
            "https" | "http" => Backend::Sqs(sqs::SqsQueue::new(url, dead_url)),
            _ => {
                return Err(QueueError::Url(
                    "the queue's URL needs amqp://, amqps:// or the https:// of an SQS queue",
                ));
            }
        };
        Ok(Self(backend))
    }

    /// This process's own memory.
    #[must_use]
    pub fn memory() -> Self {
        Self(Backend::Memory(memory::MemoryQueue::default()))
    }

    /// Does beforehand what the first message would otherwise wait for: reads settings and
    /// certificates, and connects. If it cannot, the first message will tell.
    pub async fn prepare(&self) {
        if let Backend::Sqs(queue) = &self.0 {
            queue.prepare().await;
        }
        if let Err(error) = self.ping().await {
            debug!(error = causes(&error), "the queue is not there yet");
        }
    }

    /// Queues a job, to be handed out after `delay`. When this returns, the queue has it safely.
    ///
    /// # Errors
    /// When it may not have it.
    pub async fn send(&self, job: &Job, delay: Delay) -> Result<(), QueueError> {
        self.send_for(job, delay, DEADLINE).await
    }

    /// The same for whoever waits longer, or not as long.
    async fn send_for(
        &self,
        job: &Job,
        delay: Delay,
        deadline: Duration,
    ) -> Result<(), QueueError> {
        let body = job.encode();
        self.ready().await;
        self.within(deadline, async {
            match &self.0 {
                // The SDK's calls are large values, which nobody else should have to move.
                Backend::Sqs(queue) => {
                    Box::pin(queue.send(&body, delay.total(), job.names.trace.as_ref())).await
                }
                Backend::RabbitMq(queue) => {
                    queue.send(body.as_bytes(), delay, job.names.trace.as_ref()).await
                }
                Backend::Memory(queue) => {
                    queue.send(body.into_bytes(), delay.total());
                    Ok(())
                }
            }
        })
        .await
    }

    /// Puts a message with the dead letters, as it is, with its death beside it.
    ///
    /// # Errors
    /// When it may not be there.
    pub async fn bury(&self, body: &[u8], death: impl Into<Death>) -> Result<(), QueueError> {
        let death = death.into();
        self.ready().await;
        self.in_time(async {
            match &self.0 {
                Backend::Sqs(queue) => Box::pin(queue.bury(body, &death)).await,
                Backend::RabbitMq(queue) => queue.bury(body, &death).await,
                Backend::Memory(queue) => {
                    queue.bury(body, death);
                    Ok(())
                }
            }
        })
        .await
    }

    /// Asks SQS to hand a message that is being worked on out again after `delay`. On other queues
    /// whoever handed the message to the function sees to that.
    ///
    /// # Errors
    /// When SQS did not take it: then the queue's visibility timeout applies.
    pub async fn postpone(&self, receipt_handle: &str, delay: Delay) -> Result<(), QueueError> {
        match &self.0 {
            Backend::Sqs(queue) => {
                self.ready().await;
                self.in_time(Box::pin(queue.postpone(receipt_handle, delay.total()))).await
            }
            _ => Ok(()),
        }
    }

    /// Asks for a sign of life.
    ///
    /// # Errors
    /// When there is none.
    pub async fn ping(&self) -> Result<(), QueueError> {
        match &self.0 {
            Backend::Sqs(queue) => {
                self.ready().await;
                self.in_time(Box::pin(queue.ping())).await
            }
            Backend::RabbitMq(queue) => self.in_time(queue.ping()).await,
            Backend::Memory(_) => Ok(()),
        }
    }

    /// Counts the messages; on SQS about.
    ///
    /// # Errors
    /// When the queue cannot be asked.
    pub async fn depth(&self) -> Result<Depth, QueueError> {
        let depth = async {
            match &self.0 {
                Backend::Sqs(queue) => queue.depth().await,
                Backend::RabbitMq(queue) => queue.depth().await,
                Backend::Memory(queue) => Ok(queue.depth()),
            }
        };
        tokio::time::timeout(DEADLINE * 5, depth).await.unwrap_or(Err(QueueError::Timeout))
    }

    /// Takes messages, with up to `prefetch` of them on their way or in hand.
    ///
    /// # Errors
    /// On SQS, whose messages go to the function `send-sms`.
    pub fn consumer(&self, prefetch: u16) -> Result<Consumer, QueueError> {
        match &self.0 {
            Backend::Sqs(_) => Err(QueueError::Url(
                "the messages of an SQS queue are for the function send-sms; a worker takes those of RabbitMQ, and `sms-verify api` alone works on SQS",
            )),
            Backend::RabbitMq(queue) => {
                Ok(Consumer(Consuming::RabbitMq(Box::new(queue.consumer(prefetch)))))
            }
            Backend::Memory(queue) => Ok(Consumer(Consuming::Memory(queue.clone()))),
        }
    }
}

/// Whether the URLs of two SQS queues name regions that differ.
pub(crate) fn differ_in_region(one: &str, other: &str) -> bool {
    matches!((sqs::region(one), sqs::region(other)), (Some(one), Some(other)) if one != other)
}

/// Whether the URL of a queue on RabbitMQ says what can be meant.
///
/// # Errors
/// When it does not.
pub(crate) fn check_url(url: &str) -> Result<(), DsnError> {
    if url.starts_with("amqp") { rabbitmq::RabbitMqQueue::check(url) } else { Ok(()) }
}

impl Queue {
    /// Reading certificates and settings is no call yet, and not counted.
    async fn ready(&self) {
        if let Backend::Sqs(queue) = &self.0 {
            queue.ready().await;
        }
    }

    /// Waits for a call as long as a request may take. (Not an `async fn`, which would keep the
    /// call twice.)
    fn in_time<'a>(
        &'a self,
        call: impl Future<Output = Result<(), QueueError>> + 'a,
    ) -> impl Future<Output = Result<(), QueueError>> + 'a {
        self.within(DEADLINE, call)
    }

    fn within<'a>(
        &'a self,
        deadline: Duration,
        call: impl Future<Output = Result<(), QueueError>> + 'a,
    ) -> impl Future<Output = Result<(), QueueError>> + 'a {
        tokio::time::timeout(deadline, call).map(|result| {
            result.unwrap_or_else(|_| {
                if let Backend::RabbitMq(queue) = &self.0 {
                    queue.discard_silent_connection();
                }
                Err(QueueError::Timeout)
            })
        })
    }
}

/// Takes messages from a queue, one after the other.
#[derive(Debug)]
pub struct Consumer(Consuming);

#[derive(Debug)]
enum Consuming {
    RabbitMq(Box<rabbitmq::RabbitMqConsumer>),
    Memory(memory::MemoryQueue),
}

impl Consumer {
    /// The next message. Waits for one, and reconnects by itself for as long as it takes.
    pub async fn receive(&mut self) -> Message {
        match &mut self.0 {
            Consuming::RabbitMq(consumer) => consumer.receive().await,
            Consuming::Memory(queue) => queue.receive().await,
        }
    }

    /// Ends the consumption: what was taken and neither acknowledged nor returned goes back to the
    /// queue.
    pub async fn close(self) {
        if let Consuming::RabbitMq(consumer) = self.0 {
            consumer.close().await;
        }
    }
}

/// A message in hand. It must be acknowledged or returned; one that is dropped goes back to the
/// queue, on RabbitMQ when its consumer closes.
#[derive(Debug)]
pub struct Message {
    /// What was queued.
    pub body: Vec<u8>,
    receipt: Receipt,
}

#[derive(Debug)]
enum Receipt {
    RabbitMq(rabbitmq::Receipt),
    Memory(memory::Receipt),
}

impl Message {
    /// Removes it from the queue, with the next that are done. If that fails it will be handed out
    /// again, which a job survives.
    pub fn ack(self) {
        match self.receipt {
            Receipt::RabbitMq(receipt) => receipt.ack(),
            Receipt::Memory(receipt) => receipt.ack(),
        }
    }

    /// Gives it back to the queue, to be handed out again at once.
    pub fn give_back(self) {
        match self.receipt {
            Receipt::RabbitMq(receipt) => receipt.give_back(),
            Receipt::Memory(receipt) => drop(receipt),
        }
    }
}
