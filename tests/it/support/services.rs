//! Redis, RabbitMQ and SQS: those that `tests/run` has started, or private ones for tests that
//! break them.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Mutex;

use sms_store::RIGHTS;

use super::unique;

/// The shared Redis.
pub fn redis_url() -> String {
    from_environment("REDIS_URL")
}

/// The shared Redis Cluster.
pub fn redis_cluster_url() -> String {
    from_environment("TEST_REDIS_CLUSTER")
}

/// The URL of a Redis with a user who has no right that the store does not need.
pub fn as_user(url: &str) -> String {
    static KNOWN: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());
    let mut known = KNOWN.lock().expect("no panic");
    let (_, host) = url.split_once("//").expect("a URL");
    if known.insert(url.to_owned()) {
        let port = host.rsplit(':').next().expect("a port");
        let (nodes, besides) =
            if redis_cli(port, &["info", "cluster"]).contains("cluster_enabled:1") {
                (redis_cli(port, &["cluster", "nodes"]), RIGHTS.1)
            } else {
                (format!("id :{port}@"), "~img_*")
            };
        // `ID HOST:PORT@BUS …`
        let ports = nodes.lines().filter_map(|node| node.split_once('@')?.0.rsplit(':').next());
        let rights = format!("{} {besides} ~img_* ~sms_* ~send_flag_*", RIGHTS.0);
        let user = ["acl", "setuser", "sms-verify", "reset", "on", ">secret"];
        for port in ports {
            let user: Vec<_> = user.into_iter().chain(rights.split(' ')).collect();
            assert_eq!(redis_cli(port, &user).trim(), "OK");
        }
    }
    format!("redis://sms-verify:secret@{host}")
}

/// The shared RabbitMQ, with a queue that is only this test's.
pub fn rabbitmq_url() -> String {
    with_own_queue(&from_environment("QUEUE_URL"))
}

/// The shared SQS server.
pub fn sqs_endpoint() -> String {
    from_environment("TEST_SQS_ENDPOINT")
}

/// A queue URL with a queue name that nobody else uses.
pub fn with_own_queue(url: &str) -> String {
    format!("{url}?queue={}", unique("test"))
}

/// A variable that `tests/run` sets.
#[expect(clippy::disallowed_methods, reason = "orders to the tests, and no settings")]
pub fn from_environment(name: &str) -> String {
    std::env::var(name)
        .unwrap_or_else(|_| panic!("{name} is not set: run the tests with tests/run"))
}

/// A service of a test's own, which ends with the test.
pub struct Service {
    kind: &'static str,
    folder: PathBuf,
    /// Its URL.
    pub url: String,
}

impl Service {
    /// A Redis of the test's own.
    pub fn redis() -> Self {
        Self::start("redis")
    }

    /// A Redis of the test's own that takes TLS connections only.
    pub fn redis_tls() -> Self {
        Self::start("redis-tls")
    }

    /// Three Redis primaries with a replica each, as a cluster.
    pub fn redis_cluster() -> Self {
        Self::start("redis-cluster")
    }

    /// An SQS server of the test's own.
    pub fn sqs() -> Self {
        Self::start("sqs")
    }

    /// A RabbitMQ of the test's own that takes TLS connections only.
    pub fn rabbitmq_tls() -> Self {
        Self::start("rabbitmq-tls")
    }

    /// A RabbitMQ that takes clients with a certificate only.
    pub fn rabbitmq_mtls() -> Self {
        Self::start("rabbitmq-mtls")
    }

    /// A file that the service has written.
    pub fn file(&self, name: &str) -> String {
        self.folder.join(name).to_string_lossy().into_owned()
    }

    /// A RabbitMQ of the test's own.
    pub fn rabbitmq() -> Self {
        Self::start("rabbitmq")
    }

    /// A node of a Redis Cluster that has no slots yet.
    pub fn redis_node() -> Self {
        Self::start("redis-node")
    }

    /// A Sentinel, which keeps no data.
    pub fn redis_sentinel() -> Self {
        Self::start("redis-sentinel")
    }

    /// A primary with two replicas, and three Sentinels that watch over them.
    pub fn redis_sentinels() -> Self {
        Self::start("redis-sentinels")
    }

    /// A Redis that takes clients with a certificate only.
    pub fn redis_mtls() -> Self {
        Self::start("redis-mtls")
    }

    /// A Redis Cluster that takes TLS connections only.
    pub fn redis_cluster_tls() -> Self {
        Self::start("redis-cluster-tls")
    }

    /// The same, with addresses that its certificate lacks.
    pub fn redis_cluster_misnamed() -> Self {
        Self::start("redis-cluster-misnamed")
    }

