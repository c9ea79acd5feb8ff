//! The consuming side: a connection of its own, which is opened anew whenever it is lost.

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

/// A message in hand, on the channel that it came by.
#[derive(Debug)]
pub(crate) struct AckHandle {
    tag: u64,
    acks: Acker,
}

impl AckHandle {
    pub(crate) fn ack(self) {
        self.acks.ack(self.tag);
    }

    pub(crate) fn give_back(self) {
        self.acks.give_back(self.tag);
    }
}

/// Takes messages.
#[derive(Debug)]
pub(crate) struct RabbitMqConsumer {
    pub(super) queue: RabbitMqQueue,
    pub(super) prefetch: u16,
    pub(super) open: Option<Open>,
}

/// A connection that messages come by, and where they are acknowledged.
#[derive(Debug)]
pub(super) struct Open {
    connection: Connection,
    messages: lapin::Consumer,
    acks: Acker,
    acknowledging: JoinHandle<()>,
}

impl RabbitMqConsumer {
    /// Waits between attempts to connect: the first, and the longest.
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
                    let handle = AckHandle { tag: delivery.delivery_tag, acks: open.acks.clone() };
                    return Message { body: delivery.data, handle: AnyAckHandle::RabbitMq(handle) };
                }
                Some(Err(error)) => {
                    warn!(%error, "the connection to RabbitMQ is lost");
                    self.open = None;
                }
                None => {
                    warn!("RabbitMQ cancelled the consumer");
                    self.open = None;
                }
            }
        }
    }

    async fn connect(&self) -> Result<Open, lapin::Error> {
        let (connection, channel) = self.queue.open("worker").await?;
        channel.basic_qos(self.prefetch, BasicQosOptions::default()).await?;
        let name = self.queue.queues.main().into();
        let messages = channel
            .basic_consume(name, "".into(), BasicConsumeOptions::default(), FieldTable::default())
            .await?;
        info!(queue = self.queue.queues.main(), "consuming from RabbitMQ");
        let (acks, acknowledging) = Acker::start(channel);
        Ok(Open { connection, messages, acks, acknowledging })
    }

    pub(crate) async fn close(self) {
        if let Some(Open { connection, messages: _, acks, acknowledging }) = self.open {
            // No message is in hand: what was settled goes out, and then the task ends.
            drop(acks);
            if tokio::time::timeout(END_TIMEOUT, acknowledging).await.is_err() {
                debug!("not all acknowledgements went out");
            }
            close(&connection).await;
        }
    }
}
