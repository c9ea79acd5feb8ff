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
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tracing::warn;

use crate::shutdown::Shutdown;

/// Pause before another attempt to put the outcome of a message into the queue.
const PAUSE: Duration = Duration::from_secs(1);

/// Delivers messages until a signal; then finishes work in progress and returns the others to the
/// queue.
pub async fn run(
    mut consumer: Consumer,
    send_sms: SendSms,
    queue: Queue,
    concurrency: u16,
    mut stop: Shutdown,
) {
    message::warm_up(send_sms.codes.length);
    let send_sms = Arc::new(send_sms);
    let free = Arc::new(Semaphore::new(usize::from(concurrency)));
    let mut deliveries = JoinSet::new();
    loop {
        let message = tokio::select! {
            biased;
            () = stop.requested() => break,
            message = next(&mut consumer, &free) => message,
        };
        let Some((message, permit)) = message else { break };
        let (send_sms, queue, mut stop) = (Arc::clone(&send_sms), queue.clone(), stop.clone());
        deliveries.spawn(async move {
            let body = message.body.clone();
            let then = |outcome| apply(&queue, message, outcome, &mut stop);
            send_sms.deliver_and(&body, 1, random_u64(), then).await;
            drop(permit);
        });
        while deliveries.try_join_next().is_some() {}
    }
    while deliveries.join_next().await.is_some() {}
    consumer.close().await;
}

/// Waits for a permit, and then receives a message for it.
async fn next(
    consumer: &mut Consumer,
    free: &Arc<Semaphore>,
) -> Option<(Message, tokio::sync::OwnedSemaphorePermit)> {
    let permit = Arc::clone(free).acquire_owned().await.ok()?;
    Some((consumer.receive().await, permit))
}

/// Applies the outcome to a message. While the queue does not take it the message is kept: returned
/// to the queue, it would be delivered once more than its attempts allow.
pub async fn apply(queue: &Queue, message: Message, outcome: Outcome, stop: &mut Shutdown) {
    while let Err(error) = outcome.apply(queue, &message.body).await {
        warn!(error = causes(&error), "the outcome of a message cannot be queued yet");
        if stop.requested_within(PAUSE).await {
            return message.requeue();
        }
    }
    message.ack();
}
