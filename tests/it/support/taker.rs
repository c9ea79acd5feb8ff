//! Takes messages from any queue: by its consumer, or from SQS, as an event source mapping does.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::Message as SqsMessage;
use sms_domain::sync::lock;
use sms_queue::Queue;
use sms_queue::error::QueueError;
use sms_queue::message::{Consumer, Message};

use super::eventually;
use super::sqs::Queues;

/// The client of SQS makes a call again that takes longer than 220 ms.
const ONE_TRY: Duration = Duration::from_millis(200);

/// A queue under test.
pub struct Subject {
    pub queue: Queue,
    sqs: Option<Queues>,
    /// Calls that took so long that they may have been made twice, which is no fault: such a job is
    /// sent once all the same.
    slow: AtomicBool,
}

/// A consumer of messages.
pub enum Taker {
    Consumer(Consumer),
    Sqs { client: Client, url: String, waiting: VecDeque<SqsMessage>, in_hand: InHand },
}

/// Receipt handles of messages from SQS that are in hand, by message id.
type InHand = Arc<Mutex<HashMap<String, String>>>;

/// A message that was taken.
pub struct Taken {
    pub body: Vec<u8>,
    from: Origin,
}

enum Origin {
    Consumer(Message),
    Sqs { client: Client, url: String, id: String, in_hand: InHand },
}

impl From<Queue> for Subject {
    fn from(queue: Queue) -> Self {
        Self { queue, sqs: None, slow: AtomicBool::new(false) }
    }
}

impl From<Queues> for Subject {
    fn from(queues: Queues) -> Self {
        let queue = Queue::from_url(&queues.url, Some(&queues.dead_url)).expect("a URL");
        Self { sqs: Some(queues), ..queue.into() }
    }
}

impl Subject {
    /// Makes a call until it succeeds.
    pub async fn call(&self, call: impl AsyncFn(&Queue) -> Result<(), QueueError>) {
        eventually("the queue takes it", || async {
            let began = Instant::now();
            let result = call(&self.queue).await;
            if result.is_err() || began.elapsed() > ONE_TRY {
                self.slow.store(true, Ordering::Relaxed);
            }
            result.ok()
        })
        .await;
    }

    /// Most calls at once that its server answers in time: one for tests answers them one after the
    /// other.
    pub fn breadth(&self) -> usize {
        if self.sqs.is_some() { 4 } else { 200 }
    }

    /// True if everything was put there once, so that it can be counted.
    pub fn is_countable(&self) -> bool {
        !self.slow.load(Ordering::Relaxed)
    }

    /// Begins to take messages, up to `prefetch` at a time.
    pub fn taker(&self, prefetch: u16) -> Taker {
        match &self.sqs {
            None => Taker::Consumer(self.queue.consumer(prefetch).expect("a consumer")),
            Some(queues) => Taker::Sqs {
                client: super::sqs::client(),
                url: queues.url.clone(),
                waiting: VecDeque::new(),
                in_hand: InHand::default(),
            },
        }
    }
}

impl Taker {
    /// Waits for the next message.
    pub async fn receive(&mut self) -> Taken {
        match self {
            Self::Consumer(consumer) => {
                let message = consumer.receive().await;
                Taken { body: message.body.clone(), from: Origin::Consumer(message) }
            }
            Self::Sqs { client, url, waiting, in_hand } => loop {
                if let Some(message) = waiting.pop_front() {
                    let id = message.message_id.expect("an id");
                    let (client, url, in_hand) = (client.clone(), url.clone(), Arc::clone(in_hand));
                    let body = message.body.unwrap_or_default().into_bytes();
                    return Taken { body, from: Origin::Sqs { client, url, id, in_hand } };
                }
                let request = client
                    .receive_message()
                    .queue_url(&*url)
                    .max_number_of_messages(10)
                    .wait_time_seconds(1);
                // Whoever takes them has all the time of a test.
                let answer = request.visibility_timeout(3600).send().await.expect("an answer");
                for message in answer.messages.unwrap_or_default() {
                    let (id, handle) = (message.message_id.clone(), message.receipt_handle.clone());
                    lock(in_hand).insert(id.expect("an id"), handle.expect("a handle"));
                    waiting.push_back(message);
                }
            },
        }
    }

    /// Ends: what is in hand goes back. (On SQS by itself, when its visibility timeout is over.)
    pub async fn close(self) {
        match self {
            Self::Consumer(consumer) => consumer.close().await,
            Self::Sqs { client, url, in_hand, .. } => {
                let handles: Vec<String> =
                    lock(&in_hand).drain().map(|(_, handle)| handle).collect();
                for handle in handles {
                    show(&client, &url, handle).await;
                }
            }
        }
    }
}

impl Taken {
    pub async fn ack(self) {
        match self.from {
            Origin::Consumer(message) => message.ack(),
            Origin::Sqs { client, url, id, in_hand } => {
                let handle = lock(&in_hand).remove(&id).expect("in hand");
                client
                    .delete_message()
                    .queue_url(url)
                    .receipt_handle(handle)
                    .send()
                    .await
                    .expect("deleted");
            }
        }
    }

    pub async fn give_back(self) {
        match self.from {
            Origin::Consumer(message) => message.give_back(),
            Origin::Sqs { client, url, id, in_hand } => {
                let handle = lock(&in_hand).remove(&id).expect("in hand");
                show(&client, &url, handle).await;
            }
        }
    }
}

async fn show(client: &Client, url: &str, handle: String) {
    let request = client.change_message_visibility().queue_url(url).receipt_handle(handle);
    request.visibility_timeout(0).send().await.expect("shown");
}
