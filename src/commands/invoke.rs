//! `worker --invoke`: emulates SQS and its event source mapping for a function under `cargo lambda
//! watch`.
//!
//! It takes messages from RabbitMQ, invokes the function with them as one SQS event, and applies
//! the partial batch response as SQS does: messages that succeeded are deleted; those that failed
//! are redelivered later, and become dead letters after their last attempt.

use std::collections::HashSet;
use std::time::Duration;

use aws_lambda_events::sqs::SqsBatchResponse;
use reqwest::Client;
use serde_json::{Value, json};
use sms_app::send_sms::Outcome;
use sms_domain::job::Job;
use sms_domain::random::random_u64;
use sms_domain::retry_schedule::Schedule;
use sms_queue::Queue;
use sms_queue::dead_letter::DeadLetterReason;
use sms_queue::message::{Consumer, Message};
use sms_telemetry::causes;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};
use url::Url;

use crate::commands::consume::consume;
use crate::commands::worker::apply;

/// Maximum number of messages in one event: SQS's own default.
pub const BATCH_SIZE: u16 = 10;

/// Time for which a batch waits for further messages once it has one.
const BATCH_WINDOW: Duration = Duration::from_millis(20);

/// Pause before the next invocation when the function cannot be reached: no attempt is spent.
const PAUSE: Duration = Duration::from_secs(1);

/// The invoker of a function with the messages of a queue.
#[derive(Clone)]
pub struct Invoker {
    function: Url,
    queue: Queue,
    schedule: Schedule,
    client: Client,
}

impl Invoker {
    pub fn new(function: Url, queue: Queue, schedule: Schedule) -> Result<Self, reqwest::Error> {
        // No time limit: the first invocation waits until `cargo lambda watch` has built the
        // function.
        let client = Client::builder().no_proxy().build()?;
        Ok(Self { function, queue, schedule, client })
    }

    /// Invokes the function until a signal; then finishes work in progress and returns the other
    /// messages to the queue.
    pub async fn run(self, mut consumer: Consumer, concurrency: u16, stop: CancellationToken) {
        info!(function = %self.function, "invoking a function with jobs");
        let process = |batch| {
            let (invoker, stop) = (self.clone(), stop.clone());
            async move { invoker.process(batch, &stop).await }
        };
        consume(async || next_batch(&mut consumer).await, process, concurrency, &stop).await;
        consumer.close().await;
    }

    /// Invokes the function until it has answered, and applies the outcomes. Messages are not
    /// returned to the queue in the meantime, which would count towards its delivery limit.
    async fn process(&self, batch: Vec<Message>, stop: &CancellationToken) {
        let failed = loop {
            match self.invoke(&batch).await {
                Ok(failed) => break failed,
                Err(error) => warn!(error = causes(&error), "the function cannot be reached"),
            }
            if timeout(PAUSE, stop.cancelled()).await.is_ok() {
                for message in batch {
                    message.requeue();
                }
                return;
            }
        };
        for (index, message) in batch.into_iter().enumerate() {
            let outcome = if failed.has(index) { self.retry(&message) } else { Outcome::Done };
            apply(&self.queue, message, outcome, stop).await;
        }
    }

    async fn invoke(&self, batch: &[Message]) -> Result<Failed, reqwest::Error> {
        let event = sqs_event(batch).to_string();
        let answer = self.client.post(self.function.clone()).body(event).send().await?;
        let ok =
            answer.status().is_success() && !answer.headers().contains_key("x-amz-function-error");
        let body = answer.bytes().await?;
        Ok(if ok { Failed::read(&body, batch.len()) } else { Failed::All })
    }

    /// The outcome of a message that the function did not process, as on SQS.
    fn retry(&self, message: &Message) -> Outcome {
        let Ok(mut job) = Job::decode(&message.body) else {
            return Outcome::Dead("the function failed on a message that is not a job".into());
        };
        job.attempts = job.attempts.saturating_add(1);
        match self.schedule.after(job.attempts, Duration::ZERO, random_u64()) {
            Some(delay) => Outcome::Retry { job: Box::new(job), delay },
            None => {
                let reason = format!("the function failed {} times", job.attempts);
                Outcome::Dead(DeadLetterReason {
                    text: reason,
                    class: None,
                    attempts: job.attempts,
                })
            }
        }
    }
}

/// The messages of a batch that failed.
enum Failed {
    All,
    Some(HashSet<String>),
}

impl Failed {
    /// Reads a partial batch response as an event source mapping does: an empty response is
    /// success; one that is invalid, or names an item that was not sent, is the failure of all.
    fn read(body: &[u8], sent: usize) -> Self {
        if matches!(body, b"" | b"null") {
            return Self::Some(HashSet::new());
        }
        match serde_json::from_slice::<SqsBatchResponse>(body) {
            Ok(response) => {
                let named: HashSet<String> = response
                    .batch_item_failures
                    .into_iter()
                    .map(|failure| failure.item_identifier)
                    .collect();
                let known = |name: &String| (0..sent).any(|index| *name == index.to_string());
                if named.iter().all(known) { Self::Some(named) } else { Self::All }
            }
            Err(_) => Self::All,
        }
    }

    fn has(&self, index: usize) -> bool {
        match self {
            Self::All => true,
            Self::Some(named) => named.contains(&index.to_string()),
        }
    }
}

/// One message, and what comes within [`BATCH_WINDOW`] after it.
async fn next_batch(consumer: &mut Consumer) -> Vec<Message> {
    let mut batch = vec![consumer.receive().await];
    while batch.len() < usize::from(BATCH_SIZE) {
        match timeout(BATCH_WINDOW, consumer.receive()).await {
            Ok(message) => batch.push(message),
            Err(_) => break,
        }
    }
    batch
}

/// The messages as an SQS event. A message's id is its place in the batch.
fn sqs_event(batch: &[Message]) -> Value {
    let record = |(index, message): (usize, &Message)| {
        json!({
            "messageId": index.to_string(),
            "receiptHandle": index.to_string(),
            "body": String::from_utf8_lossy(&message.body),
            // The body counts earlier attempts: every retry is a new message.
            "attributes": { "ApproximateReceiveCount": "1" },
            "messageAttributes": {},
            "eventSource": "aws:sqs",
            "eventSourceARN": "arn:aws:sqs:local:000000000000:sms-verify",
            "awsRegion": "local",
        })
    };
    json!({ "Records": batch.iter().enumerate().map(record).collect::<Vec<_>>() })
}
