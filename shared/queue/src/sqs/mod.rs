//! The queue on SQS. Its messages reach the function `send-sms` through an event source mapping;
//! here they are sent, postponed and buried, and dead letters are looked after.

mod dead_letters;

use std::fmt;
use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region};
use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::{
    MessageAttributeValue, MessageSystemAttributeNameForSends, MessageSystemAttributeValue,
    QueueAttributeName,
};
use futures_util::future::{BoxFuture, FutureExt, Shared};
use sms_domain::trace_context::TraceParent;
use sms_outbound::blocking::in_its_own_thread;
use sms_telemetry::xray;

pub(super) use self::dead_letters::DeadLetters;
use crate::DEADLINE;
use crate::dead_letter::{DeadLetterReason, Depth};
use crate::error::QueueError;

/// Longest delay of a message, SQS's own limit.
const MAX_DELAY: Duration = Duration::from_secs(900);

/// Longest time for one of the two attempts at a call: a connection whose peer has vanished without
/// a word (a frozen Lambda environment) costs this, and leaves the rest of the deadline for a new
/// one. A job that was queued twice for that is sent once.
const ATTEMPT: Duration = Duration::from_millis(220);

/// Longest wait between the two.
const BACKOFF: Duration = Duration::from_millis(20);

#[derive(Clone)]
pub(super) struct SqsQueue {
    /// Made by whoever needs it first: it reads certificates and credentials.
    client: Shared<BoxFuture<'static, Client>>,
    url: String,
    dead_url: Option<String>,
}

impl SqsQueue {
    pub(super) fn new(url: &str, dead_url: Option<&str>) -> Self {
        let client = connect(region(url)).boxed().shared();
        Self { client, url: url.to_owned(), dead_url: dead_url.map(str::to_owned) }
    }

    /// Makes the client.
    pub(super) async fn warm_up(&self) {
        in_its_own_thread(self.client.clone()).await;
    }

    /// The client is there.
    pub(super) async fn client_ready(&self) {
        self.client().await;
    }

    async fn client(&self) -> Client {
        self.client.clone().await
    }

    pub(super) async fn send(
        &self,
        body: &str,
        delay: Duration,
        trace: Option<&TraceParent>,
    ) -> Result<(), QueueError> {
        let mut request =
            self.client().await.send_message().queue_url(&self.url).message_body(body);
        if let Some(header) = trace_header(trace) {
            request = request.message_system_attributes(
                MessageSystemAttributeNameForSends::AwsTraceHeader,
                header,
            );
        }
        let delay = whole_seconds(delay.min(MAX_DELAY));
        // No delay is the default.
        let request = if delay > 0 { request.delay_seconds(delay) } else { request };
        request.send().await.map(|_| ()).map_err(failed)
    }

    pub(super) async fn dead_letter(
        &self,
        body: &[u8],
        death: &DeadLetterReason,
    ) -> Result<(), QueueError> {
        let dead_url = self.dead_url()?;
        let mut request = self.client().await.send_message().queue_url(dead_url);
        for (name, value) in dead_letters::attributes(death) {
            let value =
                MessageAttributeValue::builder().data_type("String").string_value(value).build();
            request = request.message_attributes(name, value.map_err(failed)?);
        }
        // SQS takes no empty body.
        let body = if body.is_empty() { " ".into() } else { String::from_utf8_lossy(body) };
        request.message_body(body).send().await.map(|_| ()).map_err(failed)
    }

    pub(super) async fn postpone(
        &self,
        receipt_handle: &str,
        delay: Duration,
    ) -> Result<(), QueueError> {
        let request = self
            .client()
            .await
            .change_message_visibility()
            .queue_url(&self.url)
            .receipt_handle(receipt_handle);
        request.visibility_timeout(whole_seconds(delay)).send().await.map(|_| ()).map_err(failed)
    }

    fn dead_url(&self) -> Result<&str, QueueError> {
        self.dead_url
            .as_deref()
            .ok_or(QueueError::Url("without DEAD_QUEUE_URL there is no place for a dead letter"))
    }

