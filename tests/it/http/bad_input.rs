//! What is not a request: each kind gets a problem that names what is wrong, and nothing is sent.

use serde_json::json;

use crate::support::process::{Answer, Client, Deployment, Environment};

async fn post(client: &Client, path: &str, body: impl Into<Vec<u8>>) -> Answer {
    let request = client.request("POST", path).header("content-type", "application/json");
    client.send(request.body(body.into())).await
}

/// Status, code and field of a problem, after a look at what all problems have.
fn problem(answer: &Answer) -> (u16, &str, &str) {
    assert_eq!(answer.header("content-type"), "application/problem+json", "{answer:?}");
    assert_eq!(answer.header("cache-control"), "no-store");
    assert_eq!(answer.body["status"], answer.status);
    for member in ["type", "title", "detail", "code", "errmsg"] {
        assert!(
            answer.body[member].as_str().is_some_and(|text| !text.is_empty()),
            "{member} in {answer:?}"
        );
    }
    (
        answer.status,
        answer.body["code"].as_str().expect("text"),
        answer.body["field"].as_str().unwrap_or("-"),
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_request_for_a_code_is_named() {
    let deployment = Deployment::whole(&Environment::embedded());
    for (body, expected) in [
        ("", (400, "5006", "-")),
        ("{", (400, "5006", "-")),
        ("\u{0}", (400, "5006", "-")),
        ("[]", (400, "5006", "-")),
        ("[\"13800138000\",null,null,null]", (400, "5006", "-")),
        ("null", (400, "5006", "-")),
        ("{\"to\":\"13800138000\"} {}", (400, "5006", "-")),
        ("{}", (422, "4003", "to")),
        ("{\"to\":null}", (422, "4003", "to")),
        ("{\"to\":13800138000}", (422, "5006", "to")),
        ("{\"to\":[\"13800138000\"]}", (422, "5006", "to")),
        ("{\"to\":\"1\",\"to\":\"2\"}", (422, "5006", "to")),
        ("{\"to\":\"13800138000\",\"from\":\"me\"}", (422, "5006", "from")),
        ("{\"to\":\"\"}", (422, "4007", "to")),
        ("{\"to\":\"12345\"}", (422, "4007", "to")),
        ("{\"to\":\"\\u0000\"}", (422, "4007", "to")),
        ("{\"to\":\"\\u202e13800138000\"}", (422, "4007", "to")),
        ("{\"to\":\"010-62552266\"}", (422, "4007", "to")),
        ("{\"to\":\"13800138000\",\"region\":\"XX\"}", (422, "5006", "region")),
        ("{\"to\":\"13800138000\",\"locale\":\"en_US.UTF-8\"}", (422, "5006", "locale")),
        ("{\"to\":\"13800138000\",\"purpose\":\"A B\"}", (422, "5006", "purpose")),
    ] {
        let answer = post(&deployment.client, "/v1/verifications", body).await;
        assert_eq!(problem(&answer), expected, "{body}");
    }
    let deep = format!("{}1{}", "[".repeat(100_000), "]".repeat(100_000));
    for (body, status) in [
        (b"\xff\xfe".to_vec(), 400),
        (deep.as_bytes()[..16_000].to_vec(), 400),
        (vec![b' '; 20_000], 413),
    ] {
        assert_eq!(problem(&post(&deployment.client, "/v1/verifications", body).await).0, status);
    }
    assert_eq!(deployment.client.get("/inbox.json").await.body, json!([]), "nothing was sent");
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_check_is_named_and_costs_no_attempt() {
    let deployment = Deployment::whole(&Environment::embedded());
    let client = &deployment.client;
    let id = client.ask("13800138000").await.id();
    let path = format!("/v1/verifications/{id}/check");
    for (body, expected) in [
        ("{}", (422, "4003", "code")),
        ("{\"code\":123456}", (422, "5006", "code")),
        ("{\"code\":\"12345\"}", (422, "5006", "code")),
        ("{\"code\":\"abcdef\"}", (422, "5006", "code")),
        ("{\"code\":\"1234567\"}", (422, "5006", "code")),
        ("nonsense", (400, "5006", "-")),
    ] {
        assert_eq!(problem(&post(client, &path, body).await), expected, "{body}");
    }
    assert_eq!(client.status(&id).await.body["attempts_left"], 5);
    for id in ["x", "%00", "%ff", "..%2f..", &"A".repeat(36), &"A".repeat(5000)] {
        let path = format!("/v1/verifications/{id}");
        assert_eq!(problem(&client.get(&path).await), (404, "5003", "-"), "{id}");
        let answer = post(client, &format!("{path}/check"), "{\"code\":\"123456\"}").await;
        assert_eq!(problem(&answer), (404, "5003", "-"), "{id}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_path_method_or_content_type_is_named() {
    let deployment = Deployment::whole(&Environment::embedded());
    let client = &deployment.client;
    assert_eq!(problem(&client.get("/v2").await).0, 404);
    let answer = client.send(client.request("DELETE", "/v1/verifications")).await;
    assert_eq!((problem(&answer).0, answer.header("allow")), (405, "POST"));
    let form = client
        .request("POST", "/v1/verifications")
        .header("content-type", "application/x-www-form-urlencoded");
    assert_eq!(problem(&client.send(form.body("to=13800138000")).await).0, 415);
    for (path, coding, status) in [
        ("/v1/verifications", "gzip", 415),
        ("/v1/verifications", "identity, br", 415),
        ("/v1/verifications", "Identity", 422),
        ("/v1/verifications", "", 422),
        ("/v1/verifications", "identity,", 422),
        ("/v1/verifications/x/check", "zstd", 415),
        ("/v1/receipts/ccp", "deflate", 415),
    ] {
        let encoded = client.request("POST", path).header("content-type", "application/json");
        let answer = client.send(encoded.header("content-encoding", coding).body("{}")).await;
        assert_eq!(problem(&answer).0, status, "{path} {coding}");
        assert_eq!(answer.header("accept-encoding"), if status == 415 { "identity" } else { "" });
    }
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

#[tokio::test(flavor = "multi_thread")]
async fn missing_digit_of_a_number_is_named() {
    let deployment = Deployment::whole(&Environment::embedded());
    let client = &deployment.client;
    for (number, language, words) in [
        ("+54 11 2345 6789", "en", "a 9 after +54"),
        ("+54 11 2345 6789", "zh-CN", "在 +54 之后有一个 9"),
        ("+55 11 6123 4567", "en", "a 9 after the area code"),
        ("+55 11 6123 4567", "zh-CN", "在区号之后有一个 9"),
    ] {
        let request =
            client.request("POST", "/v1/verifications").header("accept-language", language);
        let answer = client.send(request.json(&json!({ "to": number }))).await;
        assert_eq!((problem(&answer), &answer.body["missing"]), ((422, "4007", "to"), &json!("9")));
        assert!(
            answer.body["detail"].as_str().is_some_and(|detail| detail.contains(words)),
            "{answer:?}"
        );
    }
}
