//! Real connections from clients that send too much, too slowly, or something else than HTTP.

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::GIVE_UP;
use crate::support::gateway::{Gateway, Reply};
use crate::support::process::{Deployment, Environment};

/// Most memory that a process may have used after all this. (A debug build starts with about 30
/// MB.)
const MOST_MEMORY: u64 = 150 * 1024;

/// The beginning of a request with a body begins; its other headers follow.
const HEAD: &str =
    "POST /v1/verifications HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n";

async fn connect(deployment: &Deployment) -> TcpStream {
    let address = deployment.client.base.strip_prefix("http://").expect("an address");
    TcpStream::connect(address).await.expect("a connection")
}

/// Everything that comes until the other side closes.
async fn rest(mut stream: TcpStream) -> String {
    let mut answer = Vec::new();
    // A reset is an end too.
    let _ = stream.read_to_end(&mut answer).await;
    String::from_utf8_lossy(&answer).into_owned()
}

async fn sends(deployment: &Deployment, bytes: &[u8]) -> String {
    let mut stream = connect(deployment).await;
    // The other side may have had enough before the end.
    let _ = stream.write_all(bytes).await;
    rest(stream).await
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_clients_are_sent_away_and_hold_up_nobody() {
    let deployment = Deployment::whole(&Environment::embedded());
    // Slower than any client: nothing at all, half a head, half a body.
    let mut idle = Vec::new();
    for index in 0..300 {
        let mut stream = connect(&deployment).await;
        let bytes: &[u8] = if index % 2 == 0 {
            b""
        } else {
            b"POST /v1/verifications HTTP/1.1\r\nHost: x\r\nX-Half"
        };
        stream.write_all(bytes).await.expect("sent");
        idle.push(stream);
    }
    let half = format!("{HEAD}Content-Length: 50\r\n\r\n{{");
    let half = tokio::time::timeout(GIVE_UP, sends(&deployment, half.as_bytes()));
    deployment.client.ask("13800138000").await.id();
    let answer = half.await.expect("an end");
    assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
    for stream in idle {
        tokio::time::timeout(GIVE_UP, rest(stream)).await.expect("the connection was not closed");
    }
    assert_eq!(deployment.client.get("/healthz").await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn half_closed_clients_get_their_answer() {
    let deployment = Deployment::whole(&Environment::services());
    let mut stream = connect(&deployment).await;
    let asked = format!("{HEAD}Content-Length: 20\r\n\r\n{}", r#"{"to":"13800138000"}"#);
    stream.write_all(asked.as_bytes()).await.expect("sent");
    stream.shutdown().await.expect("half of it is closed");
    let answer = rest(stream).await;
    assert!(answer.starts_with("HTTP/1.1 202"), "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn oversized_requests_get_a_short_answer() {
    let deployment = Deployment::whole(&Environment::embedded());
    let head = |extra: &str| format!("{HEAD}{extra}");
    let long_header = head(&format!("X-Long: {}\r\n\r\n", "x".repeat(100_000)));
    let many_headers = head(&"X: y\r\n".repeat(5_000));
    let long_path = format!("GET /{} HTTP/1.1\r\nHost: x\r\n\r\n", "x".repeat(100_000));
    for (bytes, statuses) in [
        (&long_header, vec!["431"]),
        (&many_headers, vec!["431"]),
        (&long_path, vec!["414", "431"]),
    ] {
        let answer = sends(&deployment, bytes.as_bytes()).await;
        assert!(
            statuses.iter().any(|status| answer.starts_with(&format!("HTTP/1.1 {status}"))),
            "{answer:.80}"
        );
    }
    // 10 GB, announced.
    let announced = head("Connection: close\r\nContent-Length: 10000000000\r\n\r\n{");
    assert!(sends(&deployment, announced.as_bytes()).await.starts_with("HTTP/1.1 413"));
    // 64 MB in chunks, eight times at once.
    let chunk = format!("10000\r\n{}\r\n", " ".repeat(0x10000)).repeat(1_000);
    let chunked = head("Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n") + &chunk;
    let all =
        futures_util::future::join_all((0..8).map(|_| sends(&deployment, chunked.as_bytes())))
            .await;
    // The answer may be lost in the flood, as a reset; whatever arrives is the right one.
    assert!(
        all.iter().all(|answer| answer.is_empty() || answer.starts_with("HTTP/1.1 413")),
        "{all:?}"
    );
    let peak = deployment.api.peak_memory();
    assert!(peak < MOST_MEMORY, "{peak} kB");
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_that_do_not_speak_http_are_told_so() {
    let deployment = Deployment::whole(&Environment::embedded());
    for bytes in [
        &b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n"[..],
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"\0\0\0\0\r\n\r\n",
        b"POST /v1/verifications HTTP/1.1\r\nHost: x\r\n\
            Content-Length: 5\r\nContent-Length: 6\r\n\r\n{}",
        b"POST /v1/verifications HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n{}",
        b"POST /v1/verifications HTTP/1.1\r\nHost: x\r\nX: a\0b\r\n\r\n",
    ] {
        let answer = sends(&deployment, bytes).await;
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 400"), "{answer:.80}");
    }
    // Odd, and allowed.
    let close = "Host: x\r\nConnection: close\r\n\r\n";
    for (line, status) in [
        ("GET http://elsewhere/healthz HTTP/1.1", "200"),
        ("GET /healthz HTTP/1.0", "200"),
        ("BREW /v1/verifications HTTP/1.1", "405"),
        ("OPTIONS * HTTP/1.1", "404"),
        ("GET /v1/verifications/%00%ff%2e%2e HTTP/1.1", "404"),
    ] {
        let answer = sends(&deployment, format!("{line}\r\n{close}").as_bytes()).await;
        assert_eq!(answer.split(' ').nth(1), Some(status), "{line}: {answer:.200}");
    }
    assert_eq!(deployment.client.get("/healthz").await.body["status"], Value::from("ok"));
}

#[tokio::test(flavor = "multi_thread")]
async fn gateway_of_endless_bytes_costs_no_memory() {
    let gateway = Gateway::start(&[Reply::Flood, Reply::Flood], Reply::Accept).await;
    let environment =
        Environment::embedded().with("SMS_DSN", &gateway.dsn()).with("RETRY_BACKOFF", "1");
    let deployment = Deployment::whole(&environment);
    deployment.client.ask("13800138000").await.id();
    gateway.got(3).await;
    let peak = deployment.api.peak_memory();
    assert!(peak < MOST_MEMORY, "{peak} kB");
}
