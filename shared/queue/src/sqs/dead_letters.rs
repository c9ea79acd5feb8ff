//! Dead letters on SQS: while a command reads them they are invisible to others.

use std::collections::{HashSet, VecDeque};
use std::time::Duration;

use aws_config::timeout::TimeoutConfig;
use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::{
    ChangeMessageVisibilityBatchRequestEntry, Message, MessageSystemAttributeName,
};
use jiff::Timestamp;
use sms_domain::failure::FailureClass;
use sms_domain::job::Job;
use sms_telemetry::causes;
use tracing::warn;

use super::{SqsQueue, approximate_count, failed, whole_seconds};
use crate::dead_letter::{DeadLetter, DeadLetterHandle, DeadLetterReason};
use crate::error::QueueError;

/// Message attributes of a dead letter.
const REASON: &str = "reason";
const CLASS: &str = "class";
const ATTEMPTS: &str = "attempts";

/// Long-poll time after which a dead-letter queue without messages counts as empty.
const LONG_POLL: Duration = Duration::from_secs(1);

/// Timeout of an operator's call, longer than that of a request.
const OPERATOR_TIMEOUT: Duration = Duration::from_secs(10);

/// Visibility timeout of dead letters that are listed or redriven.
const VISIBILITY_TIMEOUT: Duration = Duration::from_secs(120);

/// Maximum number of messages in one call, SQS's own limit.
const BATCH: usize = 10;

pub(crate) struct DeadLetters {
    client: Client,
    url: String,
    dead_url: String,
    /// Start of the command, in milliseconds since 1970. Later dead letters wait for the next
    /// command: redriven jobs may be among them.
    started_at: i64,
    received: VecDeque<Message>,
    seen: HashSet<String>,
    /// Receipt handles of the messages that stay.
    unreleased: HashSet<String>,
}

impl SqsQueue {
    pub(crate) async fn dead_letters(&self) -> Result<(DeadLetters, usize), QueueError> {
        let timeouts = TimeoutConfig::builder()
            .operation_timeout(OPERATOR_TIMEOUT)
            .operation_attempt_timeout(OPERATOR_TIMEOUT)
            .build();
        let config = self.client().await.config().to_builder().timeout_config(timeouts).build();
        let (client, dead_url) = (Client::from_conf(config), self.dead_url()?.to_owned());
        let count = approximate_count(&client, &dead_url).await?;
        #[expect(clippy::disallowed_methods, reason = "SQS says of each message when it was sent")]
        let started_at = Timestamp::now().as_millisecond();
        let (received, seen, unreleased) = (VecDeque::new(), HashSet::new(), HashSet::new());
        Ok((
            DeadLetters {
                client,
                url: self.url.clone(),
                dead_url,
                started_at,
                received,
                seen,
                unreleased,
            },
            count,
        ))
    }
}

impl DeadLetters {
    pub(crate) async fn next(&mut self) -> Result<Option<DeadLetter>, QueueError> {
        loop {
            if self.received.is_empty() {
                self.received = self.receive().await?.into();
                // Every message in this batch was seen before: its visibility timeout expired, so
                // no unread ones are left, or the next command finds them.
                let is_seen = |message: &Message| {
                    message.message_id.as_ref().is_some_and(|id| self.seen.contains(id))
                };
                if self.received.iter().all(is_seen) {
                    return Ok(None);
                }
            }
            let Some(message) = self.received.pop_front() else { return Ok(None) };
            let handle = message.receipt_handle.clone().unwrap_or_default();
            self.unreleased.insert(handle.clone());
            // SQS may deliver a message twice, and does so when its visibility timeout expires.
            let new = self.seen.insert(message.message_id.clone().unwrap_or_default());
            if new && at(&message).is_none_or(|at| at.as_millisecond() <= self.started_at) {
                let (body, at) =
                    (message.body.clone().unwrap_or_default().into_bytes(), at(&message));
                return Ok(Some(DeadLetter {
                    body,
                    reason: reason(&message),
                    at,
                    handle: DeadLetterHandle::Sqs(handle),
                }));
            }
        }
    }

    async fn receive(&self) -> Result<Vec<Message>, QueueError> {
        // A long poll asks all of SQS's servers, so an empty response means an empty queue.
        let request =
            self.client.receive_message().queue_url(&self.dead_url).max_number_of_messages(10);
        let request = request
            .wait_time_seconds(whole_seconds(LONG_POLL))
            .visibility_timeout(whole_seconds(VISIBILITY_TIMEOUT));
        let request =
            request.message_system_attribute_names(MessageSystemAttributeName::SentTimestamp);
        let answer = request.message_attribute_names("All").send().await.map_err(failed)?;
        Ok(answer.messages.unwrap_or_default())
    }

    pub(crate) async fn redrive(&mut self, handle: &str, job: &Job) -> Result<(), QueueError> {
        self.client
            .send_message()
            .queue_url(&self.url)
            .message_body(job.encode())
            .set_message_group_id(job.tenant.clone())
            .send()
            .await
            .map_err(failed)?;
        self.delete(handle).await
    }

    pub(crate) async fn delete(&mut self, handle: &str) -> Result<(), QueueError> {
        let request = self.client.delete_message().queue_url(&self.dead_url).receipt_handle(handle);
        request.send().await.map_err(failed)?;
        self.unreleased.remove(handle);
        Ok(())
    }

    /// Makes the messages that stay visible at once; if that fails, their visibility timeout does
    /// it later.
    pub(crate) async fn close(self) {
        let unread = self.received.into_iter().filter_map(|message| message.receipt_handle);
        let handles: Vec<String> = self.unreleased.into_iter().chain(unread).collect();
        for batch in handles.chunks(BATCH) {
            let entries = batch.iter().enumerate().filter_map(|(index, handle)| {
                let entry =
                    ChangeMessageVisibilityBatchRequestEntry::builder().id(index.to_string());
                entry.receipt_handle(handle).visibility_timeout(0).build().ok()
            });
            let request = self.client.change_message_visibility_batch().queue_url(&self.dead_url);
            if let Err(error) = request.set_entries(Some(entries.collect())).send().await {
                warn!(error = causes(&error), "some dead letters stay invisible for two minutes");
            }
        }
    }
}

/// Message attributes that record the reason.
pub(super) fn attributes(reason: &DeadLetterReason) -> Vec<(&'static str, String)> {
    let class = reason.class.map(|class| (CLASS, class.as_str().to_owned()));
    let all = [(REASON, reason.text.clone()), (ATTEMPTS, reason.attempts.to_string())];
    all.into_iter().chain(class).collect()
}

/// Reads the reason from the attributes; a message that the queue's redrive policy moved has none.
fn reason(message: &Message) -> DeadLetterReason {
    let attribute = |name| message.message_attributes.as_ref()?.get(name)?.string_value.clone();
    DeadLetterReason {
        text: attribute(REASON).unwrap_or_else(|| {
            "delivered more often than the queue's maxReceiveCount without an outcome".to_owned()
        }),
        class: attribute(CLASS).and_then(|class| FailureClass::parse(&class)),
        attempts: attribute(ATTEMPTS).and_then(|count| count.parse().ok()).unwrap_or(0),
    }
}

/// Time at which SQS received the message.
fn at(message: &Message) -> Option<Timestamp> {
    let millis = message.attributes.as_ref()?.get(&MessageSystemAttributeName::SentTimestamp)?;
    Timestamp::from_millisecond(millis.parse().ok()?).ok()
}
