//! The queue on RabbitMQ (3.10 or later): quorum queues, publisher confirms, `mandatory`.
//!
//! ```text
//! sms-verify ──▶ worker ──▶ sms-verify.wait.3s (TTL) ──▶ sms-verify      another attempt
//!                      └──▶ sms-verify.dead                              dead letters
//! ```
//! A TTL expires only at the head of a queue, so there is one wait queue per delay, named by it. A message that waits
//! is a new message: the worker publishes it, waits for the confirm, and only then acknowledges the old one.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use std::{fmt, io, mem};

use futures_util::future::{BoxFuture, FutureExt, Shared};
use futures_util::stream::StreamExt;
use lapin::message::Delivery;
use lapin::options::{
    BasicAckOptions, BasicConsumeOptions, BasicGetOptions, BasicNackOptions, BasicPublishOptions, BasicQosOptions,
    ConfirmSelectOptions, QueueDeclareOptions, QueuePurgeOptions,
};
use lapin::types::{AMQPValue, FieldTable, LongString};
use lapin::{BasicProperties, Channel, Connection, ConnectionProperties};
use tracing::{debug, info, warn};
use url::Url;

use super::{DeadLetter, Delay, Message, QueueError, Receipt, Redriven};
use crate::job::Job;

/// Name of the queue, unless the URL has `?queue=`.
const DEFAULT_QUEUE: &str = "sms-verify";

/// Seconds between heartbeats, unless the URL has `?heartbeat=`: a broker that vanished is noticed after two.
const HEARTBEAT: &str = "10";

/// Longest time that opening a connection may take, whoever waits for it. (lapin itself waits for as long as TCP does.)
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// How often RabbitMQ hands a job out again before it takes it for one that kills its workers. A worker that is killed
/// returns all it had prefetched, so this is far more than attempts are. It is RabbitMQ 4's own default.
const DELIVERY_LIMIT: i32 = 20;

/// The same for dead letters, which are returned each time somebody lists them.
const DEAD_DELIVERY_LIMIT: i32 = 1_000_000;

/// Header of a dead letter with the reason for which it is one.
const REASON: &str = "reason";

const PERSISTENT: u8 = 2;

#[derive(Clone)]
pub(super) struct RabbitMqQueue {
    url: Arc<str>,
    name: Arc<str>,
    publisher: Arc<Mutex<Option<Connecting>>>,
}

/// A connection for publishing, shared by all who wait for it: it goes on when one of them gives up.
type Connecting = Shared<BoxFuture<'static, Result<Publisher, lapin::Error>>>;

#[derive(Clone)]
struct Publisher {
    channel: Channel,
    /// Closes with the last clone.
    connection: Arc<Connection>,
    /// The wait queues that are known to be there.
    declared: Arc<Mutex<HashSet<Duration>>>,
}

impl Publisher {
    fn declared(&self) -> MutexGuard<'_, HashSet<Duration>> {
        self.declared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Which of the queues.
#[derive(Clone, Copy)]
enum Target {
    Main,
    Wait(Duration),
    Dead,
}

impl RabbitMqQueue {
    pub(super) fn new(url: &str) -> Result<Self, QueueError> {
        crate::tls::install();
        let mut url = Url::parse(url).map_err(|_| QueueError::Url("the queue's URL is none"))?;
        let options: Vec<(String, String)> = url.query_pairs().into_owned().collect();
        let option = |name: &str| options.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone());
        let name = option("queue").unwrap_or_else(|| DEFAULT_QUEUE.to_owned());
        // The longest name made of it is 255 bytes.
        if name.is_empty() || name.len() > 200 {
            return Err(QueueError::Url("the queue's name is empty or longer than 200 bytes"));
        }
        let heartbeat = option("heartbeat").unwrap_or_else(|| HEARTBEAT.to_owned());
        if heartbeat.parse::<u16>().is_err() {
            return Err(QueueError::Url("the queue URL's heartbeat needs a number of seconds"));
        }
        url.query_pairs_mut()
            .clear()
            .extend_pairs(options.iter().filter(|(key, _)| key != "queue" && key != "heartbeat"))
            .append_pair("heartbeat", &heartbeat);
        Ok(Self { url: url.as_str().into(), name: name.as_str().into(), publisher: Arc::default() })
    }

