//! The program as a user runs it: processes with an environment, whose logs are kept, and a client
//! for their API.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::time::Duration;

use reqwest::Response;
use serde_json::{Value, json};

use super::services::{rabbitmq_url, redis_url};
use super::{eventually, unique};

/// A running process, killed when the test is done with it.
pub struct Process {
    child: Child,
    output: BufReader<ChildStdout>,
    log: PathBuf,
    /// Its standard output until it was ready.
    pub announced: String,
}

/// The environment of processes that belong together.
#[derive(Clone)]
pub struct Environment(BTreeMap<&'static str, String>);

impl Environment {
    /// Nothing but a free port: the embedded parts. Without limits and challenges, which are tested
    /// by themselves.
    pub fn embedded() -> Self {
        let environment = Self(BTreeMap::from([("LISTEN", "127.0.0.1:0".to_owned())]));
        environment.with("LIMITS", "off").with("CHALLENGE", "off")
    }

    /// The shared Redis and RabbitMQ, with a secret and a queue of their own.
    pub fn services() -> Self {
        Self::embedded()
            .with("REDIS_URL", &redis_url())
            .with("QUEUE_URL", &rabbitmq_url())
            .with("CODE_SECRET", &unique("a-secret-of-this-test"))
    }

    /// The variables that Lambda gives every function, and a secret.
    pub fn lambda() -> Self {
        let environment = Self(BTreeMap::from([("AWS_REGION", "us-east-1".to_owned())]));
        environment
            .with("LIMITS", "off")
            .with("CHALLENGE", "off")
            .with("AWS_ACCESS_KEY_ID", "test")
            .with("AWS_SECRET_ACCESS_KEY", "test")
            .with("CODE_SECRET", &unique("a-secret-of-this-test"))
    }

    /// Adds a variable.
    pub fn with(mut self, name: &'static str, value: &str) -> Self {
        self.0.insert(name, value.to_owned());
        self
    }

    /// Adds a variable, unless there is one of that name.
    pub fn or(mut self, name: &'static str, value: &str) -> Self {
        self.0.entry(name).or_insert_with(|| value.to_owned());
        self
    }

    /// A variable's value.
    pub fn get(&self, name: &str) -> &str {
        &self.0[name]
    }

    /// All of them.
    pub fn variables(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (*name, value.as_str()))
    }
}

