//! Rate limits, as callers meet them over HTTP.

use serde_json::json;

use crate::support::gateway::{Gateway, Reply};
use crate::support::number;
use crate::support::process::{Answer, Client, Deployment, Environment, wrong};

/// A request that came through a proxy, from this address.
async fn ask_from(client: &Client, ip: &str, index: u32) -> Answer {
    post_from(client, ip, "/v1/verifications", &json!({ "to": number(index).e164() })).await
}

async fn post_from(client: &Client, ip: &str, path: &str, body: &serde_json::Value) -> Answer {
    client.send(client.request("POST", path).header("x-forwarded-for", ip).json(body)).await
}

fn behind_a_proxy(limits: &str) -> Deployment {
    Deployment::whole(&environment(limits))
}

fn environment(limits: &str) -> Environment {
    Environment::services()
        .with("TRUSTED_PROXIES", "1")
        .with("SMS_DSN", "null://default")
        .with("LIMITS", limits)
}

#[tokio::test(flavor = "multi_thread")]
async fn rate_limit_of_an_address_is_named_with_its_wait() {
    let deployment = behind_a_proxy("ip=2/hour");
    let client = &deployment.client;
    for index in 0..2 {
        assert_eq!(ask_from(client, "2001:db8::1", index).await.status, 202);
    }
    let refused = ask_from(client, "2001:db8::ffff", 2).await;
    assert_eq!((refused.status, &refused.body["code"]), (429, &json!("4002")));
    assert_eq!(refused.body["violated_policies"], json!(["ip"]));
    let seconds: u64 = refused.header("retry-after").parse().expect("seconds");
    assert!((1700..=1800).contains(&seconds), "half an hour for one of two in an hour: {seconds}");
    assert_eq!(refused.body["retry_after"], json!(seconds));
    assert_eq!(refused.header("ratelimit"), format!("\"ip\";r=0;t={seconds}"));
    assert_eq!(ask_from(client, "2001:db8:0:1::1", 2).await.status, 202, "another network");
    assert_eq!(ask_from(client, "192.0.2.1", 3).await.status, 202);
}

#[tokio::test(flavor = "multi_thread")]
async fn rate_limit_header_names_each_policy() {
    for environment in [Environment::embedded(), Environment::services()] {
        let deployment = Deployment::whole(&environment.with("LIMITS", "number=1/hour"));
        let client = &deployment.client;
        assert_eq!(client.ask("13800138000").await.header("ratelimit"), "\"number\";r=0;t=3600");
        let refused = client.ask("13800138000").await;
        assert_eq!(
            refused.body["violated-policies"],
            json!(["number", "cooldown"]),
            "the longest wait first"
        );
        assert_eq!(refused.body["violated-policies"], refused.body["violated_policies"]);
        let waits: Vec<u64> = refused
            .header("ratelimit")
            .split(", ")
            .zip(["\"number\";r=0;t=", "\"cooldown\";r=0;t="])
            .filter_map(|(item, name)| item.strip_prefix(name)?.parse().ok())
            .collect();
        assert!(matches!(waits[..], [61..=3600, 1..=60]), "each its own: {waits:?}");
        assert_eq!(refused.header("retry-after"), waits[0].to_string());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rate_limit_of_wrong_codes_by_an_address() {
    let gateway = Gateway::start(&[], Reply::Accept).await;
    let deployment =
        Deployment::whole(&environment("wrong-ip=2/hour").with("SMS_DSN", &gateway.dsn()));
    let client = &deployment.client;
    let id = ask_from(client, "192.0.2.1", 1).await.id();
    let (path, code) =
        (format!("/v1/verifications/{id}/check"), gateway.got(1).await.remove(0).code);
    let check = async |ip, code| post_from(client, ip, &path, &json!({ "code": code })).await;
    for _ in 0..2 {
        assert_eq!(check("192.0.2.1", wrong(&code)).await.status, 422);
    }
    let refused = check("192.0.2.1", code.clone()).await;
    assert_eq!((refused.status, &refused.body["violated_policies"]), (429, &json!(["wrong-ip"])));
    assert_eq!(check("192.0.2.2", code).await.status, 200, "from elsewhere");
}

#[tokio::test(flavor = "multi_thread")]
async fn rate_limit_by_default_is_five_an_hour_for_a_number() {
    for environment in [Environment::embedded(), Environment::services()] {
        let deployment =
            Deployment::whole(&environment.with("LIMITS", "").with("RESEND_INTERVAL", "1"));
        let client = &deployment.client;
        // A prefix that no other test has, nor an earlier run.
        let to = format!("+86139{:08}", sms_domain::random::random_u64() % 100_000_000);
        for sent in 1..=5 {
            let asked = client.ask(&to).await;
            assert_eq!(asked.status, 202, "{:?}", asked.body);
            let wait = asked.body["resend_in"].as_u64().expect("seconds");
            assert_eq!(wait > 3000, sent == 5, "the true time, also of the last: {wait}");
            tokio::time::sleep(std::time::Duration::from_millis(1010)).await;
        }
        let refused = client.ask(&to).await;
        assert_eq!((refused.status, &refused.body["violated_policies"]), (429, &json!(["number"])));
    }
}
