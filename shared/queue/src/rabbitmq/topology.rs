//! The queues on the broker: names and arguments.

use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use lapin::Channel;
use lapin::options::QueueDeclareOptions;
use lapin::types::{AMQPValue, FieldTable, LongString};

use crate::error::INEQUIVALENT;

/// Maximum number of redeliveries, after which RabbitMQ dead-letters a job as one that kills its
/// workers. A worker that is killed returns all jobs that it had prefetched, so this is far more
/// than the number of attempts. It is RabbitMQ 4's own default.
pub(super) const DELIVERY_LIMIT: i32 = 20;

/// Maximum number of redeliveries of a dead letter; listing dead letters redelivers each of them.
const DEAD_DELIVERY_LIMIT: i32 = 1_000_000;

/// Type of the main queue. The queues of waiting jobs and of dead letters, with their low traffic,
/// are always quorum queues.
#[derive(Debug, Clone, Copy)]
pub(super) enum QueueType {
    /// Replicated: a message is on the disks of most nodes before it is confirmed.
    Quorum,
    /// On one node, and faster. It has no delivery limit: a job that kills its workers is
    /// redelivered until its code expires.
    Classic,
}

impl FromStr for QueueType {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        match text {
            "quorum" => Ok(Self::Quorum),
            "classic" => Ok(Self::Classic),
            _ => Err(()),
        }
    }
}

/// Name and type of the main queue; the names of the others are derived from it.
#[derive(Debug, Clone)]
pub(super) struct Topology {
    name: Arc<str>,
    queue_type: QueueType,
}

impl Topology {
    pub(super) fn new(name: &str, queue_type: QueueType) -> Self {
        Self { name: name.into(), queue_type }
    }

    pub(super) fn main(&self) -> &str {
        &self.name
    }

    pub(super) fn dead(&self) -> String {
        format!("{}.dead", self.name)
    }

    pub(super) fn probe(&self) -> String {
        format!("{}.probe", self.name)
    }

    /// Name of the wait queue of a delay. Each delay has its own, since a TTL expires only at the
    /// head of a queue.
    pub(super) fn wait(&self, base: Duration) -> String {
        let millis = base.as_millis();
        if millis.is_multiple_of(1000) {
            format!("{}.wait.{}s", self.name, millis / 1000)
        } else {
            format!("{}.wait.{millis}ms", self.name)
        }
    }

    /// Declares the main queue and that of dead letters.
    pub(super) async fn declare(&self, channel: &Channel) -> Result<(), lapin::Error> {
        declare(channel, &self.dead(), quorum(DEAD_DELIVERY_LIMIT)).await?;
        let main = match self.queue_type {
            QueueType::Quorum => dead_letters_to(&self.dead()),
            QueueType::Classic => typed("classic"),
        };
        declare(channel, self.main(), main).await
    }

    /// Returns true if the main queue exists with other arguments.
    pub(super) fn main_differs(&self, error: &lapin::Error) -> bool {
        let text = error.to_string();
        text.contains(INEQUIVALENT) && text.contains(&format!("for queue '{}'", self.main()))
    }

    /// Succeeds if the main queue, which exists, has this type. RabbitMQ names but one argument
    /// that is not as declared, and the type is the last of them.
    pub(super) async fn has_type(&self, channel: &Channel) -> Result<(), lapin::Error> {
        let kind = match self.queue_type {
            QueueType::Quorum => "quorum",
            QueueType::Classic => "classic",
        };
        declare(channel, self.main(), typed(kind)).await
    }

    /// Declares the queue that is published to in order to see if that is possible.
    pub(super) async fn declare_probe(&self, channel: &Channel) -> Result<(), lapin::Error> {
        let mut arguments = typed("quorum");
        arguments.insert("x-max-length".into(), AMQPValue::LongInt(1));
        arguments.insert("x-overflow".into(), text("drop-head"));
        declare(channel, &self.probe(), arguments).await
    }

    /// Declares a wait queue.
    pub(super) async fn declare_wait(
        &self,
        channel: &Channel,
        base: Duration,
    ) -> Result<(), lapin::Error> {
        let mut arguments = dead_letters_to(self.main());
        // Each message has an expiration of its own, between the base and this maximum.
        let longest = i64::try_from((base * 11 / 10).as_millis()).unwrap_or(i64::MAX);
        arguments.insert("x-message-ttl".into(), AMQPValue::LongLongInt(longest));
        declare(channel, &self.wait(base), arguments).await
    }
}

async fn declare(channel: &Channel, name: &str, arguments: FieldTable) -> Result<(), lapin::Error> {
    channel.queue_declare(name.into(), QueueDeclareOptions::durable(), arguments).await.map(|_| ())
}

/// Arguments with an explicit type, since a virtual host's default may not be classic. RabbitMQ
/// considers them equivalent to those of an existing queue of that type that was declared without
/// one, and refuses them otherwise.
fn typed(queue_type: &str) -> FieldTable {
    let mut arguments = FieldTable::default();
    arguments.insert("x-queue-type".into(), text(queue_type));
    arguments
}

fn quorum(delivery_limit: i32) -> FieldTable {
    let mut arguments = typed("quorum");
    arguments.insert("x-delivery-limit".into(), AMQPValue::LongInt(delivery_limit));
    arguments
}

/// Arguments of a quorum queue that dead-letters to `target`, at least once: a message leaves only
/// when `target` has stored it.
fn dead_letters_to(target: &str) -> FieldTable {
    let mut arguments = quorum(DELIVERY_LIMIT);
    arguments.insert("x-dead-letter-exchange".into(), text(""));
    arguments.insert("x-dead-letter-routing-key".into(), text(target));
    arguments.insert("x-dead-letter-strategy".into(), text("at-least-once"));
    arguments.insert("x-overflow".into(), text("reject-publish"));
    arguments
}

pub(super) fn text(value: &str) -> AMQPValue {
    AMQPValue::LongString(LongString::from(value))
}