impl Process {
    /// Starts the program, without waiting for it to be ready.
    pub fn start(arguments: &[&str], environment: &Environment) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sms-verify"));
        command.args(arguments).env_clear().envs(environment.variables());
        Self::spawn(command)
    }

    /// Starts any command. Its standard error goes to a file.
    pub fn spawn(mut command: Command) -> Self {
        let log = std::env::temp_dir().join(unique("process")).with_extension("log");
        let file = File::create(&log).expect("a log file");
        // A group of its own, so that its children end with it.
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(file).process_group(0);
        let mut child = command.spawn().expect("the command starts");
        let output = BufReader::new(child.stdout.take().expect("standard output"));
        Self { child, output, log, announced: String::new() }
    }

    /// Reads standard output up to the line that holds `word`.
    pub fn announces(mut self, word: &str) -> Self {
        while !self.announced.contains(word) {
            let read = self.output.read_line(&mut self.announced).expect("text");
            assert!(read > 0, "ended before it said {word}: {}{}", self.announced, self.log());
        }
        self
    }

    /// Waits until the log holds `word`.
    pub async fn logs(&self, word: &str) {
        eventually(word, || async { self.log().contains(word).then_some(()) }).await;
    }

    /// A client of what a worker serves with `--metrics`.
    pub async fn metrics(&self) -> Client {
        self.logs("serving /metrics").await;
        let line = self
            .log()
            .lines()
            .find(|line| line.contains("serving /metrics"))
            .expect("a line")
            .to_owned();
        let line: Value = serde_json::from_str(&line).expect("JSON");
        Client::new(&format!("http://{}", line["listen"].as_str().expect("an address")))
    }

    /// Its log so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).expect("the log")
    }

    /// All of its standard output, once it has ended.
    pub async fn output(mut self) -> String {
        let status = self.ended().await;
        assert!(status.success(), "{}", self.log());
        self.standard_output()
    }

    /// The rest of the standard output of a process that has ended.
    pub fn standard_output(&mut self) -> String {
        let mut text = String::new();
        self.output.read_to_string(&mut text).expect("text");
        text
    }

    /// The most memory that it has used so far, in kB.
    pub fn peak_memory(&self) -> u64 {
        let status =
            std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).expect("it runs");
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("a peak");
        peak.trim().trim_end_matches(" kB").parse().expect("a number")
    }

    /// True if it has ended.
    pub fn has_ended(&mut self) -> bool {
        self.child.try_wait().expect("a child").is_some()
    }

    /// Its process group, for a signal that is to come later.
    pub fn group(&self) -> Group {
        Group(self.child.id())
    }

    /// Asks it to stop.
    pub fn terminate(&self) {
        self.signal("-TERM");
    }

    /// Kills it, at once and without a word.
    pub fn kill(&mut self) {
        self.signal("-KILL");
        self.child.wait().expect("ends");
    }

    /// Sends a signal to the process and its children, those too that it gave a group of their own,
    /// as the emulator does.
    fn signal(&self, signal: &str) {
        let children = children(self.child.id());
        self.group().signal(signal);
        children.into_iter().for_each(|child| Group(child).signal(signal));
    }

    /// Waits for its end.
    pub async fn ended(&mut self) -> ExitStatus {
        loop {
            if let Some(status) = self.child.try_wait().expect("a child") {
                return status;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

/// A process with its children.
#[derive(Debug, Clone, Copy)]
pub struct Group(u32);

impl Group {
    /// Sends a signal to all of them.
    pub fn signal(self, signal: &str) {
        let group = format!("-{}", self.0);
        let status =
            Command::new("kill").args([signal, "--", &group]).stderr(Stdio::null()).status();
        status.expect("kill runs");
    }
}

/// Linux lists them by the thread that started them.
fn children(process: u32) -> Vec<u32> {
    let threads =
        std::fs::read_dir(format!("/proc/{process}/task")).into_iter().flatten().flatten();
    let lists =
        threads.filter_map(|thread| std::fs::read_to_string(thread.path().join("children")).ok());
    lists
        .flat_map(|list| {
            list.split_whitespace().filter_map(|id| id.parse().ok()).collect::<Vec<u32>>()
        })
        .collect()
}

impl Drop for Process {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            self.signal("-KILL");
            let _ = self.child.wait();
        }
        if std::thread::panicking() {
            eprintln!("--- {}\n{}", self.log.display(), self.log());
        }
        let _ = std::fs::remove_file(&self.log);
    }
}

/// Processes that serve one API.
pub struct Deployment {
    /// The process with the API.
    pub api: Process,
    /// Processes that send.
    pub workers: Vec<Process>,
    /// Asks the API.
    pub client: Client,
}

impl Deployment {
    /// One process that does everything.
    pub fn whole(environment: &Environment) -> Self {
        let api = Process::start(&[], environment).announces("/v1/verifications");
        let client = Client::new(&base_url(&api.announced));
        Self { api, workers: Vec::new(), client }
    }

    /// One process for the API and two that send, whose inbox is the API's.
    pub fn split(environment: &Environment) -> Self {
        let api = Process::start(&["api"], environment).announces("/v1/verifications");
        let base = base_url(&api.announced);
        let inbox = environment.clone().with("SMS_DSN", &format!("inbox+{base}"));
        let workers =
            (0..2).map(|_| Process::start(&["worker", "--concurrency", "50"], &inbox)).collect();
        Self { api, workers, client: Client::new(&base) }
    }

    /// Everything that its processes have logged.
    pub fn logs(&self) -> String {
        self.workers.iter().map(Process::log).fold(self.api.log(), |all, log| all + &log)
    }
}

/// The base URL of an API, out of its announcement.
pub fn base_url(announced: &str) -> String {
    let end = announced.find("/v1").expect("a path");
    let start = announced[..end].rfind("http://").expect("an address");
    announced[start..end].to_owned()
}

/// A client of the API.
#[derive(Clone)]
pub struct Client {
    http: reqwest::Client,
    /// Its base URL.
    pub base: String,
}

/// An answer, read to its end.
#[derive(Debug, Clone)]
pub struct Answer {
    pub status: u16,
    pub headers: reqwest::header::HeaderMap,
    pub body: Value,
}

impl Answer {
    pub async fn of(response: Response) -> Self {
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let text = response.text().await.expect("a body");
        let body = serde_json::from_str(&text).unwrap_or(Value::String(text));
        Self { status, headers, body }
    }

    /// A header as text; empty if it is not there.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().expect("text"))
    }

    /// The `id` in it.
    pub fn id(&self) -> String {
        self.body["id"].as_str().unwrap_or_else(|| panic!("no id in {self:?}")).to_owned()
    }
}

