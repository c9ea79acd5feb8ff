//! The queue on SQS. Its messages reach the function `send-sms` through an event source mapping; here they are sent,
//! postponed and buried.

use std::fmt;
use std::time::Duration;

use aws_config::BehaviorVersion;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::{MessageAttributeValue, QueueAttributeName};
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};

use super::{DEADLINE, QueueError};

/// Longest delay of a message, SQS's own limit.
const MAX_DELAY: Duration = Duration::from_secs(900);

/// Attribute of a dead letter with the reason for which it is one.
const REASON: &str = "reason";

#[derive(Clone)]
pub(super) struct SqsQueue {
    client: Client,
    url: String,
    dead_url: Option<String>,
}

impl SqsQueue {
    pub(super) async fn new(url: &str, dead_url: Option<&str>) -> Self {
        let http =
            aws_smithy_http_client::Builder::new().tls_provider(Provider::Rustls(CryptoMode::Ring)).build_https();
        let config = aws_config::defaults(BehaviorVersion::latest())
            .http_client(http)
            .timeout_config(TimeoutConfig::builder().operation_timeout(DEADLINE).build())
            .retry_config(RetryConfig::standard().with_max_attempts(2))
            .load()
            .await;
        Self { client: Client::new(&config), url: url.to_owned(), dead_url: dead_url.map(str::to_owned) }
    }

    pub(super) async fn send(&self, body: &str, delay: Duration) -> Result<(), QueueError> {
        let request = self.client.send_message().queue_url(&self.url).message_body(body);
        let delay = whole_seconds(delay.min(MAX_DELAY));
        // A FIFO queue refuses a delay of its own, and no delay is the default.
        let request = if delay > 0 { request.delay_seconds(delay) } else { request };
        request.send().await.map(|_| ()).map_err(failed)
    }

    pub(super) async fn bury(&self, body: &[u8], reason: &str) -> Result<(), QueueError> {
        let dead_url = self
            .dead_url
            .as_ref()
            .ok_or(QueueError::Url("without DEAD_QUEUE_URL there is no place for a dead letter"))?;
        let reason =
            MessageAttributeValue::builder().data_type("String").string_value(reason).build().map_err(failed)?;
        let request = self.client.send_message().queue_url(dead_url).message_attributes(REASON, reason);
        // SQS takes no empty body.
        let body = if body.is_empty() { " ".into() } else { String::from_utf8_lossy(body) };
        request.message_body(body).send().await.map(|_| ()).map_err(failed)
    }

    pub(super) async fn postpone(&self, receipt_handle: &str, delay: Duration) -> Result<(), QueueError> {
        let request = self.client.change_message_visibility().queue_url(&self.url).receipt_handle(receipt_handle);
        request.visibility_timeout(whole_seconds(delay)).send().await.map(|_| ()).map_err(failed)
    }

    pub(super) async fn ping(&self) -> Result<(), QueueError> {
        let request = self.client.get_queue_attributes().queue_url(&self.url);
        request.attribute_names(QueueAttributeName::QueueArn).send().await.map(|_| ()).map_err(failed)
    }
}

/// SQS counts in whole seconds; rounded up, no job comes back before its time.
fn whole_seconds(delay: Duration) -> i32 {
    i32::try_from(delay.as_millis().div_ceil(1000)).unwrap_or(i32::MAX)
}

fn failed(error: impl std::error::Error + Send + Sync + 'static) -> QueueError {
    QueueError::Sqs(Box::new(error))
}

impl fmt::Debug for SqsQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SqsQueue({})", self.url)
    }
}
