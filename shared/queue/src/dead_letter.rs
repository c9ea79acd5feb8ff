//! Dead letters as values: the message, the reason, and the handle by which it is deleted.

use jiff::Timestamp;
use sms_domain::failure::FailureClass;
use sms_outbound::dsn::DsnError;

/// A message that will not be delivered without an operator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetter {
    /// The message as it was.
    pub body: Vec<u8>,
    /// Why it is here.
    pub death: DeadLetterReason,
    /// Since when, if the queue knows it.
    pub at: Option<Timestamp>,
    pub(crate) handle: DeadLetterHandle,
}

/// Names a dead letter that was taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum DeadLetterHandle {
    Sqs(String),
    RabbitMq(u64),
    Memory,
}

/// Why a message is a dead letter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetterReason {
    /// In words that hold nothing secret.
    pub reason: String,
    /// The class of the last error, if a gateway was called.
    pub class: Option<FailureClass>,
    /// Delivery attempts that were made.
    pub attempts: u32,
}

impl From<&str> for DeadLetterReason {
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
    #[error("RabbitMQ failed{}", crate::rabbitmq::in_words(.0))]
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
