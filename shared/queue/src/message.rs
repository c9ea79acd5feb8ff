//! A message in hand, and the consumer it comes from.

use crate::{memory, rabbitmq};

/// Takes messages from a queue, one after the other.
#[derive(Debug)]
pub struct Consumer(pub(crate) ConsumerBackend);

#[derive(Debug)]
pub(crate) enum ConsumerBackend {
    RabbitMq(Box<rabbitmq::RabbitMqConsumer>),
    Memory(memory::MemoryQueue),
}

impl Consumer {
    /// The next message. Waits for one, and reconnects by itself for as long as it takes.
    pub async fn receive(&mut self) -> Message {
        match &mut self.0 {
            ConsumerBackend::RabbitMq(consumer) => consumer.receive().await,
            ConsumerBackend::Memory(queue) => queue.receive().await,
        }
    }

    /// Ends the consumption: what was taken and neither acknowledged nor returned goes back to the
    /// queue.
    pub async fn close(self) {
        if let ConsumerBackend::RabbitMq(consumer) = self.0 {
            consumer.close().await;
        }
    }
}

/// A message in hand. It must be acknowledged or returned; one that is dropped goes back to the
/// queue, on RabbitMQ when its consumer closes.
#[derive(Debug)]
pub struct Message {
    /// What was queued.
    pub body: Vec<u8>,
    pub(crate) handle: AckHandle,
}

#[derive(Debug)]
pub(crate) enum AckHandle {
    RabbitMq(rabbitmq::AckHandle),
    Memory(memory::AckHandle),
}

impl Message {
    /// Removes it from the queue, with the next that are done. If that fails it will be handed out
    /// again, which a job survives.
    pub fn ack(self) {
        match self.handle {
            AckHandle::RabbitMq(handle) => handle.ack(),
            AckHandle::Memory(handle) => handle.ack(),
        }
    }

    /// Gives it back to the queue, to be handed out again at once.
    pub fn give_back(self) {
        match self.handle {
            AckHandle::RabbitMq(handle) => handle.give_back(),
            AckHandle::Memory(handle) => drop(handle),
        }
    }
}
