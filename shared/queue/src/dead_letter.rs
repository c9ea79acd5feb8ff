//! Dead letters as values: the message, the reason, and the handle by which it is deleted.

use jiff::Timestamp;
use sms_domain::failure::FailureClass;

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
