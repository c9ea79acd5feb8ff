//! The contract of the queue with its sender and its consumers, on every queue.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use futures_util::stream::{self, StreamExt};
use sms_domain::job::Job;
use sms_domain::retry_schedule::Delay;

use super::job;
use crate::support::contract::contract;
use crate::support::taker::{Subject, Taker};
use crate::support::{dead_letters, eventually, number};

contract! {
    queues;
    sent_job_is_received_once
    many_senders_at_once_lose_nothing
    job_given_back_comes_again
    unacknowledged_job_comes_again
    acknowledgements_in_any_order_concern_no_other_job
    acknowledged_job_does_not_come_again
    delayed_job_comes_not_before_its_time
    long_delay_does_not_hold_up_a_short_one
    dead_letter_keeps_body_and_reason
    redrive_brings_jobs_back_with_all_their_attempts
    purge_deletes_dead_letters
}

fn delay(milliseconds: u64) -> Delay {
    Delay {
        base: Duration::from_millis(milliseconds),
        jitter: Duration::from_millis(milliseconds / 20),
    }
}

async fn send(subject: &Subject, job: &Job, delay: Delay) {
    subject.call(async |queue| queue.send(job, delay).await).await;
}

async fn dead_letter(subject: &Subject, body: &[u8], reason: &str) {
    subject.call(async |queue| queue.dead_letter(body, reason).await).await;
}

async fn receive(taker: &mut Taker) -> Job {
    let message = taker.receive().await;
    let job = Job::decode(&message.body).expect("a job");
    message.ack().await;
    job
}

/// The queue has nothing more for whoever takes. What is not there cannot be waited for: this is a
/// short look.
async fn is_empty(subject: &Subject, taker: &mut Taker) {
    let next = tokio::time::timeout(Duration::from_millis(200), taker.receive()).await;
    assert!(next.is_err() || !subject.is_countable(), "something is there twice");
}

async fn sent_job_is_received_once(subject: Subject) {
    let mut consumer = subject.taker(10);
    send(&subject, &job(1), Delay::NONE).await;
    assert_eq!(receive(&mut consumer).await.to, number(1));
    is_empty(&subject, &mut consumer).await;
}

async fn many_senders_at_once_lose_nothing(subject: Subject) {
    let sending = stream::iter(0..200).map(|index| {
        let subject = &subject;
        async move { send(subject, &job(index), Delay::NONE).await }
    });
    sending.buffer_unordered(subject.breadth()).collect::<()>().await;
    let mut consumer = subject.taker(100);
    let mut received = HashSet::new();
    while received.len() < 200 {
        received.insert(receive(&mut consumer).await.to);
    }
}

async fn job_given_back_comes_again(subject: Subject) {
    let mut consumer = subject.taker(10);
    send(&subject, &job(1), Delay::NONE).await;
    consumer.receive().await.requeue().await;
    assert_eq!(receive(&mut consumer).await.to, number(1));
}

async fn unacknowledged_job_comes_again(subject: Subject) {
    let mut consumer = subject.taker(10);
    send(&subject, &job(1), Delay::NONE).await;
    drop(consumer.receive().await);
    consumer.close().await;
    let mut next = subject.taker(10);
    assert_eq!(receive(&mut next).await.to, number(1));
}

async fn acknowledgements_in_any_order_concern_no_other_job(subject: Subject) {
    let mut consumer = subject.taker(100);
    for index in 0..40 {
        send(&subject, &job(index), Delay::NONE).await;
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
            message.ack().await;
        }
    }
    consumer.close().await;
    let (mut next, mut again) = (subject.taker(100), HashSet::new());
    while again.len() < kept.len() {
        again.insert(receive(&mut next).await.to);
    }
    assert!(
        again == kept || !subject.is_countable(),
        "what was not acknowledged, and nothing else: {again:?}"
    );
    is_empty(&subject, &mut next).await;
}