impl Client {
    pub fn new(base: &str) -> Self {
        sms_outbound::tls::install();
        let http = reqwest::Client::builder().no_proxy().build().expect("a client");
        Self { http, base: base.to_owned() }
    }

    pub async fn ask(&self, to: &str) -> Answer {
        self.post("/v1/verifications", &json!({ "to": to })).await
    }

    /// Status and body; nothing if the connection broke. Waits for half a minute.
    pub async fn try_ask(&self, to: &str) -> Option<(u16, Value)> {
        let request =
            self.http.post(format!("{}/v1/verifications", self.base)).json(&json!({ "to": to }));
        let response = request.timeout(Duration::from_secs(30)).send().await.ok()?;
        let status = response.status().as_u16();
        Some((status, response.json().await.ok()?))
    }

    /// As [`Client::try_ask`], through the door `faults`, with a code of one's own. It is accepted
    /// with 202 here, too.
    pub async fn try_door(&self, to: &str, token: &str, code: &str) -> Option<(u16, Value)> {
        let request = self.http.post(format!("{}/v1/doors/faults", self.base)).bearer_auth(token);
        let request = request.json(&json!({ "to": to, "code": code }));
        let response = request.timeout(Duration::from_secs(30)).send().await.ok()?;
        let status = response.status().as_u16();
        Some((if status == 200 { 202 } else { status }, response.json().await.ok()?))
    }

    /// The status; nothing if the connection broke.
    pub async fn try_check(&self, id: &str, code: &str) -> Option<u16> {
        let request = self.http.post(format!("{}/v1/verifications/{id}/check", self.base));
        let response = request
            .json(&json!({ "code": code }))
            .timeout(Duration::from_secs(30))
            .send()
            .await
            .ok()?;
        Some(response.status().as_u16())
    }

    pub async fn check(&self, id: &str, code: &str) -> Answer {
        self.post(&format!("/v1/verifications/{id}/check"), &json!({ "code": code })).await
    }

    pub async fn status(&self, id: &str) -> Answer {
        self.get(&format!("/v1/verifications/{id}")).await
    }

    pub async fn post(&self, path: &str, body: &Value) -> Answer {
        self.send(self.http.post(format!("{}{path}", self.base)).json(body)).await
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.send(self.http.get(format!("{}{path}", self.base))).await
    }

    /// A request of any kind.
    pub fn request(&self, method: &str, path: &str) -> reqwest::RequestBuilder {
        self.http.request(method.parse().expect("a method"), format!("{}{path}", self.base))
    }

    pub async fn send(&self, request: reqwest::RequestBuilder) -> Answer {
        Answer::of(request.send().await.expect("an answer")).await
    }

    /// The value of a metric with these labels; 0 if nothing was counted.
    pub async fn metric(&self, name: &str, labels: &[&str]) -> f64 {
        let text = self.get("/metrics").await.body.as_str().expect("text").to_owned();
        let lines = text.lines().filter(|line| line.starts_with(&format!("sms_verify_{name}")));
        let lines = lines.filter(|line| labels.iter().all(|label| line.contains(label)));
        lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
    }

    /// Waits until a metric has this line.
    pub async fn measures(&self, line: &str) {
        eventually(line, || async {
            self.get("/metrics").await.body.to_string().contains(line).then_some(())
        })
        .await;
    }

    /// The messages to a number in the inbox, newest first.
    pub async fn inbox(&self, to: &str) -> Vec<Value> {
        let all = self.get("/inbox.json").await.body;
        all.as_array()
            .expect("messages")
            .iter()
            .filter(|message| message["to"] == to)
            .cloned()
            .collect()
    }

    /// The code of the newest message to a number, once it is there.
    pub async fn code(&self, to: &str) -> String {
        self.codes(to, 1).await.remove(0)
    }

    /// The codes of the messages to a number, newest first, once there are `count`.
    pub async fn codes(&self, to: &str, count: usize) -> Vec<String> {
        let messages = eventually("an SMS", || async {
            let messages = self.inbox(to).await;
            (messages.len() >= count).then_some(messages)
        });
        messages
            .await
            .iter()
            .map(|message| message["code"].as_str().expect("a code").to_owned())
            .collect()
    }
}

/// A code of the same length that is wrong.
pub fn wrong(code: &str) -> String {
    let first = if code.starts_with('0') { '1' } else { '0' };
    format!("{first}{}", &code[1..])
}
