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
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tracing::warn;

use crate::shutdown::Shutdown;

/// How long to wait before the queue is asked again to take the outcome of a message.
const PAUSE: Duration = Duration::from_secs(1);

/// Delivers until asked to stop; then finishes what is in hand and returns the rest to the queue.
pub async fn run(
    mut consumer: Consumer,
    deliveries: SendSms,
    queue: Queue,
    concurrency: u16,
    mut stop: Shutdown,
) {
    message::warm_up(deliveries.codes.length);
    let deliveries = Arc::new(deliveries);
    let free = Arc::new(Semaphore::new(usize::from(concurrency)));
    let mut in_hand = JoinSet::new();
    loop {
        let message = tokio::select! {
            biased;
            () = stop.requested() => break,
            message = next(&mut consumer, &free) => message,
        };
        let Some((message, permit)) = message else { break };
        let (deliveries, queue, mut stop) = (Arc::clone(&deliveries), queue.clone(), stop.clone());
        in_hand.spawn(async move {
            let body = message.body.clone();
            let then = |outcome| settle(&queue, message, outcome, &mut stop);
            deliveries.deliver_and(&body, 1, random_u64(), then).await;
            drop(permit);
        });
        while in_hand.try_join_next().is_some() {}
    }
    while in_hand.join_next().await.is_some() {}
    consumer.close().await;
}

/// A free place, and then a message for it.
async fn next(
    consumer: &mut Consumer,
    free: &Arc<Semaphore>,
) -> Option<(Message, tokio::sync::OwnedSemaphorePermit)> {
    let permit = Arc::clone(free).acquire_owned().await.ok()?;
    Some((consumer.receive().await, permit))
}

/// Does with a message what its outcome asks for. While the queue does not take it the message
/// stays in hand: given back, it would be delivered once more than its attempts allow.
pub async fn settle(queue: &Queue, message: Message, outcome: Outcome, stop: &mut Shutdown) {
    while let Err(error) = outcome.settle(queue, &message.body).await {
        warn!(error = causes(&error), "the queue does not take the outcome of a message");
        if stop.requested_within(PAUSE).await {
            return message.give_back();
        }
    }
    message.ack();
}
