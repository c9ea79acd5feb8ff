//! Dead letters on RabbitMQ, on a connection of their own: what is not acknowledged when it closes
//! goes back.

use jiff::Timestamp;
use lapin::options::{BasicAckOptions, BasicGetOptions, BasicNackOptions};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Channel, Connection};
use sms_domain::failure::FailureClass;

use super::topology::{DELIVERY_LIMIT, text};
use super::{RabbitMqQueue, close, count};
use crate::dead_letter::{DeadLetter, DeadLetterHandle, DeadLetterReason};
use crate::error::QueueError;

/// Headers of a dead letter.
const REASON: &str = "reason";
const CLASS: &str = "class";
const ATTEMPTS: &str = "attempts";

pub(crate) struct DeadLetters {
    connection: Connection,
    channel: Channel,
    queue: String,
    left: usize,
}

impl RabbitMqQueue {
    pub(crate) async fn dead_letters(&self) -> Result<(DeadLetters, usize), QueueError> {
        let (connection, channel) = self.open("dead letters").await?;
        // For redriven jobs: opened now, when there is time for it.
        self.publisher().await?;
        let queue = self.queues.dead().to_owned();
        let count = count(&channel, &queue).await?;
        Ok((DeadLetters { connection, channel, queue, left: count }, count))
    }
}

impl DeadLetters {
    pub(crate) async fn next(&mut self) -> Result<Option<DeadLetter>, QueueError> {
        let Some(left) = self.left.checked_sub(1) else { return Ok(None) };
        self.left = left;
        let message =
            self.channel.basic_get(self.queue.as_str().into(), BasicGetOptions::default()).await?;
        Ok(message.map(|message| DeadLetter {
            death: death(&message.properties),
            at: at(&message.properties),
            handle: DeadLetterHandle::RabbitMq(message.delivery.delivery_tag),
            body: message.delivery.data,
        }))
    }

    pub(crate) async fn delete(&mut self, tag: u64) -> Result<(), QueueError> {
        Ok(self.channel.basic_ack(tag, BasicAckOptions::default()).await?)
    }

    /// At once, and not only when the connection's end is noticed.
    pub(crate) async fn close(self) -> Result<(), QueueError> {
        let all = BasicNackOptions { multiple: true, requeue: true };
        self.channel.basic_nack(0, all).await?;
        close(&self.connection).await;
        Ok(())
    }
}

/// What is written beside a dead letter.
#[expect(clippy::disallowed_methods, reason = "an operator wants to know since when it is dead")]
pub(super) fn properties(properties: BasicProperties, death: &DeadLetterReason) -> BasicProperties {
    let mut headers = FieldTable::default();
    headers.insert(REASON.into(), text(&death.reason));
    headers.insert(ATTEMPTS.into(), AMQPValue::LongUInt(death.attempts));
    if let Some(class) = death.class {
        headers.insert(CLASS.into(), text(class.as_str()));
    }
    properties.with_headers(headers).with_timestamp(Timestamp::now().as_second().unsigned_abs())
}

fn header<'a>(properties: &'a BasicProperties, name: &str) -> Option<&'a AMQPValue> {
    properties.headers().as_ref()?.inner().get(name)
}

fn words(value: Option<&AMQPValue>) -> Option<String> {
    match value {
        Some(AMQPValue::LongString(words)) => Some(words.to_string()),
        _ => None,
    }
}

/// As we wrote it, or RabbitMQ's: only the delivery limit makes a dead letter without us.
fn death(properties: &BasicProperties) -> DeadLetterReason {
    let attempts = match header(properties, ATTEMPTS) {
        Some(AMQPValue::LongUInt(attempts)) => *attempts,
        // As a shovel may have written it.
        Some(AMQPValue::LongLongInt(attempts)) => u32::try_from(*attempts).unwrap_or(0),
        Some(AMQPValue::LongInt(attempts)) => u32::try_from(*attempts).unwrap_or(0),
        _ => 0,
    };
    DeadLetterReason {
        reason: words(header(properties, REASON)).unwrap_or_else(|| {
            format!("handed out more than {DELIVERY_LIMIT} times without an outcome")
        }),
        class: words(header(properties, CLASS)).and_then(|class| FailureClass::parse(&class)),
        attempts,
    }
}

/// When we wrote it, or when RabbitMQ moved it here.
fn at(properties: &BasicProperties) -> Option<Timestamp> {
    let moved = || match header(properties, "x-death")? {
        AMQPValue::FieldArray(deaths) => match deaths.as_slice().first()? {
            AMQPValue::FieldTable(death) => match death.inner().get("time")? {
                AMQPValue::Timestamp(seconds) => Some(*seconds),
                _ => None,
            },
            _ => None,
        },
        _ => None,
    };
    let seconds = properties.timestamp().or_else(moved)?;
    Timestamp::from_second(i64::try_from(seconds).ok()?).ok()
}
