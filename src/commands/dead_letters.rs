//! `dead list|redrive|purge`: lists, redrives or deletes dead letters.

use std::error::Error;
use std::io::{Write, stdout};
use std::num::NonZeroU32;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use jiff::Timestamp;
use serde_json::{Value, json};
use sms_domain::job::{Job, JobCode};
use sms_domain::times::rfc3339;
use sms_domain::verification::Policy;
use sms_queue::dead_letter::DeadLetter;
use sms_queue::{DeadLetters, Queue};
use tokio::time::sleep;

use crate::cli::{DeadAction, Which};
use crate::shutdown;

/// Counts of processed dead letters.
#[derive(Default)]
struct Processed {
    done: usize,
    /// Letters that were skipped, since they are not jobs.
    no_jobs: usize,
    /// Letters that were skipped, since their code was somebody else's and is removed.
    no_code: usize,
    /// Letters that were skipped, since their code may still be accepted.
    alive: usize,
    /// The entries of `--json`.
    listed: Vec<Value>,
}

/// Runs the command and prints its result. Letters that were read and not processed are returned to
/// the queue, even after an error.
pub async fn run(queue: &Queue, action: DeadAction) -> Result<(), Box<dyn Error>> {
    let (mut letters, mut processed, stop) =
        (queue.dead_letters().await?, Processed::default(), shutdown::on_signals()?);
    let ended = tokio::select! {
        ended = process(&mut letters, &action, &mut processed) => ended,
        () = stop.cancelled() => Err(INTERRUPTED.into()),
    };
    letters.close().await?;
    report(&action, &processed)?;
    ended
}

const INTERRUPTED: &str = "interrupted: messages that were not processed are still dead letters";

fn report(
    action: &DeadAction,
    Processed { done, no_jobs, no_code, alive, listed }: &Processed,
) -> Result<(), std::io::Error> {
    let (mut out, would) = (stdout(), if action.is_dry() { " (not done: --dry-run)" } else { "" });
    match action {
        DeadAction::List { json: true, .. } => writeln!(out, "{:#}", Value::from(listed.clone()))?,
        DeadAction::List { .. } => writeln!(out, "{done} dead letter(s)")?,
        DeadAction::Purge { .. } => writeln!(out, "{done} dead letter(s) deleted{would}")?,
        DeadAction::Redrive { .. } => writeln!(out, "{done} job(s) back in the queue{would}")?,
    }
    if *alive > 0 {
        writeln!(out, "{alive} dead letter(s) left: their code may still be accepted")?;
    }
    if *no_code > 0 {
        writeln!(
            out,
            "{no_code} dead letter(s) left: somebody else made their code, and it was removed; it \
             has to be requested anew (`dead purge` deletes them)"
        )?;
    }
    if *no_jobs > 0 {
        let which = if action.is_of_the_expired() {
            "no jobs, and of the last ten minutes"
        } else {
            "no jobs"
        };
        writeln!(
            out,
            "{no_jobs} message(s) left: they are {which} (`dead list` shows them, `dead purge` \
             deletes them)"
        )?;
    }
    Ok(())
}

async fn process(
    letters: &mut DeadLetters,
    action: &DeadAction,
    processed: &mut Processed,
) -> Result<(), Box<dyn Error>> {
    let (progress, which, now) = (progress(letters.count, action), action.which(), now());
    if let DeadAction::List { json: false, .. } = action {
        writeln!(stdout(), "{}", HEADINGS)?;
    }
    while which.limit.is_none_or(|limit| processed.done < limit)
        && let Some(letter) = letters.next().await?
    {
        progress.inc(1);
        let job = Job::decode(&letter.body).ok();
        if !matches(which, &letter, now) {
            continue;
        }
        if action.is_of_the_expired() && !is_expired(&letter, job.as_ref(), now) {
            *(if job.is_some() { &mut processed.alive } else { &mut processed.no_jobs }) += 1;
            continue;
        }
        match action {
            DeadAction::List { json, .. } => {
                let listed = described(&letter, job.as_ref());
                if *json {
                    processed.listed.push(listed);
                } else {
                    writeln!(stdout(), "{}", row(&listed))?;
                }
            }
            DeadAction::Redrive { .. } if job.is_none() => {
                processed.no_jobs += 1;
                continue;
            }
            DeadAction::Redrive { .. }
                if job.as_ref().is_some_and(|job| job.code == JobCode::Removed) =>
            {
                processed.no_code += 1;
                continue;
            }
            _ if action.is_dry() => {}
            DeadAction::Purge { .. } => letters.delete(&letter).await?,
            DeadAction::Redrive { rate, .. } => {
                if let Some(job) = job {
                    letters.redrive(&letter, job).await?;
                }
                sleep(pause(*rate)).await;
            }
        }
        processed.done += 1;
    }
    progress.finish_and_clear();
    Ok(())
}

