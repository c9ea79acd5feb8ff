//! What a product builds on: tokens for its backend, pages of other origins, requests that are
//! repeated.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use futures_util::future::join_all;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::support::process::{Answer, Client, Deployment, Environment, wrong};
use crate::support::unique;

/// The claims of a token, unverified: the samples' libraries do that.
fn part(token: &str, index: usize) -> Value {
    let part = token.split('.').nth(index).expect("a part");
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).expect("base64url")).expect("JSON")
}

async fn keys(client: &Client) -> Vec<Value> {
    let answer = client.get("/.well-known/jwks.json").await;
    assert_eq!((answer.status, answer.header("cache-control")), (200, "public, max-age=300"));
    answer.body["keys"].as_array().expect("keys").clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_says_whose_number_it_is() {
    let (old, new) = (unique("a-secret-that-was-used-before"), unique("a-secret-that-is-used-now"));
    // Each with a queue of its own: the one does not know the other's newest secret.
    let before = Deployment::whole(&Environment::services().with("CODE_SECRET", &old));
    let deployment =
        Deployment::whole(&Environment::services().with("CODE_SECRET", &format!("{new},{old}")));
    let (client, to) = (&deployment.client, "138 0013 8001");
    let asked = client.post("/v1/verifications", &json!({ "to": to, "purpose": "login" })).await;
    let (id, code) = (asked.id(), client.code("+8613800138001").await);
    let check =
        async |body: Value| client.post(&format!("/v1/verifications/{id}/check"), &body).await;

    // Another number's token is not to be had, and to ask for it costs an attempt: nobody tries
    // numbers out.
    let other = check(json!({ "code": code, "to": "13800138002" })).await;
    assert_eq!((other.status, &other.body["field"]), (422, &json!("to")));
    assert_eq!(check(json!({ "code": wrong(&code), "to": to })).await.body["attempts_left"], 3);
    let approved = check(json!({ "code": code, "to": to, "region": "CN" })).await;
    assert_eq!(approved.status, 200, "{approved:?}");

    let token = approved.body["token"].as_str().expect("a token").to_owned();
    let (header, claims) = (part(&token, 0), part(&token, 1));
    assert_eq!((&claims["sub"], &claims["purpose"]), (&json!("+8613800138001"), &json!("login")));
    assert_eq!((&claims["jti"], &claims["iss"]), (&json!(id), &json!("sms-verify")));
    let lifetime =
        claims["exp"].as_i64().expect("a time") - claims["iat"].as_i64().expect("a time");
    assert_eq!(lifetime, 305, "300 s, and dated back for a verifier whose clock is behind");
    let keys = keys(client).await;
    assert_eq!((keys.len(), &header["kid"]), (2, &keys[0]["kid"]), "the newest signs");
    assert_eq!(
        keys[1],
        self::keys(&before.client).await[0],
        "what was signed before is still to be verified"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_number_there_is_no_token() {
    let deployment = Deployment::whole(&Environment::embedded());
    let client = &deployment.client;
    let id = client.ask("13800138000").await.id();
    let approved = client.check(&id, &client.code("+8613800138000").await).await;
    assert_eq!((approved.status, &approved.body["token"]), (200, &Value::Null));
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_of_allowed_origins_may_call() {
    let key = unique("key");
    let keys = format!("shop={}", hex(&Sha256::digest(&key)));
    let environment = Environment::embedded()
        .with("ALLOW_ORIGINS", "https://shop.example")
        .with("API_KEYS", &keys);
    let deployment = Deployment::whole(&environment);
    let client = &deployment.client;
    let preflight = async |origin: &str, path: &str| {
        let request = client.request("OPTIONS", path).header("origin", origin);
        let request = request.header("access-control-request-method", "POST");
        client.send(request.header("access-control-request-headers", OFFERED.join(","))).await
    };
    for path in ["/v1/verifications", "/v1/verifications/x/check"] {
        let allowed = preflight("https://shop.example", path).await;
        assert_eq!(
            (allowed.status, allowed.header("access-control-allow-origin")),
            (200, "https://shop.example")
        );
        let headers = allowed.header("access-control-allow-headers").to_owned();
        assert!(OFFERED.iter().all(|name| headers.split(',').any(|one| one == *name)), "{headers}");
        assert_eq!(
            preflight("https://evil.example", path).await.header("access-control-allow-origin"),
            ""
        );
    }
    // A page reads why it was refused, too; and needs a key where others do.
    let ask = |origin: &str| {
        let request = client.request("POST", "/v1/verifications").header("origin", origin);
        request.json(&json!({ "to": "13800138000" }))
    };
    let refused = client.send(ask("https://shop.example")).await;
    assert_eq!(
        (refused.status, refused.header("access-control-allow-origin")),
        (401, "https://shop.example")
    );
    let answer = client.send(ask("https://shop.example").bearer_auth(&key)).await;
    assert_eq!(answer.status, 202);
    assert_eq!(answer.header("ratelimit"), "\"cooldown\";r=0;t=60");
    let other = client.send(ask("https://evil.example").bearer_auth(&key)).await;
    assert_eq!(other.header("access-control-allow-origin"), "");
    let inbox = client
        .send(client.request("GET", "/inbox.json").header("origin", "https://shop.example"))
        .await;
    assert_eq!(
        (inbox.status, inbox.header("access-control-allow-origin")),
        (200, ""),
        "the inbox is no page's business"
    );
    let exposed = answer.header("access-control-expose-headers").to_owned();
    let told = [
        "location",
        "retry-after",
        "ratelimit",
        "idempotent-replayed",
        "x-request-id",
        "accept-encoding",
    ];
    assert!(told.iter().all(|name| exposed.split(',').any(|one| one == *name)), "{exposed}");
}

/// What the documents tell callers to send.
const OFFERED: [&str; 6] = [
    "content-type",
    "authorization",
    "idempotency-key",
    "x-request-id",
    "traceparent",
    "tracestate",
];

#[tokio::test(flavor = "multi_thread")]
async fn by_default_no_page_of_another_origin_may_call() {
    let deployment = Deployment::whole(&Environment::embedded());
    let request = deployment
        .client
        .request("OPTIONS", "/v1/verifications")
        .header("origin", "https://shop.example");
    let answer =
        deployment.client.send(request.header("access-control-request-method", "POST")).await;
    assert_eq!((answer.status, answer.header("access-control-allow-origin")), (405, ""));
}

const BAD_KEY: &str = "urn:sms-verify:problem:bad-idempotency-key";

#[tokio::test(flavor = "multi_thread")]
async fn a_time_has_one_form_wherever_it_stands() {
    for environment in [Environment::embedded(), Environment::services()] {
        let deployment = Deployment::whole(&environment);
        let (client, key, body) =
            (&deployment.client, unique("key"), json!({ "to": "13800138000" }));
        let asked = ask(client, &key, &body).await;
        let (replayed, seen) = (ask(client, &key, &body).await, client.status(&asked.id()).await);
        let expires_at = asked.body["expires_at"].as_str().expect("a time");
        for answer in [&replayed, &seen] {
            assert_eq!(answer.body["expires_at"], expires_at);
        }
        client.code("+8613800138000").await;
        let at = client.inbox("+8613800138000").await.remove(0)["at"]
            .as_str()
            .expect("a time")
            .to_owned();
        for time in [expires_at, &at] {
            let digits =
                time.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect::<String>();
            assert_eq!(digits, "0000-00-00T00:00:00.000Z");
        }
    }
}

async fn ask(client: &Client, key: &str, body: &Value) -> Answer {
    client
        .send(client.request("POST", "/v1/verifications").header("idempotency-key", key).json(body))
        .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeated_request_gets_its_first_answer() {
    for environment in [Environment::embedded(), Environment::services()] {
        let deployment = Deployment::whole(&environment);
        let (client, key, body) =
            (&deployment.client, unique("key"), json!({ "to": "13800138000" }));
        let answers = join_all((0..20).map(|_| ask(client, &key, &body))).await;
        let first: Vec<&Answer> = answers
            .iter()
            .filter(|answer| {
                answer.status == 202 && answer.header("idempotent-replayed").is_empty()
            })
            .collect();
        assert_eq!(first.len(), 1, "{answers:?}");
        for answer in &answers {
            match answer.status {
                202 => assert_eq!(answer.body, first[0].body),
                409 => assert_eq!(
                    (&answer.body["code"], answer.header("retry-after")),
                    (&json!("4002"), "1")
                ),
                // By a machine with a lot to do.
                503 => {}
                _ => panic!("{answer:?}"),
            }
        }
        // Written otherwise, it is the same.
        let again = client.request("POST", "/v1/verifications").header("idempotency-key", &key);
        let again =
            again.header("content-type", "application/json").body("{ \"to\":\n\"13800138000\" }");
        let again = client.send(again).await;
        assert_eq!((again.status, again.header("idempotent-replayed")), (202, "true"));
        assert_eq!(
            (&again.body, again.header("location")),
            (&first[0].body, first[0].header("location"))
        );
        client.code("+8613800138000").await;
        assert_eq!(client.inbox("+8613800138000").await.len(), 1);

        let quoted = ask(client, &format!("\"{key}\""), &body).await;
        assert_eq!(
            (quoted.status, quoted.header("idempotent-replayed")),
            (202, "true"),
            "the same key"
        );
        assert_eq!(quoted.header("ratelimit"), "", "its time is over");

        let other = ask(client, &key, &json!({ "to": "13800138001" })).await;
        assert_eq!(
            (other.status, &other.body["type"]),
            (422, &json!("urn:sms-verify:problem:idempotency-key-reused"))
        );
        for none in ["", "a b", "\"abc", "\"a\\bc\"", "\"abc\";v=1", &"x".repeat(256)] {
            let answer = ask(client, none, &body).await;
            assert_eq!((answer.status, &answer.body["type"]), (400, &json!(BAD_KEY)), "{none:?}");
        }
        let two = client.request("POST", "/v1/verifications").header("idempotency-key", "a");
        assert_eq!(client.send(two.header("idempotency-key", "b").json(&body)).await.status, 400);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_not_accepted_may_be_asked_again_with_the_same_key() {
    let deployment = Deployment::whole(&Environment::embedded().with("RESEND_INTERVAL", "5"));
    let (client, key, body) = (&deployment.client, unique("key"), json!({ "to": "13800138000" }));
    let accepted = ask(client, &unique("key"), &body).await;
    assert_eq!(ask(client, &key, &body).await.status, 429);
    let wait = accepted.body["resend_in"].as_u64().expect("a time");
    tokio::time::sleep(std::time::Duration::from_secs(wait)).await;
    let answer = ask(client, &key, &body).await;
    assert_eq!((answer.status, answer.header("idempotent-replayed")), (202, ""));
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_gets_the_answer_to_another_ones_request() {
    let keys = [unique("key"), unique("key")];
    let list =
        format!("shop={},app={}", hex(&Sha256::digest(&keys[0])), hex(&Sha256::digest(&keys[1])));
    let deployment = Deployment::whole(&Environment::embedded().with("API_KEYS", &list));
    let client = &deployment.client;
    let ask = async |key: &str| {
        let request = client.request("POST", "/v1/verifications").bearer_auth(key);
        client
            .send(request.header("idempotency-key", "1").json(&json!({ "to": "13800138000" })))
            .await
    };
    assert_eq!(ask(&keys[0]).await.status, 202);
    assert_eq!(ask(&keys[1]).await.status, 429, "not the other one's 202");
    assert_eq!(ask(&keys[0]).await.header("idempotent-replayed"), "true");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_api_is_there_behind_a_proxys_path_too() {
    let deployment = Deployment::whole(&Environment::embedded().with("BASE_PATH", "/apps/sms/"));
    let client = &deployment.client;
    let asked = client.post("/apps/sms/v1/verifications", &json!({ "to": "13800138000" })).await;
    assert_eq!((asked.status, client.status(&asked.id()).await.status), (202, 200));
    let unknown = client.get("/apps/sms/v1/unknown").await;
    assert_eq!(
        (unknown.status, &unknown.body["type"]),
        (404, &json!("urn:sms-verify:problem:no-such-path"))
    );
    assert_eq!(client.get("/apps/v1/verifications").await.status, 404);
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
