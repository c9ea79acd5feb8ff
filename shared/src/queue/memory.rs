//! The queue in this process's memory: for `cargo run` without services. It forgets everything when the process ends.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Mutex as AsyncMutex, mpsc};

use super::{DeadLetter, Message, Receipt as AnyReceipt, Redriven};
use crate::job::Job;

type Sender = mpsc::UnboundedSender<Vec<u8>>;

#[derive(Debug, Clone)]
pub(super) struct MemoryQueue {
    sender: Sender,
    receiver: Arc<AsyncMutex<mpsc::UnboundedReceiver<Vec<u8>>>>,
    dead: Arc<Mutex<Vec<DeadLetter>>>,
}

/// Puts the message back when it is dropped without having been acknowledged.
#[derive(Debug)]
pub(super) struct Receipt {
    unacknowledged: Option<Vec<u8>>,
    sender: Sender,
}

impl Default for MemoryQueue {
    fn default() -> Self {
        let (sender, receiver) = mpsc::unbounded_channel();
        Self { sender, receiver: Arc::new(AsyncMutex::new(receiver)), dead: Arc::default() }
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

    pub(super) fn bury(&self, body: &[u8], reason: &str) {
        self.dead().push(DeadLetter { body: body.to_vec(), reason: reason.to_owned() });
    }

    pub(super) async fn receive(&self) -> Message {
        let body = self.receiver.lock().await.recv().await;
        // `None` would mean that no sender is left, and this queue holds one.
        let body = body.unwrap_or_default();
        let receipt = Receipt { unacknowledged: Some(body.clone()), sender: self.sender.clone() };
        Message { body, receipt: AnyReceipt::Memory(receipt) }
    }

    pub(super) fn dead_letters(&self) -> Vec<DeadLetter> {
        self.dead().clone()
    }

    pub(super) fn redrive(&self) -> Redriven {
        let mut redriven = Redriven::default();
        self.dead().retain(|letter| match Job::decode(&letter.body) {
            Ok(job) => {
                put(&self.sender, Job { attempts: 0, ..job }.encode().into_bytes());
                redriven.jobs += 1;
                false
            }
            Err(_) => {
                redriven.unreadable += 1;
                true
            }
        });
        redriven
    }

    pub(super) fn purge(&self) -> usize {
        self.dead().drain(..).count()
    }

    fn dead(&self) -> MutexGuard<'_, Vec<DeadLetter>> {
        self.dead.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Receipt {
    pub(super) fn ack(mut self) {
        self.unacknowledged = None;
    }
}

impl Drop for Receipt {
    fn drop(&mut self) {
        if let Some(body) = self.unacknowledged.take() {
            put(&self.sender, body);
        }
    }
}

/// Fails only when the queue itself is gone, and the message with it.
fn put(sender: &Sender, body: Vec<u8>) {
    let _ = sender.send(body);
}
