//! Dead letters as values: the message, the reason, and the handle by which it is deleted.

use jiff::Timestamp;
use sms_domain::failure::FailureClass;
use sms_outbound::dsn::DsnError;

/// A message that is not processed again unless an operator redrives it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetter {
    /// The body as it was queued.
    pub body: Vec<u8>,
    /// The reason why it became a dead letter.
    pub reason: DeadLetterReason,
    /// The time at which it became one, if the queue knows it.
    pub at: Option<Timestamp>,
    pub(crate) handle: DeadLetterHandle,
}

/// Handle of a received dead letter, by which its queue deletes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum DeadLetterHandle {
    Sqs(String),
    RabbitMq(u64),
    Memory,
}

/// Reason why a message became a dead letter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetterReason {
    /// Description, without secrets.
    pub text: String,
    /// Failure class of the last error, if a gateway was called.
    pub class: Option<FailureClass>,
    /// Number of delivery attempts made.
    pub attempts: u32,
}

impl From<&str> for DeadLetterReason {
    /// A reason without a class and without attempts.
    fn from(reason: &str) -> Self {
        Self { text: reason.to_owned(), class: None, attempts: 0 }
    }
}

/// Number of messages in the queue and among its dead letters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Depth {
    /// Jobs ready for delivery, without those that wait for another attempt.
    pub jobs: usize,
    /// Dead letters; `None` if unknown, as on SQS without the dead-letter queue's URL.
    pub dead: Option<usize>,
}

/// Error of a call to the queue.
#[derive(Debug, thiserror::Error)]
pub enum QueueError {
    /// The URL names no supported queue.
    #[error("{0}")]
    Url(&'static str),
    /// The URL is not valid.
    #[error("it {0}")]
    Address(#[from] DsnError),
    /// RabbitMQ, or the connection to it.
    #[error("RabbitMQ failed{}", crate::rabbitmq::hint(.0))]
    RabbitMq(#[from] lapin::Error),
    /// RabbitMQ answered that it did not store the message.
    #[error("RabbitMQ did not store the message: {0}")]
    Refused(&'static str),
    /// SQS, or the connection to it.
    #[error("SQS failed")]
    Sqs(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// No answer before the deadline.
    #[error("the queue did not answer in time")]
    Timeout,
}
