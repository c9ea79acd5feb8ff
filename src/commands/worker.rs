//! The sender: takes messages from the queue, delivers them, and acknowledges each after its
//! outcome is safe.

use std::sync::Arc;
use std::time::Duration;

use sms_app::delivery::{Outcome, SendSms};
use sms_domain::message;
use sms_domain::random::random_u64;
use sms_queue::Queue;
use sms_queue::message::{Consumer, Message};
use sms_telemetry::causes;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::commands::consume::consume;

/// How long to wait before the queue is asked again to take the outcome of a message.
const PAUSE: Duration = Duration::from_secs(1);

/// Delivers until asked to stop; then finishes what is in hand and returns the rest to the queue.
pub async fn run(
    mut consumer: Consumer,
    deliveries: SendSms,
    queue: Queue,
    concurrency: u16,
    stop: CancellationToken,
) {
    message::warm_up(deliveries.codes.length);
    let deliveries = Arc::new(deliveries);
    let deliver = |message: Message| {
        let (deliveries, queue, stop) = (Arc::clone(&deliveries), queue.clone(), stop.clone());
        async move {
            let body = message.body.clone();
            let then = |outcome| settle(&queue, message, outcome, &stop);
            deliveries.deliver_and(&body, 1, random_u64(), then).await;
        }
    };
    consume(async || consumer.receive().await, deliver, concurrency, &stop).await;
    consumer.close().await;
}

/// Does with a message what its outcome asks for. While the queue does not take it the message
/// stays in hand: given back, it would be delivered once more than its attempts allow.
pub async fn settle(queue: &Queue, message: Message, outcome: Outcome, stop: &CancellationToken) {
    while let Err(error) = outcome.settle(queue, &message.body).await {
        warn!(error = causes(&error), "the queue does not take the outcome of a message");
        if timeout(PAUSE, stop.cancelled()).await.is_ok() {
            return message.give_back();
        }
    }
    message.ack();
}
