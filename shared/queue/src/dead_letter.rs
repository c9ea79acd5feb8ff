//! Dead letters as values: the message, the reason, and the handle by which it is deleted.

use jiff::Timestamp;
use sms_domain::failure::FailureClass;

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
    /// Messages ready for delivery, without those that wait for another attempt. On RabbitMQ one
    /// may have up to eight jobs.
    pub messages: usize,
    /// Dead letters; `None` if unknown, as on SQS without the dead-letter queue's URL.
    pub dead: Option<usize>,
}
