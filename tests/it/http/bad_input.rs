//! Bad input: each kind gets a problem that names what is wrong, in the caller's language, and
//! nothing is sent. The problems stand in `snapshots/`.

use std::fmt::Write;

use reqwest::RequestBuilder;
use serde_json::json;

use crate::support::process::{Client, Deployment, Environment, wrong};
use crate::support::{TestNumber, assert_snapshot, number};

const LANGUAGES: [&str; 3] = ["en", "zh-CN", "zh-Hant"];

/// Requests, and the problems that answer them, as text.
struct Problems<'a> {
    client: &'a Client,
    text: String,
}

impl<'a> Problems<'a> {
    fn of(client: &'a Client) -> Self {
        Self { client, text: String::new() }
    }

    async fn post(&mut self, path: &str, body: &str) {
        let request = |_| self.client.request("POST", path).header("content-type", JSON);
        let label = format!("POST {path} {}", body.replace('\0', "NUL"));
        self.add(&label, |index| request(index).body(body.to_owned())).await;
    }

    /// Adds a request's problem in each language; `request` is given the language's index. Members
    /// whose value varies are shown without it.
    async fn add(&mut self, label: &str, request: impl Fn(usize) -> RequestBuilder) {
        let _ = writeln!(self.text, "{label}");
        for (index, language) in LANGUAGES.into_iter().enumerate() {
            let request = request(index).header("accept-language", language);
            let answer = self.client.send(request).await;
            let mut body = answer.body.as_object().expect("an object").clone();
            let mut text = |name: &str| match body.remove(name).expect(name) {
                serde_json::Value::String(text) => text,
                other => other.to_string(),
            };
            let (status, code) = (text("status"), text("code"));
            let (kind, title) = (text("type"), text("title"));
            let (mut detail, errmsg) = (text("detail"), text("errmsg"));
            assert_eq!(answer.header("content-type"), "application/problem+json");
            assert_eq!(answer.header("cache-control"), "no-store");
            assert_eq!(answer.header("content-language"), language);
            assert_eq!(status, answer.status.to_string());
            if let Some(seconds) = body.get_mut("retry_after") {
                detail = detail.replace(&seconds.to_string(), "[seconds]");
                *seconds = "[seconds]".into();
            }
            if let Some(task) = body.get_mut("challenge") {
                *task = "[task]".into();
            }
            if index == 0 {
                let kind = kind.rsplit(['/', ':', '#']).next().unwrap_or_default();
                let members = json!(body);
                let _ = writeln!(self.text, "  {status} {kind} {code} {members}");
            }
            let _ = writeln!(self.text, "  {language:<7} {title} | {detail} | {errmsg}");
        }
        self.text.push('\n');
    }
}

const JSON: &str = "application/json";

/// The name and hash of a key that no request here has.
const KEYS: &str = "shop=d0ddc66349f3b4f5e52d479167db0408480e105b7813f91ffc99be06f9c63ffb";

