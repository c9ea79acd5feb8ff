//! Test numbers: a code that is known beforehand, and no SMS.

use serde_json::json;

use crate::support::gateway::{Gateway, Reply};
use crate::support::process::{Deployment, Environment};
use crate::support::{eventually, number};

const CODE: &str = "271828";

async fn deployment(until: &str) -> (Deployment, Gateway) {
    let gateway = Gateway::start(&[], Reply::Accept).await;
    let environment = Environment::services()
        .with("SMS_DSN", &gateway.dsn())
        .with("TEST_NUMBERS", &format!("{}={CODE}, +447400123456=161803", number(1).e164()))
        .with("TEST_NUMBERS_UNTIL", until);
    (Deployment::whole(&environment), gateway)
}

#[tokio::test(flavor = "multi_thread")]
async fn test_number_has_its_code_and_gets_no_sms() {
    let (deployment, gateway) = deployment("2999-12-31").await;
    let client = &deployment.client;
    let id = client.ask(number(1).e164()).await.id();
    eventually("sent, so to speak", || async {
        (client.status(&id).await.body["delivery"] == "sent").then_some(())
    })
    .await;
    assert_eq!(client.check(&id, "000000").await.status, 422, "wrong codes count as ever");
    assert_eq!(client.check(&id, CODE).await.status, 200);
    assert_eq!(client.check(&id, CODE).await.status, 404, "and it is used once");
    assert_eq!(client.ask(number(1).e164()).await.status, 429, "and so is the cooldown");

    // Another number is not touched by it.
    let id = client.ask(number(2).e164()).await.id();
    let call = gateway.got(1).await.remove(0);
    assert_eq!(client.check(&id, CODE).await.status, if call.code == CODE { 200 } else { 422 });
    assert_eq!(gateway.calls().len(), 1, "nothing was sent to the test number");
}

#[tokio::test(flavor = "multi_thread")]
async fn test_number_ends_on_its_date() {
    let (deployment, gateway) = deployment("2026-01-01").await;
    let client = &deployment.client;
    let id = client.ask(number(1).e164()).await.id();
    let code = gateway.got(1).await.remove(0).code;
    if code != CODE {
        assert_eq!(client.check(&id, CODE).await.status, 422);
    }
    assert_eq!(client.check(&id, &code).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn test_number_need_not_be_assigned() {
    let environment = Environment::embedded()
        .with("ALLOWED_COUNTRIES", "GB,FR")
        .with(
            "TEST_NUMBERS",
            &format!("+44 7700 900123={CODE},+33639981234={CODE},+8613800138000={CODE}"),
        )
        .with("TEST_NUMBERS_UNTIL", "2999-12-31");
    let deployment = Deployment::whole(&environment);
    let client = &deployment.client;
    for (asked, typed, region) in
        [("+447700900123", "0044 7700 900123", "CN"), ("06 39 98 12 34", "+33 6 39 98 12 34", "FR")]
    {
        let answer =
            client.post("/v1/verifications", &json!({ "to": asked, "region": region })).await;
        let path = format!("/v1/verifications/{}/check", answer.id());
        let wrong = json!({ "code": "000000", "to": typed, "region": region });
        assert_eq!(client.post(&path, &wrong).await.status, 422, "{asked}");
        let other = json!({ "code": CODE, "to": "13800138000" });
        assert_eq!(client.post(&path, &other).await.body["field"], "to", "{asked}");
        let right = json!({ "code": CODE, "to": typed, "region": region });
        let approved = client.post(&path, &right).await;
        assert!(approved.status == 200 && approved.body["token"].is_string(), "{approved:?}");
    }
    assert_eq!(
        client.ask("+447700900124").await.body["code"],
        "4007",
        "one that is no test number"
    );
    let refused = client.ask("+8613800138000").await;
    assert_eq!(
        refused.body["type"], "urn:sms-verify:problem:country-not-allowed",
        "as any other number of its country"
    );
    assert_eq!(client.get("/inbox.json").await.body, json!([]), "nothing was sent");
}
