//! API keys: who may call, and with which limit.

use serde_json::json;
use sha2::{Digest, Sha256};

use crate::support::process::{Deployment, Environment};
use crate::support::{number, unique};

#[tokio::test(flavor = "multi_thread")]
async fn api_keys_have_a_limit_each_and_others_are_refused() {
    let hash = |key: &str| hex::encode(Sha256::digest(key));
    let (shop, app) = (unique("shop"), unique("app"));
    let keys = format!("{shop}={}, {app}={}", hash("key-of-the-shop"), hash("key-of-the-app"));
    let environment =
        Environment::services().with("API_KEYS", &keys).with("LIMITS", "tenant=2/hour");
    let deployment = Deployment::whole(&environment);
    let client = &deployment.client;
    let ask = async |key: &str, index: u32| {
        let request = client
            .request("POST", "/v1/verifications")
            .header("authorization", format!("Bearer {key}"));
        client.send(request.json(&json!({ "to": number(index).e164() }))).await
    };
    let shop = ask("key-of-the-shop", 1).await;
    assert_eq!((shop.status, ask("key-of-the-shop", 2).await.status), (202, 202));
    let refused = ask("key-of-the-shop", 3).await;
    assert_eq!((refused.status, &refused.body["violated_policies"]), (429, &json!(["tenant"])));
    assert_eq!(ask("key-of-the-app", 3).await.status, 202);

    let without = client.ask(number(4).e164()).await;
    assert_eq!(
        (without.status, &without.body["code"], without.header("www-authenticate")),
        (401, &json!("4101"), "Bearer")
    );
    let path = format!("/v1/verifications/{}", shop.id());
    for answer in [
        ask("key-of-nobody", 4).await,
        ask("", 4).await,
        client.status(&shop.id()).await,
        client.check(&shop.id(), "000000").await,
        client
            .send(client.request("GET", &path).header("authorization", "Basic key-of-the-shop"))
            .await,
    ] {
        assert_eq!(
            (answer.status, &answer.body["type"]),
            (401, &json!("urn:sms-verify:problem:no-key"))
        );
    }
    let with = client
        .send(client.request("GET", &path).header("authorization", "bearer key-of-the-app"))
        .await;
    assert_eq!(with.status, 200);
    assert_eq!(client.get("/healthz").await.status, 200);
    assert!(!deployment.logs().contains("key-of"));
}
