//! Messages that are not yet acknowledged, and their consumer. A message is one job here, also
//! where the queue has several in one.

use lapin::BasicProperties;

use crate::{memory, rabbitmq};

/// Receives messages from a queue, one at a time.
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

    /// Stops consuming: messages that were neither acknowledged nor requeued go back to the queue.
    pub async fn close(self) {
        if let ConsumerBackend::RabbitMq(consumer) = self.0 {
            consumer.close().await;
        }
    }
}

/// A received message. It must be acknowledged or requeued; a dropped one goes back to the queue,
/// on RabbitMQ when its consumer closes.
#[derive(Debug)]
pub struct Message {
    /// The body as it was queued.
    pub body: Vec<u8>,
    /// What another program has put beside the body on RabbitMQ.
    pub(crate) foreign: Option<Box<BasicProperties>>,
    pub(crate) handle: AckHandle,
}

#[derive(Debug)]
pub(crate) enum AckHandle {
    RabbitMq(rabbitmq::AckHandle),
    Memory(memory::AckHandle),
}

impl Message {
    /// Removes the message from the queue, in a batch with others, and together with the jobs that
    /// the queue has in one with it. If that fails it is delivered again, which is harmless for a
    /// job.
    pub fn ack(self) {
        match self.handle {
            AckHandle::RabbitMq(handle) => handle.ack(),
            AckHandle::Memory(handle) => handle.ack(),
        }
    }

    /// Returns the message to the queue, to be delivered again at once; the jobs that the queue has
    /// in one with it, too.
    pub fn requeue(self) {
        match self.handle {
            AckHandle::RabbitMq(handle) => handle.requeue(),
            AckHandle::Memory(handle) => drop(handle),
        }
    }
}