#[expect(clippy::disallowed_methods, reason = "queues report times of the wall clock")]
fn now() -> Timestamp {
    Timestamp::now()
}

fn pause(rate: Option<NonZeroU32>) -> Duration {
    rate.map(|rate| Duration::from_secs(1) / rate.get()).unwrap_or_default()
}

fn age(since: Option<Timestamp>, now: Timestamp) -> Option<Duration> {
    Duration::try_from(now.duration_since(since?)).ok()
}

/// Returns true if the options select the letter. A letter of unknown age does not match `--since`.
fn matches(which: &Which, letter: &DeadLetter, now: Timestamp) -> bool {
    let young = which.since.is_none_or(|since| age(letter.at, now).is_some_and(|age| age <= since));
    young && which.reason.as_ref().is_none_or(|reason| letter.reason.text.contains(reason.as_str()))
}

/// Returns true if the letter's code is no longer accepted: a verification lives for at most
/// [`Policy::MAX_LIFE`], and begins before its job becomes a dead letter.
fn is_expired(letter: &DeadLetter, job: Option<&Job>, now: Timestamp) -> bool {
    let asked = job.and_then(|job| Timestamp::from_millisecond(job.requested_at?).ok());
    age(asked.or(letter.at), now).is_some_and(|age| age > Policy::MAX_LIFE)
}

/// A progress bar, which is shown on a terminal alone.
fn progress(count: usize, action: &DeadAction) -> ProgressBar {
    let what = match action {
        DeadAction::List { .. } => return ProgressBar::hidden(),
        DeadAction::Redrive { .. } => "checked for redrive",
        DeadAction::Purge { .. } => "checked for deletion",
    };
    let style =
        ProgressStyle::with_template("{wide_bar} {pos} of {len} {msg}, {per_sec}, {eta} left");
    let bar = ProgressBar::new(u64::try_from(count).unwrap_or(u64::MAX)).with_message(what);
    bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

/// A dead letter as JSON, with its number masked.
fn described(letter: &DeadLetter, job: Option<&Job>) -> Value {
    let asked_at = job.and_then(|job| Timestamp::from_millisecond(job.requested_at?).ok());
    json!({
        "id": job.map(|job| job.id.as_str()),
        "send": job.map(|job| job.sms_number),
        "to": job.map(|job| job.to.masked()),
        "asked_at": asked_at.map(rfc3339),
        "died_at": letter.at.map(rfc3339),
        "attempts": letter.reason.attempts,
        "class": letter.reason.class.map(sms_domain::failure::FailureClass::as_str),
        "reason": letter.reason.text,
        "bytes": letter.body.len(),
    })
}

const HEADINGS: &str =
    "DIED AT               ATTEMPTS  CLASS          TO                 VERIFICATION  REASON";

fn row(letter: &Value) -> String {
    let text = |name: &str| letter[name].as_str().unwrap_or("-");
    let died = text("died_at").split('.').next().unwrap_or("-").trim_end_matches('Z');
    let (attempts, class, to) =
        (&letter["attempts"], text("class"), letter["to"].as_str().unwrap_or("(no job)"));
    format!("{died:<20}  {attempts:<8}  {class:<13}  {to:<17}  {}  {}", text("id"), text("reason"))
}
