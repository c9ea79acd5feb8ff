//! Test numbers: a code that is known beforehand, and no SMS.

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
async fn a_test_number_has_its_code_and_gets_no_sms() {
    let (deployment, gateway) = deployment("2999-12-31").await;
    let client = &deployment.client;
    let id = client.ask(number(1).e164()).await.id();
    eventually("sent, so to speak", || async { (client.status(&id).await.body["delivery"] == "sent").then_some(()) })
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
async fn a_test_number_is_one_like_any_other_after_its_end() {
    let (deployment, gateway) = deployment("2026-01-01").await;
    let client = &deployment.client;
    let id = client.ask(number(1).e164()).await.id();
    let code = gateway.got(1).await.remove(0).code;
    if code != CODE {
        assert_eq!(client.check(&id, CODE).await.status, 422);
    }
    assert_eq!(client.check(&id, &code).await.status, 200);
}
