//! Dead letters on RabbitMQ, on a connection of their own: what is not acknowledged when it closes goes back.

use lapin::options::{BasicAckOptions, BasicGetOptions, BasicNackOptions, QueueDeclareOptions};
use lapin::types::FieldTable;
use lapin::{Channel, Connection};

use super::super::dead::Taken;
use super::super::{DeadLetter, QueueError};
use super::{RabbitMqQueue, close, reason};

pub(in crate::queue) struct DeadLetters {
    connection: Connection,
    channel: Channel,
    queue: String,
    left: u32,
}

impl RabbitMqQueue {
    pub(in crate::queue) async fn dead(&self) -> Result<(DeadLetters, usize), QueueError> {
        let (connection, channel) = self.open("dead letters").await?;
        // For redriven jobs: opened now, when there is time for it.
        self.publisher().await?;
        let queue = self.queues.dead().to_owned();
        let passive = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::durable() };
        let left = channel.queue_declare(queue.as_str().into(), passive, FieldTable::default()).await?.message_count();
        let count = usize::try_from(left).unwrap_or(usize::MAX);
        Ok((DeadLetters { connection, channel, queue, left }, count))
    }
}

impl DeadLetters {
    pub(in crate::queue) async fn next(&mut self) -> Result<Option<DeadLetter>, QueueError> {
        let Some(left) = self.left.checked_sub(1) else { return Ok(None) };
        self.left = left;
        let message = self.channel.basic_get(self.queue.as_str().into(), BasicGetOptions::default()).await?;
        Ok(message.map(|message| DeadLetter {
            reason: reason(&message.properties),
            taken: Taken::RabbitMq(message.delivery.delivery_tag),
            body: message.delivery.data,
        }))
    }

    pub(in crate::queue) async fn delete(&mut self, tag: u64) -> Result<(), QueueError> {
        Ok(self.channel.basic_ack(tag, BasicAckOptions::default()).await?)
    }

    /// At once, and not only when the connection's end is noticed.
    pub(in crate::queue) async fn close(self) -> Result<(), QueueError> {
        let all = BasicNackOptions { multiple: true, requeue: true };
        self.channel.basic_nack(0, all).await?;
        close(&self.connection).await;
        Ok(())
    }
}
