//! The functions under `cargo lambda watch`, with `worker --invoke` in the place of SQS.

use std::net::TcpListener;
use std::process::Command;

use serde_json::{Value, json};

use crate::support::eventually;
use crate::support::process::{Answer, Client, Deployment, Environment, Process, wrong};

/// `cargo lambda watch`, which builds a function when it is called for the first time.
struct Lambda {
    port: u16,
    _watch: Process,
}

impl Lambda {
    fn watch(environment: &Environment) -> Self {
        let port = TcpListener::bind("127.0.0.1:0")
            .and_then(|socket| socket.local_addr())
            .expect("a port")
            .port();
        let mut command = cargo();
        command
            .args([
                "lambda",
                "watch",
                "--ignore-changes",
                "--invoke-address",
                "127.0.0.1",
                "--invoke-port",
            ])
            .arg(port.to_string())
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .envs(environment.variables());
        Self { port, _watch: Process::spawn(command) }
    }

    fn function_url(&self, function: &str) -> Client {
        Client::new(&format!("http://127.0.0.1:{}/lambda-url/{function}", self.port))
    }

    fn invocations(&self, function: &str) -> String {
        format!("http://127.0.0.1:{}/2015-03-31/functions/{function}/invocations", self.port)
    }

    /// `cargo lambda invoke FUNCTION --data-file FILE`.
    async fn invoke(&self, function: &str, file: &std::path::Path) -> Value {
        let mut command = cargo();
        command.args([
            "lambda",
            "invoke",
            "--invoke-address",
            "127.0.0.1",
            "--invoke-port",
            &self.port.to_string(),
        ]);
        command.arg(function).arg("--data-file").arg(file);
        let output = Process::spawn(command).output().await;
        serde_json::from_str(&output).unwrap_or_else(|_| panic!("not JSON: {output}"))
    }
}

/// `cargo` as from a shell: what it tells the tests of their own package would make it build
/// dependencies anew.
fn cargo() -> Command {
    let mut command = Command::new("cargo");
    let of_the_tests =
        |name: &str| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_");
    for (name, _) in std::env::vars().filter(|(name, _)| of_the_tests(name)) {
        command.env_remove(name);
    }
    command
}

/// The first request: the watcher listens a moment after it was started, and then builds the
/// function.
async fn first_answer(client: &Client, to: &str) -> Answer {
    eventually("an answer of the first function", || async {
        let request = client.request("POST", "/v1/verifications").json(&json!({ "to": to }));
        Some(Answer::of(request.send().await.ok()?).await)
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_number_is_verified_through_the_functions_and_every_sample_event_works() {
    let environment = Environment::services();
    // The API process is there for its inbox alone.
    let inbox = Deployment::split(&environment);
    let environment = environment.with("SMS_DSN", &format!("inbox+{}", inbox.client.base));
    drop(inbox.workers);
    let lambda = Lambda::watch(&environment);
    let (request_code, check_code) =
        (lambda.function_url("request-code"), lambda.function_url("check-code"));
    let invoker =
        Process::start(&["worker", "--invoke", &lambda.invocations("send-sms")], &environment);

    let to = "+8613800138000";
    let asked = first_answer(&request_code, to).await;
    assert_eq!(asked.status, 202, "{asked:?}");
    let id = asked.id();
    let code = inbox.client.code(to).await;
    assert_eq!(check_code.check(&id, &wrong(&code)).await.body["attempts_left"], 4);
    assert_eq!(check_code.status(&id).await.body["status"], "pending");
    assert_eq!(check_code.check(&id, &code).await.body["status"], "approved");
    assert_eq!(check_code.check(&id, &code).await.status, 404);
    invoker.logs("invoking a function with jobs").await;

    for function in ["request-code", "check-code", "send-sms"] {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("events").join(function);
        let mut files: Vec<_> = std::fs::read_dir(folder)
            .expect("a folder")
            .map(|entry| entry.expect("a file").path())
            .collect();
        files.sort();
        assert!(!files.is_empty());
        for file in files {
            let answer = lambda.invoke(function, &file).await;
            let name = file.file_stem().and_then(|name| name.to_str()).expect("a name");
            match (function, name) {
                // Without API_KEYS and DOORS there is neither a façade of Twilio Verify nor a door.
                ("request-code", "twilio-verify" | "door" | "message") => {
                    assert_eq!(answer["statusCode"], 404, "{answer}");
                }
                ("request-code", "bad-number") => assert_eq!(answer["statusCode"], 422, "{answer}"),
                ("request-code" | "check-code", "warm-up") => {
                    assert_eq!(answer, json!({ "status": "ok" }));
                }
                ("request-code", "sms-codes" | "alb-health") | ("check-code", "keys") => {
                    assert_eq!(answer["statusCode"], 200, "{answer}");
                }
                ("request-code", _) => {
                    assert!(
                        [202, 429].contains(&answer["statusCode"].as_u64().unwrap_or(0)),
                        "{answer}"
                    );
                }
                ("check-code", _) => assert_eq!(answer["statusCode"], 404, "{answer}"),
                (_, "amazon-mq") => assert_eq!(answer, Value::Null),
                _ => assert_eq!(answer, json!({ "batchItemFailures": [] }), "{name}"),
            }
        }
    }
}
