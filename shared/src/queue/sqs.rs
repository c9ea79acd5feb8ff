//! The queue on SQS. Its messages reach the function `send-sms` through an event source mapping; here they are sent,
//! postponed and buried, and dead letters are looked after.

use std::fmt;
use std::time::Duration;

use aws_config::BehaviorVersion;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::{Message, MessageAttributeValue, QueueAttributeName};
use futures_util::future::{BoxFuture, FutureExt, Shared};
use tokio::runtime::Handle;

use super::{DEADLINE, DeadLetter, QueueError, Redriven};
use crate::job::Job;

/// Longest delay of a message, SQS's own limit.
const MAX_DELAY: Duration = Duration::from_secs(900);

/// Longest time for one of the two attempts at a call: a connection whose peer has vanished without a word (a frozen
/// Lambda environment) costs this, and leaves the rest of the deadline for a new one. A job that was queued twice for
/// that is sent once.
const ATTEMPT: Duration = Duration::from_millis(220);

/// Longest wait between the two.
const BACKOFF: Duration = Duration::from_millis(20);

/// What a function takes from its start until it asks for its first event.
const START: Duration = Duration::from_millis(2);

/// How long an empty dead-letter queue is waited for, before it is taken for empty.
const LONG_POLL: Duration = Duration::from_secs(1);

/// How long dead letters are hidden from others while they are listed or moved.
const HIDDEN: Duration = Duration::from_secs(120);

/// Attribute of a dead letter with the reason for which it is one.
const REASON: &str = "reason";

#[derive(Clone)]
pub(super) struct SqsQueue {
    /// Made by whoever needs it first: it reads certificates and credentials.
    client: Shared<BoxFuture<'static, Client>>,
    url: String,
    dead_url: Option<String>,
}

impl SqsQueue {
    pub(super) fn new(url: &str, dead_url: Option<&str>) -> Self {
        let client = connect().boxed().shared();
        Self { client, url: url.to_owned(), dead_url: dead_url.map(str::to_owned) }
    }

    /// Makes the client beside the start, and a moment later, so that they do not share a processor. In a thread of its own: it
    /// reads many files, and would hold up a thread that the network waits for.
    pub(super) fn prepare(&self) {
        let (runtime, client) = (Handle::current(), self.client.clone());
        tokio::spawn(async {
            tokio::time::sleep(START).await;
            tokio::task::spawn_blocking(move || runtime.block_on(client));
        });
    }

    /// The client is there.
    pub(super) async fn ready(&self) {
        self.client().await;
    }

    async fn client(&self) -> Client {
        self.client.clone().await
    }

    pub(super) async fn send(&self, body: &str, delay: Duration) -> Result<(), QueueError> {
        let request = self.client().await.send_message().queue_url(&self.url).message_body(body);
        let delay = whole_seconds(delay.min(MAX_DELAY));
        // A FIFO queue refuses a delay of its own, and no delay is the default.
        let request = if delay > 0 { request.delay_seconds(delay) } else { request };
        request.send().await.map(|_| ()).map_err(failed)
    }

    pub(super) async fn bury(&self, body: &[u8], reason: &str) -> Result<(), QueueError> {
        let dead_url = self.dead_url()?;
        let reason =
            MessageAttributeValue::builder().data_type("String").string_value(reason).build().map_err(failed)?;
        let request = self.client().await.send_message().queue_url(dead_url).message_attributes(REASON, reason);
        // SQS takes no empty body.
        let body = if body.is_empty() { " ".into() } else { String::from_utf8_lossy(body) };
        request.message_body(body).send().await.map(|_| ()).map_err(failed)
    }

    pub(super) async fn postpone(&self, receipt_handle: &str, delay: Duration) -> Result<(), QueueError> {
        let request =
            self.client().await.change_message_visibility().queue_url(&self.url).receipt_handle(receipt_handle);
        request.visibility_timeout(whole_seconds(delay)).send().await.map(|_| ()).map_err(failed)
    }

    /// Reads the dead letters; they are hidden from others while that lasts, and shown again afterwards.
    pub(super) async fn dead_letters(&self) -> Result<Vec<DeadLetter>, QueueError> {
        let taken = self.take_dead_letters().await?;
        let letters = taken.iter().map(|message| DeadLetter { body: body(message), reason: reason(message) }).collect();
        self.put_back(taken).await?;
        Ok(letters)
    }

