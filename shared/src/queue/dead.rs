//! Dead letters, taken one after the other by an operator's command.
//!
//! What is taken and neither redriven nor deleted stays a dead letter, also when the command is
//! interrupted. A redriven job is first queued and then deleted here: interrupted in between, it is
//! in both places, and still sent once.

use std::time::Duration;

use super::{Backend, DeadLetter, Delay, Queue, QueueError, memory, rabbitmq, sqs};
use crate::job::Job;

/// How long an operator waits for a queue that is far off: as long as a connection may take, and an
/// answer on it.
const PATIENCE: Duration = Duration::from_secs(10);

/// Those that there are. To be closed, so that those which stay show again at once.
pub struct DeadLetters {
    queue: Queue,
    /// About how many there were at the beginning. A job that dies again meanwhile waits for the
    /// next command.
    pub count: usize,
    taking: Taking,
}

enum Taking {
    Sqs(Box<sqs::DeadLetters>),
    RabbitMq(Box<rabbitmq::DeadLetters>),
    Memory(memory::DeadLetters),
}

/// Names a dead letter that was taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Taken {
    Sqs(String),
    RabbitMq(u64),
    Memory,
}

impl Queue {
    /// Begins to take dead letters, the oldest first.
    ///
    /// # Errors
    /// When the queue cannot be read.
    pub async fn dead(&self) -> Result<DeadLetters, QueueError> {
        let (taking, count) = match &self.0 {
            Backend::Sqs(queue) => {
                let (letters, count) = queue.dead().await?;
                (Taking::Sqs(Box::new(letters)), count)
            }
            Backend::RabbitMq(queue) => {
                let (letters, count) = queue.dead().await?;
                (Taking::RabbitMq(Box::new(letters)), count)
            }
            Backend::Memory(queue) => {
                let (letters, count) = queue.dead();
                (Taking::Memory(letters), count)
            }
        };
        Ok(DeadLetters { queue: self.clone(), count, taking })
    }

    /// All dead letters, which stay where they are. For tests: there may be many.
    ///
    /// # Errors
    /// When the queue cannot be read.
    pub async fn dead_letters(&self) -> Result<Vec<DeadLetter>, QueueError> {
        let (mut letters, mut all) = (self.dead().await?, Vec::new());
        while let Some(letter) = letters.next().await? {
            all.push(letter);
        }
        letters.close().await?;
        Ok(all)
    }
}

impl DeadLetters {
    /// The next one, if there is one.
    ///
    /// # Errors
    /// When the queue cannot be read.
    pub async fn next(&mut self) -> Result<Option<DeadLetter>, QueueError> {
        match &mut self.taking {
            Taking::Sqs(letters) => letters.next().await,
            Taking::RabbitMq(letters) => letters.next().await,
            Taking::Memory(letters) => Ok(letters.next()),
        }
    }

    /// Puts the job of one back into the queue, with all its attempts. The sender drops it if its
    /// code has expired.
    ///
    /// # Errors
    /// When the queue fails: it is still a dead letter then, and perhaps in the queue, too.
    pub async fn redrive(&mut self, letter: &DeadLetter, job: Job) -> Result<(), QueueError> {
        let job = Job { attempts: 0, ..job };
        if let (Taking::Sqs(letters), Taken::Sqs(handle)) = (&mut self.taking, &letter.taken) {
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
        match (&mut self.taking, &letter.taken) {
            (Taking::Sqs(letters), Taken::Sqs(handle)) => letters.delete(handle).await,
            (Taking::RabbitMq(letters), Taken::RabbitMq(tag)) => letters.delete(*tag).await,
            (Taking::Memory(letters), Taken::Memory) => {
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
        match self.taking {
            Taking::Sqs(letters) => {
                letters.close().await;
                Ok(())
            }
            Taking::RabbitMq(letters) => letters.close().await,
            Taking::Memory(_) => Ok(()),
        }
    }
}