    /// Three nodes of RabbitMQ.
    pub fn rabbitmq_cluster() -> Self {
        Self::start("rabbitmq-cluster")
    }

    fn start(kind: &'static str) -> Self {
        let folder = std::env::temp_dir().join(unique(kind));
        let url = services(&["start", kind, &folder.to_string_lossy()]);
        Self { kind, folder, url }
    }

    /// Stops it; its files stay.
    pub fn stop(&self) {
        services(&["stop", &self.folder.to_string_lossy()]);
    }

    /// Starts it again, on the same port, with the same data.
    pub fn start_again(&self) {
        let url = services(&["start", self.kind, &self.folder.to_string_lossy()]);
        assert_eq!(url, self.url);
    }
}

impl Service {
    /// Lets it hang: it takes connections and data, and answers nothing.
    pub fn hang(&self) {
        self.signal_part(self.kind, "-STOP");
    }

    /// Sends Redis a command.
    pub fn command(&self, command: &[&str]) -> String {
        let port = self.url.rsplit(':').next().expect("a port");
        redis_cli(port, command)
    }

    /// Asks RabbitMQ's own tool to do something.
    pub fn rabbitmqctl(&self, arguments: &[&str]) {
        self.rabbitmqctl_says(arguments);
    }

    /// Asks a node of a cluster of RabbitMQ.
    pub fn rabbitmqctl_of(&self, node: &str, arguments: &[&str]) -> String {
        self.rabbitmqctl_says(&[&["--node", &format!("{node}@localhost")], arguments].concat())
    }

    /// Runs RabbitMQ's own tool and returns its output.
    pub fn rabbitmqctl_says(&self, arguments: &[&str]) -> String {
        services(&[&["rabbitmqctl", &*self.folder.to_string_lossy()], arguments].concat())
    }

    /// Kills it, at once and without a word.
    pub fn kill(&self) {
        self.signal_part(self.kind, "-KILL");
        self.stop();
    }

    /// Forgets what it had stored. It must not run.
    pub fn lose_data(&self) {
        std::fs::remove_dir_all(self.file("appendonlydir")).expect("its data");
    }

    /// Lets it go on.
    pub fn go_on(&self) {
        self.signal_part(self.kind, "-CONT");
    }

    /// Port of one of its parts.
    pub fn port(&self, part: &str) -> String {
        let port = std::fs::read_to_string(self.file(&format!("{part}.port"))).expect("a port");
        port.trim().to_owned()
    }

    /// The part that is the primary by the first Sentinel.
    pub fn primary(&self) -> String {
        let ask = ["sentinel", "get-master-addr-by-name", "mymaster"];
        let answer = redis_cli(&self.port("sentinel-1"), &ask);
        let port = answer.lines().nth(1).expect("a port");
        let mut parts = (1..=3).map(|node| format!("redis-{node}"));
        parts.find(|part| self.port(part) == port).expect("a part")
    }

    /// Kills one of its processes, at once and without a word.
    pub fn kill_part(&self, part: &str) {
        self.signal_part(part, "-KILL");
    }

    /// Starts a part that was killed.
    pub fn start_part(&self, part: &str) {
        services(&["start-part", &self.folder.to_string_lossy(), part]);
    }

    /// Sends a signal to one of its processes.
    pub fn signal_part(&self, part: &str, signal: &str) {
        let pid = std::fs::read_to_string(self.file(&format!("{part}.pid"))).expect("it runs");
        let group = format!("-{}", pid.trim());
        assert!(
            Command::new("kill")
                .args([signal, "--", &group])
                .status()
                .expect("kill runs")
                .success()
        );
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.stop();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// Runs `redis-cli`; true if it succeeds.
pub fn redis_cli_succeeds(arguments: &[&str]) -> bool {
    let output = Command::new("redis-cli").args(arguments).output().expect("redis-cli runs");
    output.status.success()
}

/// Runs `redis-cli` and returns its output.
pub fn redis_cli(port: &str, arguments: &[&str]) -> String {
    try_redis_cli(port, arguments).unwrap_or_else(|error| panic!("{arguments:?}: {error}"))
}

/// Runs `redis-cli` and returns its output, or what went wrong.
pub fn try_redis_cli(port: &str, arguments: &[&str]) -> Result<String, String> {
    let output = Command::new("redis-cli")
        .args(["-p", port])
        .args(arguments)
        .output()
        .expect("redis-cli runs");
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned());
    }
    Ok(String::from_utf8(output.stdout).expect("text"))
}

fn services(arguments: &[&str]) -> String {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/services");
    let output = Command::new(script)
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .expect("tests/services runs");
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text").trim().to_owned()
}
