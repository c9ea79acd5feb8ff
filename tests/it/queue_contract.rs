//! What a queue promises its sender and its consumer, case by case, for the memory and for RabbitMQ with either type of queue.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use shared::job::Job;
use shared::message::Locale;
use shared::queue::{Consumer, Delay, Queue};
use shared::telemetry::Names;

use crate::support::services::rabbitmq_url;
use crate::support::{Person, eventually, number};

macro_rules! contract {
    ($($case:ident)*) => {
        mod memory {
            use super::*;
            $(#[tokio::test] async fn $case() { super::$case(Queue::memory()).await; })*
        }
        mod rabbitmq {
            use super::*;
            $(#[tokio::test(flavor = "multi_thread")] async fn $case() {
                super::$case(Queue::from_url(&rabbitmq_url(), None).expect("a URL")).await;
            })*
        }
        mod rabbitmq_classic {
            use super::*;
            $(#[tokio::test(flavor = "multi_thread")] async fn $case() {
                let url = format!("{}&type=classic", rabbitmq_url());
                super::$case(Queue::from_url(&url, None).expect("a URL")).await;
            })*
        }
    };
}

contract! {
    what_is_sent_is_received_once
    many_senders_at_once_lose_nothing
    what_is_given_back_comes_again
    what_is_not_acknowledged_comes_again
    acknowledgements_in_any_order_concern_no_other_message
    what_was_acknowledged_before_the_end_does_not_come_again
    a_delayed_job_comes_later_and_not_before
    a_long_delay_does_not_hold_up_a_short_one
    a_dead_letter_keeps_body_and_reason
    a_redrive_brings_jobs_back_with_all_their_attempts
    a_purge_empties
}

fn job(index: u32) -> Job {
    Job {
        id: Person::new().asks().id,
        send: 1,
        to: number(index),
        locale: Locale::ZhCn,
        autofill: None,
        attempts: 0,
        turn: None,
        not_here: Vec::new(),
        at: None,
        names: Names::default(),
    }
}

fn delay(milliseconds: u64) -> Delay {
    Delay { base: Duration::from_millis(milliseconds), jitter: Duration::from_millis(milliseconds / 20) }
}

async fn send(queue: &Queue, job: &Job, delay: Delay) {
    // The first call on a new connection may take longer than a request may wait, on a busy machine.
    eventually("the queue takes a job", || async { queue.send(job, delay).await.ok() }).await;
}

async fn bury(queue: &Queue, body: &[u8], reason: &str) {
    eventually("the queue takes a dead letter", || async { queue.bury(body, reason).await.ok() }).await;
}

async fn receive(consumer: &mut Consumer) -> Job {
    let message = consumer.receive().await;
    let job = Job::decode(&message.body).expect("a job");
    message.ack();
    job
}

/// Whether the queue has nothing for a consumer. What is not there cannot be waited for: this is a short look.
async fn is_empty(consumer: &mut Consumer) -> bool {
    tokio::time::timeout(Duration::from_millis(200), consumer.receive()).await.is_err()
}

async fn what_is_sent_is_received_once(queue: Queue) {
    let mut consumer = queue.consumer(10).expect("a consumer");
    send(&queue, &job(1), Delay::NONE).await;
    assert_eq!(receive(&mut consumer).await.to, number(1));
    assert!(is_empty(&mut consumer).await);
}

async fn many_senders_at_once_lose_nothing(queue: Queue) {
    queue.ping().await.ok();
    join_all((0..500).map(|index| {
        let queue = queue.clone();
        async move { send(&queue, &job(index), Delay::NONE).await }
    }))
    .await;
    let mut consumer = queue.consumer(100).expect("a consumer");
    let mut received = HashSet::new();
    while received.len() < 500 {
        received.insert(receive(&mut consumer).await.to);
    }
}

async fn what_is_given_back_comes_again(queue: Queue) {
    let mut consumer = queue.consumer(10).expect("a consumer");
    send(&queue, &job(1), Delay::NONE).await;
    consumer.receive().await.give_back();
    assert_eq!(receive(&mut consumer).await.to, number(1));
}

async fn what_is_not_acknowledged_comes_again(queue: Queue) {
    let mut consumer = queue.consumer(10).expect("a consumer");
    send(&queue, &job(1), Delay::NONE).await;
    drop(consumer.receive().await);
    consumer.close().await;
    let mut next = queue.consumer(10).expect("a consumer");
    assert_eq!(receive(&mut next).await.to, number(1));
}

