//! The sender: takes messages from the queue, delivers them, and acknowledges each after its outcome is safe.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use shared::delivery::{Deliveries, Outcome};
use shared::entropy::random_u64;
use shared::queue::{Consumer, Message, Queue, QueueError};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tracing::warn;

use crate::stop::Stop;

/// How long a message is kept back whose outcome the queue would not take, before it is given back.
const PAUSE: Duration = Duration::from_secs(1);

/// Delivers until asked to stop; then finishes what is in hand and returns the rest to the queue.
pub async fn run(mut consumer: Consumer, deliveries: Deliveries, queue: Queue, concurrency: u16, mut stop: Stop) {
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
        let (deliveries, queue) = (Arc::clone(&deliveries), queue.clone());
        in_hand.spawn(async move {
            let outcome = deliveries.deliver(&message.body, 1, random_u64()).await;
            settle(&queue, message, outcome).await;
            drop(permit);
        });
        while in_hand.try_join_next().is_some() {}
    }
    in_hand.join_all().await;
    consumer.close().await;
}

/// A free place, and then a message for it.
async fn next(consumer: &mut Consumer, free: &Arc<Semaphore>) -> Option<(Message, tokio::sync::OwnedSemaphorePermit)> {
    let permit = Arc::clone(free).acquire_owned().await.ok()?;
    Some((consumer.receive().await, permit))
}

/// Does with a message what its outcome asks for. A message that is to come again, or is dead, is in its new place
/// before it leaves the old one.
pub async fn settle(queue: &Queue, message: Message, outcome: Outcome) {
    let moved = match outcome {
        Outcome::Done => Ok(()),
        Outcome::Retry { job, delay } | Outcome::Hold { job, delay } => queue.send(&job, delay).await,
        Outcome::Dead { reason } => queue.bury(&message.body, &reason).await,
    };
    match moved {
        Ok(()) => message.ack().await,
        Err(error) => return_later(message, &error).await,
    }
}

async fn return_later(message: Message, error: &QueueError) {
    warn!(error = error as &dyn Error, "the queue did not take the outcome; the message goes back");
    tokio::time::sleep(PAUSE).await;
    message.give_back().await;
}