    pub(super) async fn depth(&self) -> Result<Depth, QueueError> {
        let client = self.client().await;
        let jobs = about(&client, &self.url).await?;
        let dead = match &self.dead_url {
            Some(url) => Some(about(&client, url).await?),
            None => None,
        };
        Ok(Depth { jobs, dead })
    }

    pub(super) async fn ping(&self) -> Result<(), QueueError> {
        let request = self.client().await.get_queue_attributes().queue_url(&self.url);
        request
            .attribute_names(QueueAttributeName::QueueArn)
            .send()
            .await
            .map(|_| ())
            .map_err(failed)
    }
}

/// By it X-Ray links the sender's invocation to this one; elsewhere than on Lambda, to the job's
/// own trace.
fn trace_header(trace: Option<&TraceParent>) -> Option<MessageSystemAttributeValue> {
    let header = xray::invocation().or_else(|| trace.map(TraceParent::xray))?;
    MessageSystemAttributeValue::builder().data_type("String").string_value(header).build().ok()
}

/// About how many messages are in a queue.
async fn about(client: &Client, url: &str) -> Result<usize, QueueError> {
    let count = QueueAttributeName::ApproximateNumberOfMessages;
    let request = client.get_queue_attributes().queue_url(url).attribute_names(count.clone());
    let attributes = request.send().await.map_err(failed)?.attributes.unwrap_or_default();
    Ok(attributes.get(&count).and_then(|text| text.parse().ok()).unwrap_or(0))
}

/// The one that the host of a queue's URL names: the client asks there, wherever this process runs.
pub(super) fn region(url: &str) -> Option<Region> {
    let host = url.split('/').nth(2)?;
    let labels: Vec<&str> = host.split('.').collect();
    let after =
        labels.iter().position(|label| matches!(*label, "sqs" | "sqs-fips")).map(|index| index + 1);
    let index =
        after.or_else(|| labels.iter().position(|label| *label == "queue")?.checked_sub(1))?;
    let named = labels
        .get(index)
        .filter(|label| label.contains('-') && label.ends_with(|c: char| c.is_ascii_digit()));
    named.map(|label| Region::new((*label).to_owned()))
}

async fn connect(region: Option<Region>) -> Client {
    let config = aws_config::defaults(BehaviorVersion::latest());
    let config = match region {
        Some(region) => config.region(region),
        None => config,
    };
    let config = config
        .http_client(sms_outbound::tls::aws_http_client())
        .timeout_config(
            TimeoutConfig::builder()
                .operation_timeout(DEADLINE)
                .operation_attempt_timeout(ATTEMPT)
                .build(),
        )
        .retry_config(RetryConfig::standard().with_max_attempts(2).with_initial_backoff(BACKOFF))
        .load()
        .await;
    Client::new(&config)
}

/// SQS counts in whole seconds. A back-off is whole seconds, so that only a part of its jitter is
/// lost.
fn whole_seconds(delay: Duration) -> i32 {
    i32::try_from(delay.as_secs()).unwrap_or(i32::MAX)
}

fn failed(error: impl std::error::Error + Send + Sync + 'static) -> QueueError {
    QueueError::Sqs(Box::new(error))
}

impl fmt::Debug for SqsQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SqsQueue({})", self.url)
    }
}

#[cfg(test)]
mod tests {
    use super::region;

    #[test]
    fn a_queues_url_names_its_region() {
        for (url, expected) in [
            ("https://sqs.eu-central-1.amazonaws.com/123456789012/jobs", Some("eu-central-1")),
            (
                "https://sqs-fips.us-gov-west-1.amazonaws.com/123456789012/jobs",
                Some("us-gov-west-1"),
            ),
            (
                "https://vpce-0a-2c.sqs.us-east-1.vpce.amazonaws.com/123456789012/jobs",
                Some("us-east-1"),
            ),
            ("https://us-west-2.queue.amazonaws.com/123456789012/jobs", Some("us-west-2")),
            ("https://queue.amazonaws.com/123456789012/jobs", None),
            ("http://127.0.0.1:4566/000000000000/jobs", None),
            ("http://sqs:4566/000000000000/jobs", None),
        ] {
            assert_eq!(region(url).as_ref().map(AsRef::as_ref), expected, "{url}");
        }
    }
}
