//! `gateway check`: what an operator sees of each gateway, without its secrets.

use sms_domain::code::{Code, CodeLength};
use sms_domain::locale::Locale;
use sms_domain::verification_id::Purpose;
use sms_gateways::gateway::Sms;

use crate::support::gateway::{self, Gateway, Reply};
use crate::support::number;
use crate::support::process::{Environment, Process};
use crate::support::vendor::{SECRET, Stub, VENDORS, Vendor};

/// Something to send.
pub fn sms() -> Sms {
    Sms {
        to: number(1),
        code: Code::parse("012345", CodeLength::default()).expect("a code"),
        locale: Locale::En,
        purpose: Purpose::default(),
        custom_text: None,
        autofill: None,
        lifetime: std::time::Duration::from_secs(300),
        names_lifetime: true,
        idempotency_key: "0123456789abcdef0123456789abcdef".to_owned(),
    }
}

/// All gateways that there are, as they are set up.
fn all() -> String {
    let dsns = VENDORS.iter().map(|vendor| match vendor {
        Vendor::Webhook => vendor.dsn("sms.example.com", "").replace("+http:", "+https:"),
        vendor => vendor.dsn("default", "").replace("&tls=false", ""),
    });
    let ccp = Gateway::dsn_of("app.cloopen.com:8883").replace("&tls=false", "");
    format!("failover({ccp} || {})", dsns.collect::<Vec<_>>().join(" || "))
}

fn environment(dsn: &str) -> Environment {
    Environment::lambda().with("SMS_DSN", dsn)
}

#[tokio::test(flavor = "multi_thread")]
async fn gateway_check_without_a_number_uses_a_stub() {
    let output = Process::start(&["gateway", "check"], &environment(&all())).output().await;
    for expected in [
        "=== ccp\nPOST https://app.cloopen.com:8883/2013-12-26/Accounts/",
        "\"to\":\"1****8000\"",
        "\"templateId\":\"1\"",
        "=== aliyun\nPOST https://dysmsapi.aliyuncs.com/?",
        "&PhoneNumbers=1****8000&SignName=签名&TemplateCode=SMS_1&TemplateParam={",
        "x-acs-action: SendSms",
        "=== tencent\nPOST https://sms.tencentcloudapi.com/",
        "\"PhoneNumberSet\":[\"+861****8000\"]",
        "=== twilio\nPOST https://api.twilio.com/2010-04-01/Accounts/",
        "To=+861****8000\nFrom=+15005550006\nBody=",
        "=== aws\nPOST https://sms-voice.us-east-1.amazonaws.com/",
        "\"MessageType\":\"TRANSACTIONAL\"",
        "=== webhook\nPOST https://sms.example.com/sms\n",
        "webhook-timestamp: ",
        "6 of 6 accepted by the stub",
    ] {
        assert!(output.contains(expected), "{expected} in:\n{output}");
    }
    for secret in [SECRET, gateway::TOKEN, "012345", "3800138000"] {
        assert!(!output.contains(secret), "{secret} in:\n{output}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn gateway_check_with_a_number_calls_the_gateway() {
    let stub = Stub::start(Vendor::Twilio).await;
    let check = ["gateway", "check", "--to", "+86 138 0013 8000"];
    let output = Process::start(&check, &environment(&stub.dsn())).output().await;
    assert!(
        output.contains("accepted as message-1") && output.contains("1 of 1 accepted\n"),
        "{output}"
    );
    assert_eq!(stub.sent()[0].fields["To"], "+8613800138000");

    let gateway = Gateway::start(&[], Reply::Refuse("160038")).await;
    let mut failing = Process::start(&check, &environment(&gateway.dsn()));
    assert!(!failing.ended().await.success(), "the exit status tells");
    let output = failing.standard_output();
    assert!(output.contains("throttled: 160038") && output.contains("0 of 1 accepted"), "{output}");
    assert!(!output.contains("13800138000") && !output.contains(gateway::TOKEN), "{output}");
}

#[tokio::test(flavor = "multi_thread")]
async fn gateway_check_has_its_former_name_too() {
    let mut check = Process::start(&["provider", "check"], &environment(&all()));
    assert!(check.ended().await.success(), "{}", check.log());
    assert!(check.standard_output().contains("6 of 6 accepted"));
    assert!(check.log().contains("`sms-verify provider` is now `sms-verify gateway`"));
}
