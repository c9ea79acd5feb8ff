//! The text that reaches a phone: by language and purpose, with the line that lets the phone fill
//! the code in.

use serde_json::{Value, json};
use sms_app::send_sms::DeliveryPolicy;
use sms_domain::locale::Locale;
use sms_domain::message::segments;
use sms_domain::verification_id::Purpose;

use super::Sender;
use crate::support::gateway::{Gateway, Reply};
use crate::support::number;
use crate::support::process::{Deployment, Environment};
use crate::support::vendor::{Stub, Vendor};

async fn message(deployment: &Deployment, body: Value) -> String {
    let to = body["to"].as_str().expect("a number").to_owned();
    let answer = deployment.client.post("/v1/verifications", &body).await;
    assert_eq!(answer.status, 202, "{answer:?}");
    deployment.client.code(&to).await;
    deployment.client.inbox(&to).await[0]["text"].as_str().expect("a text").to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn language_and_purpose_choose_the_text() {
    let deployment = Deployment::whole(&Environment::embedded());
    for (index, (locale, purpose, expected)) in [
        ("zh-CN", "", "您的验证码是"),
        ("en", "", "Your verification code is"),
        ("zh-CN", "login", "您的登录验证码是"),
        ("en", "reset-password", "to reset your password"),
        ("en", "a-purpose-of-your-own", "Your verification code is"),
    ]
    .into_iter()
    .enumerate()
    {
        let to = number(u32::try_from(index).expect("small"));
        let text =
            message(&deployment, json!({ "to": to.e164(), "locale": locale, "purpose": purpose }))
                .await;
        assert!(text.contains(expected) && segments(&text) == 1, "{locale} {purpose}: {text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn autofill_is_for_configured_origins_and_apps() {
    let environment = Environment::embedded()
        .with("WEBOTP_ORIGINS", "example.com, login.example.com")
        .with("ANDROID_APP_HASHES", "FA+9qCX9VSu");
    let deployment = Deployment::whole(&environment);
    let text = message(
        &deployment,
        json!({ "to": number(1).e164(), "origin": "https://login.example.com" }),
    )
    .await;
    let code: String = text.chars().filter(char::is_ascii_digit).take(6).collect();
    assert_eq!(
        text.lines().next_back(),
        Some(format!("@login.example.com #{code}").as_str()),
        "{text}"
    );
    let text =
        message(&deployment, json!({ "to": number(2).e164(), "app_hash": "FA+9qCX9VSu" })).await;
    assert_eq!(text.lines().next_back(), Some("FA+9qCX9VSu"), "{text}");

    for (body, field) in [
        (json!({ "to": number(3).e164(), "origin": "evil.example" }), "origin"),
        (json!({ "to": number(3).e164(), "origin": "a\n@example.com" }), "origin"),
        (json!({ "to": number(3).e164(), "app_hash": "AAAAAAAAAAA" }), "app_hash"),
        (
            json!({ "to": number(3).e164(), "origin": "example.com", "app_hash": "FA+9qCX9VSu" }),
            "app_hash",
        ),
    ] {
        let answer = deployment.client.post("/v1/verifications", &body).await;
        assert_eq!((answer.status, &answer.body["field"]), (422, &json!(field)), "{answer:?}");
    }
    let nobody = Deployment::whole(&Environment::embedded());
    let body = json!({ "to": number(1).e164(), "origin": "example.com" });
    assert_eq!(
        nobody.client.post("/v1/verifications", &body).await.status,
        422,
        "none is configured"
    );
}

#[tokio::test]
async fn vendor_template_is_chosen_by_language_and_purpose() {
    let stub = Stub::start(Vendor::Aliyun).await;
    let options = "&template.login=SMS_2&template.en=SMS_3&template.login.en=SMS_4";
    let mut sender =
        Sender::new(&Vendor::Aliyun.dsn(&stub.address, options), DeliveryPolicy::default());
    for (index, (locale, purpose, template)) in [
        (Locale::ZhCn, "", "SMS_1"),
        (Locale::ZhCn, "login", "SMS_2"),
        (Locale::En, "register", "SMS_3"),
        (Locale::En, "login", "SMS_4"),
    ]
    .into_iter()
    .enumerate()
    {
        (sender.locale, sender.purpose) = (locale, Purpose::parse(purpose).expect("a purpose"));
        sender.deliver(&sender.job(&number(u32::try_from(index).expect("small"))).await).await;
        assert_eq!(stub.sent()[index].fields["TemplateCode"], template, "{locale:?} {purpose}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn built_in_texts_fit_one_sms() {
    // The built-in texts fit: nothing is said.
    let gateway = Gateway::start(&[], Reply::Accept).await;
    let environment =
        Environment::embedded().with("SMS_DSN", &gateway.dsn()).with("CODE_LENGTH", "10");
    let deployment = Deployment::whole(&environment);
    deployment.client.ask(number(1).e164()).await;
    gateway.got(1).await;
    assert!(!deployment.logs().contains("more than one SMS"), "{}", deployment.logs());
}
