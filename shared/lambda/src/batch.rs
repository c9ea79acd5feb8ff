//! The edge of `send-sms`: a batch of messages from SQS or from Amazon MQ for RabbitMQ, each
//! delivered by itself.
//!
//! One message never decides over another: all are parsed and delivered at the same time. On SQS
//! the response names those that are to be handed out again. Amazon MQ knows only all or nothing:
//! the function puts each message that is to come again into its wait queue itself, and fails, so
//! that the whole batch is handed out again, only when it could not; what was sent by then is not
//! sent again.

use std::any::Any;
use std::collections::HashMap;
use std::panic::AssertUnwindSafe;

use aws_lambda_events::sqs::{SqsBatchResponse, SqsEvent, SqsMessage};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures_util::FutureExt;
use futures_util::future::join_all;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;
use sms_app::delivery::{Outcome, SendSms};
use sms_app::metrics;
use sms_domain::random::random_u64;
use sms_queue::Queue;
use sms_queue::error::QueueError;
use sms_telemetry::causes;
use tracing::{error, warn};

use crate::invocation::{Unexpected, answer_other};

/// What `send-sms` is for, in the error that whoever invokes it with something else gets.
const TAKES: &str = "messages of an SQS or RabbitMQ queue with jobs in it";

/// What `send-sms` is invoked with.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub enum Event {
    /// From an SQS event source mapping.
    Sqs(#[serde(deserialize_with = "of_sqs")] SqsEvent),
    /// From an Amazon MQ event source mapping.
    RabbitMq(RabbitMqEvent),
    /// From elsewhere.
    Other(Value),
}

/// The crate's type takes records of any source: all that it knows is optional.
fn of_sqs<'de, D: Deserializer<'de>>(event: D) -> Result<SqsEvent, D::Error> {
    let event = SqsEvent::deserialize(event)?;
    let is_message = |record: &SqsMessage| {
        record.message_id.is_some()
            && record.event_source.as_deref().is_none_or(|source| source == "aws:sqs")
    };
    let are_messages = !event.records.is_empty() && event.records.iter().all(is_message);
    if are_messages { Ok(event) } else { Err(D::Error::custom("not of SQS")) }
}

