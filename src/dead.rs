//! `dead list|redrive|purge`: what an operator does with jobs that are out of attempts.

use std::error::Error;
use std::io::{Write, stdout};

use indicatif::{ProgressBar, ProgressStyle};
use shared::job::Job;
use shared::queue::{DeadLetter, DeadLetters, Queue};

use crate::cli::DeadAction;
use crate::stop::Stop;

/// What became of dead letters.
#[derive(Default)]
struct Done {
    done: usize,
    /// Those that are no jobs, and were left.
    left: usize,
}

/// Does it, and says what was done. What was taken and stays is given back, however it ends.
pub async fn run(queue: &Queue, action: DeadAction) -> Result<(), Box<dyn Error>> {
    let (mut letters, mut done, mut stop) = (queue.dead().await?, Done::default(), Stop::on_signals()?);
    let ended = tokio::select! {
        ended = act(&mut letters, action, &mut done) => ended,
        () = stop.requested() => Err("interrupted: what was not done yet is still a dead letter".into()),
    };
    letters.close().await?;
    let Done { done, left } = done;
    let mut out = stdout();
    match action {
        DeadAction::List => writeln!(out, "{done} dead letter(s)")?,
        DeadAction::Purge => writeln!(out, "{done} dead letter(s) deleted")?,
        DeadAction::Redrive => {
            writeln!(out, "{done} job(s) back in the queue")?;
            if left > 0 {
                writeln!(
                    out,
                    "{left} message(s) left: they are no jobs (`dead list` shows them, `dead purge` deletes them)"
                )?;
            }
        }
    }
    ended
}

async fn act(letters: &mut DeadLetters, action: DeadAction, done: &mut Done) -> Result<(), Box<dyn Error>> {
    let progress = progress(letters.count, action);
    while let Some(letter) = letters.next().await? {
        match (action, Job::decode(&letter.body)) {
            (DeadAction::List, job) => writeln!(stdout(), "{}", line(&letter, job.ok().as_ref()))?,
            (DeadAction::Purge, _) => letters.delete(&letter).await?,
            (DeadAction::Redrive, Ok(job)) => letters.redrive(&letter, job).await?,
            (DeadAction::Redrive, Err(_)) => {
                done.left += 1;
                continue;
            }
        }
        done.done += 1;
        progress.inc(1);
    }
    progress.finish_and_clear();
    Ok(())
}

/// How far it is, on a terminal; nothing elsewhere.
fn progress(count: usize, action: DeadAction) -> ProgressBar {
    let what = match action {
        DeadAction::List => return ProgressBar::hidden(),
        DeadAction::Redrive => "back in the queue",
        DeadAction::Purge => "deleted",
    };
    let style = ProgressStyle::with_template("{wide_bar} {pos} of {len} {msg}, {per_sec}, {eta} left");
    let bar = ProgressBar::new(u64::try_from(count).unwrap_or(u64::MAX)).with_message(what);
    bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

/// One dead letter, with its number masked.
fn line(letter: &DeadLetter, job: Option<&Job>) -> String {
    match job {
        Some(job) => format!("{}  {}  {}", job.id, job.to, letter.reason),
        None => format!("(no job, {} bytes)  {}", letter.body.len(), letter.reason),
    }
}
