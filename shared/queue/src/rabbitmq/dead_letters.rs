//! Dead letters on RabbitMQ, on a connection of their own: messages that are not acknowledged when
//! it closes are requeued.
//!
//! A message with several jobs is here only if it could not be split before RabbitMQ's delivery
//! limit was reached, or if a release took it that reads single jobs alone. It is split here.

use jiff::Timestamp;
use lapin::options::{BasicAckOptions, BasicGetOptions, BasicNackOptions};
use lapin::types::{AMQPValue, FieldTable, ShortString};
use lapin::{BasicProperties, Channel, Connection};
use sms_domain::failure::FailureClass;
use sms_domain::job_batch;

use super::publisher::TRACE;
use super::topology::{DELIVERY_LIMIT, text};
use super::{Opened, RabbitMqQueue, close, count};
use crate::dead_letter::{DeadLetter, DeadLetterHandle, DeadLetterReason};
use crate::error::QueueError;

/// Headers of a dead letter.
const REASON: &str = "reason";
const CLASS: &str = "class";
const ATTEMPTS: &str = "attempts";

pub(crate) struct DeadLetters {
    connection: Connection,
    channel: Channel,
    queue: RabbitMqQueue,
    left: usize,
}

impl RabbitMqQueue {
    pub(crate) async fn dead_letters(&self) -> Result<(DeadLetters, usize), QueueError> {
        let Opened { connection, channel, .. } = self.open("dead letters").await?;
        // Connects the publisher for redriven jobs now, while there is time for it.
        self.publisher().await?;
        let count = count(&channel, &self.queues.dead()).await?;
        Ok((DeadLetters { connection, channel, queue: self.clone(), left: count }, count))
    }
}

impl DeadLetters {
    pub(crate) async fn next(&mut self) -> Result<Option<DeadLetter>, QueueError> {
        while let Some(left) = self.left.checked_sub(1) {
            self.left = left;
            let (queue, options) = (self.queue.queues.dead(), BasicGetOptions::default());
            let Some(message) = self.channel.basic_get(queue.into(), options).await? else {
                return Ok(None);
            };
            let (tag, reason) = (message.delivery.delivery_tag, reason(&message.properties));
            let Some(jobs) = job_batch::split(&message.delivery.data) else {
                return Ok(Some(DeadLetter {
                    reason,
                    at: at(&message.properties),
                    handle: DeadLetterHandle::RabbitMq(tag),
                    body: message.delivery.data,
                }));
            };
            for job in &jobs {
                self.queue.dead_letter(job, None, &reason).await?;
            }
            self.left += jobs.len();
            self.delete(tag).await?;
        }
        Ok(None)
    }

    pub(crate) async fn delete(&mut self, tag: u64) -> Result<(), QueueError> {
        Ok(self.channel.basic_ack(tag, BasicAckOptions::default()).await?)
    }

    /// Requeues the messages that stay at once, and not only when the broker notices the closed
    /// connection.
    pub(crate) async fn close(self) -> Result<(), QueueError> {
        let all = BasicNackOptions { multiple: true, requeue: true };
        self.channel.basic_nack(0, all).await?;
        close(&self.connection).await;
        Ok(())
    }
}

/// Headers that are ours, and those by which RabbitMQ would send a copy elsewhere.
const NOT_KEPT: [&str; 6] = [TRACE, REASON, CLASS, ATTEMPTS, "CC", "BCC"];

/// Header of a Celery task. Others beside it hold its arguments in clear, codes among them.
const TASK: &str = "task";

/// Largest size of headers that are kept, in bytes: with the reason beside them, all properties of
/// a message must fit into one frame, of 8,192 bytes unless `QUEUE_URL` says more.
const MAX_HEADERS: usize = 4096;

type With = fn(BasicProperties, ShortString) -> BasicProperties;

/// What another program has put beside the body of its message, without what is RabbitMQ's own;
/// `None` for a job, and for a task of Celery.
pub(super) fn of_foreign(properties: &BasicProperties) -> Option<Box<BasicProperties>> {
    let headers = properties.headers().as_ref().map(|headers| {
        let mut kept = FieldTable::default();
        for (name, value) in headers.inner() {
            if !name.as_str().starts_with("x-") && !NOT_KEPT.contains(&name.as_str()) {
                kept.insert(name.clone(), value.clone());
            }
        }
        kept
    });
    let headers = headers.filter(|headers| !headers.inner().is_empty());
    if headers.as_ref().is_some_and(|headers| headers.inner().contains_key(TASK)) {
        return None;
    }
    let headers = headers.filter(|headers| size(headers) <= MAX_HEADERS);
    let mut kept = BasicProperties::default();
    for (value, with) in [
        (properties.content_encoding(), BasicProperties::with_content_encoding as With),
        (properties.correlation_id(), BasicProperties::with_correlation_id),
        (properties.reply_to(), BasicProperties::with_reply_to),
        (properties.kind(), BasicProperties::with_type),
    ] {
        if let Some(value) = value {
            kept = with(kept, value.clone());
        }
    }
    if headers.is_none() && kept == BasicProperties::default() {
        return None;
    }
    if let Some(headers) = headers {
        kept = kept.with_headers(headers);
    }
    if let Some(content_type) = properties.content_type() {
        kept = kept.with_content_type(content_type.clone());
    }
    Some(Box::new(kept))
}

/// Bytes of a table as AMQP writes it, numbers with the most that they may have.
fn size(table: &FieldTable) -> usize {
    let entries = table.inner().iter();
    4 + entries.map(|(name, value)| 1 + name.as_str().len() + size_of(value)).sum::<usize>()
}

fn size_of(value: &AMQPValue) -> usize {
    5 + match value {
        AMQPValue::ShortString(text) => text.as_str().len(),
        AMQPValue::LongString(text) => text.as_bytes().len(),
        AMQPValue::ByteArray(bytes) => bytes.as_slice().len(),
        AMQPValue::FieldArray(values) => values.as_slice().iter().map(size_of).sum(),
        AMQPValue::FieldTable(table) => size(table),
        _ => 8,
    }
}

/// Message properties that record the reason, beside those of a foreign message.
#[expect(clippy::disallowed_methods, reason = "an operator wants to know since when it is dead")]
pub(super) fn properties(
    properties: BasicProperties,
    reason: &DeadLetterReason,
) -> BasicProperties {
    let mut headers = properties.headers().clone().unwrap_or_default();
    headers.insert(REASON.into(), text(&reason.text));
    headers.insert(ATTEMPTS.into(), AMQPValue::LongUInt(reason.attempts));
    if let Some(class) = reason.class {
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

/// Reads the reason from the headers; without them RabbitMQ's delivery limit is the reason, since
/// nothing else moves a message here.
fn reason(properties: &BasicProperties) -> DeadLetterReason {
    let attempts = match header(properties, ATTEMPTS) {
        Some(AMQPValue::LongUInt(attempts)) => *attempts,
        // A shovel may have changed the integer's type.
        Some(AMQPValue::LongLongInt(attempts)) => u32::try_from(*attempts).unwrap_or(0),
        Some(AMQPValue::LongInt(attempts)) => u32::try_from(*attempts).unwrap_or(0),
        _ => 0,
    };
    DeadLetterReason {
        text: words(header(properties, REASON)).unwrap_or_else(|| {
            format!("delivered more than {DELIVERY_LIMIT} times without an outcome")
        }),
        class: words(header(properties, CLASS)).and_then(|class| FailureClass::parse(&class)),
        attempts,
    }
}

/// Time of the message's timestamp, or at which RabbitMQ dead-lettered it.
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
