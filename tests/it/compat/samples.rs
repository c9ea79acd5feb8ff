//! The samples, as they are in the documents: backends that are brought a token, in Django and in
//! Express.

use std::collections::BTreeSet;
use std::process::Command;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::support::process::{Deployment, Environment, Process};
use crate::support::{eventually, unique};

struct Backend {
    _process: Process,
    login: String,
    http: reqwest::Client,
}

impl Backend {
    fn start(command: &[&str], api: &str, audience: &str) -> Self {
        let mut process = Command::new(command[0]);
        process
            .args(&command[1..])
            .env("JWKS_URL", format!("{api}/.well-known/jwks.json"))
            .env("LISTEN", "127.0.0.1:0");
        if !audience.is_empty() {
            process.env("AUDIENCE", audience);
        }
        let process = Process::spawn(process).announces("listening on");
        let at = process.announced.trim().rsplit(' ').next().expect("an address").to_owned();
        let http = reqwest::Client::builder().no_proxy().build().expect("a client");
        Self { _process: process, login: format!("{at}/login"), http }
    }

    async fn login(&self, token: &str) -> (u16, Value) {
        let answer = self
            .http
            .post(&self.login)
            .json(&json!({ "token": token }))
            .send()
            .await
            .expect("an answer");
        (answer.status().as_u16(), answer.json().await.expect("JSON"))
    }
}

/// A token for a number and a purpose.
async fn token(deployment: &Deployment, to: &str, purpose: &str) -> String {
    let client = &deployment.client;
    let id = client.post("/v1/verifications", &json!({ "to": to, "purpose": purpose })).await.id();
    let typed = json!({ "code": client.code(to).await, "to": to });
    let approved = client.post(&format!("/v1/verifications/{id}/check"), &typed).await;
    approved.body["token"].as_str().expect("a token").to_owned()
}

/// Tokens of another product of the same installation are none of this one's.
async fn a_backend_refuses_what_was_given_to_another(command: &[&str]) {
    let (shop, app) = (unique("key"), unique("key"));
    let hash = |key: &str| hex::encode(Sha256::digest(key));
    let keys = format!("shop={},app={}", hash(&shop), hash(&app));
    let deployment = Deployment::whole(&Environment::embedded().with("API_KEYS", &keys));
    let token = async |key: &str, to: &str| -> String {
        let client = &deployment.client;
        let asked = client.request("POST", "/v1/verifications").bearer_auth(key);
        let id = client.send(asked.json(&json!({ "to": to, "purpose": "login" }))).await.id();
        let typed = json!({ "code": client.code(to).await, "to": to });
        let check =
            client.request("POST", &format!("/v1/verifications/{id}/check")).bearer_auth(key);
        client.send(check.json(&typed)).await.body["token"].as_str().expect("a token").to_owned()
    };
    let backend = Backend::start(command, &deployment.client.base, "shop");
    assert_eq!(backend.login(&token(&app, "+8613800138000").await).await.0, 401);
    assert_eq!(backend.login(&token(&shop, "+8613800138001").await).await.0, 200);
    let without = Backend::start(command, &deployment.client.base, "");
    assert_eq!(without.login(&token(&app, "+8613800138002").await).await.0, 401);
}

async fn a_backend_takes_tokens(command: &[&str]) {
    let (old, new) = (unique("a-secret-that-was-used-before"), unique("a-secret-that-is-used-now"));
    let environment = Environment::services().with("CODE_SECRET", &old);
    let mut deployment = Deployment::whole(&environment);
    let backend = Backend::start(command, &deployment.client.base, "");
    let login = token(&deployment, "+8613800138000", "login").await;
    assert_eq!(backend.login(&login).await, (200, json!({ "phone": "+8613800138000" })));
    assert_eq!(backend.login(&login).await.0, 401, "a second time");
    let pay = token(&deployment, "+8613800138001", "pay").await;
    assert_eq!(backend.login(&pay).await.0, 401, "for another purpose");
    let other = token(&deployment, "+8613800138002", "login").await;
    // The claims of one with the signature of another.
    let (claims, signature) =
        (login.rsplit_once('.').expect("parts").0, other.rsplit_once('.').expect("parts").1);
    assert_eq!(backend.login(&format!("{claims}.{signature}")).await.0, 401);
    assert_eq!(backend.login("none").await.0, 401);
    assert_eq!(backend.login(&other).await.0, 200, "what was refused before was another one");

    // A new secret is put in front; the backend is not restarted.
    let listen = deployment.client.base.trim_start_matches("http://").to_owned();
    deployment.api.terminate();
    deployment.api.ended().await;
    let rotated = environment.with("CODE_SECRET", &format!("{new},{old}")).with("LISTEN", &listen);
    let deployment = Deployment::whole(&rotated);
    let signed_anew = token(&deployment, "+8613800138003", "login").await;
    // Backends fetch keys once a second at most.
    eventually("the new key", || async {
        (backend.login(&signed_anew).await.0 == 200).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn django() {
    let command = ["python", "samples/django/app.py"];
    a_backend_takes_tokens(&command).await;
    a_backend_refuses_what_was_given_to_another(&command).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn express() {
    let command = ["node", "samples/express/server.mjs"];
    a_backend_takes_tokens(&command).await;
    a_backend_refuses_what_was_given_to_another(&command).await;
}

#[test]
fn each_sample_has_a_port_of_its_own() {
    let ports = [
        include_str!("../../../samples/django/app.py"),
        include_str!("../../../samples/express/server.mjs"),
        include_str!("../../../samples/django-allauth/app.py"),
        include_str!("../../../samples/better-auth/server.mjs"),
    ]
    .map(|sample| {
        let addresses = sample.split("127.0.0.1:").skip(1);
        let digits = |text: &str| text.chars().take_while(char::is_ascii_digit).collect::<String>();
        addresses.map(digits).collect::<BTreeSet<_>>()
    });
    // The one that it serves at, as its command says, and that of sms-verify.
    assert!(ports.iter().all(|ports| ports.len() == 2), "{ports:?}");
    let all: BTreeSet<&String> = ports.iter().flatten().collect();
    assert!(all.len() == ports.len() + 1 && ports.iter().all(|ports| ports.contains("8080")));
}
