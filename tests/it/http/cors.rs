//! CORS: pages of other origins call the API only where `ALLOW_ORIGINS` names them.

use serde_json::json;
use sha2::{Digest, Sha256};

use crate::support::process::{Deployment, Environment};
use crate::support::unique;

#[tokio::test(flavor = "multi_thread")]
async fn cors_allows_configured_origins() {
    let key = unique("key");
    let keys = format!("shop={}", hex::encode(Sha256::digest(&key)));
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

/// Headers that the documents tell callers to send.
const OFFERED: [&str; 6] = [
    "content-type",
    "authorization",
    "idempotency-key",
    "x-request-id",
    "traceparent",
    "tracestate",
];

#[tokio::test(flavor = "multi_thread")]
async fn cors_allows_no_other_origin_by_default() {
    let deployment = Deployment::whole(&Environment::embedded());
    let request = deployment
        .client
        .request("OPTIONS", "/v1/verifications")
        .header("origin", "https://shop.example");
    let answer =
        deployment.client.send(request.header("access-control-request-method", "POST")).await;
    assert_eq!((answer.status, answer.header("access-control-allow-origin")), (405, ""));
}