    pub(super) async fn send(&self, body: &[u8], delay: Delay) -> Result<(), QueueError> {
        if delay.base.is_zero() {
            return self.publish(Target::Main, body, properties()).await;
        }
        let expiration = delay.total().as_millis().to_string();
        self.publish(Target::Wait(delay.base), body, properties().with_expiration(expiration.into())).await
    }

    pub(super) async fn bury(&self, body: &[u8], reason: &str) -> Result<(), QueueError> {
        let mut headers = FieldTable::default();
        headers.insert(REASON.into(), text(reason));
        self.publish(Target::Dead, body, properties().with_headers(headers)).await
    }

    pub(super) async fn ping(&self) -> Result<(), QueueError> {
        let publisher = self.publisher().await?;
        // On a channel of its own: what is wrong with the queue closes the channel that says so.
        let channel = publisher.connection.create_channel().await?;
        let passive = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::durable() };
        channel.queue_declare((&*self.name).into(), passive, FieldTable::default()).await?;
        channel.close(200, "done".into()).await?;
        Ok(())
    }

    /// Lets go of a connection that has not answered in time, unless it is the broker that blocks it. Whoever still
    /// waits on it keeps it.
    pub(super) fn discard_silent_connection(&self) {
        let mut current = self.publisher.lock().unwrap_or_else(PoisonError::into_inner);
        let silent = |publisher: &Publisher| !publisher.connection.status().blocked();
        if current
            .as_ref()
            .is_some_and(|connecting| matches!(connecting.peek(), Some(Ok(publisher)) if silent(publisher)))
        {
            *current = None;
        }
    }

    pub(super) fn consumer(&self, prefetch: u16) -> RabbitMqConsumer {
        RabbitMqConsumer { queue: self.clone(), prefetch, open: None }
    }

    pub(super) async fn dead_letters(&self) -> Result<Vec<DeadLetter>, QueueError> {
        let (connection, channel) = self.open("dead letters").await?;
        let mut letters = Vec::new();
        while let Some(message) = channel.basic_get(self.dead_queue().into(), BasicGetOptions::default()).await? {
            letters.push(DeadLetter { reason: reason(&message.properties), body: message.delivery.data });
        }
        give_all_back(&channel).await?;
        close(&connection).await;
        Ok(letters)
    }

    pub(super) async fn redrive(&self) -> Result<Redriven, QueueError> {
        let (connection, channel) = self.open("redrive").await?;
        let mut redriven = Redriven::default();
        // No more than there are now: a job that dies again meanwhile waits for the next redrive.
        let passive = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::durable() };
        let dead = channel.queue_declare(self.dead_queue().into(), passive, FieldTable::default()).await?;
        for _ in 0..dead.message_count() {
            let message = channel.basic_get(self.dead_queue().into(), BasicGetOptions::default()).await?;
            let Some(message) = message else { break };
            if let Ok(job) = Job::decode(&message.delivery.data) {
                self.publish(Target::Main, Job { attempts: 0, ..job }.encode().as_bytes(), properties()).await?;
                message.delivery.acker.ack(BasicAckOptions::default()).await?;
                redriven.jobs += 1;
            } else {
                redriven.unreadable += 1;
            }
        }
        give_all_back(&channel).await?;
        close(&connection).await;
        Ok(redriven)
    }

    pub(super) async fn purge(&self) -> Result<usize, QueueError> {
        let (connection, channel) = self.open("purge").await?;
        let purged = channel.queue_purge(self.dead_queue().into(), QueuePurgeOptions::default()).await?;
        close(&connection).await;
        Ok(usize::try_from(purged).unwrap_or(usize::MAX))
    }

    /// Publishes and waits for the confirm; once more if the connection turned out to be dead. Published twice, a job
    /// is still sent once.
    async fn publish(&self, target: Target, body: &[u8], properties: BasicProperties) -> Result<(), QueueError> {
        match self.try_publish(target, body, properties.clone()).await {
            Err(QueueError::RabbitMq(error)) => {
                debug!(%error, "publishing again on a new connection");
                self.try_publish(target, body, properties).await
            }
            result => result,
        }
    }

    async fn try_publish(&self, target: Target, body: &[u8], properties: BasicProperties) -> Result<(), QueueError> {
        let publisher = self.publisher().await?;
        let queue = match target {
            Target::Main => self.name.to_string(),
            Target::Dead => self.dead_queue(),
            Target::Wait(base) => {
                self.declare_wait_queue(&publisher, base).await?;
                self.wait_queue(base)
            }
        };
        let options = BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() };
        let confirm = publisher.channel.basic_publish("".into(), queue.into(), options, body, properties).await?;
        let confirmation = confirm.await?;
        if !confirmation.is_ack() {
            return Err(QueueError::Refused("the queue is full or has lost its majority"));
        }
        match confirmation.take_message() {
            Some(_) => Err(QueueError::Refused("there is no such queue")),
            None => Ok(()),
        }
    }

    /// The connection for publishing, opened by whoever needs it first after it was lost.
    async fn publisher(&self) -> Result<Publisher, lapin::Error> {
        let connecting = {
            let mut current = self.publisher.lock().unwrap_or_else(PoisonError::into_inner);
            match &*current {
                Some(connecting) if is_usable(connecting) => connecting.clone(),
                _ => {
                    let connecting = connect_publisher(self.clone()).boxed().shared();
                    tokio::spawn(connecting.clone());
                    current.insert(connecting).clone()
                }
            }
        };
        connecting.await
    }

    /// A connection with a channel and the queues, within [`CONNECT_TIMEOUT`].
    async fn open(&self, purpose: &str) -> Result<(Connection, Channel), lapin::Error> {
        let name = format!("sms-verify {purpose}");
        let properties = ConnectionProperties::default().with_connection_name(name.into());
        let open = async {
            let connection = Connection::connect(&self.url, properties).await?;
            let channel = connection.create_channel().await?;
            self.declare(&channel).await?;
            Ok((connection, channel))
        };
        let late = |_| Err(io::Error::new(io::ErrorKind::TimedOut, "no connection in time").into());
        tokio::time::timeout(CONNECT_TIMEOUT, open).await.unwrap_or_else(late)
    }

    async fn declare(&self, channel: &Channel) -> Result<(), lapin::Error> {
        let dead_queue = self.dead_queue();
        let mut arguments = quorum(DEAD_DELIVERY_LIMIT);
        channel.queue_declare(dead_queue.as_str().into(), QueueDeclareOptions::durable(), arguments).await?;
        arguments = quorum(DELIVERY_LIMIT);
        dead_letters_to(&mut arguments, &dead_queue);
        channel.queue_declare((&*self.name).into(), QueueDeclareOptions::durable(), arguments).await?;
        Ok(())
    }

    /// Once for each connection, on a channel of its own: a queue that is there already with other arguments closes it.
    async fn declare_wait_queue(&self, publisher: &Publisher, base: Duration) -> Result<(), lapin::Error> {
        if publisher.declared().contains(&base) {
            return Ok(());
        }
        let mut arguments = quorum(DELIVERY_LIMIT);
        dead_letters_to(&mut arguments, &self.name);
        // Each message has an expiration of its own, between the base and this.
        let longest = i64::try_from((base * 11 / 10).as_millis()).unwrap_or(i64::MAX);
        arguments.insert("x-message-ttl".into(), AMQPValue::LongLongInt(longest));
        let channel = publisher.connection.create_channel().await?;
        channel.queue_declare(self.wait_queue(base).into(), QueueDeclareOptions::durable(), arguments).await?;
        channel.close(200, "done".into()).await?;
        publisher.declared().insert(base);
        Ok(())
    }

    fn dead_queue(&self) -> String {
        format!("{}.dead", self.name)
    }

    fn wait_queue(&self, base: Duration) -> String {
        let millis = base.as_millis();
        if millis.is_multiple_of(1000) {
            format!("{}.wait.{}s", self.name, millis / 1000)
        } else {
            format!("{}.wait.{millis}ms", self.name)
        }
    }
}

