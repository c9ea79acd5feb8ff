//! Tokens that tell a backend whose number was verified.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use crate::support::process::{Client, Deployment, Environment, wrong};
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
async fn token_names_the_verified_number() {
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
async fn token_needs_the_number() {
    let deployment = Deployment::whole(&Environment::embedded());
    let client = &deployment.client;
    let id = client.ask("13800138000").await.id();
    let approved = client.check(&id, &client.code("+8613800138000").await).await;
    assert_eq!((approved.status, &approved.body["token"]), (200, &Value::Null));
}
