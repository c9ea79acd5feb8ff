//! The command line: what it says, to people and to programs.

use std::net::TcpListener;
use std::process::Command;

use serde_json::Value;
use shared::provider::Class;
use shared::queue::{Death, Queue};

use crate::support::process::{Client, Deployment, Environment, Process, base_url, wrong};
use crate::support::{Person, eventually};

/// The program on a terminal, which Python plays.
fn on_a_terminal(arguments: &[&str], environment: &Environment) -> Process {
    let script =
        "import pty, sys, os; sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])))";
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
    assert!(
        lines[1].starts_with("  REDIS_URL is not set; for example REDIS_URL=redis://"),
        "{lines:?}"
    );
    assert!(
        lines[2].starts_with("  QUEUE_URL is not set; for example QUEUE_URL=amqp://"),
        "{lines:?}"
    );
    assert!(
        lines
            .last()
            .is_some_and(|line| line.starts_with("hint: ") && line.contains("docker compose up"))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_typed_wrongly_is_told_before_anything_is_done() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("an address").to_string();
    let here = Environment::embedded();
    let worker = Environment::services().with("SMS_DSN", "null://default");
    for (arguments, environment, told) in [
        (
            &["health", "127.0.0.1:8080"][..],
            &here,
            "needs a URL such as http://127.0.0.1:8080/readyz",
        ),
        (&["worker", "--invoke", "localhost:9000/send-sms"], &here, "needs a URL such as http://"),
        (&["simulate", "--redis", "127.0.0.1:6379"], &here, "needs a URL such as redis://"),
        (&["simulate", "--people", "0"], &here, "0 is not in 1.."),
        (&["simulate", "--svg", "/nowhere/day.svg"], &here, "--svg /nowhere/day.svg: No such file"),
        (
            &["simulate"],
            &here.clone().with("PRICES", "0.05"),
            "error: PRICES \"0.05\" is not of the form CN=0.05",
        ),
        (
            &["provider", "check"],
            &here.clone().with("SMS_DSN", "inbox:"),
            "SMS_DSN names no gateway; for example",
        ),
        (
            &[],
            &here.clone().with("LISTEN", &address),
            "(set LISTEN to another address or port): Address already in use",
        ),
        (&["worker", "--metrics", &address], &worker, "(set --metrics to another address or port)"),
    ] {
        let mut process = Process::start(arguments, environment);
        assert!(!process.ended().await.success(), "{arguments:?}");
        assert!(process.log().contains(told), "{told} in {}", process.log());
        assert_eq!(process.standard_output(), "", "{arguments:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_queue_that_cannot_be_reached_is_told_with_its_cause_and_what_to_do() {
    // A port that was free a moment ago.
    let port = TcpListener::bind("127.0.0.1:0")
        .and_then(|listener| listener.local_addr())
        .expect("a port")
        .port();
    let nowhere = Environment::embedded()
        .with("QUEUE_URL", &format!("amqp://guest:guest@127.0.0.1:{port}/%2f"));
    let mut list = Process::start(&["dead", "list"], &nowhere);
    assert!(!list.ended().await.success());
    let log = list.log();
    assert!(log.starts_with("error: RabbitMQ failed: ") && log.contains("refused"), "{log}");
    assert!(log.contains("\nhint: is it running where QUEUE_URL says"), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn sms_go_to_no_inbox_that_nobody_can_see() {
    // To others it would have said that they are sent.
    let behind_a_proxy = Environment::services().with("TRUSTED_PROXIES", "1");
    for arguments in [&[][..], &["worker"]] {
        let mut refused = Process::start(arguments, &behind_a_proxy);
        assert!(!refused.ended().await.success());
        assert!(
            refused.log().contains("  SMS_DSN names no gateway, and there is no inbox"),
            "{}",
            refused.log()
        );
    }
    // Where the API alone is told of the proxy, its worker is told of the inbox.
    let api = Process::start(&["api"], &behind_a_proxy).announces("/v1/verifications");
    let base = base_url(&api.announced);
    let worker =
        Process::start(&["worker"], &behind_a_proxy.with("SMS_DSN", &format!("inbox+{base}")));
    assert_eq!(Client::new(&base).ask("13800138000").await.status, 202);
    worker.logs("inbox: HTTP 404, that API has no inbox, since others reach it (LISTEN, TRUSTED_PROXIES)").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_says_what_is_perhaps_not_meant() {
    let environment = Environment::embedded().with("BUDGET", "5/day").with("LIMIT", "ip=5/hour");
    let assumed = Process::start(&[], &environment).announces("/inbox");
    assumed.logs("LIMIT is not read here: LIMITS is").await;
    assumed.logs("BUDGET counts an international vendor's list prices").await;
    assert!(assumed.log().contains(r#""prices":"CN=0.1082""#), "{}", assumed.log());
    let quiet = Environment::embedded().with("BUDGET", "5/day").with("PRICES", "CN=0.008");
    let quiet = Process::start(&[], &quiet).announces("/inbox");
    assert_eq!(quiet.log(), "");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_and_a_check_speak_in_words() {
    let gateway = "inbox+http://127.0.0.1:9";
    let split = Deployment::split(&Environment::services());
    let named =
        Process::start(&[], &Environment::embedded().with("SMS_DSN", gateway)).announces("API");
    assert!(named.announced.contains("  gateway  inbox (127.0.0.1:9)\n"), "{}", named.announced);
    let id = split.client.ask("13800138000").await.id();
    let code = split.client.code("+8613800138000").await;
    split.client.check(&id, &wrong(&code)).await;
    split.api.logs(r#""message":"checked","result":"wrong""#).await;
    assert!(split.api.log().contains(r#""attempts_left":4"#));
    split.client.check(&id, &code).await;
    split.api.logs(r#""result":"right""#).await;
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
    let warning =
        terminal.announced.lines().find(|line| line.contains("LOG_LEVEL is not understood"));
    assert!(warning.is_some_and(|line| line.contains("\x1b[33m WARN")), "{}", terminal.announced);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redrive_shows_how_far_it_is() {
    let environment = Environment::services();
    let queue = Queue::from_url(environment.get("QUEUE_URL"), None).expect("a URL");
    for index in 0..3 {
        let id = Person::new().asks().id;
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
async fn completions_know_every_command() {
    for shell in ["bash", "zsh", "fish"] {
        let script =
            Process::start(&["completions", shell], &Environment::embedded()).output().await;
        for word in ["api", "worker", "provider", "simulate", "dead", "redrive", "concurrency"] {
            assert!(script.contains(word), "{word} for {shell}");
        }
    }
    let help = Process::start(&["--help"], &Environment::embedded()).output().await;
    for word in
        ["REDIS_URL", "QUEUE_URL", "SMS_DSN", "CODE_SECRET", "Examples:", "sms-verify dead redrive"]
    {
        assert!(help.contains(word), "{word} in {help}");
    }
}

#[tokio::test(flavor = "multi_thread")]
#[expect(clippy::disallowed_methods, reason = "one of the jobs was asked for just now")]
async fn dead_letters_are_chosen_by_age_reason_and_number() {
    let environment = Environment::services();
    let queue = Queue::from_url(environment.get("QUEUE_URL"), None).expect("a URL");
    let letter = |index: usize, at: i64| {
        let id = Person::new().asks().id;
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
