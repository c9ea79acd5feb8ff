//! The release builds of the functions, as they are deployed, under Lambda's own Runtime Interface Emulator.

use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::eventually;
use super::process::{Environment, Process};

/// `target/lambda/NAME/bootstrap`, which `tests/run` builds.
pub fn bootstrap(function: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("target/lambda").join(function).join("bootstrap")
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
        let mut command =
            Command::new(std::env::var("TEST_RIE").expect("TEST_RIE is not set: run the tests with tests/run"));
        command
            .args(["--runtime-interface-emulator-address", &format!("127.0.0.1:{}", ports[0])])
            .args(["--runtime-api-address", &format!("127.0.0.1:{}", ports[1])])
            .arg(bootstrap(name))
            .env_clear()
            .env("AWS_LAMBDA_FUNCTION_NAME", name)
            .envs(environment.variables());
        shared::tls::install();
        let process = Process::spawn(command);
        let deadline = Instant::now() + Duration::from_secs(20);
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
        let answer = eventually("the emulator", || async { self.http.post(&self.url).json(event).send().await.ok() });
        let text = answer.await.text().await.expect("a body");
        serde_json::from_str(&text).unwrap_or_else(|_| panic!("not JSON: {text}\n{}", self.process.log()))
    }

    /// An invocation that the function may not survive.
    pub async fn try_invoke(&self, event: &Value) -> Option<Value> {
        self.http.post(&self.url).json(event).send().await.ok()?.json().await.ok()
    }
}
