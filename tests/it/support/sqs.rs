//! SQS queues as the template makes them, and a poller that plays Lambda's event source mapping.

use std::ops::AsyncFn;
use std::time::Duration;

use aws_lambda_events::sqs::SqsBatchResponse;
use aws_sdk_sqs::Client;
use aws_sdk_sqs::config::timeout::TimeoutConfig;
use aws_sdk_sqs::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_sqs::types::{Message, MessageSystemAttributeName, QueueAttributeName};
use serde_json::{Value, json};

use super::services::sqs_endpoint;
use super::unique;

/// 1 + MAX_RETRIES, as in the template.
const MAX_RECEIVE_COUNT: u32 = 4;

/// A client of the shared SQS server.
pub fn client() -> Client {
    client_at(&sqs_endpoint())
}

/// A client of an SQS server.
pub fn client_at(endpoint: &str) -> Client {
    client_in("us-east-1", endpoint)
}

/// A client of a region of an SQS server.
pub fn client_in(region: &'static str, endpoint: &str) -> Client {
    sms_outbound::tls::install();
    let config = aws_sdk_sqs::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new(region))
        .credentials_provider(Credentials::new("test", "test", None, None, "test"))
        .endpoint_url(endpoint)
        // As long as a busy machine may take: the SDK would wait 3.1 s for a connection.
        .timeout_config(TimeoutConfig::builder().connect_timeout(Duration::from_secs(60)).build())
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .build();
    Client::from_conf(config)
}

/// A queue with its dead-letter queue.
pub struct Queues {
    client: Client,
    pub endpoint: String,
    pub url: String,
    pub dead_url: String,
}

impl Queues {
    /// New ones on the shared server.
    pub async fn create(client: &Client) -> Self {
        Self::create_at(client, &sqs_endpoint(), &unique("test")).await
    }

    /// New ones of this name on another server.
    pub async fn create_at(client: &Client, endpoint: &str, name: &str) -> Self {
        let dead_url = create(client, &format!("{name}-dead"), None).await;
        let request = client
            .get_queue_attributes()
            .queue_url(&dead_url)
            .attribute_names(QueueAttributeName::QueueArn);
        let attributes = request.send().await.expect("an answer").attributes.expect("attributes");
        let arn = &attributes[&QueueAttributeName::QueueArn];
        let redrive =
            json!({ "deadLetterTargetArn": arn, "maxReceiveCount": MAX_RECEIVE_COUNT }).to_string();
        let url = create(client, name, Some(&redrive)).await;
        Self { client: client.clone(), endpoint: endpoint.to_owned(), url, dead_url }
    }

    /// One round of the event source mapping: up to ten messages, one invocation, and the deletion
    /// of what the function did not name.
    pub async fn poll(&self, function: impl AsyncFn(Value) -> SqsBatchResponse) {
        let request = self
            .client
            .receive_message()
            .queue_url(&self.url)
            .max_number_of_messages(10)
            .wait_time_seconds(1);
        let request = request.message_system_attribute_names(MessageSystemAttributeName::All);
        let messages = request.send().await.expect("an answer").messages.unwrap_or_default();
        if messages.is_empty() {
            return;
        }
        let response =
            function(json!({ "Records": messages.iter().map(record).collect::<Vec<_>>() })).await;
        let failed = |message: &Message| {
            let named = |name: &str| Some(name) == message.message_id();
            response.batch_item_failures.iter().any(|failure| named(&failure.item_identifier))
        };
        for message in messages.iter().filter(|message| !failed(message)) {
            let request = self.client.delete_message().queue_url(&self.url);
            request
                .set_receipt_handle(message.receipt_handle.clone())
                .send()
                .await
                .expect("deleted");
        }
    }

    /// Up to ten messages as the records of an event. Unless they are deleted they show again after
    /// `visibility` seconds.
    pub async fn take(&self, visibility: i32) -> Vec<Value> {
        let request = self.client.receive_message().queue_url(&self.url).max_number_of_messages(10);
        let request = request.visibility_timeout(visibility).wait_time_seconds(1);
        let request = request.message_system_attribute_names(MessageSystemAttributeName::All);
        request
            .send()
            .await
            .expect("an answer")
            .messages
            .unwrap_or_default()
            .iter()
            .map(record)
            .collect()
    }

    /// Number of messages in the queue, hidden and delayed ones included.
    pub async fn depth(&self) -> u32 {
        depth(&self.client, &self.url).await
    }

    /// Number of dead letters, hidden ones included.
    pub async fn dead(&self) -> u32 {
        depth(&self.client, &self.dead_url).await
    }
}

async fn create(client: &Client, name: &str, redrive_policy: Option<&str>) -> String {
    let policy = redrive_policy
        .map(|policy| [(QueueAttributeName::RedrivePolicy, policy.to_owned())].into());
    let created = client
        .create_queue()
        .queue_name(name)
        .set_attributes(policy)
        .send()
        .await
        .expect("a queue");
    created.queue_url().expect("its URL").to_owned()
}

fn record(message: &Message) -> Value {
    let attributes = message
        .attributes
        .iter()
        .flatten()
        .map(|(name, value)| (name.as_str().to_owned(), value.as_str().into()));
    json!({
        "messageId": message.message_id, "receiptHandle": message.receipt_handle,
        "body": message.body, "attributes": attributes.collect::<serde_json::Map<_, _>>(),
        "messageAttributes": {},
    })
}

async fn depth(client: &Client, url: &str) -> u32 {
    use QueueAttributeName::{
        ApproximateNumberOfMessages, ApproximateNumberOfMessagesDelayed,
        ApproximateNumberOfMessagesNotVisible,
    };
    let names = [
        ApproximateNumberOfMessages,
        ApproximateNumberOfMessagesDelayed,
        ApproximateNumberOfMessagesNotVisible,
    ];
    let request =
        client.get_queue_attributes().queue_url(url).set_attribute_names(Some(names.to_vec()));
    let attributes = request.send().await.expect("an answer").attributes.expect("attributes");
    names.iter().map(|name| attributes[name].parse::<u32>().expect("a number")).sum()
}
