//! Dead letters on SQS: while they are looked at they are hidden from others.

use std::collections::{HashSet, VecDeque};
use std::time::Duration;

use aws_config::timeout::TimeoutConfig;
use aws_sdk_sqs::types::{Message, QueueAttributeName};

use super::super::dead::Taken;
use super::super::{DEADLINE, DeadLetter, QueueError};
use super::{REASON, SqsQueue, body, failed, reason, whole_seconds};

/// How long an empty dead-letter queue is waited for, before it is taken for empty.
const LONG_POLL: Duration = Duration::from_secs(1);

/// How long dead letters are hidden from others while they are listed or moved.
const HIDDEN: Duration = Duration::from_secs(120);

pub(in crate::queue) struct DeadLetters {
    queue: SqsQueue,
    received: VecDeque<Message>,
    /// Those that were received; one that shows again was all this time.
    seen: HashSet<String>,
    /// What stays, by the handle with which it is given back.
    held: HashSet<String>,
}

impl SqsQueue {
    pub(in crate::queue) async fn dead(&self) -> Result<(DeadLetters, usize), QueueError> {
        let count = QueueAttributeName::ApproximateNumberOfMessages;
        let request =
            self.client().await.get_queue_attributes().queue_url(self.dead_url()?).attribute_names(count.clone());
        let attributes = request.send().await.map_err(failed)?.attributes.unwrap_or_default();
        let count = attributes.get(&count).and_then(|text| text.parse().ok()).unwrap_or(0);
        let (received, seen, held) = Default::default();
        Ok((DeadLetters { queue: self.clone(), received, seen, held }, count))
    }
}

impl DeadLetters {
    pub(in crate::queue) async fn next(&mut self) -> Result<Option<DeadLetter>, QueueError> {
        if self.received.is_empty() {
            self.received = self.receive().await?.into();
        }
        let Some(message) = self.received.pop_front() else { return Ok(None) };
        let handle = message.receipt_handle.clone().unwrap_or_default();
        self.held.insert(handle.clone());
        let new = self.seen.insert(message.message_id.clone().unwrap_or_default());
        let letter = DeadLetter { body: body(&message), reason: reason(&message), taken: Taken::Sqs(handle) };
        Ok(new.then_some(letter))
    }

    async fn receive(&self) -> Result<Vec<Message>, QueueError> {
        // A long poll asks all of SQS's servers, so that an empty answer means an empty queue.
        let patience = LONG_POLL + DEADLINE * 5;
        let patient = aws_sdk_sqs::config::Builder::new().timeout_config(
            TimeoutConfig::builder().operation_timeout(patience).operation_attempt_timeout(patience).build(),
        );
        let client = self.queue.client().await;
        let request = client.receive_message().queue_url(self.queue.dead_url()?).max_number_of_messages(10);
        let request = request.wait_time_seconds(whole_seconds(LONG_POLL)).visibility_timeout(whole_seconds(HIDDEN));
        let request = request.message_attribute_names(REASON).customize().config_override(patient);
        Ok(request.send().await.map_err(failed)?.messages.unwrap_or_default())
    }

    pub(in crate::queue) async fn delete(&mut self, handle: &str) -> Result<(), QueueError> {
        let request = self.queue.client().await.delete_message().queue_url(self.queue.dead_url()?);
        request.receipt_handle(handle).send().await.map_err(failed)?;
        self.held.remove(handle);
        Ok(())
    }

    pub(in crate::queue) async fn close(self) -> Result<(), QueueError> {
        let unread = self.received.into_iter().filter_map(|message| message.receipt_handle);
        for handle in self.held.into_iter().chain(unread) {
            let request = self.queue.client().await.change_message_visibility().queue_url(self.queue.dead_url()?);
            request.visibility_timeout(0).receipt_handle(handle).send().await.map_err(failed)?;
        }
        Ok(())
    }
}