#[tokio::test(flavor = "multi_thread")]
async fn bad_request_for_a_code_is_named() {
    let deployment = Deployment::whole(&Environment::embedded());
    let mut problems = Problems::of(&deployment.client);
    for body in [
        "",
        "{",
        "\u{0}",
        "[]",
        r#"["13800138000",null,null,null]"#,
        "null",
        r#"{"to":"13800138000"} {}"#,
        "{}",
        r#"{"to":null}"#,
        r#"{"to":13800138000}"#,
        r#"{"to":["13800138000"]}"#,
        r#"{"to":"1","to":"2"}"#,
        r#"{"to":"13800138000","from":"me"}"#,
        r#"{"to":""}"#,
        r#"{"to":"12345"}"#,
        r#"{"to":"\u0000"}"#,
        r#"{"to":"\u202e13800138000"}"#,
        r#"{"to":"010-62552266"}"#,
        r#"{"to":"+54 11 2345 6789"}"#,
        r#"{"to":"+55 11 6123 4567"}"#,
        r#"{"to":"+44 7400 123456"}"#,
        r#"{"to":"13800138000","region":"XX"}"#,
        r#"{"to":"13800138000","locale":"en_US.UTF-8"}"#,
        r#"{"to":"13800138000","purpose":"A B"}"#,
        r#"{"to":"13800138000","origin":"evil.example"}"#,
    ] {
        problems.post("/v1/verifications", body).await;
    }
    let deep = "[".repeat(16_000).into_bytes();
    for (label, body) in [
        ("bytes that are no UTF-8", b"\xff\xfe".to_vec()),
        ("an array 16,000 deep", deep),
        ("20,000 bytes", vec![b' '; 20_000]),
    ] {
        let request = |_| deployment.client.request("POST", "/v1/verifications");
        let request = |index| request(index).header("content-type", JSON).body(body.clone());
        problems.add(&format!("POST /v1/verifications with {label}"), request).await;
    }
    assert_snapshot!("bad_request_for_a_code", problems.text);
    assert_eq!(deployment.client.get("/inbox.json").await.body, json!([]), "nothing was sent");
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_check_is_named_and_costs_no_attempt() {
    let deployment = Deployment::whole(&Environment::embedded());
    let client = &deployment.client;
    let id = client.ask("13800138000").await.id();
    let path = format!("/v1/verifications/{id}/check");
    let mut problems = Problems::of(client);
    for body in [
        "{}",
        r#"{"code":123456}"#,
        r#"{"code":"12345"}"#,
        r#"{"code":"abcdef"}"#,
        r#"{"code":"1234567"}"#,
        "nonsense",
    ] {
        problems.post(&path, body).await;
    }
    assert_eq!(client.status(&id).await.body["attempts_left"], 5);
    let unknown = ["x", "%00", "%ff", "..%2f..", &"A".repeat(36), &"A".repeat(5000)];
    for path in unknown.map(|id| format!("/v1/verifications/{id}")) {
        problems.add(&format!("GET {path}"), |_| client.request("GET", &path)).await;
        problems.post(&format!("{path}/check"), r#"{"code":"123456"}"#).await;
    }
    let text = problems.text.replace(&id, "[id]").replace(&"A".repeat(5000), "A…");
    assert_snapshot!("bad_check", text);
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_path_method_or_content_type_is_named() {
    let deployment = Deployment::whole(&Environment::embedded());
    let client = &deployment.client;
    let mut problems = Problems::of(client);
    problems.add("GET /v2", |_| client.request("GET", "/v2")).await;
    let delete = || client.request("DELETE", "/v1/verifications");
    problems.add("DELETE /v1/verifications", |_| delete()).await;
    assert_eq!(client.send(delete()).await.header("allow"), "POST");
    let form = |_| {
        let request = client.request("POST", "/v1/verifications").body("to=13800138000");
        request.header("content-type", "application/x-www-form-urlencoded")
    };
    problems.add("POST /v1/verifications with a form", form).await;
    for (path, coding, status) in [
        ("/v1/verifications", "gzip", 415),
        ("/v1/verifications", "identity, br", 415),
        ("/v1/verifications", "Identity", 422),
        ("/v1/verifications", "", 422),
        ("/v1/verifications", "identity,", 422),
        ("/v1/verifications/x/check", "zstd", 415),
        ("/v1/receipts/ccp", "deflate", 415),
    ] {
        let encoded = |_| {
            let request = client.request("POST", path).header("content-type", JSON).body("{}");
            request.header("content-encoding", coding)
        };
        let answer = client.send(encoded(0)).await;
        let accepted = if status == 415 { "identity" } else { "" };
        assert_eq!((answer.status, answer.header("accept-encoding")), (status, accepted));
        problems.add(&format!("POST {path} with Content-Encoding: {coding}"), encoded).await;
    }
    assert_snapshot!("wrong_path_method_or_content_type", problems.text);
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_are_named() {
    let environment =
        Environment::embedded().with("MAX_ATTEMPTS", "2").with("RESEND_INTERVAL", "300");
    let deployment = Deployment::whole(&environment);
    let client = &deployment.client;
    let ask = |index: usize| {
        let to = number(u32::try_from(index).expect("small"));
        client.request("POST", "/v1/verifications").json(&json!({ "to": to.e164() }))
    };
    let mut wrong_codes = Vec::new();
    for index in 0..3 {
        let id = client.send(ask(index)).await.id();
        let code = client.code(number(u32::try_from(index).expect("small")).e164()).await;
        wrong_codes.push((format!("/v1/verifications/{id}/check"), wrong(&code)));
    }
    let check = |index: usize| {
        let (path, code): &(String, String) = &wrong_codes[index];
        client.request("POST", path).json(&json!({ "code": code }))
    };
    let keyed = |index: usize, key: &str| ask(index).header("idempotency-key", key);
    let mut problems = Problems::of(client);
    problems.add("a request during the cooldown", ask).await;
    for label in ["a wrong code", "the last wrong code", "another check during the lockout"] {
        problems.add(label, check).await;
    }
    assert_eq!(client.send(keyed(3, "one")).await.status, 202);
    problems.add("an idempotency key of another request", |_| keyed(4, "one")).await;
    problems.add("no idempotency key", |_| keyed(4, "a b")).await;

    let challenged = environment.with("CHALLENGE", "pow://default?when=always");
    let challenged = Deployment::whole(&challenged);
    problems.client = &challenged.client;
    let post = |body| challenged.client.request("POST", "/v1/verifications").json(&body);
    problems.add("a challenge", |_| post(json!({ "to": "13800138000" }))).await;
    let wrong = json!({ "to": "13800138000", "proof": "x" });
    problems.add("a wrong answer to a challenge", |_| post(wrong.clone())).await;

    let closed = Deployment::whole(&Environment::embedded().with("API_KEYS", KEYS));
    problems.client = &closed.client;
    problems.add("no API key", |_| closed.client.request("GET", "/v1/verifications/x")).await;

    let id = TestNumber::new().request().id;
    let nowhere = Environment::services().with("REDIS_URL", "redis://127.0.0.1:1");
    let down = Deployment::whole(&nowhere);
    problems.client = &down.client;
    problems
        .add("the store is down", |_| {
            down.client.request("GET", &format!("/v1/verifications/{id}"))
        })
        .await;
    assert_snapshot!("refusals", problems.text);
}

#[tokio::test(flavor = "multi_thread")]
async fn host_header_is_required_once() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let deployment = Deployment::whole(&Environment::embedded());
    let address = deployment.client.base.strip_prefix("http://").expect("an address").to_owned();
    let status = async |path: &str, version: &str, hosts: &[&str]| {
        let hosts: String = hosts.iter().map(|host| format!("Host: {host}\r\n")).collect();
        let request = format!("GET {path} HTTP/{version}\r\n{hosts}Connection: close\r\n\r\n");
        let mut stream = tokio::net::TcpStream::connect(&address).await.expect("a connection");
        stream.write_all(request.as_bytes()).await.expect("sent");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.expect("an answer");
        answer.split(' ').nth(1).expect("a status").to_owned()
    };
    for path in ["/healthz", "/nothing", "/", "/metrics", "/inbox.json"] {
        for hosts in [
            &[][..],
            &["127.0.0.1", "127.0.0.1"],
            &["127.0.0.1", "other.example"],
            &["a b"],
            &["me@127.0.0.1"],
        ] {
            assert_eq!(status(path, "1.1", hosts).await, "400", "{path} {hosts:?}");
        }
        assert_ne!(status(path, "1.1", &["127.0.0.1"]).await, "400", "{path}");
    }
    assert_eq!(status("/healthz", "1.0", &[]).await, "200", "it was not asked for then");
}
