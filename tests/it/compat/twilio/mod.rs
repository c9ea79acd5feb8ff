//! Clients of Twilio Verify, unchanged but for the host: the official ones for Python and for Node,
//! and calls as others write them.

/// Services, limits and errors.
mod answers;

/// Keys and services, and those who have none.
mod callers;

/// Calls as others write them, and other hosts.
mod requests;

/// Created, checked, cancelled, approved, expired.
mod verifications;

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Instant;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::support::GIVE_UP;
use crate::support::process::{Answer, Client, Environment};

const LOGIN: &str = "VA00000000000000000000000000000001";
const PAY: &str = "VA00000000000000000000000000000002";
const ACCOUNT: &str = "AC00000000000000000000000000000009";
const SHOP: &str = "key-of-the-shop";
const APP: &str = "key-of-the-app";
const TO: &str = "+8613800138000";

/// Two services and two callers.
fn facade(environment: &Environment) -> Environment {
    with_keys(&environment.clone().with("TWILIO_VERIFY_SERVICES", &format!("{LOGIN}=login,{PAY}=")))
}

fn with_keys(environment: &Environment) -> Environment {
    let hash = |key: &str| hex::encode(Sha256::digest(key));
    let keys = format!("shop={},app={}", hash(SHOP), hash(APP));
    environment.clone().with("API_KEYS", &keys)
}

/// Memory, and Redis with RabbitMQ.
fn environments() -> [Environment; 2] {
    [facade(&Environment::embedded()), facade(&Environment::services())]
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Language {
    Python,
    Node,
}

const LANGUAGES: [Language; 2] = [Language::Python, Language::Node];

/// A process with one of Twilio's clients, which does a call for each line.
struct Official {
    child: Child,
    calls: ChildStdin,
    results: BufReader<ChildStdout>,
    language: Language,
}

impl Official {
    fn new(language: Language, base: &str, key: &str) -> Self {
        Self::with_options(language, base, key, &[])
    }

    fn with_options(language: Language, base: &str, key: &str, options: &[&str]) -> Self {
        let [program, script] = match language {
            Language::Python => ["python", "tests/twilio/client.py"],
            Language::Node => ["node", "tests/twilio/client.mjs"],
        };
        let mut command = Command::new(program);
        command.arg(script).args([base, ACCOUNT, key]).args(options).env("NO_PROXY", "127.0.0.1");
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("the client starts");
        let calls = child.stdin.take().expect("standard input");
        let results = BufReader::new(child.stdout.take().expect("standard output"));
        Self { child, calls, results, language }
    }

    fn call(&mut self, call: &Value) -> Value {
        writeln!(self.calls, "{call}").expect("the client reads");
        let mut line = String::new();
        self.results.read_line(&mut line).expect("text");
        serde_json::from_str(&line).unwrap_or_else(|_| panic!("{call}: {line}"))
    }

    /// What the client has made of the answer to a call that succeeds.
    fn ok(&mut self, call: &Value) -> Value {
        let mut result = self.call(call);
        assert!(result["ok"] != Value::Null, "{:?}, {call}: {result}", self.language);
        result["ok"].take()
    }

    /// Code and status of the exception that the client throws.
    fn error(&mut self, call: &Value) -> (u64, u64) {
        let result = self.call(call);
        let error = &result["error"];
        let kind = match self.language {
            Language::Python => "TwilioRestException",
            Language::Node => "RestException",
        };
        assert_eq!(error["kind"], kind, "{:?}, {call}: {result}", self.language);
        assert!(!error["message"].as_str().unwrap_or_default().is_empty(), "{result}");
        let of = |name: &str| error[name].as_u64().unwrap_or_else(|| panic!("{result}"));
        (of("code"), of("status"))
    }

    /// Creates a verification, once its number is out of the cooldown.
    async fn create(&mut self, service: &str, to: &str) -> Value {
        let began = Instant::now();
        loop {
            let result = self.call(&create(service, to));
            if result["error"]["code"] == 20429 && began.elapsed() < GIVE_UP {
                tokio::task::yield_now().await;
                continue;
            }
            assert!(result["ok"] != Value::Null, "{result}");
            return result["ok"].clone();
        }
    }
}

impl Drop for Official {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn create(service: &str, to: &str) -> Value {
    create_with(service, &json!({ "to": to, "channel": "sms" }))
}

fn create_with(service: &str, params: &Value) -> Value {
    json!({ "call": "create", "service": service, "params": params })
}

fn check(service: &str, to: &str, code: &str) -> Value {
    json!({ "call": "check", "service": service, "params": { "to": to, "code": code } })
}

fn check_sid(service: &str, sid: &str, code: &str) -> Value {
    let params = json!({ "verification_sid": sid, "code": code });
    json!({ "call": "check", "service": service, "params": params })
}

fn fetch(service: &str, name: &str) -> Value {
    json!({ "call": "fetch", "service": service, "name": name })
}

fn update(service: &str, name: &str, status: &str) -> Value {
    let params = json!({ "status": status });
    json!({ "call": "update", "service": service, "name": name, "params": params })
}

fn of_service(call: &str, service: &str) -> Value {
    json!({ "call": call, "service": service })
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_else(|| panic!("no {name} in {value}"))
}

/// A request as curl sends it, with the user and password of an account.
async fn raw(client: &Client, method: &str, path: &str, key: &str, body: &str) -> Answer {
    let request = client.request(method, path).basic_auth(ACCOUNT, Some(key));
    let form = request.header("content-type", "application/x-www-form-urlencoded");
    client.send(form.body(body.to_owned())).await
}

fn code_of(answer: &Answer) -> (u16, u64) {
    (answer.status, answer.body["code"].as_u64().unwrap_or_default())
}

/// The answer is an error as both clients read it.
fn is_error(answer: &Answer, status: u16, code: u64) {
    assert_eq!(code_of(answer), (status, code), "{answer:?}");
    assert_eq!(answer.body["status"], status, "{answer:?}");
    assert!(answer.body["type"].is_null() && answer.body["title"].is_null(), "{answer:?}");
    assert!(answer.body["message"].is_string() && answer.body["more_info"].is_string());
}
