//! The queues on the broker: their names, and what they are declared with.

use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use lapin::Channel;
use lapin::options::QueueDeclareOptions;
use lapin::types::{AMQPValue, FieldTable, LongString};

/// How often RabbitMQ hands a job out again before it takes it for one that kills its workers. A
/// worker that is killed returns all it had prefetched, so this is far more than attempts are. It
/// is RabbitMQ 4's own default.
pub(super) const DELIVERY_LIMIT: i32 = 20;

/// The same for dead letters, which are returned each time somebody lists them.
const DEAD_DELIVERY_LIMIT: i32 = 1_000_000;

/// What the main queue is. Those of waiting jobs and of dead letters, which see little, are always
/// quorum queues.
#[derive(Debug, Clone, Copy)]
pub(super) enum QueueType {
    /// On the disks of most nodes before it is confirmed.
    Quorum,
    /// On one node, and the quicker for it. It knows no delivery limit: a job that kills its
    /// workers goes round until its code expires.
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

/// The main queue's name, from which the others have theirs, and its kind.
#[derive(Debug, Clone)]
pub(super) struct Topology {
    name: Arc<str>,
    kind: QueueType,
}

impl Topology {
    pub(super) fn new(name: &str, kind: QueueType) -> Self {
        Self { name: name.into(), kind }
    }

    pub(super) fn main(&self) -> &str {
        &self.name
    }

    pub(super) fn dead(&self) -> String {
        format!("{}.dead", self.name)
    }

    /// One for each delay, named by it: a TTL expires only at the head of a queue.
    pub(super) fn wait(&self, base: Duration) -> String {
        let millis = base.as_millis();
        if millis.is_multiple_of(1000) {
            format!("{}.wait.{}s", self.name, millis / 1000)
        } else {
            format!("{}.wait.{millis}ms", self.name)
        }
    }

    /// Declares the main queue and the dead letters' one.
    pub(super) async fn declare(&self, channel: &Channel) -> Result<(), lapin::Error> {
        declare(channel, &self.dead(), quorum(DEAD_DELIVERY_LIMIT)).await?;
        let main = match self.kind {
            QueueType::Quorum => dead_letters_to(&self.dead()),
            QueueType::Classic => typed("classic"),
        };
        declare(channel, self.main(), main).await
    }

    /// Declares a wait queue.
    pub(super) async fn declare_wait(
        &self,
        channel: &Channel,
        base: Duration,
    ) -> Result<(), lapin::Error> {
        let mut arguments = dead_letters_to(self.main());
        // Each message has an expiration of its own, between the base and this.
        let longest = i64::try_from((base * 11 / 10).as_millis()).unwrap_or(i64::MAX);
        arguments.insert("x-message-ttl".into(), AMQPValue::LongLongInt(longest));
        declare(channel, &self.wait(base), arguments).await
    }
}

async fn declare(channel: &Channel, name: &str, arguments: FieldTable) -> Result<(), lapin::Error> {
    channel.queue_declare(name.into(), QueueDeclareOptions::durable(), arguments).await.map(|_| ())
}

/// A queue whose type is said: a virtual host may have another default than classic. RabbitMQ takes
/// it for one that is there without its type having been said, if it is of that type, and refuses
/// it otherwise.
fn typed(kind: &str) -> FieldTable {
    let mut arguments = FieldTable::default();
    arguments.insert("x-queue-type".into(), text(kind));
    arguments
}

fn quorum(delivery_limit: i32) -> FieldTable {
    let mut arguments = typed("quorum");
    arguments.insert("x-delivery-limit".into(), AMQPValue::LongInt(delivery_limit));
    arguments
}

/// A quorum queue; what leaves it without having been acknowledged goes to `target`, and leaves
/// only when it has arrived.
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