async fn acknowledgements_in_any_order_concern_no_other_message(queue: Queue) {
    let mut consumer = queue.consumer(100).expect("a consumer");
    for index in 0..40 {
        send(&queue, &job(index), Delay::NONE).await;
    }
    let (mut messages, mut kept) = (Vec::new(), HashSet::new());
    for _ in 0..40 {
        messages.push(consumer.receive().await);
    }
    // The first is kept in hand, and so is every fifth; the others are done, the last first.
    for (index, message) in messages.into_iter().enumerate().rev() {
        if index % 5 == 0 {
            kept.insert(Job::decode(&message.body).expect("a job").to);
        } else {
            message.ack();
        }
    }
    consumer.close().await;
    let (mut next, mut again) = (queue.consumer(100).expect("a consumer"), HashSet::new());
    while again.len() < kept.len() {
        again.insert(receive(&mut next).await.to);
    }
    assert_eq!(again, kept, "what was not acknowledged, and nothing else");
    assert!(is_empty(&mut next).await);
}

async fn what_was_acknowledged_before_the_end_does_not_come_again(queue: Queue) {
    let mut consumer = queue.consumer(10).expect("a consumer");
    for index in 0..3 {
        send(&queue, &job(index), Delay::NONE).await;
    }
    let (first, second, third) = (consumer.receive().await, consumer.receive().await, consumer.receive().await);
    // In one go: the third lies behind the second, which is still in hand.
    first.ack();
    third.ack();
    drop(second);
    consumer.close().await;
    let mut next = queue.consumer(10).expect("a consumer");
    assert_eq!(receive(&mut next).await.to, number(1));
    assert!(is_empty(&mut next).await);
}

async fn a_delayed_job_comes_later_and_not_before(queue: Queue) {
    let mut consumer = queue.consumer(10).expect("a consumer");
    let sent = Instant::now();
    send(&queue, &job(1), delay(400)).await;
    receive(&mut consumer).await;
    assert!(sent.elapsed() >= delay(400).base, "before its time: {:?}", sent.elapsed());
}

async fn a_long_delay_does_not_hold_up_a_short_one(queue: Queue) {
    let mut consumer = queue.consumer(10).expect("a consumer");
    send(&queue, &job(1), delay(2_000)).await;
    send(&queue, &job(2), delay(100)).await;
    assert_eq!(receive(&mut consumer).await.to, number(2));
    assert_eq!(receive(&mut consumer).await.to, number(1));
}

async fn a_dead_letter_keeps_body_and_reason(queue: Queue) {
    bury(&queue, b"\xff not a job", "cannot be read").await;
    // Looking does not take away.
    for _ in 0..2 {
        let letters = eventually("the dead letter", || async {
            queue.dead_letters().await.ok().filter(|letters| !letters.is_empty())
        });
        let letters = letters.await;
        assert_eq!(letters.len(), 1);
        assert_eq!(
            (letters[0].body.as_slice(), letters[0].death.reason.as_str()),
            (&b"\xff not a job"[..], "cannot be read")
        );
    }
}

async fn a_redrive_brings_jobs_back_with_all_their_attempts(queue: Queue) {
    let tired = Job { attempts: 4, ..job(1) };
    bury(&queue, tired.encode().as_bytes(), "out of attempts").await;
    bury(&queue, b"not a job", "cannot be read").await;
    let mut letters = queue.dead().await.expect("dead letters");
    assert_eq!(letters.count, 2);
    while let Some(letter) = letters.next().await.expect("an answer") {
        if let Ok(job) = Job::decode(&letter.body) {
            letters.redrive(&letter, job).await.expect("redriven");
        }
    }
    letters.close().await.expect("closed");
    let mut consumer = queue.consumer(10).expect("a consumer");
    assert_eq!(receive(&mut consumer).await, Job { attempts: 0, ..tired });
    let left = eventually("the message that is no job", || async {
        queue.dead_letters().await.ok().filter(|letters| !letters.is_empty())
    });
    assert_eq!(left.await[0].body, b"not a job");
    assert!(is_empty(&mut consumer).await);
}

async fn a_purge_empties(queue: Queue) {
    bury(&queue, b"1", "x").await;
    bury(&queue, b"2", "x").await;
    let mut letters = queue.dead().await.expect("dead letters");
    while let Some(letter) = letters.next().await.expect("an answer") {
        letters.delete(&letter).await.expect("deleted");
    }
    letters.close().await.expect("closed");
    assert_eq!(queue.dead_letters().await.expect("an answer"), []);
}
