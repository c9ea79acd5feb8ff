//! Errors of the queue.

use sms_outbound::dsn::DsnError;

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
    #[error("RabbitMQ failed{}", in_words(.0))]
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

/// Parts of the text of its refusals.
const TEXTS: [(&str, &str); 3] = [
    (
        "inequivalent arg",
        "a queue of this name is there with another type or other arguments: delete it once it is empty, or name another by ?queue= in \
         QUEUE_URL",
    ),
    (
        "ACCESS_REFUSED",
        "it refuses the user or the password of QUEUE_URL, or the user may not use this queue",
    ),
    ("NOT_ALLOWED", "it has no virtual host of this name, or the user of QUEUE_URL may not use it"),
];

/// `: ` and the cause, or nothing where RabbitMQ says it best itself.
fn in_words(error: &lapin::Error) -> String {
    let text = error.to_string();
    let cause = TEXTS.iter().find(|(part, _)| text.contains(part));
    cause.map(|(_, words)| format!(": {words}")).unwrap_or_default()
}
