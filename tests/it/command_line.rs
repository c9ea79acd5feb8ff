//! The command line: what it says, to people and to programs.

use std::net::TcpListener;
use std::process::Command;

use serde_json::Value;
use shared::queue::Queue;

use crate::support::process::{Environment, Process};
use crate::support::{Person, eventually};

/// The program on a terminal, which Python plays.
fn on_a_terminal(arguments: &[&str], environment: &Environment) -> Process {
    let script = "import pty, sys, os; sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])))";
    let mut command = Command::new("python");
    command.args(["-c", script, env!("CARGO_BIN_EXE_sms-verify")]).args(arguments);
    Process::spawn({
        let path = std::env::var_os("PATH").unwrap_or_default();
        command.env_clear().envs(environment.variables()).env("TERM", "xterm").env("PATH", path);
        command
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_that_lacks_variables_says_which_and_what_to_do() {
    let mut worker = Process::start(&["worker"], &Environment::embedded());
    assert!(!worker.ended().await.success());
    let lines: Vec<String> = worker.log().lines().map(str::to_owned).collect();
    assert_eq!(lines[0], "error: the configuration has problems");
    assert!(lines[1].starts_with("  REDIS_URL is not set; for example REDIS_URL=redis://"), "{lines:?}");
    assert!(lines[2].starts_with("  QUEUE_URL is not set; for example QUEUE_URL=amqp://"), "{lines:?}");
    assert!(lines.last().is_some_and(|line| line.starts_with("hint: ") && line.contains("docker compose up")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_queue_that_cannot_be_reached_is_told_with_its_cause_and_what_to_do() {
    // A port that was free a moment ago.
    let port = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port").port();
    let nowhere = Environment::embedded().with("QUEUE_URL", &format!("amqp://guest:guest@127.0.0.1:{port}/%2f"));
    let mut list = Process::start(&["dead", "list"], &nowhere);
    assert!(!list.ended().await.success());
    let log = list.log();
    assert!(log.starts_with("error: RabbitMQ failed: ") && log.contains("refused"), "{log}");
    assert!(log.contains("\nhint: is it running where QUEUE_URL says"), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn logs_are_coloured_on_a_terminal_and_json_elsewhere() {
    let environment = Environment::embedded().with("LOG_LEVEL", "shared=loud");
    let elsewhere = Process::start(&[], &environment);
    elsewhere.logs("LOG_LEVEL is not understood").await;
    for line in elsewhere.log().lines() {
        let line: Value = serde_json::from_str(line).expect("JSON");
        assert_eq!(line["level"], "WARN");
    }
    let terminal = on_a_terminal(&[], &environment).announces("/inbox");
    let warning = terminal.announced.lines().find(|line| line.contains("LOG_LEVEL is not understood"));
    assert!(warning.is_some_and(|line| line.contains("\x1b[33m WARN")), "{}", terminal.announced);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redrive_shows_how_far_it_is() {
    let environment = Environment::services();
    let queue = Queue::from_url(environment.get("QUEUE_URL"), None).expect("a URL");
    for index in 0..3 {
        let id = Person::new().asks().id;
        let body = format!(r#"{{"v":1,"id":"{id}","send":1,"to":"+861380013800{index}","locale":"en","attempts":4}}"#);
        eventually("a dead letter", || async { queue.bury(body.as_bytes(), "out of attempts").await.ok() }).await;
    }
    let mut redrive = on_a_terminal(&["dead", "redrive"], &environment);
    assert!(redrive.ended().await.success());
    let shown = redrive.standard_output();
    assert!(shown.contains(" of 3 back in the queue") && shown.contains("3 job(s) back in the queue"), "{shown:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn completions_know_every_command() {
    for shell in ["bash", "zsh", "fish"] {
        let script = Process::start(&["completions", shell], &Environment::embedded()).output().await;
        for word in ["api", "worker", "provider", "simulate", "dead", "redrive", "concurrency"] {
            assert!(script.contains(word), "{word} for {shell}");
        }
    }
    let help = Process::start(&["--help"], &Environment::embedded()).output().await;
    for word in ["REDIS_URL", "QUEUE_URL", "SMS_DSN", "CODE_SECRET", "Examples:", "sms-verify dead redrive"] {
        assert!(help.contains(word), "{word} in {help}");
    }
}
