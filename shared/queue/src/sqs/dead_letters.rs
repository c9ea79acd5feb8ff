//! Dead letters on SQS: while they are looked at they are hidden from others.

use std::collections::{HashSet, VecDeque};
use std::time::Duration;

use aws_config::timeout::TimeoutConfig;
use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::{
    ChangeMessageVisibilityBatchRequestEntry, Message, MessageSystemAttributeName,
};
use jiff::Timestamp;
use sms_domain::failure::FailureClass;
use sms_telemetry::causes;
use tracing::warn;

use super::{SqsQueue, about, failed, whole_seconds};
use crate::dead_letter::{DeadLetter, DeadLetterHandle, DeadLetterReason};
use crate::error::QueueError;

/// Attributes of a dead letter.
const REASON: &str = "reason";
const CLASS: &str = "class";
const ATTEMPTS: &str = "attempts";

/// How long an empty dead-letter queue is waited for, before it is taken for empty.
const LONG_POLL: Duration = Duration::from_secs(1);

/// An operator waits longer for a call than a request does.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long dead letters are hidden from others while they are listed or moved.
const HIDDEN: Duration = Duration::from_secs(120);

/// Most messages in one call, SQS's own limit.
const BATCH: usize = 10;

pub(crate) struct DeadLetters {
    client: Client,
    url: String,
    dead_url: String,
    /// What died later waits for the next command: a redriven job may be among it.
    began: i64,
    received: VecDeque<Message>,
    seen: HashSet<String>,
    /// The handles of those that stay.
    held: HashSet<String>,
}

impl SqsQueue {
    pub(crate) async fn dead_letters(&self) -> Result<(DeadLetters, usize), QueueError> {
        let timeouts = TimeoutConfig::builder()
            .operation_timeout(PATIENCE)
            .operation_attempt_timeout(PATIENCE)
            .build();
        let config = self.client().await.config().to_builder().timeout_config(timeouts).build();
        let (client, dead_url) = (Client::from_conf(config), self.dead_url()?.to_owned());
        let count = about(&client, &dead_url).await?;
        #[expect(clippy::disallowed_methods, reason = "SQS says of each message when it was sent")]
        let began = Timestamp::now().as_millisecond();
        let (received, seen, held) = (VecDeque::new(), HashSet::new(), HashSet::new());
        Ok((
            DeadLetters { client, url: self.url.clone(), dead_url, began, received, seen, held },
            count,
        ))
    }
}

impl DeadLetters {
    pub(crate) async fn next(&mut self) -> Result<Option<DeadLetter>, QueueError> {
        loop {
            if self.received.is_empty() {
                self.received = self.receive().await?.into();
                // All of them show again, as they do after two minutes: there are no others, or
                // they come the next time.
                let is_seen = |message: &Message| {
                    message.message_id.as_ref().is_some_and(|id| self.seen.contains(id))
                };
                if self.received.iter().all(is_seen) {
                    return Ok(None);
                }
            }
            let Some(message) = self.received.pop_front() else { return Ok(None) };
            let handle = message.receipt_handle.clone().unwrap_or_default();
            self.held.insert(handle.clone());
            // SQS may hand one out twice, and shows those again that were hidden for long enough.
            let new = self.seen.insert(message.message_id.clone().unwrap_or_default());
            if new && at(&message).is_none_or(|at| at.as_millisecond() <= self.began) {
                let (body, at) =
                    (message.body.clone().unwrap_or_default().into_bytes(), at(&message));
                return Ok(Some(DeadLetter {
                    body,
                    death: death(&message),
                    at,
                    handle: DeadLetterHandle::Sqs(handle),
                }));
            }
        }
    }

    async fn receive(&self) -> Result<Vec<Message>, QueueError> {
        // A long poll asks all of SQS's servers, so that an empty answer means an empty queue.
        let request =
            self.client.receive_message().queue_url(&self.dead_url).max_number_of_messages(10);
        let request = request
            .wait_time_seconds(whole_seconds(LONG_POLL))
            .visibility_timeout(whole_seconds(HIDDEN));
        let request =
            request.message_system_attribute_names(MessageSystemAttributeName::SentTimestamp);
        let answer = request.message_attribute_names("All").send().await.map_err(failed)?;
        Ok(answer.messages.unwrap_or_default())
    }

    pub(crate) async fn redrive(&mut self, handle: &str, body: &str) -> Result<(), QueueError> {
        self.client
            .send_message()
            .queue_url(&self.url)
            .message_body(body)
            .send()
            .await
            .map_err(failed)?;
        self.delete(handle).await
    }

    pub(crate) async fn delete(&mut self, handle: &str) -> Result<(), QueueError> {
        let request = self.client.delete_message().queue_url(&self.dead_url).receipt_handle(handle);
        request.send().await.map_err(failed)?;
        self.held.remove(handle);
        Ok(())
    }

    /// Shows what stays again at once; what cannot be shown now shows by itself, when it was hidden
    /// for long enough.
    pub(crate) async fn close(self) {
        let unread = self.received.into_iter().filter_map(|message| message.receipt_handle);
        let handles: Vec<String> = self.held.into_iter().chain(unread).collect();
        for batch in handles.chunks(BATCH) {
            let entries = batch.iter().enumerate().filter_map(|(index, handle)| {
                let entry =
                    ChangeMessageVisibilityBatchRequestEntry::builder().id(index.to_string());
                entry.receipt_handle(handle).visibility_timeout(0).build().ok()
            });
            let request = self.client.change_message_visibility_batch().queue_url(&self.dead_url);
            if let Err(error) = request.set_entries(Some(entries.collect())).send().await {
                warn!(error = causes(&error), "some dead letters show again only in two minutes");
            }
        }
    }
}

/// What is written beside a dead letter.
pub(super) fn attributes(death: &DeadLetterReason) -> Vec<(&'static str, String)> {
    let class = death.class.map(|class| (CLASS, class.as_str().to_owned()));
    let all = [(REASON, death.reason.clone()), (ATTEMPTS, death.attempts.to_string())];
    all.into_iter().chain(class).collect()
}

/// As we wrote it; the queue's redrive policy says nothing.
fn death(message: &Message) -> DeadLetterReason {
    let attribute = |name| message.message_attributes.as_ref()?.get(name)?.string_value.clone();
    DeadLetterReason {
        reason: attribute(REASON).unwrap_or_else(|| {
            "received more often than the queue's maxReceiveCount without an outcome".to_owned()
        }),
        class: attribute(CLASS).and_then(|class| FailureClass::parse(&class)),
        attempts: attribute(ATTEMPTS).and_then(|count| count.parse().ok()).unwrap_or(0),
    }
}

/// When SQS took it.
fn at(message: &Message) -> Option<Timestamp> {
    let millis = message.attributes.as_ref()?.get(&MessageSystemAttributeName::SentTimestamp)?;
    Timestamp::from_millisecond(millis.parse().ok()?).ok()
}
