//! `dead list|redrive|purge`: dead letters as an operator sees them.

use serde_json::Value;
use shared::provider::Class;
use shared::queue::{Death, Queue};

use super::on_a_terminal;
use crate::support::process::{Environment, Process};
use crate::support::{TestNumber, eventually};

#[tokio::test(flavor = "multi_thread")]
async fn redrive_shows_its_progress() {
    let environment = Environment::services();
    let queue = Queue::from_url(environment.get("QUEUE_URL"), None).expect("a URL");
    for index in 0..3 {
        let id = TestNumber::new().request().id;
        let body = format!(
            r#"{{"v":1,"id":"{id}","send":1,"to":"+861380013800{index}","locale":"en","attempts":4}}"#
        );
        eventually("a dead letter", || async {
            queue.bury(body.as_bytes(), "out of attempts").await.ok()
        })
        .await;
    }
    let mut redrive = on_a_terminal(&["dead", "redrive"], &environment);
    assert!(redrive.ended().await.success());
    let shown = redrive.standard_output();
    assert!(
        shown.contains(" of 3 looked at, to be put back")
            && shown.contains("3 job(s) back in the queue"),
        "{shown:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
#[expect(clippy::disallowed_methods, reason = "one of the jobs was asked for just now")]
async fn dead_letters_are_chosen_by_age_reason_and_number() {
    let environment = Environment::services();
    let queue = Queue::from_url(environment.get("QUEUE_URL"), None).expect("a URL");
    let letter = |index: usize, at: i64| {
        let id = TestNumber::new().request().id;
        format!(
            r#"{{"v":1,"id":"{id}","send":1,"to":"+861380013800{index}","locale":"en","attempts":3,"at":{at}}}"#
        )
    };
    let young = jiff::Timestamp::now().as_millisecond();
    for (body, death) in [
        (
            letter(0, young),
            Death { reason: "out of attempts".into(), class: Some(Class::Transient), attempts: 4 },
        ),
        (
            letter(1, 1_000),
            Death { reason: "out of attempts".into(), class: Some(Class::Throttled), attempts: 4 },
        ),
        (
            letter(2, young),
            Death { reason: "perhaps sent".into(), class: Some(Class::Ambiguous), attempts: 1 },
        ),
        ("no job".to_owned(), "cannot be read".into()),
    ] {
        let bury = || async { queue.bury(body.as_bytes(), death.clone()).await.ok() };
        eventually("a dead letter", bury).await;
    }
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
    assert!((young / 1_000 - died.as_second()).abs() < 60, "{first}");
    let table = dead(&["list", "--reason", "attempts", "--limit", "1"]).await;
    assert!(table.contains("1 dead letter(s)") && table.contains("transient"), "{table}");
    assert!(dead(&["list", "--since", "1d"]).await.contains("4 dead letter(s)"));

    let would = dead(&["redrive", "--dry-run"]).await;
    assert!(
        would.contains("3 job(s) back in the queue (not done")
            && would.contains("1 message(s) left"),
        "{would}"
    );
    assert!(
        dead(&["redrive", "--reason", "perhaps", "--rate", "100"])
            .await
            .contains("1 job(s) back in the queue\n")
    );
    // One was asked for in 1970.
    assert!(
        dead(&["purge", "--expired", "--dry-run"])
            .await
            .contains("1 dead letter(s) deleted (not done")
    );
    let purged = dead(&["purge", "--expired"]).await;
    for line in [
        "1 dead letter(s) deleted\n",
        "1 dead letter(s) left: their code may still be accepted\n",
        "1 message(s) left: they are no jobs, and of the last ten minutes (`dead list`",
    ] {
        assert!(purged.contains(line), "{line} in {purged}");
    }
    assert!(
        dead(&["list"]).await.contains("2 dead letter(s)"),
        "the young one, and the one that is no job"
    );
    let mut wrong = Process::start(&["dead", "list", "--since", "soon"], &environment);
    assert!(!wrong.ended().await.success());
    assert!(wrong.log().contains("needs a time such as 30m"), "{}", wrong.log());
}
