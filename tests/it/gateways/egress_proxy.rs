//! Gateways through a proxy: `HTTPS_PROXY` and `NO_PROXY` count as everywhere, and the proxy sees a
//! host and TLS.

use std::sync::{Arc, Mutex};

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::support::gateway::{Gateway, Reply, TOKEN};
use crate::support::process::{Deployment, Environment, Process};
use crate::support::vendor::{SECRET, Stub, VENDORS, Vendor};
use crate::support::{eventually, number};

/// The request for a tunnel, and the first byte that went through it.
#[derive(Debug, Clone)]
struct Tunnel {
    head: String,
    first: u8,
}

/// A proxy that opens each tunnel, looks at what comes through it, and leads nowhere.
struct Proxy {
    address: String,
    tunnels: Arc<Mutex<Vec<Tunnel>>>,
}

impl Proxy {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address").to_string();
        let tunnels = Arc::new(Mutex::new(Vec::new()));
        let seen = tunnels.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let seen = seen.clone();
                tokio::spawn(async move {
                    if let Some(tunnel) = look(stream).await {
                        seen.lock().expect("no panic").push(tunnel);
                    }
                });
            }
        });
        Self { address, tunnels }
    }

    fn tunnels(&self) -> Vec<Tunnel> {
        self.tunnels.lock().expect("no panic").clone()
    }
}

async fn look(mut stream: TcpStream) -> Option<Tunnel> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.ok()?;
    Some(Tunnel { head: String::from_utf8(head).ok()?, first: stream.read_u8().await.ok()? })
}

/// DSNs of all gateways, at hosts that no name server knows (RFC 2606).
fn everywhere() -> Vec<String> {
    let dsns = VENDORS.iter().map(|vendor| vendor.dsn(&format!("{vendor:?}.invalid"), ""));
    dsns.chain([Gateway::dsn_of("ccp.invalid:8883")])
        .map(|dsn| dsn.replace("&tls=false", "").replace("+http:", "+https:"))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_gateway_is_reached_through_the_proxy() {
    let proxy = Proxy::start().await;
    let dsns = everywhere();
    let environment = Environment::lambda()
        .with("SMS_DSN", &format!("failover({})", dsns.join(" || ")))
        .with("HTTPS_PROXY", &format!("http://user:pass@{}", proxy.address))
        .with("NO_PROXY", "tencent.invalid");
    let mut check = Process::start(&["gateway", "check", "--to", "+8613800138000"], &environment);
    assert!(!check.ended().await.success(), "the tunnels lead nowhere");
    let tunnels = proxy.tunnels();
    for host in [
        "aliyun.invalid:443",
        "twilio.invalid:443",
        "aws.invalid:443",
        "webhook.invalid:443",
        "ccp.invalid:8883",
    ] {
        let tunnel = tunnels
            .iter()
            .find(|tunnel| tunnel.head.starts_with(&format!("CONNECT {host} ")))
            .expect(host);
        let head = tunnel.head.to_ascii_lowercase();
        assert!(head.contains("proxy-authorization: basic dxnlcjpwyxnz"), "{host}: {head}");
        assert_eq!(tunnel.first, 0x16, "{host}: a TLS handshake (RFC 8446, 5.1)");
    }
    assert_eq!(tunnels.len(), dsns.len() - 1, "but for the one that NO_PROXY names: {tunnels:?}");
    for secret in [SECRET, TOKEN, "13800138000", "vendor-key"] {
        assert!(tunnels.iter().all(|tunnel| !tunnel.head.contains(secret)), "{secret}");
    }
}

/// Queues of SQS, and the vendors of captchas.
#[tokio::test(flavor = "multi_thread")]
async fn sqs_and_captcha_vendors_are_reached_through_the_proxy() {
    let proxy = Proxy::start().await;
    let url = format!("http://{}", proxy.address);
    let queue = Environment::lambda()
        .with("QUEUE_URL", "https://sqs.invalid/1/jobs")
        .with("DEAD_QUEUE_URL", "https://sqs.invalid/1/dead")
        .with("AWS_ENDPOINT_URL_SQS", "https://sqs.invalid")
        .with("ALL_PROXY", &url);
    assert!(
        !Process::start(&["dead", "list"], &queue).ended().await.success(),
        "the tunnels lead nowhere"
    );
    let asks = |host: &str| {
        proxy
            .tunnels()
            .iter()
            .any(|tunnel| tunnel.head.starts_with(&format!("CONNECT {host}:443 ")))
    };
    assert!(asks("sqs.invalid"), "{:?}", proxy.tunnels());
    let captcha = "turnstile://site:secret@captcha.invalid?when=always";
    let environment = Environment::embedded().with("CHALLENGE", captcha).with("https_proxy", &url);
    let deployment = Deployment::whole(&environment);
    let request = json!({ "to": number(1).e164(), "proof": "a-token-that-the-page-was-given" });
    let answer = deployment.client.post("/v1/verifications", &request).await;
    assert_eq!(answer.status, 503, "nobody can judge it: {answer:?}");
    assert!(asks("captcha.invalid"), "{:?}", proxy.tunnels());
}

/// To go past a proxy that cannot be used would be no service.
#[tokio::test(flavor = "multi_thread")]
async fn unusable_proxy_is_an_error_at_start() {
    let gateway = Gateway::start(&[], Reply::Accept).await;
    let environment = Environment::embedded()
        .with("SMS_DSN", &gateway.dsn())
        .with("HTTPS_PROXY", "socks5://127.0.0.1:9");
    let mut process = Process::start(&[], &environment);
    assert!(!process.ended().await.success());
    assert!(
        process.log().contains("HTTPS_PROXY needs the URL of an HTTP proxy"),
        "{}",
        process.log()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn loopback_is_never_reached_through_a_proxy() {
    let proxy = Proxy::start().await;
    let url = format!("http://{}", proxy.address);
    let everything = |mut environment: Environment| {
        for name in
            ["HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"]
        {
            environment = environment.with(name, &url);
        }
        environment
    };
    let (ccp, aws) = (Gateway::start(&[], Reply::Accept).await, Stub::start(Vendor::Aws).await);
    let dsn = format!("failover({} || {})", ccp.dsn(), aws.dsn());
    let check = ["gateway", "check", "--to", "+8613800138000"];
    let output = Process::start(&check, &everything(Environment::lambda().with("SMS_DSN", &dsn)))
        .output()
        .await;
    assert!(output.contains("2 of 2 accepted"), "{output}");
    // Over TLS, too.
    let there = ["localhost:9", "a.localhost:9", "127.0.0.2:9", "[::1]:9"];
    let dsns = there.map(|host| Vendor::Twilio.dsn(host, "").replace("&tls=false", ""));
    let dsn = format!(
        "failover({} || {})",
        dsns.join(" || "),
        Vendor::Aws.dsn("localhost:9", "").replace("&tls=false", "")
    );
    let mut check =
        Process::start(&check, &everything(Environment::lambda().with("SMS_DSN", &dsn)));
    assert!(!check.ended().await.success(), "nobody is there");
    assert!(proxy.tunnels().is_empty(), "{:?}", proxy.tunnels());
    // A worker that hands its messages to the inbox of another process.
    let deployment = Deployment::split(&everything(Environment::services()));
    let client = &deployment.client;
    assert_eq!(client.ask(number(1).e164()).await.status, 202);
    eventually("in the inbox", || async {
        (!client.get("/inbox.json").await.body[0].is_null()).then_some(())
    })
    .await;
    assert!(proxy.tunnels().is_empty(), "{:?}", proxy.tunnels());
}
