//! The edge of `send-sms`: a batch of messages from SQS or from Amazon MQ for RabbitMQ, each
//! delivered on its own.
//!
//! Messages do not affect each other: all are parsed and delivered concurrently. On SQS the
//! response names those that failed, and SQS redelivers them. Amazon MQ redelivers all or none: the
//! function puts each message that needs a retry into its wait queue itself, and fails, so that the
//! whole batch is redelivered, only if it could not; what was sent by then is not sent again. A
//! message of several jobs is as many messages here, and is split before it is tried again.

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
use sms_app::metrics;
use sms_app::send_sms::{Outcome, SendSms};
use sms_domain::job_batch;
use sms_domain::random::random_u64;
use sms_queue::Queue;
use sms_queue::error::QueueError;
use sms_telemetry::causes;
use tracing::{error, warn};

use crate::invocation::{Unexpected, answer_other};

/// The events that `send-sms` takes, for error messages.
const TAKES: &str = "messages of an SQS or RabbitMQ queue with jobs in it";

/// The event that `send-sms` is invoked with.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub enum Event {
    /// Messages of an SQS event source mapping.
    Sqs(#[serde(deserialize_with = "sqs_event")] SqsEvent),
    /// Messages of an Amazon MQ event source mapping.
    RabbitMq(RabbitMqEvent),
    /// An event of another source.
    Other(Value),
}

/// Reads an event of SQS. The crate's type accepts records of any source: all its members are
/// optional.
fn sqs_event<'de, D: Deserializer<'de>>(event: D) -> Result<SqsEvent, D::Error> {
    let event = SqsEvent::deserialize(event)?;
    let is_message = |record: &SqsMessage| {
        record.message_id.is_some()
            && record.event_source.as_deref().is_none_or(|source| source == "aws:sqs")
    };
    let are_messages = !event.records.is_empty() && event.records.iter().all(is_message);
    if are_messages { Ok(event) } else { Err(D::Error::custom("not of SQS")) }
}