impl fmt::Debug for RabbitMqQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RabbitMqQueue({})", self.name)
    }
}

/// Whether a connection is on its way or stands.
fn is_usable(connecting: &Connecting) -> bool {
    match connecting.peek() {
        None => true,
        Some(Ok(publisher)) => publisher.channel.status().connected(),
        Some(Err(_)) => false,
    }
}

async fn connect_publisher(queue: RabbitMqQueue) -> Result<Publisher, lapin::Error> {
    let (connection, channel) = queue.open("publisher").await?;
    channel.confirm_select(ConfirmSelectOptions::default()).await?;
    Ok(Publisher { channel, connection: Arc::new(connection), declared: Arc::default() })
}

fn properties() -> BasicProperties {
    BasicProperties::default().with_delivery_mode(PERSISTENT).with_content_type("application/json".into())
}

fn quorum(delivery_limit: i32) -> FieldTable {
    let mut arguments = FieldTable::default();
    arguments.insert("x-queue-type".into(), text("quorum"));
    arguments.insert("x-delivery-limit".into(), AMQPValue::LongInt(delivery_limit));
    arguments
}

/// What leaves the queue without having been acknowledged goes to `target`, and leaves only when it has arrived.
fn dead_letters_to(arguments: &mut FieldTable, target: &str) {
    arguments.insert("x-dead-letter-exchange".into(), text(""));
    arguments.insert("x-dead-letter-routing-key".into(), text(target));
    arguments.insert("x-dead-letter-strategy".into(), text("at-least-once"));
    arguments.insert("x-overflow".into(), text("reject-publish"));
}

