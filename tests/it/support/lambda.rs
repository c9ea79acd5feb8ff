//! The release builds of the functions, as they are deployed, under Lambda's own Runtime Interface
//! Emulator.

use std::future::pending;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::http::StatusCode;
use axum::response::IntoResponse;
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::Value;
use tokio::sync::Mutex;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::time::timeout;

use super::process::{Environment, Process};
use super::services::from_environment;
use super::{GIVE_UP, eventually};

/// The build of a function in `TEST_FUNCTIONS`, such as target/lambda: `tests/run` builds them for
/// release and sets it for tests of modules that name `support::lambda`. (tests/cognito has debug
/// builds.)
pub fn bootstrap(function: &str) -> PathBuf {
    Path::new(&from_environment("TEST_FUNCTIONS")).join(function).join("bootstrap")
}

/// A function on Lambda, as far as it can tell.
pub struct Function {
    url: String,
    http: reqwest::Client,
    pub process: Process,
}

impl Function {
    pub fn start(name: &str, environment: &Environment) -> Self {
        let ports: Vec<u16> = [(); 2]
            .map(|()| TcpListener::bind("127.0.0.1:0").expect("a port"))
            .iter()
            .map(|socket| socket.local_addr().expect("an address").port())
            .collect();
        let mut command = Command::new(from_environment("TEST_RIE"));
        command
            .args(["--runtime-interface-emulator-address", &format!("127.0.0.1:{}", ports[0])])
            .args(["--runtime-api-address", &format!("127.0.0.1:{}", ports[1])])
            .arg(bootstrap(name))
            .env_clear()
            .env("AWS_LAMBDA_FUNCTION_NAME", name)
            .envs(environment.variables());
        sms_outbound::tls::install();
        let process = Process::spawn(command);
        let deadline = Instant::now() + GIVE_UP;
        while TcpStream::connect(("127.0.0.1", ports[0])).is_err() {
            assert!(Instant::now() < deadline, "the emulator does not listen: {}", process.log());
            std::thread::sleep(Duration::from_millis(10));
        }
        Self {
            url: format!("http://127.0.0.1:{}/2015-03-31/functions/function/invocations", ports[0]),
            http: reqwest::Client::builder().no_proxy().build().expect("a client"),
            process,
        }
    }

    pub async fn invoke(&self, event: &Value) -> Value {
        let answer = eventually("the emulator", || async {
            self.http.post(&self.url).json(event).send().await.ok()
        });
        let text = answer.await.text().await.expect("a body");
        serde_json::from_str(&text)
            .unwrap_or_else(|_| panic!("not JSON: {text}\n{}", self.process.log()))
    }

    /// An invocation that the function may not survive.
    pub async fn try_invoke(&self, event: &Value) -> Option<Value> {
        self.http.post(&self.url).json(event).send().await.ok()?.json().await.ok()
    }
}

/// A function behind Lambda's Runtime API
/// (<https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html>), as far as a trace needs it:
/// the emulator hands none on.
pub struct Traced {
    events: Sender<(Value, String)>,
    answers: Receiver<Value>,
    process: Process,
}

impl Traced {
    pub async fn start(name: &str, environment: &Environment) -> Self {
        let (events, next) = channel(1);
        let (answer, answers) = channel(1);
        let next = Arc::new(Mutex::new(next));
        let error = answer.clone();
        let routes = Router::new()
            .route(
                "/2018-06-01/runtime/invocation/{id}/error",
                post(async move |body: String| {
                    error
                        .send(serde_json::from_str(&body).expect("JSON"))
                        .await
                        .expect("somebody waits");
                    StatusCode::ACCEPTED
                }),
            )
            .route(
                "/2018-06-01/runtime/invocation/next",
                get(async move || match next.lock().await.recv().await {
                    Some((event, trace)) => invocation(event, trace),
                    None => pending().await,
                }),
            )
            .route(
                "/2018-06-01/runtime/invocation/{id}/response",
                post(async move |body: String| {
                    answer
                        .send(serde_json::from_str(&body).expect("JSON"))
                        .await
                        .expect("somebody waits");
                    StatusCode::ACCEPTED
                }),
            );
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address").to_string();
        tokio::spawn(async move { axum::serve(listener, routes).await });
        let mut command = Command::new(bootstrap(name));
        command.env_clear().envs(environment.variables()).env("AWS_LAMBDA_RUNTIME_API", address);
        for (variable, value) in [("NAME", name), ("VERSION", "$LATEST"), ("MEMORY_SIZE", "256")] {
            command.env(format!("AWS_LAMBDA_FUNCTION_{variable}"), value);
        }
        Self { events, answers, process: Process::spawn(command) }
    }

    /// The response to an invocation as part of this trace, or its error.
    pub async fn invoke(&mut self, event: &Value, trace: &str) -> Value {
        self.events
            .send((event.clone(), trace.to_owned()))
            .await
            .expect("the function waits for events");
        let answer = timeout(GIVE_UP, self.answers.recv()).await;
        answer.ok().flatten().unwrap_or_else(|| panic!("no answer: {}", self.process.log()))
    }
}

fn invocation(event: Value, trace: String) -> impl IntoResponse {
    let headers = [
        ("lambda-runtime-aws-request-id", "request-1".to_owned()),
        ("lambda-runtime-deadline-ms", "9999999999999".to_owned()),
        (
            "lambda-runtime-invoked-function-arn",
            "arn:aws:lambda:us-east-1:123456789012:function:f".to_owned(),
        ),
        ("lambda-runtime-trace-id", trace),
    ];
    (headers, Json(event))
}
