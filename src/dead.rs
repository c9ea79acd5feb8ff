//! `dead list|redrive|purge`: what an operator does with jobs that are out of attempts.

use indicatif::{ProgressBar, ProgressStyle};
use shared::job::Job;
use shared::queue::{DeadLetter, DeadLetters, Queue, QueueError};

use crate::cli::DeadAction;

/// Does it, and says what was done.
#[expect(clippy::print_stdout, reason = "the command's result")]
pub async fn run(queue: &Queue, action: DeadAction) -> Result<(), QueueError> {
    let mut letters = queue.dead().await?;
    match action {
        DeadAction::List => {
            let mut count = 0;
            while let Some(letter) = letters.next().await? {
                println!("{}", line(&letter));
                count += 1;
            }
            println!("{count} dead letter(s)");
        }
        DeadAction::Redrive => {
            let (jobs, unreadable) = redrive(&mut letters).await?;
            println!("{jobs} job(s) back in the queue");
            if unreadable > 0 {
                println!(
                    "{unreadable} message(s) left: they are no jobs (`dead list` shows them, `dead purge` deletes them)"
                );
            }
        }
        DeadAction::Purge => println!("{} dead letter(s) deleted", purge(&mut letters).await?),
    }
    letters.close().await
}

/// How many jobs were put back, and how many messages are none.
async fn redrive(letters: &mut DeadLetters) -> Result<(usize, usize), QueueError> {
    let (progress, mut jobs, mut unreadable) = (progress(letters.count, "back in the queue"), 0, 0);
    while let Some(letter) = letters.next().await? {
        match Job::decode(&letter.body) {
            Ok(job) => {
                letters.redrive(&letter, job).await?;
                jobs += 1;
            }
            Err(_) => unreadable += 1,
        }
        progress.inc(1);
    }
    progress.finish_and_clear();
    Ok((jobs, unreadable))
}

async fn purge(letters: &mut DeadLetters) -> Result<usize, QueueError> {
    let (progress, mut count) = (progress(letters.count, "deleted"), 0);
    while let Some(letter) = letters.next().await? {
        letters.delete(&letter).await?;
        (count, ()) = (count + 1, progress.inc(1));
    }
    progress.finish_and_clear();
    Ok(count)
}

/// How far it is, on a terminal; nothing elsewhere.
fn progress(count: usize, what: &'static str) -> ProgressBar {
    let style = ProgressStyle::with_template("{wide_bar} {pos} of {len} {msg}, {per_sec}, {eta} left");
    let bar = ProgressBar::new(u64::try_from(count).unwrap_or(u64::MAX)).with_message(what);
    bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

/// One dead letter, with its number masked.
fn line(letter: &DeadLetter) -> String {
    match Job::decode(&letter.body) {
        Ok(job) => format!("{}  {}  {}", job.id, job.to, letter.reason),
        Err(_) => format!("(no job, {} bytes)  {}", letter.body.len(), letter.reason),
    }
}