/// An invocation failed as a whole.
#[derive(Debug, thiserror::Error)]
pub enum EventError {
    /// On Amazon MQ, the outcome of a message could not be put into the queue.
    #[error(transparent)]
    Queue(#[from] QueueError),
    /// The event is not from a queue.
    #[error(transparent)]
    Unexpected(#[from] Unexpected),
}

/// An event of the source `aws:rmq`. Only the members that are used are read: most properties of a
/// message may be null, although AWS's samples do not show it.
#[derive(Debug, Deserialize)]
pub struct RabbitMqEvent {
    #[serde(rename = "rmqMessagesByQueue")]
    messages_by_queue: HashMap<String, Vec<RabbitMqMessage>>,
}

#[derive(Debug, Deserialize)]
struct RabbitMqMessage {
    /// The body, in base64.
    data: String,
    #[serde(default)]
    redelivered: bool,
}

impl RabbitMqMessage {
    /// The jobs of the message. Data that is not base64 did not come from Amazon MQ: decoding the
    /// job fails then.
    fn jobs(self) -> Vec<Vec<u8>> {
        let body = STANDARD.decode(&self.data).unwrap_or_else(|_| self.data.into_bytes());
        job_batch::split(&body).unwrap_or_else(|| vec![body])
    }
}

/// The response of `send-sms`.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum Response {
    /// The partial batch response.
    Sqs(SqsBatchResponse),
    /// Nothing: all messages of Amazon MQ are done.
    RabbitMq,
}

/// Delivers every message of an event. A warm-up counts as an event without messages.
///
/// # Errors
/// If, on Amazon MQ, the outcome of a message could not be put into the queue; and if the event is
/// not from a queue.
pub async fn deliver_event(
    send_sms: &SendSms,
    queue: &Queue,
    event: Event,
) -> Result<Response, EventError> {
    match event {
        Event::Sqs(event) => Ok(Response::Sqs(deliver_sqs(send_sms, queue, event).await)),
        Event::RabbitMq(event) => {
            Ok(deliver_rabbitmq(send_sms, queue, event).await.map(|()| Response::RabbitMq)?)
        }
        Event::Other(event) => {
            // An asynchronous invocation leaves the error in the log alone.
            answer_other(&event, TAKES).inspect_err(|error| error!(%error, "no message"))?;
            Ok(Response::Sqs(SqsBatchResponse::default()))
        }
    }
}

async fn deliver_sqs(send_sms: &SendSms, queue: &Queue, event: SqsEvent) -> SqsBatchResponse {
    metrics::batch(event.records.len());
    let records = event.records.iter();
    deliver_all(
        records.map(|record| (record.message_id.clone(), deliver_record(send_sms, queue, record))),
    )
    .await
}

/// Awaits all deliveries, and names the messages that SQS must redeliver: those that are not done,
/// and those whose delivery panicked.
async fn deliver_all(
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

/// Delivers a message of SQS. Returns true if it may be deleted.
async fn deliver_record(send_sms: &SendSms, queue: &Queue, record: &SqsMessage) -> bool {
    let body = record.body.as_deref().unwrap_or_default().as_bytes();
    let receives = record
        .attributes
        .get("ApproximateReceiveCount")
        .and_then(|count| count.parse().ok())
        .unwrap_or(1);
    send_sms
        .deliver_and(body, receives, random_u64(), |outcome| apply(queue, record, body, outcome))
        .await
}

/// Applies the outcome to a message of SQS. Returns true if it may be deleted.
async fn apply(queue: &Queue, record: &SqsMessage, body: &[u8], outcome: Outcome) -> bool {
    match outcome {
        Outcome::Retry { delay, .. } => {
            if let Some(receipt_handle) = &record.receipt_handle
                && let Err(error) = queue.postpone(receipt_handle, delay).await
            {
                warn!(error = causes(&error), "not postponed: the visibility timeout applies");
            }
            false
        }
        outcome => match outcome.apply(queue, body).await {
            Ok(()) => true,
            Err(error) => {
                warn!(
                    error = causes(&error),
                    "the outcome is not applied: the visibility timeout applies"
                );
                false
            }
        },
    }
}

async fn deliver_rabbitmq(
    send_sms: &SendSms,
    queue: &Queue,
    event: RabbitMqEvent,
) -> Result<(), QueueError> {
    let mut jobs = Vec::new();
    for message in event.messages_by_queue.into_values().flatten() {
        let redelivered = message.redelivered;
        let of_message = message.jobs();
        if redelivered && of_message.len() > 1 {
            let bodies: Vec<&[u8]> = of_message.iter().map(Vec::as_slice).collect();
            match queue.send_each(&bodies).await {
                Ok(()) => continue,
                Err(error) => warn!(error = causes(&error), "a message cannot be split"),
            }
        }
        jobs.extend(of_message);
    }
    metrics::batch(jobs.len());
    let deliveries = jobs.into_iter().map(|body| async move {
        // A job that panics each time must not cause the redelivery of the others.
        let outcome = caught(send_sms.deliver(&body, 1, random_u64())).await;
        outcome
            .unwrap_or_else(|| Outcome::Dead("the delivery panicked".into()))
            .apply(queue, &body)
            .await
    });
    // Every outcome is applied before the first error is returned.
    join_all(deliveries).await.into_iter().collect()
}

/// Awaits a delivery; `None` if it panicked, which must not affect the other messages.
async fn caught<T>(delivery: impl Future<Output = T>) -> Option<T> {
    let result = AssertUnwindSafe(delivery).catch_unwind().await;
    result
        .inspect_err(|panic| {
            error!(panic = message(&**panic), "the delivery of a message panicked");
        })
        .ok()
}

fn message(panic: &(dyn Any + Send)) -> &str {
    let owned = || panic.downcast_ref::<String>().map(String::as_str);
    panic.downcast_ref::<&str>().copied().or_else(owned).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[tokio::test]
    async fn a_panic_affects_its_message_alone() {
        let deliveries = ["done", "panics", "fails"].map(|name| {
            let delivery = async move {
                assert!(name != "panics", "intended");
                name == "done"
            };
            (Some(name.to_owned()), delivery.boxed())
        });
        let again = deliver_all(deliveries.into_iter()).await.batch_item_failures;
        let again: Vec<_> = again.into_iter().map(|failure| failure.item_identifier).collect();
        assert_eq!(again, ["panics", "fails"]);
    }
}
