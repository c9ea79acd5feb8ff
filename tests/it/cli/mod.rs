//! The command line: what it says, to people and to programs.

/// `dead list|redrive|purge`.
mod dead_letters;

use std::net::TcpListener;
use std::process::Command;

use serde_json::Value;

use crate::support::assert_snapshot;
use crate::support::process::{Client, Deployment, Environment, Process, base_url, wrong};

/// The program on a terminal, which Python plays.
#[expect(clippy::disallowed_methods, reason = "the tests' own PATH has Python")]
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
async fn missing_variables_are_named_with_a_hint() {
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
async fn wrong_arguments_are_refused_before_anything_is_done() {
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
            &["gateway", "check"],
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
async fn unreachable_queue_is_named_with_its_cause_and_a_hint() {
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
    assert!(log.contains("\nhint: check that it runs at QUEUE_URL"), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn inbox_that_nobody_can_see_is_refused() {
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
    let hint = "that API has no inbox, since others reach it (LISTEN, TRUSTED_PROXIES)";
    worker.logs(&format!("inbox: HTTP 404, {hint}")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn start_warns_of_probable_mistakes() {
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
async fn start_and_check_are_logged_in_words() {
    let gateway = "inbox+http://127.0.0.1:9";
    let split = Deployment::split(&Environment::services());
    let named =
        Process::start(&[], &Environment::embedded().with("SMS_DSN", gateway)).announces("API");
    assert!(named.announced.contains("  gateway  inbox (127.0.0.1:9)\n"), "{}", named.announced);
    let id = split.client.ask("13800138000").await.id();
    let code = split.client.code("+8613800138000").await;
    split.client.check(&id, &wrong(&code)).await;
    split.api.logs(r#""result":"wrong""#).await;
    assert!(split.api.log().contains(r#""message":"checked""#));
    assert!(split.api.log().contains(r#""attempts_left":4"#));
    split.client.check(&id, &code).await;
    split.api.logs(r#""result":"right""#).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn logs_are_coloured_on_a_terminal_and_json_elsewhere() {
    let environment = Environment::embedded().with("LOG_LEVEL", "shared=loud");
    let elsewhere = Process::start(&[], &environment);
    elsewhere.logs("LOG_LEVEL is not valid").await;
    for line in elsewhere.log().lines() {
        let line: Value = serde_json::from_str(line).expect("JSON");
        assert_eq!(line["level"], "WARN");
    }
    let terminal = on_a_terminal(&[], &environment).announces("/inbox");
    let warning = terminal.announced.lines().find(|line| line.contains("LOG_LEVEL is not valid"));
    assert!(warning.is_some_and(|line| line.contains("\x1b[33m WARN")), "{}", terminal.announced);
}

#[tokio::test(flavor = "multi_thread")]
async fn completions_name_every_command() {
    for shell in ["bash", "zsh", "fish"] {
        let script =
            Process::start(&["completions", shell], &Environment::embedded()).output().await;
        for word in ["api", "worker", "gateway", "simulate", "dead", "redrive", "concurrency"] {
            assert!(script.contains(word), "{word} for {shell}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_configuration_is_named_at_start() {
    use crate::support::process::Process;
    let wrong = Environment::embedded()
        .with("CODE_TTL", "soon")
        .with("REDIS_URL", "cache:6379")
        .with("SMS_DSN", "smtp://x");
    let mut process = Process::start(&[], &wrong);
    assert!(!process.ended().await.success());
    for name in ["CODE_TTL", "REDIS_URL", "SMS_DSN"] {
        assert!(process.log().contains(name), "{name} in {}", process.log());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn help_of_every_command() {
    let mut text = String::new();
    for command in [
        "",
        "api",
        "worker",
        "gateway",
        "gateway check",
        "simulate",
        "dead",
        "dead list",
        "dead redrive",
        "dead purge",
        "health",
        "completions",
    ] {
        let arguments: Vec<&str> = command.split_whitespace().chain(["--help"]).collect();
        let help = Process::start(&arguments, &Environment::embedded()).output().await;
        text += &format!("$ sms-verify {}\n{help}\n", arguments.join(" "));
    }
    assert_snapshot!("help", text);
}
