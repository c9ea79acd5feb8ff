//! `dead list|redrive|purge`: what an operator does with jobs that are out of attempts.

use shared::job::Job;
use shared::queue::{DeadLetter, Queue, QueueError};

use crate::cli::DeadAction;

/// Does it, and says what was done.
#[expect(clippy::print_stdout, reason = "the command's result")]
pub async fn run(queue: &Queue, action: DeadAction) -> Result<(), QueueError> {
    match action {
        DeadAction::List => {
            let letters = queue.dead_letters().await?;
            for letter in &letters {
                println!("{}", line(letter));
            }
            println!("{} dead letter(s)", letters.len());
        }
        DeadAction::Redrive => {
            let redriven = queue.redrive().await?;
            println!("{} job(s) back in the queue", redriven.jobs);
            if redriven.unreadable > 0 {
                println!("{} message(s) left: they are no jobs", redriven.unreadable);
            }
        }
        DeadAction::Purge => println!("{} dead letter(s) deleted", queue.purge().await?),
    }
    Ok(())
}

/// One dead letter, with its number masked.
fn line(letter: &DeadLetter) -> String {
    match Job::decode(&letter.body) {
        Ok(job) => format!("{}  {}  {}", job.id, job.to, letter.reason),
        Err(_) => format!("(no job, {} bytes)  {}", letter.body.len(), letter.reason),
    }
}
