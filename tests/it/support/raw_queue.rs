//! A queue of RabbitMQ with its messages as they are, past the program's own client.

use lapin::options::{BasicGetOptions, BasicPublishOptions, ConfirmSelectOptions};
use lapin::{BasicProperties, Channel, Connection, ConnectionProperties};
use sms_domain::job_batch;

use super::eventually;

/// A queue that exists.
pub struct RawQueue {
    _connection: Connection,
    channel: Channel,
    name: String,
}

impl RawQueue {
    /// The main queue of a `QUEUE_URL`.
    pub async fn open(url: &str) -> Self {
        let (server, name) = url.split_once("?queue=").expect("a queue of its own");
        let name = name.split('&').next().expect("a name").to_owned();
        let connection =
            Connection::connect(server, ConnectionProperties::default()).await.expect("connected");
        let channel = connection.create_channel().await.expect("a channel");
        channel.confirm_select(ConfirmSelectOptions::default()).await.expect("confirms");
        Self { _connection: connection, channel, name }
    }

    /// Puts a message into it.
    pub async fn publish(&self, body: &[u8]) {
        self.publish_with(body, BasicProperties::default()).await;
    }

    /// Puts a message with more than a body into it.
    pub async fn publish_with(&self, body: &[u8], properties: BasicProperties) {
        self.publish_to("", body, properties).await;
    }

    /// Puts a message among the dead letters.
    pub async fn bury(&self, body: &[u8]) {
        self.publish_to(".dead", body, BasicProperties::default()).await;
    }

    /// The next dead letter, with what is beside its body; it is no dead letter any more then.
    pub async fn dig_out(&self) -> Option<(Vec<u8>, BasicProperties)> {
        let (queue, options) = (format!("{}.dead", self.name), BasicGetOptions { no_ack: true });
        let message = self.channel.basic_get(queue.into(), options).await.expect("an answer");
        message.map(|message| (message.delivery.data, message.delivery.properties))
    }

    async fn publish_to(&self, suffix: &str, body: &[u8], properties: BasicProperties) {
        let queue = format!("{}{suffix}", self.name).into();
        let options = BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() };
        let properties = properties.with_delivery_mode(2);
        let confirm = self.channel.basic_publish("".into(), queue, options, body, properties);
        let confirmation = confirm.await.expect("sent").await.expect("confirmed");
        assert!(confirmation.is_ack() && confirmation.take_message().is_none(), "not stored");
    }

    /// The next message, if there is one, which is no longer in the queue then.
    pub async fn take(&self) -> Option<Vec<u8>> {
        let options = BasicGetOptions { no_ack: true };
        let message = self.channel.basic_get(self.name.as_str().into(), options).await;
        message.expect("an answer").map(|message| message.delivery.data)
    }

    /// Takes messages until they have so many jobs.
    pub async fn take_jobs(&self, count: usize) -> Vec<Vec<u8>> {
        let (mut messages, mut jobs) = (Vec::new(), 0);
        while jobs < count {
            let message = eventually("a message", || self.take()).await;
            jobs += jobs_of(&message).len();
            messages.push(message);
        }
        messages
    }

    /// Puts so many jobs into one message.
    pub async fn merge(&self, count: usize) {
        let jobs: Vec<_> =
            self.take_jobs(count).await.iter().flat_map(|body| jobs_of(body)).collect();
        assert_eq!(jobs.len(), count);
        self.publish(&job_batch::join(jobs.iter().map(Vec::as_slice))).await;
    }
}

/// The jobs of a message.
pub fn jobs_of(message: &[u8]) -> Vec<Vec<u8>> {
    job_batch::split(message).unwrap_or_else(|| vec![message.to_vec()])
}
