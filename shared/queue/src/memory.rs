//! The queue in this process's memory: for `cargo run` without services. Its messages are lost when
//! the process ends.

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use jiff::Timestamp;
use sms_domain::sync::lock;
use tokio::sync::{Mutex as AsyncMutex, mpsc};

use crate::dead_letter::{DeadLetter, DeadLetterHandle, DeadLetterReason, Depth};
use crate::message::{AckHandle as AnyAckHandle, Message};

type Sender = mpsc::UnboundedSender<Vec<u8>>;

#[derive(Debug, Clone)]
pub(super) struct MemoryQueue {
    sender: Sender,
    receiver: Arc<AsyncMutex<mpsc::UnboundedReceiver<Vec<u8>>>>,
    dead_letters: Arc<Mutex<Vec<DeadLetter>>>,
}

/// Puts the message back when it is dropped without having been acknowledged.
#[derive(Debug)]
pub(super) struct AckHandle {
    unacknowledged: Option<Vec<u8>>,
    sender: Sender,
}

impl Default for MemoryQueue {
    fn default() -> Self {
        let (sender, receiver) = mpsc::unbounded_channel();
        Self { sender, receiver: Arc::new(AsyncMutex::new(receiver)), dead_letters: Arc::default() }
    }
}

impl MemoryQueue {
    pub(super) fn send(&self, body: Vec<u8>, delay: Duration) {
        let sender = self.sender.clone();
        if delay.is_zero() {
            put(&sender, body);
        } else {
            tokio::spawn(async move {
                tokio::time::sleep(delay).await;
                put(&sender, body);
            });
        }
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "an operator wants to know since when it is dead"
    )]
    pub(super) fn dead_letter(&self, body: &[u8], reason: DeadLetterReason) {
        self.letters().push(DeadLetter {
            body: body.to_vec(),
            reason,
            at: Some(Timestamp::now()),
            handle: DeadLetterHandle::Memory,
        });
    }

    pub(super) async fn receive(&self) -> Message {
        let body = self.receiver.lock().await.recv().await;
        // Never `None`: this queue holds a sender itself.
        let body = body.unwrap_or_default();
        let handle = AckHandle { unacknowledged: Some(body.clone()), sender: self.sender.clone() };
        Message { body, foreign: None, handle: AnyAckHandle::Memory(handle) }
    }

    pub(super) fn dead_letters(&self) -> (DeadLetters, usize) {
        let count = self.letters().len();
        (DeadLetters { queue: self.clone(), next: 0, left: count }, count)
    }

    pub(super) fn depth(&self) -> Depth {
        // Only the receiver knows the length. If a consumer holds it, it waits for a message, and
        // the queue is empty.
        let messages = self.receiver.try_lock().map_or(0, |receiver| receiver.len());
        Depth { messages, dead: Some(self.letters().len()) }
    }

    fn letters(&self) -> MutexGuard<'_, Vec<DeadLetter>> {
        lock(&self.dead_letters)
    }
}

/// Cursor over the dead letters, used by `/ops` of the same process and by the contract tests.
pub(super) struct DeadLetters {
    queue: MemoryQueue,
    next: usize,
    left: usize,
}

impl DeadLetters {
    pub(super) fn next(&mut self) -> Option<DeadLetter> {
        self.left = self.left.checked_sub(1)?;
        let letter = self.queue.letters().get(self.next).cloned();
        self.next += 1;
        letter
    }

    /// Deletes the dead letter that `next` returned last.
    pub(super) fn delete(&mut self) {
        self.next -= 1;
        self.queue.letters().remove(self.next);
    }
}

impl AckHandle {
    pub(super) fn ack(mut self) {
        self.unacknowledged = None;
    }
}

impl Drop for AckHandle {
    fn drop(&mut self) {
        if let Some(body) = self.unacknowledged.take() {
            put(&self.sender, body);
        }
    }
}

/// Sends a message. This fails only if the queue itself is gone, and the message with it.
fn put(sender: &Sender, body: Vec<u8>) {
    let _ = sender.send(body);
}
