//! Messages of RabbitMQ with several jobs: how they come about, and how they are taken apart.

use std::collections::HashSet;
use std::sync::Mutex;

use futures_util::future::join_all;
use sms_domain::job::Job;
use sms_domain::job_batch;
use sms_domain::retry_schedule::Delay;
use sms_domain::sync::lock;
use sms_queue::Queue;
use sms_queue::error::QueueError;
use sms_queue::message::{Consumer, Message};

use super::job;
use crate::support::process::{Deployment, Environment};
use crate::support::raw_queue::{RawQueue, jobs_of};
use crate::support::services::{Service, rabbitmq_url, with_own_queue};
use crate::support::{dead_letters, eventually, number};

/// A queue, and its messages as they are.
struct Fixture {
    queue: Queue,
    messages: RawQueue,
}

async fn fixture(url: &str) -> Fixture {
    let queue = Queue::from_url(url, None).expect("a URL");
    eventually("the queue is there", || async { queue.ping().await.ok() }).await;
    Fixture { queue, messages: RawQueue::open(url).await }
}

/// A quorum queue and a classic one.
fn both() -> [String; 2] {
    [rabbitmq_url(), format!("{}&type=classic", rabbitmq_url())]
}

/// Sends all jobs at once. A busy machine may need longer for one than a request waits.
async fn send_all(queue: &Queue, jobs: &[Job]) -> Vec<Result<(), QueueError>> {
    join_all(jobs.iter().map(|job| queue.send(job, Delay::NONE))).await
}

fn id(body: &[u8]) -> String {
    Job::decode(body).expect("a job").id.to_string()
}

fn ids<'a>(bodies: impl IntoIterator<Item = &'a Vec<u8>>) -> Vec<String> {
    let mut ids: Vec<String> = bodies.into_iter().map(|body| id(body)).collect();
    ids.sort_unstable();
    ids
}

fn ids_of(jobs: &[Job]) -> Vec<String> {
    let mut ids: Vec<String> = jobs.iter().map(|job| job.id.to_string()).collect();
    ids.sort_unstable();
    ids
}

/// Takes messages until every job that was stored was among them. Returns the messages.
async fn take_stored(messages: &RawQueue, stored: &HashSet<String>) -> Vec<Vec<u8>> {
    let (mut taken, mut found) = (Vec::new(), HashSet::new());
    while !stored.is_subset(&found) {
        let message = eventually("a message", || messages.take()).await;
        for job in jobs_of(&message) {
            assert!(found.insert(id(&job)), "twice");
        }
        taken.push(message);
    }
    taken
}

/// One message with jobs that say their index.
fn message(names: &[&str]) -> Vec<u8> {
    job_batch::join(names.iter().map(|name| name.as_bytes()))
}

async fn receive(consumer: &mut Consumer, count: usize) -> Vec<Message> {
    let mut messages = Vec::new();
    while messages.len() < count {
        messages.push(consumer.receive().await);
    }
    messages
}

