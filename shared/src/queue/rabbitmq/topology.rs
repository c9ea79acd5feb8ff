//! The queues on the broker: their names, and what they are declared with.

use std::sync::Arc;
use std::time::Duration;

use lapin::Channel;
use lapin::options::QueueDeclareOptions;
use lapin::types::{AMQPValue, FieldTable, LongString};

/// How often RabbitMQ hands a job out again before it takes it for one that kills its workers. A worker that is killed
/// returns all it had prefetched, so this is far more than attempts are. It is RabbitMQ 4's own default.
pub(super) const DELIVERY_LIMIT: i32 = 20;

/// The same for dead letters, which are returned each time somebody lists them.
const DEAD_DELIVERY_LIMIT: i32 = 1_000_000;

/// The main queue's name, from which the others have theirs.
#[derive(Debug, Clone)]
pub(super) struct Topology(Arc<str>);

impl Topology {
    pub(super) fn new(name: &str) -> Self {
        Self(name.into())
    }

    pub(super) fn main(&self) -> &str {
        &self.0
    }

    pub(super) fn dead(&self) -> String {
        format!("{}.dead", self.0)
    }

    /// One for each delay, named by it: a TTL expires only at the head of a queue.
    pub(super) fn wait(&self, base: Duration) -> String {
        let millis = base.as_millis();
        if millis.is_multiple_of(1000) {
            format!("{}.wait.{}s", self.0, millis / 1000)
        } else {
            format!("{}.wait.{millis}ms", self.0)
        }
    }

    /// Declares the main queue and the dead letters' one.
    pub(super) async fn declare(&self, channel: &Channel) -> Result<(), lapin::Error> {
        declare(channel, &self.dead(), quorum(DEAD_DELIVERY_LIMIT)).await?;
        declare(channel, self.main(), dead_letters_to(&self.dead())).await
    }

    /// Declares a wait queue.
    pub(super) async fn declare_wait(&self, channel: &Channel, base: Duration) -> Result<(), lapin::Error> {
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

fn quorum(delivery_limit: i32) -> FieldTable {
    let mut arguments = FieldTable::default();
    arguments.insert("x-queue-type".into(), text("quorum"));
    arguments.insert("x-delivery-limit".into(), AMQPValue::LongInt(delivery_limit));
    arguments
}

/// A quorum queue; what leaves it without having been acknowledged goes to `target`, and leaves only when it has
/// arrived.
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