async fn acknowledged_job_does_not_come_again(subject: Subject) {
    let mut consumer = subject.taker(10);
    for index in 0..3 {
        send(&subject, &job(index), Delay::NONE).await;
    }
    let (first, second, third) =
        (consumer.receive().await, consumer.receive().await, consumer.receive().await);
    // On RabbitMQ in one go: the third lies behind the second, which is still in hand.
    first.ack().await;
    third.ack().await;
    drop(second);
    consumer.close().await;
    let mut next = subject.taker(10);
    assert_eq!(receive(&mut next).await.to, number(1));
    is_empty(&subject, &mut next).await;
}

async fn delayed_job_comes_not_before_its_time(subject: Subject) {
    let mut consumer = subject.taker(10);
    let sent = Instant::now();
    // SQS counts whole seconds.
    send(&subject, &job(1), delay(1_000)).await;
    receive(&mut consumer).await;
    assert!(sent.elapsed() >= delay(1_000).base, "before its time: {:?}", sent.elapsed());
}

async fn long_delay_does_not_hold_up_a_short_one(subject: Subject) {
    let mut consumer = subject.taker(10);
    // Longer than a slow machine needs for the other.
    send(&subject, &job(1), delay(600_000)).await;
    send(&subject, &job(2), delay(1_000)).await;
    assert_eq!(receive(&mut consumer).await.to, number(2));
}

async fn dead_letter_keeps_body_and_reason(subject: Subject) {
    dead_letter(&subject, b"\xff\x00\x1f\xef\xbf\xbf not a job", "cannot be read\0").await;
    // Looking does not take away.
    for _ in 0..2 {
        let letters = eventually("the dead letter", || async {
            dead_letters(&subject.queue).await.ok().filter(|letters| !letters.is_empty())
        });
        let letters = letters.await;
        assert!(letters.len() == 1 || !subject.is_countable(), "{letters:?}");
        // SQS takes text alone, and not each character.
        let text = |text: &str| text.replace(['\0', '\x1f', '\u{ffff}'], "\u{fffd}");
        assert_eq!(
            (
                text(&String::from_utf8_lossy(&letters[0].body)).as_str(),
                text(&letters[0].reason.text).as_str()
            ),
            ("\u{fffd}\u{fffd}\u{fffd}\u{fffd} not a job", "cannot be read\u{fffd}")
        );
    }
}

async fn redrive_brings_jobs_back_with_all_their_attempts(subject: Subject) {
    let tired = Job { attempts: 4, ..job(1) };
    dead_letter(&subject, tired.encode().as_bytes(), "out of attempts").await;
    dead_letter(&subject, b"not a job", "cannot be read").await;
    let mut letters = subject.queue.dead_letters().await.expect("dead letters");
    assert!(letters.count == 2 || !subject.is_countable(), "{}", letters.count);
    while let Some(letter) = letters.next().await.expect("an answer") {
        if let Ok(job) = Job::decode(&letter.body) {
            letters.redrive(&letter, job).await.expect("redriven");
        }
    }
    letters.close().await.expect("closed");
    let mut consumer = subject.taker(10);
    assert_eq!(receive(&mut consumer).await, Job { attempts: 0, ..tired });
    let left = eventually("the message that is no job", || async {
        dead_letters(&subject.queue).await.ok().filter(|letters| !letters.is_empty())
    });
    assert_eq!(left.await[0].body, b"not a job");
    is_empty(&subject, &mut consumer).await;
}

async fn purge_deletes_dead_letters(subject: Subject) {
    dead_letter(&subject, b"1", "x").await;
    dead_letter(&subject, b"2", "x").await;
    let mut letters = subject.queue.dead_letters().await.expect("dead letters");
    while let Some(letter) = letters.next().await.expect("an answer") {
        letters.delete(&letter).await.expect("deleted");
    }
    letters.close().await.expect("closed");
    assert_eq!(dead_letters(&subject.queue).await.expect("an answer"), []);
}
