//! The queue on SQS. Its messages reach the function `send-sms` through an event source mapping;
//! this module sends and postpones them, and writes and reads dead letters.
//!
//! A job's tenant is the group of its message, also when it is queued anew, a dead letter or
//! redriven: a standard queue hands out the messages of other groups first while one has a backlog.
//! (AWS calls it a fair queue.)

mod dead_letters;

use std::collections::HashMap;
use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region};
use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::{
    BatchResultErrorEntry, MessageAttributeValue, MessageSystemAttributeNameForSends,
    MessageSystemAttributeValue, QueueAttributeName, SendMessageBatchRequestEntry,
};
use futures_util::future::{BoxFuture, FutureExt, Shared};
use sms_domain::job::Job;
use sms_domain::trace_context::TraceParent;
use sms_outbound::blocking::run_on_own_thread;
use sms_telemetry::xray;

pub(super) use self::dead_letters::DeadLetters;
use crate::DEADLINE;
use crate::dead_letter::{DeadLetterReason, Depth};
use crate::error::QueueError;
use crate::group_commit::{Batch, GroupCommit, Pending};

/// Longest delay of a message, SQS's own limit.
const MAX_DELAY: Duration = Duration::from_secs(900);

/// Maximum number of jobs in one call, SQS's own limit. They are far below its limit of bytes.
const MOST: usize = 10;

/// Rounds of calls at a time, so that one call that hangs does not hold up all others.
const ROUNDS: usize = 4;

/// Timeout of each of the two attempts of a call: a connection whose peer vanished silently (a
/// frozen Lambda environment) takes this long, and the rest of the deadline is left for a new one.
/// If a job is queued twice by that, its SMS is still sent only once.
const ATTEMPT: Duration = Duration::from_millis(220);

/// Longest wait between the two attempts.
const BACKOFF: Duration = Duration::from_millis(20);

#[derive(Clone)]
pub(super) struct SqsQueue {
    /// Made on first use, since that reads certificates and credentials.
    client: Shared<BoxFuture<'static, Client>>,
    url: String,
    dead_url: Option<String>,
    group: GroupCommit,
}

impl SqsQueue {
    pub(super) fn new(url: &str, dead_url: Option<&str>) -> Self {
        let client = connect(region(url)).boxed().shared();
        let (url, dead_url) = (url.to_owned(), dead_url.map(str::to_owned));
        Self { client, url, dead_url, group: GroupCommit::new(MOST, ROUNDS) }
    }

    /// Makes the client, on a thread where reading files blocks nobody.
    pub(super) async fn warm_up(&self) {
        run_on_own_thread(self.client.clone()).await;
    }

    /// Waits until the client is made.
    pub(super) async fn client_ready(&self) {
        self.client().await;
    }

    async fn client(&self) -> Client {
        self.client.clone().await
    }

    /// Sends a job, in one call with those that wait at the same time.
    pub(super) async fn send_together(
        &self,
        body: String,
        trace: Option<TraceParent>,
        tenant: Option<String>,
    ) -> Result<(), QueueError> {
        let queue = self.clone();
        let send = move |batch| {
            let queue = queue.clone();
            // Boxed: the futures of the SDK's calls are large.
            async move { Box::pin(queue.send_batch(batch)).await }
        };
        self.group.send(body, trace, tenant, send).await
    }

    async fn send_batch(&self, mut batch: Batch) {
        match batch.jobs() {
            [] => {}
            [job] => {
                let (trace, tenant) = (job.trace.as_ref(), job.tenant.as_deref());
                let result = self.send(&job.body, Duration::ZERO, trace, tenant).await;
                batch.answer(&result);
            }
            jobs => match self.send_all(jobs).await {
                Ok(failed) => batch.answer_each(|index| {
                    failed.get(&index).map_or(Ok(()), |error| Err(error.clone()))
                }),
                Err(error) => batch.answer(&Err(error)),
            },
        }
    }

    /// Sends several jobs in one call. Returns the errors of those that SQS did not take, by index.
    async fn send_all(&self, jobs: &[Pending]) -> Result<HashMap<usize, QueueError>, QueueError> {
        let mut request = self.client().await.send_message_batch().queue_url(&self.url);
        for (index, job) in jobs.iter().enumerate() {
            let mut entry = SendMessageBatchRequestEntry::builder();
            if let Some(header) = trace_header(job.trace.as_ref()) {
                let name = MessageSystemAttributeNameForSends::AwsTraceHeader;
                entry = entry.message_system_attributes(name, header);
            }
            let entry = entry.id(index.to_string()).message_body(&job.body);
            let entry = entry.set_message_group_id(job.tenant.clone());
            request = request.entries(entry.build().map_err(failed)?);
        }
        Ok(errors(request.send().await.map_err(failed)?.failed))
    }

