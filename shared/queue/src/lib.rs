//! The queue of SMS jobs: jobs on their way to the sender, jobs that wait for another attempt, and
//! dead letters.
//!
//! `send` and `bury` work on every queue. RabbitMQ's and the memory's messages are taken by a
//! [`message::Consumer`]; SQS hands its own to a function.
//!
//! It may use AMQP and AWS's clients and the domain's values, and knows no store, no gateway and no
//! HTTP. The application uses it.

pub mod dead_letter;
mod dead_letters;
pub mod error;
mod memory;
pub mod message;
mod rabbitmq;
mod sqs;

use std::time::Duration;

use futures_util::FutureExt;
use sms_domain::job::Job;
use sms_domain::retry_schedule::Delay;
use sms_outbound::dsn::DsnError;
use sms_telemetry::causes;
use tracing::debug;

pub use self::dead_letters::DeadLetters;
pub use self::rabbitmq::DEFAULT_QUEUE;
use crate::dead_letter::{DeadLetterReason, Depth};
use crate::error::QueueError;
use crate::message::{Consumer, ConsumerBackend};

/// A queue, chosen by URL scheme.
#[derive(Debug, Clone)]
pub struct Queue(Backend);

#[derive(Debug, Clone)]
enum Backend {
    Sqs(sqs::SqsQueue),
    RabbitMq(rabbitmq::RabbitMqQueue),
    Memory(memory::MemoryQueue),
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
    pub async fn warm_up(&self) {
        if let Backend::Sqs(queue) = &self.0 {
            queue.warm_up().await;
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
        self.client_ready().await;
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
    pub async fn dead_letter(
        &self,
        body: &[u8],
        death: impl Into<DeadLetterReason>,
    ) -> Result<(), QueueError> {
        let death = death.into();
        self.client_ready().await;
        self.in_time(async {
            match &self.0 {
                Backend::Sqs(queue) => Box::pin(queue.dead_letter(body, &death)).await,
                Backend::RabbitMq(queue) => queue.dead_letter(body, &death).await,
                Backend::Memory(queue) => {
                    queue.dead_letter(body, death);
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
                self.client_ready().await;
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
                self.client_ready().await;
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
                Ok(Consumer(ConsumerBackend::RabbitMq(Box::new(queue.consumer(prefetch)))))
            }
            Backend::Memory(queue) => Ok(Consumer(ConsumerBackend::Memory(queue.clone()))),
        }
    }
}

/// Whether the URLs of two SQS queues name regions that differ.
pub fn differ_in_region(one: &str, other: &str) -> bool {
    matches!((sqs::region(one), sqs::region(other)), (Some(one), Some(other)) if one != other)
}

/// Whether the URL of a queue on RabbitMQ says what can be meant.
///
/// # Errors
/// When it does not.
pub fn check_url(url: &str) -> Result<(), DsnError> {
    if url.starts_with("amqp") { rabbitmq::RabbitMqQueue::check(url) } else { Ok(()) }
}

impl Queue {
    /// Reading certificates and settings is no call yet, and not counted.
    async fn client_ready(&self) {
        if let Backend::Sqs(queue) = &self.0 {
            queue.client_ready().await;
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