/// Why an invocation failed as a whole.
#[derive(Debug, thiserror::Error)]
pub enum EventError {
    /// On Amazon MQ, the outcome of a message could not be put into the queue.
    #[error(transparent)]
    Queue(#[from] QueueError),
    /// It is not from a queue.
    #[error(transparent)]
    Unexpected(#[from] Unexpected),
}

/// `aws:rmq`. Only what is used is read: most properties of a message may be null, whatever samples
/// show.
#[derive(Debug, Deserialize)]
pub struct RabbitMqEvent {
    #[serde(rename = "rmqMessagesByQueue")]
    messages_by_queue: HashMap<String, Vec<RabbitMqMessage>>,
}

#[derive(Debug, Deserialize)]
struct RabbitMqMessage {
    /// The body, in base64.
    data: String,
}

/// What `send-sms` answers.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum Response {
    /// The partial batch response.
    Sqs(SqsBatchResponse),
    /// All is done.
    RabbitMq,
}

/// Delivers every message of an event. To a warm-up it answers that there was none.
///
/// # Errors
/// On Amazon MQ, when the outcome of a message could not be put into the queue; and when the event
/// is not from a queue.
pub async fn deliver_event(
    deliveries: &SendSms,
    queue: &Queue,
    event: Event,
) -> Result<Response, EventError> {
    match event {
        Event::Sqs(event) => Ok(Response::Sqs(deliver_sqs(deliveries, queue, event).await)),
        Event::RabbitMq(event) => {
            Ok(deliver_rabbitmq(deliveries, queue, event).await.map(|()| Response::RabbitMq)?)
        }
        Event::Other(event) => {
            // Whoever invokes it without waiting for the answer finds the error in the log alone.
            answer_other(&event, TAKES).inspect_err(|error| error!(%error, "no message"))?;
            Ok(Response::Sqs(SqsBatchResponse::default()))
        }
    }
}

async fn deliver_sqs(deliveries: &SendSms, queue: &Queue, event: SqsEvent) -> SqsBatchResponse {
    metrics::batch(event.records.len());
    let records = event.records.iter();
    all(records
        .map(|record| (record.message_id.clone(), deliver_record(deliveries, queue, record))))
    .await
}

/// Names the messages that are to come again: those that may not be deleted, and those whose
/// delivery panicked.
async fn all(
    deliveries: impl Iterator<Item = (Option<String>, impl Future<Output = bool>)>,
) -> SqsBatchResponse {
    let mut response = SqsBatchResponse::default();
    let deliveries =
        deliveries.map(|(message_id, delivery)| async { (message_id, caught(delivery).await) });
    for (message_id, done) in join_all(deliveries).await {
        if !done.unwrap_or(false) {
            // Without an id SQS retries the whole batch, which is what a record without one
            // deserves.
            response.add_failure(message_id.unwrap_or_default());
        }
    }
    response
}

/// Whether the message may be deleted.
async fn deliver_record(deliveries: &SendSms, queue: &Queue, record: &SqsMessage) -> bool {
    let body = record.body.as_deref().unwrap_or_default().as_bytes();
    let receives = record
        .attributes
        .get("ApproximateReceiveCount")
        .and_then(|count| count.parse().ok())
        .unwrap_or(1);
    deliveries
        .deliver_and(body, receives, random_u64(), |outcome| settle(queue, record, body, outcome))
        .await
}

/// Whether the message may be deleted.
async fn settle(queue: &Queue, record: &SqsMessage, body: &[u8], outcome: Outcome) -> bool {
    match outcome {
        Outcome::Retry { delay, .. } => {
            if let Some(receipt_handle) = &record.receipt_handle
                && let Err(error) = queue.postpone(receipt_handle, delay).await
            {
                warn!(error = causes(&error), "not postponed: the visibility timeout applies");
            }
            false
        }
        outcome => match outcome.settle(queue, body).await {
            Ok(()) => true,
            Err(error) => {
                warn!(error = causes(&error), "not settled: the visibility timeout applies");
                false
            }
        },
    }
}

async fn deliver_rabbitmq(
    deliveries: &SendSms,
    queue: &Queue,
    event: RabbitMqEvent,
) -> Result<(), QueueError> {
    let messages: Vec<_> = event.messages_by_queue.into_values().flatten().collect();
    metrics::batch(messages.len());
    let messages = messages.into_iter().map(|message| async move {
        // What is not base64 did not come from Amazon MQ, and is no job either.
        let body = STANDARD.decode(&message.data).unwrap_or_else(|_| message.data.into_bytes());
        // Neighbours are not handed out again for one that panics each time.
        let outcome = caught(deliveries.deliver(&body, 1, random_u64())).await;
        outcome
            .unwrap_or_else(|| Outcome::Dead("the delivery panicked".into()))
            .settle(queue, &body)
            .await
    });
    // Every message is settled before the first failure is told.
    join_all(messages).await.into_iter().collect()
}

/// What became of one message; nothing if that panicked, which must not decide over the others.
async fn caught<T>(delivery: impl Future<Output = T>) -> Option<T> {
    let result = AssertUnwindSafe(delivery).catch_unwind().await;
    result
        .inspect_err(|panic| error!(panic = words(&**panic), "the delivery of a message panicked"))
        .ok()
}

fn words(panic: &(dyn Any + Send)) -> &str {
    let owned = || panic.downcast_ref::<String>().map(String::as_str);
    panic.downcast_ref::<&str>().copied().or_else(owned).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[tokio::test]
    async fn a_panic_is_one_messages_own() {
        let deliveries = ["done", "panics", "fails"].map(|name| {
            let delivery = async move {
                assert!(name != "panics", "as it is to");
                name == "done"
            };
            (Some(name.to_owned()), delivery.boxed())
        });
        let again = all(deliveries.into_iter()).await.batch_item_failures;
        let again: Vec<_> = again.into_iter().map(|failure| failure.item_identifier).collect();
        assert_eq!(again, ["panics", "fails"]);
    }
}