    pub(super) async fn send(
        &self,
        body: &str,
        delay: Duration,
        trace: Option<&TraceParent>,
        tenant: Option<&str>,
    ) -> Result<(), QueueError> {
        let mut request =
            self.client().await.send_message().queue_url(&self.url).message_body(body);
        request = request.set_message_group_id(tenant.map(ToOwned::to_owned));
        if let Some(header) = trace_header(trace) {
            request = request.message_system_attributes(
                MessageSystemAttributeNameForSends::AwsTraceHeader,
                header,
            );
        }
        let delay = whole_seconds(delay.min(MAX_DELAY));
        // A delay of 0 is the default.
        let request = if delay > 0 { request.delay_seconds(delay) } else { request };
        request.send().await.map(|_| ()).map_err(failed)
    }

    pub(super) async fn dead_letter(
        &self,
        body: &[u8],
        reason: &DeadLetterReason,
    ) -> Result<(), QueueError> {
        let dead_url = self.dead_url()?;
        let mut request = self.client().await.send_message().queue_url(dead_url);
        for (name, value) in dead_letters::attributes(reason) {
            let attribute = MessageAttributeValue::builder().data_type("String");
            let value = attribute.string_value(allowed(&value)).build();
            request = request.message_attributes(name, value.map_err(failed)?);
        }
        let tenant = Job::decode(body).ok().and_then(|job| job.tenant);
        // SQS rejects an empty body.
        let body = if body.is_empty() { " ".into() } else { String::from_utf8_lossy(body) };
        let request = request.message_body(allowed(&body)).set_message_group_id(tenant);
        request.send().await.map(|_| ()).map_err(failed)
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
        self.dead_url.as_deref().ok_or(QueueError::Url(
            "DEAD_QUEUE_URL is not set, so dead letters cannot be stored or read",
        ))
    }

    pub(super) async fn depth(&self) -> Result<Depth, QueueError> {
        let client = self.client().await;
        let messages = approximate_count(&client, &self.url).await?;
        let dead = match &self.dead_url {
            Some(url) => Some(approximate_count(&client, url).await?),
            None => None,
        };
        Ok(Depth { messages, dead })
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

/// The text with U+FFFD in the place of each character that SQS refuses: it takes those of XML.
fn allowed(text: &str) -> String {
    let refused = |c: char| {
        (c < ' ' && !matches!(c, '\t' | '\n' | '\r')) || matches!(c, '\u{fffe}' | '\u{ffff}')
    };
    text.replace(refused, "\u{fffd}")
}

/// The errors of the entries that SQS did not take, by the index that is their id.
fn errors(failed: Vec<BatchResultErrorEntry>) -> HashMap<usize, QueueError> {
    failed
        .into_iter()
        .filter_map(|entry| {
            let text = format!("{}: {}", entry.code, entry.message.unwrap_or_default());
            let error: Box<dyn Error + Send + Sync> = text.into();
            Some((entry.id.parse().ok()?, QueueError::Sqs(error.into())))
        })
        .collect()
}

/// The `AWSTraceHeader` attribute, by which X-Ray links the sender's invocation to this one;
/// outside Lambda, to the job's own trace.
fn trace_header(trace: Option<&TraceParent>) -> Option<MessageSystemAttributeValue> {
    let header = xray::invocation().or_else(|| trace.map(TraceParent::xray))?;
    MessageSystemAttributeValue::builder().data_type("String").string_value(header).build().ok()
}

/// Approximate number of messages in a queue.
async fn approximate_count(client: &Client, url: &str) -> Result<usize, QueueError> {
    let count = QueueAttributeName::ApproximateNumberOfMessages;
    let request = client.get_queue_attributes().queue_url(url).attribute_names(count.clone());
    let attributes = request.send().await.map_err(failed)?.attributes.unwrap_or_default();
    Ok(attributes.get(&count).and_then(|text| text.parse().ok()).unwrap_or(0))
}

/// Region named by the host of a queue's URL: the client calls it, whichever region this process
/// runs in.
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

/// Rounds down to whole seconds, SQS's unit. A back-off is whole seconds, so only a part of its
/// jitter is lost.
fn whole_seconds(delay: Duration) -> i32 {
    i32::try_from(delay.as_secs()).unwrap_or(i32::MAX)
}

fn failed(error: impl Error + Send + Sync + 'static) -> QueueError {
    QueueError::Sqs(Arc::new(error))
}

impl fmt::Debug for SqsQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SqsQueue({})", self.url)
    }
}

#[cfg(test)]
mod tests {
    use std::error::Error;

    use aws_sdk_sqs::types::BatchResultErrorEntry;

    use super::{errors, region};

    #[test]
    fn an_entry_that_sqs_does_not_take_fails_its_own_job() {
        let entry = |id: &str, message: Option<&str>| {
            BatchResultErrorEntry::builder()
                .id(id)
                .sender_fault(false)
                .code("InternalError")
                .set_message(message.map(str::to_owned))
                .build()
                .expect("an entry")
        };
        let errors = errors(vec![entry("2", Some("try again")), entry("7", None)]);
        let mut failed: Vec<_> = errors
            .iter()
            .map(|(index, error)| (*index, error.source().map(ToString::to_string)))
            .collect();
        failed.sort_unstable();
        let expected = [(2, "InternalError: try again"), (7, "InternalError: ")];
        assert_eq!(failed, expected.map(|(index, text)| (index, Some(text.to_owned()))));
    }

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
