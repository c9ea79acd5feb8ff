//! `dead list|redrive|purge`: dead letters as an operator sees them.

use std::fmt::Write;

use serde_json::Value;
use sms_domain::failure::FailureClass;
use sms_domain::verification_id::VerificationId;
use sms_queue::Queue;
use sms_queue::dead_letter::DeadLetterReason;

use super::on_a_terminal;
use crate::support::process::{Environment, Process};
use crate::support::{TestNumber, assert_snapshot, eventually};

#[tokio::test(flavor = "multi_thread")]
async fn redrive_shows_its_progress() {
    let environment = eventually("three dead letters", three_dead_letters).await;
    let mut redrive = on_a_terminal(&["dead", "redrive"], &environment);
    assert!(redrive.ended().await.success());
    let shown = redrive.standard_output();
    assert!(
        shown.contains(" of 3 checked for redrive") && shown.contains("3 job(s) back in the queue"),
        "{shown:?}"
    );
}

/// Three dead letters, in a queue that nobody else uses. None if a call failed, which may have been
/// carried out all the same.
async fn three_dead_letters() -> Option<Environment> {
    let environment = Environment::services();
    let queue = Queue::from_url(environment.get("QUEUE_URL"), None).expect("a URL");
    for index in 0..3 {
        let id = TestNumber::new().request().id;
        let to = format!("+861380013800{index}");
        let body =
            format!(r#"{{"v":1,"id":"{id}","send":1,"to":"{to}","locale":"en","attempts":4}}"#);
        queue.dead_letter(body.as_bytes(), "out of attempts").await.ok()?;
    }
    Some(environment)
}

/// Four dead letters, in a queue that nobody else uses: one that an approval may still follow, one
/// whose job is of 1970, one that was perhaps sent, and one that is no job. None if a call failed,
/// which may have been carried out all the same.
#[expect(clippy::disallowed_methods, reason = "two of the jobs are young")]
async fn four_dead_letters() -> Option<Environment> {
    let environment = Environment::services();
    let queue = Queue::from_url(environment.get("QUEUE_URL"), None).expect("a URL");
    let letter = |index: usize, at: i64| {
        let id = TestNumber::new().request().id;
        let to = format!("+861380013800{index}");
        format!(
            r#"{{"v":1,"id":"{id}","send":1,"to":"{to}","locale":"en","attempts":3,"at":{at}}}"#
        )
    };
    let died =
        |reason: &str, class, attempts| DeadLetterReason { text: reason.into(), class, attempts };
    let now = jiff::Timestamp::now().as_millisecond();
    for (body, reason) in [
        (letter(0, now), died("out of attempts", Some(FailureClass::Transient), 4)),
        (letter(1, 1_000), died("out of attempts", Some(FailureClass::Throttled), 4)),
        (letter(2, now), died("perhaps sent", Some(FailureClass::Ambiguous), 1)),
        ("no job".to_owned(), died("cannot be read", None, 0)),
    ] {
        queue.dead_letter(body.as_bytes(), reason).await.ok()?;
    }
    Some(environment)
}

#[tokio::test(flavor = "multi_thread")]
#[expect(clippy::disallowed_methods, reason = "the letters died just now")]
async fn dead_letters_are_chosen_by_age_reason_and_number() {
    let began = jiff::Timestamp::now();
    let environment = eventually("dead letters, each put there once", four_dead_letters).await;
    let dead = async |arguments: &[&str]| {
        let arguments: Vec<&str> = ["dead"].iter().chain(arguments).copied().collect();
        Process::start(&arguments, &environment).output().await
    };
    let listed: Value = serde_json::from_str(&dead(&["list", "--json"]).await).expect("JSON");
    assert_eq!(listed.as_array().map(Vec::len), Some(4), "{listed:#}");
    let first = &listed[0];
    assert_eq!(
        (&first["class"], &first["attempts"], &first["to"]),
        (&"transient".into(), &4.into(), &"+86*******8000".into())
    );
    let died: jiff::Timestamp = first["died_at"].as_str().expect("a time").parse().expect("a time");
    assert!(died.as_second() >= began.as_second() - 1, "{first}");
    let mut transcript = String::new();
    for command in [
        "list",
        "list --reason attempts --limit 1",
        "list --since 1d",
        "redrive --dry-run",
        "redrive --reason perhaps --rate 100",
        // One was asked for in 1970.
        "purge --expired --dry-run",
        "purge --expired",
        // The young one, and the one that is no job.
        "list",
        "purge",
    ] {
        let output = dead(&command.split(' ').collect::<Vec<_>>()).await;
        let _ = writeln!(transcript, "$ sms-verify dead {command}\n{}", without_ids(&output));
    }
    assert_snapshot!("dead_letters", transcript);
    let mut wrong = Process::start(&["dead", "list", "--since", "soon"], &environment);
    assert!(!wrong.ended().await.success());
    assert!(wrong.log().contains("needs a time such as 30m"), "{}", wrong.log());
}

/// The output of a command, with neither the times nor the ids of this run, and its rows sorted.
fn without_ids(output: &str) -> String {
    let plain = |word: &str| {
        if word.parse::<jiff::civil::DateTime>().is_ok() {
            "[time]".to_owned()
        } else if VerificationId::parse(word).is_some() {
            "[id]".to_owned()
        } else {
            word.to_owned()
        }
    };
    let line = |line: &str| line.split(' ').map(plain).collect::<Vec<_>>().join(" ") + "\n";
    let (mut rows, mut others): (Vec<String>, Vec<String>) =
        output.lines().map(line).partition(|line| line.starts_with("[time]"));
    rows.sort_unstable();
    let heading = usize::from(!rows.is_empty());
    others.splice(heading..heading, rows.drain(..));
    others.concat()
}
