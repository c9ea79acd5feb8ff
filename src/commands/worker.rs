//! `worker`: receives messages from the queue, delivers them, and acknowledges each after its
//! outcome is safe.

use std::sync::Arc;
use std::time::Duration;

use sms_app::send_sms::{Outcome, SendSms};
use sms_domain::message;
use sms_domain::random::random_u64;
use sms_queue::Queue;
use sms_queue::message::{Consumer, Message};
use sms_telemetry::causes;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::commands::consume::consume;

/// Pause before another attempt to put the outcome of a message into the queue.
const PAUSE: Duration = Duration::from_secs(1);

/// Delivers messages until a signal; then finishes work in progress and returns the others to the
/// queue.
pub async fn run(
    mut consumer: Consumer,
    send_sms: SendSms,
    queue: Queue,
    concurrency: u16,
    stop: CancellationToken,
) {
    message::warm_up(send_sms.codes.length);
    let send_sms = Arc::new(send_sms);
    let deliver = |message: Message| {
        let (send_sms, queue, stop) = (Arc::clone(&send_sms), queue.clone(), stop.clone());
        async move {
            let body = message.body.clone();
            let then = |outcome| apply(&queue, message, outcome, &stop);
            send_sms.deliver_and(&body, 1, random_u64(), then).await;
        }
    };
    consume(async || consumer.receive().await, deliver, concurrency, &stop).await;
    consumer.close().await;
}

/// Applies the outcome to a message. While the queue does not take it the message is kept: returned
/// to the queue, it would be delivered once more than its attempts allow.
pub async fn apply(queue: &Queue, message: Message, outcome: Outcome, stop: &CancellationToken) {
    while let Err(error) = outcome.apply_to(queue, &message).await {
        warn!(error = causes(&error), "the outcome of a message cannot be queued yet");
        if timeout(PAUSE, stop.cancelled()).await.is_ok() {
            return message.requeue();
        }
    }
    message.ack();
}
