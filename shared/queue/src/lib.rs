//! The queue of SMS jobs: jobs on their way to the sender, jobs that wait for another attempt, and
//! dead letters.
//!
//! `send` and `dead_letter` work on every queue. Messages of RabbitMQ and of the memory queue are
//! received by a [`message::Consumer`]; SQS invokes a function with its messages.
//!
//! It may use AMQP and AWS's clients and the domain's values, and knows no store, no gateway and no
//! HTTP. The application uses it.

pub mod dead_letter;
mod dead_letters;
pub mod error;
mod group_commit;
mod memory;
pub mod message;
mod rabbitmq;
mod sqs;

use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::try_join_all;
use lapin::BasicProperties;
use sms_domain::job::Job;
use sms_domain::retry_schedule::Delay;
use sms_domain::trace_context::TraceParent;
use sms_outbound::dsn::DsnError;
use sms_telemetry::causes;
use tracing::debug;

pub use self::dead_letters::DeadLetters;
pub use self::rabbitmq::DEFAULT_QUEUE;
use crate::dead_letter::{DeadLetterReason, Depth};
use crate::error::QueueError;
use crate::message::{Consumer, ConsumerBackend, Message};

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
                    "the queue's URL must be amqp://, amqps:// or the https:// URL of an SQS queue",
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

    /// Puts up to `most` jobs of concurrent requests into one message of RabbitMQ;
    /// [`MOST`](sms_domain::job_batch::MOST) unless set. It is for the start of a process.
    #[must_use]
    pub fn with_jobs_per_message(mut self, most: u8) -> Self {
        if let Backend::RabbitMq(queue) = &mut self.0 {
            queue.set_jobs_per_message(most.into());
        }
        self
    }

    /// Reads settings and certificates, and connects, so that the first message need not wait for
    /// it. Failures are not reported here: the first message meets them again.
    pub async fn warm_up(&self) {
        if let Backend::Sqs(queue) = &self.0 {
            queue.warm_up().await;
        }
        if let Err(error) = self.ping().await {
            debug!(error = causes(&error), "the queue cannot be reached yet");
        }
    }

    /// Queues a job, to be delivered after `delay`. Returns once the queue has stored it. Without a
    /// delay it is queued together with jobs of others that call this at the same time.
    ///
    /// # Errors
    /// When the queue may not have stored it.
    pub async fn send(&self, job: &Job, delay: Delay) -> Result<(), QueueError> {
        if !delay.base.is_zero() {
            return self.send_for(job, delay, DEADLINE).await;
        }
        let (body, trace) = (job.encode(), job.context.trace.clone());
        self.client_ready().await;
        self.with_request_deadline(async {
            match &self.0 {
                Backend::Sqs(queue) => queue.send_together(body, trace, job.tenant.clone()).await,
                Backend::RabbitMq(queue) => queue.send_together(body, trace).await,
                Backend::Memory(queue) => {
                    queue.send(body.into_bytes(), Duration::ZERO);
                    Ok(())
                }
            }
        })
        .await
    }

    /// Queues a job in a message of its own, with a deadline of the caller's choice.
    async fn send_for(
        &self,
        job: &Job,
        delay: Delay,
        deadline: Duration,
    ) -> Result<(), QueueError> {
        let body = job.encode();
        self.client_ready().await;
        let (trace, tenant) = (job.context.trace.as_ref(), job.tenant.as_deref());
        self.with_deadline(deadline, self.send_body(body.as_bytes(), delay, trace, tenant)).await
    }

    /// Queues the jobs of a message that was delivered before, each in a message of its own: a job
    /// that ends the process which takes it then ends no other's chance.
    ///
    /// # Errors
    /// When the queue may not have stored all of them.
    pub async fn send_each(&self, jobs: &[&[u8]]) -> Result<(), QueueError> {
        self.client_ready().await;
        let sends = jobs.iter().map(|job| self.send_body(job, Delay::NONE, None, None));
        self.with_request_deadline(try_join_all(sends).map(|sent| sent.map(drop))).await
    }

    async fn send_body(
        &self,
        body: &[u8],
        delay: Delay,
        trace: Option<&TraceParent>,
        tenant: Option<&str>,
    ) -> Result<(), QueueError> {
        match &self.0 {
            // Boxed: the futures of the SDK's calls are large, and would make this one large, too.
            Backend::Sqs(queue) => {
                let body = String::from_utf8_lossy(body);
                Box::pin(queue.send(&body, delay.total(), trace, tenant)).await
            }
            Backend::RabbitMq(queue) => queue.send(body, delay, trace).await,
            Backend::Memory(queue) => {
                queue.send(body.to_vec(), delay.total());
                Ok(())
            }
        }
    }

    /// Adds a message to the dead letters, unchanged but for a sealed code, together with the
    /// reason.
    ///
    /// # Errors
    /// When the queue may not have stored it.
    pub async fn dead_letter(
        &self,
        body: &[u8],
        reason: impl Into<DeadLetterReason>,
    ) -> Result<(), QueueError> {
        self.bury(body, None, reason.into()).await
    }

    /// Adds a message of this queue to the dead letters, as [`Queue::dead_letter`] does. What
    /// another program has put beside the body is kept, for that program.
    ///
    /// # Errors
    /// When the queue may not have stored it.
    pub async fn dead_letter_message(
        &self,
        message: &Message,
        reason: impl Into<DeadLetterReason>,
    ) -> Result<(), QueueError> {
        self.bury(&message.body, message.foreign.as_deref(), reason.into()).await
    }

    async fn bury(
        &self,
        body: &[u8],
        foreign: Option<&BasicProperties>,
        reason: DeadLetterReason,
    ) -> Result<(), QueueError> {
        // Dead letters are kept for days: codes of others are not.
        let stripped = Job::without_code(body);
        let body = stripped.as_deref().map_or(body, str::as_bytes);
        self.client_ready().await;
        self.with_request_deadline(async {
            match &self.0 {
                Backend::Sqs(queue) => Box::pin(queue.dead_letter(body, &reason)).await,
                Backend::RabbitMq(queue) => queue.dead_letter(body, foreign, &reason).await,
                Backend::Memory(queue) => {
                    queue.dead_letter(body, reason);
                    Ok(())
                }
            }
        })
        .await
    }

    /// Changes the visibility timeout of a message in flight, so that SQS delivers it again after
    /// `delay`. Does nothing on other queues, whose event source redelivers.
    ///
    /// # Errors
    /// When SQS did not accept it: then the queue's own visibility timeout applies.
    pub async fn postpone(&self, receipt_handle: &str, delay: Delay) -> Result<(), QueueError> {
        match &self.0 {
            Backend::Sqs(queue) => {
                self.client_ready().await;
                self.with_request_deadline(Box::pin(queue.postpone(receipt_handle, delay.total())))
                    .await
            }
            _ => Ok(()),
        }
    }

    /// Checks that the queue can be reached.
    ///
    /// # Errors
    /// When it cannot.
    pub async fn ping(&self) -> Result<(), QueueError> {
        match &self.0 {
            Backend::Sqs(queue) => {
                self.client_ready().await;
                self.with_request_deadline(Box::pin(queue.ping())).await
            }
            Backend::RabbitMq(queue) => self.with_request_deadline(queue.ping()).await,
            Backend::Memory(_) => Ok(()),
        }
    }

    /// Counts the messages; on SQS the count is approximate.
    ///
    /// # Errors
    /// When the queue cannot be reached.
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

    /// Returns a consumer, with up to `prefetch` messages that are not acknowledged.
    ///
    /// # Errors
    /// On SQS, whose messages are processed by the function `send-sms`.
    pub fn consumer(&self, prefetch: u16) -> Result<Consumer, QueueError> {
        match &self.0 {
            Backend::Sqs(_) => Err(QueueError::Url(
                "a worker cannot consume from SQS, only from RabbitMQ: messages of an SQS queue \
                 are for the function send-sms (`sms-verify api` works with SQS)",
            )),
            Backend::RabbitMq(queue) => {
                Ok(Consumer(ConsumerBackend::RabbitMq(Box::new(queue.consumer(prefetch)))))
            }
            Backend::Memory(queue) => Ok(Consumer(ConsumerBackend::Memory(queue.clone()))),
        }
    }
}

/// Returns true if the URLs of two SQS queues name different regions.
pub fn differ_in_region(one: &str, other: &str) -> bool {
    matches!((sqs::region(one), sqs::region(other)), (Some(one), Some(other)) if one != other)
}

/// Validates the URL of a RabbitMQ queue; other URLs pass.
///
/// # Errors
/// When it is not valid.
pub fn check_url(url: &str) -> Result<(), DsnError> {
    if url.starts_with("amqp") { rabbitmq::RabbitMqQueue::check(url) } else { Ok(()) }
}

impl Queue {
    /// Makes the client before the deadline starts: reading certificates and settings is not part
    /// of the call.
    async fn client_ready(&self) {
        if let Backend::Sqs(queue) = &self.0 {
            queue.client_ready().await;
        }
    }

    /// Runs a call with the deadline of a request. (Not an `async fn`, whose future would hold the
    /// call twice.)
    fn with_request_deadline<'a>(
        &'a self,
        call: impl Future<Output = Result<(), QueueError>> + 'a,
    ) -> impl Future<Output = Result<(), QueueError>> + 'a {
        self.with_deadline(DEADLINE, call)
    }

    fn with_deadline<'a>(
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
