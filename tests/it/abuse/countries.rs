//! Countries that codes may be sent to.

use serde_json::json;

use crate::support::process::{Deployment, Environment};

#[tokio::test(flavor = "multi_thread")]
async fn codes_go_to_allowed_countries_alone() {
    let british = "+44 7400 123456";
    let deployment = Deployment::whole(&Environment::embedded());
    let refused = deployment.client.ask(british).await;
    assert_eq!(
        (refused.status, &refused.body["code"], &refused.body["field"]),
        (422, &json!("4007"), &json!("to"))
    );
    assert_eq!(refused.body["type"], json!("urn:sms-verify:problem:country-not-allowed"));
    assert!(
        refused.body["detail"].as_str().is_some_and(|detail| detail.contains("GB")),
        "{:?}",
        refused.body
    );
    let everywhere = Deployment::whole(&Environment::embedded().with("ALLOWED_COUNTRIES", "GB,CN"));
    assert_eq!(everywhere.client.ask(british).await.status, 202);
    assert_eq!(everywhere.client.ask("13800138000").await.status, 202);
    assert_eq!(everywhere.client.ask("+12025550123").await.status, 422);
}

#[tokio::test(flavor = "multi_thread")]
async fn global_networks_are_sent_codes_only_if_named() {
    let satellite = "+881 6 31012345";
    let everywhere = Deployment::whole(&Environment::embedded().with("ALLOWED_COUNTRIES", "all"));
    let refused = everywhere.client.ask(satellite).await;
    assert_eq!(
        refused.body["type"],
        json!("urn:sms-verify:problem:country-not-allowed"),
        "{:?}",
        refused.body
    );
    assert!(
        refused.body["detail"].as_str().is_some_and(|detail| detail.ends_with(" +881")),
        "{:?}",
        refused.body
    );
    let named = Environment::embedded()
        .with("ALLOWED_COUNTRIES", "all,+881")
        .with("LIMITS", "country=1/day");
    let named = Deployment::whole(&named);
    assert_eq!(named.client.ask(satellite).await.status, 202);
    assert_eq!(
        named.client.ask("+881 6 31012346").await.body["violated_policies"],
        json!(["country"])
    );
    assert_eq!(named.client.ask("+870 773 111 632").await.status, 422, "another network");
}

#[tokio::test(flavor = "multi_thread")]
async fn dependent_region_is_sent_codes_for_its_main_country() {
    let deployment = Deployment::whole(&Environment::embedded().with("DEFAULT_REGION", "AX"));
    let client = &deployment.client;
    assert_eq!(
        client.ask("041 2345678").await.status,
        202,
        "a number of Finland, as all mobile ones of Åland are"
    );
    assert_eq!(client.ask("+86 138 0013 8000").await.status, 422);
    assert_eq!(client.get("/page.json").await.body["countries"], json!(["AX", "FI"]));
}
