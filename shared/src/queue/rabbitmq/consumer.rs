//! The consuming side: a connection of its own, which is opened anew whenever it is lost.

use std::mem;
use std::time::Duration;

use futures_util::stream::StreamExt;
use lapin::Connection;
use lapin::message::Delivery;
use lapin::options::{BasicAckOptions, BasicConsumeOptions, BasicNackOptions, BasicQosOptions};
use lapin::types::FieldTable;
use tracing::{debug, info, warn};

use super::super::{Message, Receipt};
use super::{RabbitMqQueue, close, in_time};

pub(in crate::queue) async fn ack(delivery: &Delivery) {
    match in_time(delivery.acker.ack(BasicAckOptions::default())).await {
        Ok(true) => {}
        Ok(false) => warn!("not acknowledged: the message will be handed out again"),
        Err(error) => warn!(%error, "not acknowledged: the message will be handed out again"),
    }
}

pub(in crate::queue) async fn give_back(delivery: &Delivery) {
    let options = BasicNackOptions { requeue: true, ..BasicNackOptions::default() };
    if let Err(error) = in_time(delivery.acker.nack(options)).await {
        debug!(%error, "not returned: the lost connection has done so");
    }
}

/// Takes messages.
#[derive(Debug)]
pub(in crate::queue) struct RabbitMqConsumer {
    pub(super) queue: RabbitMqQueue,
    pub(super) prefetch: u16,
    pub(super) open: Option<(Connection, lapin::Consumer)>,
}

impl RabbitMqConsumer {
    /// Waits between attempts to connect: the first, and the longest.
    const RECONNECT: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(3));

    pub(in crate::queue) async fn receive(&mut self) -> Message {
        let (mut wait, longest) = Self::RECONNECT;
        loop {
            if self.open.is_none() {
                match self.connect().await {
                    Ok(open) => self.open = Some(open),
                    Err(error) => {
                        warn!(%error, retry_ms = u64::try_from(wait.as_millis()).unwrap_or_default(), "no connection to RabbitMQ");
                        tokio::time::sleep(wait).await;
                        wait = (wait * 2).min(longest);
                        continue;
                    }
                }
            }
            let Some((_, consumer)) = &mut self.open else { continue };
            match consumer.next().await {
                Some(Ok(mut delivery)) => {
                    return Message {
                        body: mem::take(&mut delivery.data),
                        receipt: Receipt::RabbitMq(Box::new(delivery)),
                    };
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

    async fn connect(&self) -> Result<(Connection, lapin::Consumer), lapin::Error> {
        let (connection, channel) = self.queue.open("worker").await?;
        channel.basic_qos(self.prefetch, BasicQosOptions::default()).await?;
        let name = self.queue.queues.main().into();
        let consumer =
            channel.basic_consume(name, "".into(), BasicConsumeOptions::default(), FieldTable::default()).await?;
        info!(queue = self.queue.queues.main(), "consuming from RabbitMQ");
        Ok((connection, consumer))
    }

    pub(in crate::queue) async fn close(self) {
        if let Some((connection, _)) = self.open {
            close(&connection).await;
        }
    }
}
