//! Idempotency keys: a repeated request gets its first answer, and nobody else's.

use futures_util::future::join_all;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::support::process::{Answer, Client, Deployment, Environment};
use crate::support::unique;

const BAD_KEY: &str = "urn:sms-verify:problem:bad-idempotency-key";

pub(super) async fn ask(client: &Client, key: &str, body: &Value) -> Answer {
    client
        .send(client.request("POST", "/v1/verifications").header("idempotency-key", key).json(body))
        .await
}

#[tokio::test(flavor = "multi_thread")]
async fn idempotency_key_replays_the_first_answer() {
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
async fn idempotency_key_of_a_refused_request_may_be_used_again() {
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
async fn idempotency_key_belongs_to_its_caller() {
    let keys = [unique("key"), unique("key")];
    let list = format!(
        "shop={},app={}",
        hex::encode(Sha256::digest(&keys[0])),
        hex::encode(Sha256::digest(&keys[1]))
    );
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
