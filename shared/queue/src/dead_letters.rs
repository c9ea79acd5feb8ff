//! Dead letters, taken one after the other by an operator's command.
//!
//! What is taken and neither redriven nor deleted stays a dead letter, also when the command is
//! interrupted. A redriven job is first queued and then deleted here: interrupted in between, it is
//! in both places, and still sent once.

use std::time::Duration;

use sms_domain::job::Job;
use sms_domain::retry_schedule::Delay;

use crate::dead_letter::{DeadLetter, DeadLetterHandle};
use crate::error::QueueError;
use crate::{Backend, Queue, memory, rabbitmq, sqs};

/// How long an operator waits for a queue that is far off: as long as a connection may take, and an
/// answer on it.
const PATIENCE: Duration = Duration::from_secs(10);

/// Those that there are. To be closed, so that those which stay show again at once.
pub struct DeadLetters {
    queue: Queue,
    /// About how many there were at the beginning. A job that dies again meanwhile waits for the
    /// next command.
    pub count: usize,
    source: DeadLetterSource,
}

enum DeadLetterSource {
    Sqs(Box<sqs::DeadLetters>),
    RabbitMq(Box<rabbitmq::DeadLetters>),
    Memory(memory::DeadLetters),
}

impl Queue {
    /// Begins to take dead letters, the oldest first.
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

    /// Puts the job of one back into the queue, with all its attempts. The sender drops it if its
    /// code has expired.
    ///
    /// # Errors
    /// When the queue fails: it is still a dead letter then, and perhaps in the queue, too.
    pub async fn redrive(&mut self, letter: &DeadLetter, job: Job) -> Result<(), QueueError> {
        let job = Job { attempts: 0, ..job };
        if let (DeadLetterSource::Sqs(letters), DeadLetterHandle::Sqs(handle)) =
            (&mut self.source, &letter.handle)
        {
            return letters.redrive(handle, &job.encode()).await;
        }
        self.queue.send_for(&job, Delay::NONE, PATIENCE).await?;
        self.delete(letter).await
    }

    /// Deletes one.
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

    /// Gives back what was taken and stays.
    ///
    /// # Errors
    /// When the queue fails: it shows again later then.
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
