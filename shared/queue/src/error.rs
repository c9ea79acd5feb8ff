//! Errors of the queue.

use std::sync::Arc;

use sms_outbound::dsn::DsnError;

/// Error of a call to the queue. Requests whose jobs were in one message get a copy each.
#[derive(Debug, Clone, thiserror::Error)]
pub enum QueueError {
    /// The URL names no supported queue.
    #[error("{0}")]
    Url(&'static str),
    /// The URL is not valid.
    #[error("it {0}")]
    Address(#[from] DsnError),
    /// RabbitMQ, or the connection to it.
    #[error("RabbitMQ failed{}", hint(.0))]
    RabbitMq(#[from] lapin::Error),
    /// RabbitMQ refused the message: its confirm was a nack.
    #[error("RabbitMQ did not store the message: the queue is full or has lost its majority")]
    Nacked,
    /// RabbitMQ answered that it did not store the message.
    #[error("RabbitMQ did not store the message: {0}")]
    Refused(&'static str),
    /// SQS, or the connection to it.
    #[error("SQS failed")]
    Sqs(#[source] Arc<dyn std::error::Error + Send + Sync>),
    /// No answer before the deadline.
    #[error("the queue did not answer in time")]
    Timeout,
}

/// RabbitMQ's words for a queue that exists with other arguments.
pub(crate) const INEQUIVALENT: &str = "inequivalent arg";

/// A part of RabbitMQ's error text, and the hint for it.
const TEXTS: [(&str, &str); 3] = [
    (
        INEQUIVALENT,
        "a queue of this name exists with other arguments: delete it once it is empty, or choose \
         another name with ?queue= in QUEUE_URL",
    ),
    (
        "ACCESS_REFUSED",
        "the user or the password of QUEUE_URL is wrong, or the user may not use this queue",
    ),
    (
        "NOT_ALLOWED",
        "there is no virtual host of this name, or the user of QUEUE_URL may not use it",
    ),
];

/// `: ` and the hint, or an empty string if there is none.
fn hint(error: &lapin::Error) -> String {
    let text = error.to_string();
    let of_text = || TEXTS.iter().find(|(part, _)| text.contains(part));
    of_another_type(&text)
        .or_else(|| of_text().map(|(_, words)| (*words).to_owned()))
        .map(|words| format!(": {words}"))
        .unwrap_or_default()
}

/// The hint for `inequivalent arg 'x-queue-type' for queue 'NAME' in vhost '/': received 'quorum'
/// but current is 'classic'`. (A classic queue that was declared without a type is `none` in 3.10.)
fn of_another_type(text: &str) -> Option<String> {
    let (_, text) = text.split_once("inequivalent arg 'x-queue-type' for queue '")?;
    let (name, text) = text.split_once('\'')?;
    let current = text.split_once("current is ")?.1;
    let kind = current.strip_prefix('\'').and_then(|kind| kind.split('\'').next());
    let kind = kind.unwrap_or("classic");
    Some(format!(
        "the queue {name} exists as {kind}: QUEUE_URL takes type={kind} for the main queue; or \
         choose another name with queue=, or delete the queue once it is empty"
    ))
}