fn text(value: &str) -> AMQPValue {
    AMQPValue::LongString(LongString::from(value))
}

/// Our own reason, or RabbitMQ's: only the delivery limit makes a dead letter without us.
fn reason(properties: &BasicProperties) -> String {
    let header = properties.headers().as_ref().and_then(|headers| headers.inner().get(REASON));
    match header {
        Some(AMQPValue::LongString(reason)) => reason.to_string(),
        _ => format!("handed out more than {DELIVERY_LIMIT} times without an outcome"),
    }
}

/// Returns everything that was read and not acknowledged, at once and not only when the connection's end is noticed.
async fn give_all_back(channel: &Channel) -> Result<(), lapin::Error> {
    channel.basic_nack(0, BasicNackOptions { multiple: true, requeue: true }).await
}

async fn close(connection: &Connection) {
    if let Err(error) = connection.close(200, "done".into()).await {
        debug!(%error, "closing a connection");
    }
}

pub(super) async fn ack(delivery: &Delivery) {
    match delivery.acker.ack(BasicAckOptions::default()).await {
        Ok(true) => {}
        Ok(false) => warn!("not acknowledged: the message will be handed out again"),
        Err(error) => warn!(%error, "not acknowledged: the message will be handed out again"),
    }
}

pub(super) async fn give_back(delivery: &Delivery) {
    let options = BasicNackOptions { requeue: true, ..BasicNackOptions::default() };
    if let Err(error) = delivery.acker.nack(options).await {
        debug!(%error, "not returned: the lost connection has done so");
    }
}

/// Takes messages over a connection of its own, which it opens anew whenever it is lost.
#[derive(Debug)]
pub(super) struct RabbitMqConsumer {
    queue: RabbitMqQueue,
    prefetch: u16,
    open: Option<(Connection, lapin::Consumer)>,
}

impl RabbitMqConsumer {
    /// Waits between attempts to connect: the first, and the longest.
    const RECONNECT: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(3));

    pub(super) async fn receive(&mut self) -> Message {
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
        let name = (&*self.queue.name).into();
        let consumer =
            channel.basic_consume(name, "".into(), BasicConsumeOptions::default(), FieldTable::default()).await?;
        info!(queue = %self.queue.name, "consuming from RabbitMQ");
        Ok((connection, consumer))
    }

    pub(super) async fn close(self) {
        if let Some((connection, _)) = self.open {
            close(&connection).await;
        }
    }
}