    pub(super) async fn redrive(&self) -> Result<Redriven, QueueError> {
        let mut redriven = Redriven::default();
        let mut unreadable = Vec::new();
        for message in self.take_dead_letters().await? {
            match Job::decode(&body(&message)) {
                Ok(job) => {
                    self.send(&Job { attempts: 0, ..job }.encode(), Duration::ZERO).await?;
                    self.delete_dead_letter(&message).await?;
                    redriven.jobs += 1;
                }
                Err(_) => unreadable.push(message),
            }
        }
        redriven.unreadable = unreadable.len();
        self.put_back(unreadable).await?;
        Ok(redriven)
    }

    pub(super) async fn purge(&self) -> Result<usize, QueueError> {
        let taken = self.take_dead_letters().await?;
        for message in &taken {
            self.delete_dead_letter(message).await?;
        }
        Ok(taken.len())
    }

    /// Receives all dead letters. Those that are not deleted or put back show again after [`HIDDEN`].
    async fn take_dead_letters(&self) -> Result<Vec<Message>, QueueError> {
        // A long poll asks all of SQS's servers, so that an empty answer means an empty queue.
        let patience = LONG_POLL + DEADLINE * 5;
        let patient = aws_sdk_sqs::config::Builder::new().timeout_config(
            TimeoutConfig::builder().operation_timeout(patience).operation_attempt_timeout(patience).build(),
        );
        let mut taken = Vec::new();
        loop {
            let request = self.client().await.receive_message().queue_url(self.dead_url()?).max_number_of_messages(10);
            let request = request.wait_time_seconds(whole_seconds(LONG_POLL)).visibility_timeout(whole_seconds(HIDDEN));
            let request = request.message_attribute_names(REASON).customize().config_override(patient.clone());
            let messages = request.send().await.map_err(failed)?.messages.unwrap_or_default();
            if messages.is_empty() {
                return Ok(taken);
            }
            taken.extend(messages);
        }
    }

    async fn put_back(&self, messages: Vec<Message>) -> Result<(), QueueError> {
        for message in messages {
            let request =
                self.client().await.change_message_visibility().queue_url(self.dead_url()?).visibility_timeout(0);
            request.set_receipt_handle(message.receipt_handle).send().await.map_err(failed)?;
        }
        Ok(())
    }

    async fn delete_dead_letter(&self, message: &Message) -> Result<(), QueueError> {
        let request = self.client().await.delete_message().queue_url(self.dead_url()?);
        request.set_receipt_handle(message.receipt_handle.clone()).send().await.map(|_| ()).map_err(failed)
    }

    fn dead_url(&self) -> Result<&str, QueueError> {
        self.dead_url.as_deref().ok_or(QueueError::Url("without DEAD_QUEUE_URL there is no place for a dead letter"))
    }

    pub(super) async fn ping(&self) -> Result<(), QueueError> {
        let request = self.client().await.get_queue_attributes().queue_url(&self.url);
        request.attribute_names(QueueAttributeName::QueueArn).send().await.map(|_| ()).map_err(failed)
    }
}

async fn connect() -> Client {
    let config = aws_config::defaults(BehaviorVersion::latest())
        .http_client(crate::tls::aws_http_client())
        .timeout_config(TimeoutConfig::builder().operation_timeout(DEADLINE).operation_attempt_timeout(ATTEMPT).build())
        .retry_config(RetryConfig::standard().with_max_attempts(2).with_initial_backoff(BACKOFF))
        .load()
        .await;
    Client::new(&config)
}

fn body(message: &Message) -> Vec<u8> {
    message.body.clone().unwrap_or_default().into_bytes()
}

/// Our own reason; the queue's redrive policy gives none.
fn reason(message: &Message) -> String {
    let attribute = message.message_attributes.as_ref().and_then(|attributes| attributes.get(REASON));
    let ours = attribute.and_then(|reason| reason.string_value.clone());
    ours.unwrap_or_else(|| "received more often than the queue's maxReceiveCount without an outcome".to_owned())
}

/// SQS counts in whole seconds. A back-off is whole seconds, so that only a part of its jitter is lost.
fn whole_seconds(delay: Duration) -> i32 {
    i32::try_from(delay.as_secs()).unwrap_or(i32::MAX)
}

fn failed(error: impl std::error::Error + Send + Sync + 'static) -> QueueError {
    QueueError::Sqs(Box::new(error))
}

impl fmt::Debug for SqsQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SqsQueue({})", self.url)
    }
}
