//! The operators' view `/ops`, and the token that it needs.

use serde_json::{Value, json};

use crate::support::eventually;
use crate::support::gateway::{Gateway, Reply};
use crate::support::process::{Client, Deployment, Environment, Process, base_url};

#[tokio::test(flavor = "multi_thread")]
async fn operators_view_is_of_all_processes() {
    let gateway = Gateway::start(&[], Reply::Http(503)).await;
    let environment = Environment::services()
        .with("SMS_DSN", &gateway.dsn())
        .with("RETRY_BACKOFF", "1")
        .with("MAX_RETRIES", "0");
    let deployment = Deployment::whole(&environment);
    let client = &deployment.client;
    for index in 0..6 {
        client.ask(&format!("1380013810{index}")).await;
    }
    let state = eventually("six dead letters, or jobs that wait for the gateway", || async {
        let state = client.get("/ops.json?countries=CN,nonsense").await.body;
        let dead = state["queue"]["dead"].as_u64().unwrap_or(0);
        (dead >= 5 && state["gateways"][0]["open_for"].as_f64().unwrap_or(0.0) > 0.0)
            .then_some(state)
    });
    let state = state.await;
    assert_eq!(
        (&state["gateways"][0]["name"], &state["countries"][0]["country"]),
        (&json!("ccp"), &json!("CN"))
    );
    let dead = client.get("/ops/dead.json").await.body;
    let first = &dead[0];
    assert!(first["to"].as_str().is_some_and(|to| to.starts_with("+86*******8")), "{dead}");
    assert!(
        first["reason"].as_str().is_some_and(|reason| reason.contains("out of attempts")),
        "{dead}"
    );
    let ids = |letters: &Value| -> Vec<Value> {
        letters
            .as_array()
            .expect("a list")
            .iter()
            .take(5)
            .map(|letter| letter["id"].clone())
            .collect()
    };
    assert_eq!(
        ids(&client.get("/ops/dead.json").await.body),
        ids(&dead),
        "they stay where they are"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn operators_view_needs_a_token_off_loopback() {
    let token = crate::support::unique("a-token-that-nobody-guesses");
    let open =
        Environment::services().with("LISTEN", "0.0.0.0:0").with("SMS_DSN", "null://default");
    let serve = |environment: &Environment| {
        let api = Process::start(&["api"], environment).announces("/v1/verifications");
        let client = Client::new(&base_url(&api.announced).replace("0.0.0.0", "127.0.0.1"));
        (api, client)
    };
    let (_api, client) = serve(&open);
    for path in ["/metrics", "/ops", "/ops.json", "/ops/dead.json", "/inbox.json"] {
        assert_eq!(client.get(path).await.status, 404, "{path} without OPS_TOKEN");
    }
    let (_api, client) = serve(&open.with("OPS_TOKEN", &token));
    for path in ["/metrics", "/ops.json", "/ops/dead.json"] {
        assert_eq!(client.get(path).await.status, 401, "{path}");
        let wrong = client.request("GET", path).bearer_auth(format!("{token}x"));
        assert_eq!(client.send(wrong).await.status, 401, "{path}");
        assert_eq!(
            client.send(client.request("GET", path).bearer_auth(&token)).await.status,
            200,
            "{path}"
        );
    }
    let level = || client.request("PUT", "/ops/log-level").body("debug");
    assert_eq!(client.send(level()).await.status, 401);
    assert_eq!(client.send(level().bearer_auth(&token)).await.status, 204);
    assert_eq!(
        client.get("/ops").await.status,
        200,
        "the page holds nothing, and asks for the token"
    );
    assert_eq!(client.get("/inbox.json").await.status, 404);
}
