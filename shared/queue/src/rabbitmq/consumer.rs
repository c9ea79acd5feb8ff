//! The consumer: it has a connection of its own, and reconnects whenever that is lost.

use std::time::Duration;

use futures_util::stream::StreamExt;
use lapin::Connection;
use lapin::options::{BasicConsumeOptions, BasicQosOptions};
use lapin::types::FieldTable;
use sms_telemetry::causes;
use tokio::task::JoinHandle;
use tracing::{debug, info, warn};

use super::acker::Acker;
use super::{END_TIMEOUT, RabbitMqQueue, close};
use crate::error::QueueError;
use crate::message::{AckHandle as AnyAckHandle, Message};

/// Handle to acknowledge a message, on the channel that delivered it.
#[derive(Debug)]
pub(crate) struct AckHandle {
    tag: u64,
    acker: Acker,
}

impl AckHandle {
    pub(crate) fn ack(self) {
        self.acker.ack(self.tag);
    }

    pub(crate) fn requeue(self) {
        self.acker.requeue(self.tag);
    }
}

/// Consumer of the main queue.
#[derive(Debug)]
pub(crate) struct RabbitMqConsumer {
    pub(super) queue: RabbitMqQueue,
    pub(super) prefetch: u16,
    pub(super) open: Option<OpenConsumer>,
}

/// An open connection: its messages, and their acknowledgements.
#[derive(Debug)]
pub(super) struct OpenConsumer {
    connection: Connection,
    messages: lapin::Consumer,
    acker: Acker,
    acknowledging: JoinHandle<()>,
}

impl RabbitMqConsumer {
    /// Wait between attempts to connect: initial and maximum.
    const RECONNECT: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(3));

    pub(crate) async fn receive(&mut self) -> Message {
        let (mut wait, longest) = Self::RECONNECT;
        loop {
            if self.open.is_none() {
                match self.connect().await {
                    Ok(open) => self.open = Some(open),
                    Err(error) => {
                        let retry_ms = u64::try_from(wait.as_millis()).unwrap_or_default();
                        let error = QueueError::from(error);
                        warn!(error = causes(&error), retry_ms, "no connection to RabbitMQ");
                        tokio::time::sleep(wait).await;
                        wait = (wait * 2).min(longest);
                        continue;
                    }
                }
            }
            let Some(open) = &mut self.open else { continue };
            match open.messages.next().await {
                Some(Ok(delivery)) => {
                    let handle =
                        AckHandle { tag: delivery.delivery_tag, acker: open.acker.clone() };
                    return Message { body: delivery.data, handle: AnyAckHandle::RabbitMq(handle) };
                }
                Some(Err(error)) => {
                    warn!(%error, "connection to RabbitMQ lost");
                    self.open = None;
                }
                None => {
                    warn!("RabbitMQ cancelled the consumer");
                    self.open = None;
                }
            }
        }
    }

    async fn connect(&self) -> Result<OpenConsumer, lapin::Error> {
        let (connection, channel) = self.queue.open("worker").await?;
        channel.basic_qos(self.prefetch, BasicQosOptions::default()).await?;
        let name = self.queue.queues.main().into();
        let messages = channel
            .basic_consume(name, "".into(), BasicConsumeOptions::default(), FieldTable::default())
            .await?;
        info!(queue = self.queue.queues.main(), "consuming from RabbitMQ");
        let (acker, acknowledging) = Acker::start(channel);
        Ok(OpenConsumer { connection, messages, acker, acknowledging })
    }

    pub(crate) async fn close(self) {
        if let Some(OpenConsumer { connection, messages: _, acker, acknowledging }) = self.open {
            // No message is being processed: the task sends the last acknowledgements and ends.
            drop(acker);
            if tokio::time::timeout(END_TIMEOUT, acknowledging).await.is_err() {
                debug!("not all acknowledgements were sent");
            }
            close(&connection).await;
        }
    }
}