fn names(messages: &[Message]) -> HashSet<&str> {
    messages.iter().map(|message| std::str::from_utf8(&message.body).expect("text")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_jobs_share_messages() {
    for url in both() {
        let Fixture { queue, messages } = fixture(&url).await;
        let jobs: Vec<Job> = (0..64).map(job).collect();
        let sent = jobs.iter().zip(send_all(&queue, &jobs).await);
        let stored = sent.filter(|(_, sent)| sent.is_ok()).map(|(job, _)| job.id.to_string());
        let messages = take_stored(&messages, &stored.collect()).await;
        // On a busy machine some may be alone; not all are.
        assert!(messages.len() <= 32, "{} messages", messages.len());
        assert!(messages.iter().all(|message| jobs_of(message).len() <= 8));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn lone_job_is_a_message_as_it_always_was() {
    let Fixture { queue, messages } = fixture(&rabbitmq_url()).await;
    for index in 0..3 {
        let job = job(index);
        if queue.send(&job, Delay::NONE).await.is_ok() {
            assert_eq!(messages.take_jobs(1).await, [job.encode().into_bytes()]);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn setting_of_one_writes_single_jobs() {
    let environment = Environment::services();
    let Fixture { messages, .. } = fixture(environment.get("QUEUE_URL")).await;
    let mut deployment = Deployment::split(&environment.with("JOBS_PER_MESSAGE", "1"));
    deployment.workers.clear();
    let asked = (0..30).map(|index| {
        let client = &deployment.client;
        async move { client.ask(number(index).e164()).await.status }
    });
    let accepted = join_all(asked).await.into_iter().filter(|status| *status == 202).count();
    let messages = messages.take_jobs(accepted).await;
    assert!(messages.iter().all(|message| Job::decode(message).is_ok()), "single jobs");
}

#[tokio::test(flavor = "multi_thread")]
async fn message_is_acknowledged_when_all_of_its_jobs_are_done() {
    for url in both() {
        let Fixture { queue, messages } = fixture(&url).await;
        messages.publish(&message(&["a", "b", "c"])).await;
        messages.publish(b"d").await;
        let mut consumer = queue.consumer(10).expect("a consumer");
        let mut received = receive(&mut consumer, 4).await;
        assert_eq!(names(&received), HashSet::from(["a", "b", "c", "d"]));
        drop(received.remove(1));
        received.into_iter().for_each(Message::ack);
        consumer.close().await;
        assert_eq!(messages.take_jobs(3).await, [message(&["a", "b", "c"])], "b was not done");

        messages.publish(&message(&["a", "b", "c"])).await;
        let mut consumer = queue.consumer(10).expect("a consumer");
        receive(&mut consumer, 3).await.into_iter().rev().for_each(Message::ack);
        consumer.close().await;
        messages.publish(b"last").await;
        assert_eq!(messages.take_jobs(1).await, [b"last"], "all of it is gone");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn job_that_is_given_back_takes_its_message_along() {
    for url in both() {
        let Fixture { queue, messages } = fixture(&url).await;
        messages.publish(&message(&["a", "b", "c"])).await;
        let mut consumer = queue.consumer(10).expect("a consumer");
        let mut received = receive(&mut consumer, 3).await.into_iter();
        received.next().expect("a").ack();
        received.next().expect("b").requeue();
        received.next().expect("c").ack();
        // It comes again in the same connection, split.
        let again = receive(&mut consumer, 3).await;
        assert_eq!(names(&again), HashSet::from(["a", "b", "c"]));
        again.into_iter().for_each(Message::ack);
        consumer.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn redelivered_message_is_split() {
    for url in both() {
        let Fixture { queue, messages } = fixture(&url).await;
        messages.publish(&message(&["a", "b", "c"])).await;
        let mut killed = queue.consumer(10).expect("a consumer");
        drop(receive(&mut killed, 1).await);
        killed.close().await;
        let mut consumer = queue.consumer(10).expect("a consumer");
        let mut received = receive(&mut consumer, 3).await;
        assert_eq!(names(&received), HashSet::from(["a", "b", "c"]));
        let done = received.remove(0);
        let mut left: Vec<Vec<u8>> = received.iter().map(|job| job.body.clone()).collect();
        left.sort_unstable();
        done.ack();
        drop(received);
        consumer.close().await;
        let mut singles = messages.take_jobs(2).await;
        singles.sort_unstable();
        assert_eq!(singles, left, "each is a message of its own");
    }
}

/// The delivery limit is 20: what ends every process that takes it is a dead letter, by itself.
#[tokio::test(flavor = "multi_thread")]
async fn job_that_ends_its_workers_ends_alone() {
    let Fixture { queue, messages } = fixture(&rabbitmq_url()).await;
    messages.publish(&message(&["good", "deadly", "fine"])).await;
    let (mut done, mut deaths, mut letters) = (HashSet::new(), 0, Vec::new());
    while letters.is_empty() || done.len() < 2 {
        let mut consumer = queue.consumer(1).expect("a consumer");
        // Until it takes the deadly one, or there is nothing left.
        let working = async {
            loop {
                let message = consumer.receive().await;
                if message.body == b"deadly" {
                    deaths += 1;
                    return;
                }
                done.insert(message.body.clone());
                message.ack();
            }
        };
        let _ = tokio::time::timeout(std::time::Duration::from_secs(1), working).await;
        consumer.close().await;
        assert!(deaths < 60, "it goes round for ever");
        letters = dead_letters(&queue).await.unwrap_or_default();
    }
    let bodies: Vec<&[u8]> = letters.iter().map(|letter| &*letter.body).collect();
    assert_eq!(bodies, [b"deadly"]);
    assert!(letters[0].reason.text.contains("delivered more than 20 times"), "{letters:?}");
    assert_eq!(done, HashSet::from([b"good".to_vec(), b"fine".to_vec()]));
}

#[tokio::test(flavor = "multi_thread")]
async fn dead_letter_with_several_jobs_is_several() {
    let Fixture { queue, messages } = fixture(&rabbitmq_url()).await;
    let jobs: Vec<Job> = (0..3).map(job).collect();
    let bodies: Vec<String> = jobs.iter().map(Job::encode).collect();
    messages.bury(&job_batch::join(bodies.iter().map(String::as_bytes))).await;
    for _ in 0..2 {
        let letters = dead_letters(&queue).await.expect("an answer");
        assert_eq!(ids(letters.iter().map(|letter| &letter.body)), ids_of(&jobs));
    }
    let mut letters = queue.dead_letters().await.expect("an answer");
    let first = letters.next().await.expect("an answer").expect("a letter");
    let redriven = Job::decode(&first.body).expect("a job");
    letters.redrive(&first, redriven.clone()).await.expect("redriven");
    letters.close().await.expect("closed");
    assert_eq!(messages.take_jobs(1).await, [first.body]);
    let left = dead_letters(&queue).await.expect("an answer");
    assert!(left.len() == 2 && left.iter().all(|letter| Job::decode(&letter.body).is_ok()));
}

#[tokio::test(flavor = "multi_thread")]
async fn each_request_of_a_refused_message_gets_the_error() {
    let rabbitmq = Service::rabbitmq();
    let full = r#"{"max-length":1,"overflow":"reject-publish"}"#;
    rabbitmq.rabbitmqctl(&["set_policy", "full", "^test", full, "--apply-to", "queues"]);
    for kind in ["quorum", "classic"] {
        let url = with_own_queue(&rabbitmq.url);
        let Fixture { queue, messages } = fixture(&format!("{url}&type={kind}")).await;
        // A quorum queue rejects a moment after it is full.
        eventually("the queue is full", || async {
            let sent = queue.send(&job(0), Delay::NONE).await;
            matches!(sent, Err(QueueError::Nacked)).then_some(())
        })
        .await;
        let refused: Vec<Job> = (0..20).map(job).collect();
        for result in send_all(&queue, &refused).await {
            match result.expect_err("the queue is full") {
                QueueError::Timeout => {}
                error => assert!(error.to_string().contains("the queue is full"), "{error}"),
            }
        }
        let taken = Mutex::new(Vec::new());
        eventually("room", || async {
            let message = messages.take().await;
            lock(&taken).extend(message);
            queue.send(&job(1), Delay::NONE).await.ok()
        })
        .await;
        let taken = lock(&taken).iter().flat_map(|message| ids(&jobs_of(message))).collect();
        let refused = ids_of(&refused).into_iter().collect::<HashSet<_>>();
        assert!(refused.is_disjoint(&taken), "refused, and stored all the same");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn request_that_gives_up_leaves_the_others_alone() {
    let Fixture { queue, messages } = fixture(&rabbitmq_url()).await;
    let jobs: Vec<Job> = (0..40).map(job).collect();
    let sends = jobs.iter().enumerate().map(|(index, job)| {
        let queue = &queue;
        async move {
            let send = queue.send(job, Delay::NONE);
            // Every third is dropped at once, among them the first, which leads the others.
            if index % 3 == 0 {
                let _ = tokio::time::timeout(std::time::Duration::ZERO, send).await;
                return None;
            }
            send.await.ok().map(|()| job.id.to_string())
        }
    });
    let stored: HashSet<String> = join_all(sends).await.into_iter().flatten().collect();
    assert!(!stored.is_empty());
    take_stored(&messages, &stored).await;
}
