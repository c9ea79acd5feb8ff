//! The edge of `send-sms`: a batch of SQS records, each on its own, and the partial batch response.
//!
//! One record never decides over another: each is parsed and delivered by itself, all at once, and only those that are
//! to be handed out again are named in the response.

use aws_lambda_events::sqs::SqsMessage;
pub use aws_lambda_events::sqs::{SqsBatchResponse, SqsEvent};
use futures_util::future::join_all;
use tracing::warn;

use crate::delivery::{Deliveries, Outcome};
use crate::entropy::random_u64;
use crate::queue::{Queue, QueueError};

/// Delivers every record of a batch.
pub async fn deliver_batch(deliveries: &Deliveries, queue: &Queue, event: SqsEvent) -> SqsBatchResponse {
    let mut response = SqsBatchResponse::default();
    let records = event.records.into_iter().map(|record| async move {
        let done = deliver_record(deliveries, queue, &record).await;
        (record.message_id, done)
    });
    for (message_id, done) in join_all(records).await {
        if !done {
            // Without an id SQS retries the whole batch, which is what a record without one deserves.
            response.add_failure(message_id.unwrap_or_default());
        }
    }
    response
}

/// Whether the message may be deleted.
async fn deliver_record(deliveries: &Deliveries, queue: &Queue, record: &SqsMessage) -> bool {
    let body = record.body.as_deref().unwrap_or_default().as_bytes();
    let receives = record.attributes.get("ApproximateReceiveCount").and_then(|count| count.parse().ok()).unwrap_or(1);
    match deliveries.deliver(body, receives, random_u64()).await {
        Outcome::Done => true,
        Outcome::Retry { delay, .. } => {
            if let Some(receipt_handle) = &record.receipt_handle {
                report(queue.postpone(receipt_handle, delay).await, "not postponed: the visibility timeout applies");
            }
            false
        }
        Outcome::Hold { job, delay } => report(queue.send(&job, delay).await, "not queued anew"),
        Outcome::Dead { reason } => report(queue.bury(body, &reason).await, "not put with the dead letters"),
    }
}

/// Whether the queue did as it was asked; if not, says so, and the message stays where it is.
fn report(result: Result<(), QueueError>, what: &str) -> bool {
    result.inspect_err(|error| warn!(error = error as &dyn std::error::Error, "{what}")).is_ok()
}
