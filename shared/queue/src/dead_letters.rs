//! Iteration over dead letters, for an operator's command.
//!
//! A dead letter that is neither redriven nor deleted stays one, also if the command is
//! interrupted. A redriven job is queued first and deleted here afterwards: interrupted in between,
//! it is in both places, and its SMS is still sent only once.

use std::time::Duration;

use sms_domain::job::Job;
use sms_domain::retry_schedule::Delay;

use crate::dead_letter::{DeadLetter, DeadLetterHandle};
use crate::error::QueueError;
use crate::{Backend, Queue, memory, rabbitmq, sqs};

/// Timeout of an operator's call: long enough to connect to a remote queue and to get an answer.
const OPERATOR_TIMEOUT: Duration = Duration::from_secs(10);

/// The dead letters of a queue. Close it, so that those which stay are visible again at once.
pub struct DeadLetters {
    queue: Queue,
    /// Approximate number at the beginning. A job that becomes a dead letter again meanwhile is
    /// left to the next command.
    pub count: usize,
    source: DeadLetterSource,
}

enum DeadLetterSource {
    Sqs(Box<sqs::DeadLetters>),
    RabbitMq(Box<rabbitmq::DeadLetters>),
    Memory(memory::DeadLetters),
}

impl Queue {
    /// Opens the dead letters for reading, oldest first.
    ///
    /// # Errors
    /// When the queue cannot be read.
    pub async fn dead_letters(&self) -> Result<DeadLetters, QueueError> {
        let (source, count) = match &self.0 {
            Backend::Sqs(queue) => {
                let (letters, count) = queue.dead_letters().await?;
                (DeadLetterSource::Sqs(Box::new(letters)), count)
            }
            Backend::RabbitMq(queue) => {
                let (letters, count) = queue.dead_letters().await?;
                (DeadLetterSource::RabbitMq(Box::new(letters)), count)
            }
            Backend::Memory(queue) => {
                let (letters, count) = queue.dead_letters();
                (DeadLetterSource::Memory(letters), count)
            }
        };
        Ok(DeadLetters { queue: self.clone(), count, source })
    }
}

impl DeadLetters {
    /// The next one, if there is one.
    ///
    /// # Errors
    /// When the queue cannot be read.
    pub async fn next(&mut self) -> Result<Option<DeadLetter>, QueueError> {
        match &mut self.source {
            DeadLetterSource::Sqs(letters) => letters.next().await,
            DeadLetterSource::RabbitMq(letters) => letters.next().await,
            DeadLetterSource::Memory(letters) => Ok(letters.next()),
        }
    }

    /// Puts the job of a dead letter back into the queue with its attempts reset to 0. The sender
    /// drops it if its code has expired.
    ///
    /// # Errors
    /// When the queue fails: then it is still a dead letter, and perhaps in the queue, too.
    pub async fn redrive(&mut self, letter: &DeadLetter, job: Job) -> Result<(), QueueError> {
        let job = Job { attempts: 0, ..job };
        if let (DeadLetterSource::Sqs(letters), DeadLetterHandle::Sqs(handle)) =
            (&mut self.source, &letter.handle)
        {
            return letters.redrive(handle, &job).await;
        }
        self.queue.send_for(&job, Delay::NONE, OPERATOR_TIMEOUT).await?;
        self.delete(letter).await
    }

    /// Deletes a dead letter.
    ///
    /// # Errors
    /// When the queue fails: it may still be there.
    pub async fn delete(&mut self, letter: &DeadLetter) -> Result<(), QueueError> {
        match (&mut self.source, &letter.handle) {
            (DeadLetterSource::Sqs(letters), DeadLetterHandle::Sqs(handle)) => {
                letters.delete(handle).await
            }
            (DeadLetterSource::RabbitMq(letters), DeadLetterHandle::RabbitMq(tag)) => {
                letters.delete(*tag).await
            }
            (DeadLetterSource::Memory(letters), DeadLetterHandle::Memory) => {
                letters.delete();
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Releases the dead letters that were read and stay.
    ///
    /// # Errors
    /// When the queue fails: then they are visible again later.
    pub async fn close(self) -> Result<(), QueueError> {
        match self.source {
            DeadLetterSource::Sqs(letters) => {
                letters.close().await;
                Ok(())
            }
            DeadLetterSource::RabbitMq(letters) => letters.close().await,
            DeadLetterSource::Memory(_) => Ok(()),
        }
    }
}
