//! Each gateway against a stub that checks signatures as its vendor does: what it is sent, and what
//! its answers mean.

use serde_json::json;
use sms_app::send_sms::{DeliveryPolicy, Outcome};
use sms_domain::failure::FailureClass;
use sms_domain::verification::DeliveryState;
use sms_gateways::send_error::SendError;

use super::Sender;
use super::vendor_errors::{self, refusals};
use crate::support::gateway::{Gateway, Reply};
use crate::support::vendor::{ACCOUNT, KEY, SECRET, Says, Stub, VENDORS, Vendor};
use crate::support::{assert_snapshot, number};

#[tokio::test]
async fn each_vendor_is_sent_its_own_format() {
    for vendor in VENDORS {
        let stub = Stub::start(vendor).await;
        let sender = Sender::new(&stub.dsn(), DeliveryPolicy::default());
        let job = sender.job(&number(1)).await;
        assert_eq!(sender.deliver(&job).await, Outcome::Done, "{vendor:?}");
        assert_eq!((stub.sent().len(), stub.refused()), (1, 0), "{vendor:?}");
        assert_eq!(sender.state(&job).await, DeliveryState::Sent);
        let (code, sent) = (sender.code(&job), stub.sent().remove(0));
        let fields = &sent.fields;
        let text = format!("您的验证码是{code}，5分钟内有效。请勿告诉他人。");
        match vendor {
            Vendor::Aliyun => {
                assert_eq!(fields["PhoneNumbers"], number(1).national());
                assert_eq!(
                    (&fields["SignName"], &fields["TemplateCode"]),
                    (&json!("签名"), &json!("SMS_1"))
                );
                let parameters = fields["TemplateParam"].as_str().expect("JSON in a string");
                let parameters: serde_json::Value = serde_json::from_str(parameters).expect("JSON");
                assert_eq!(parameters, json!({ "code": code, "minutes": "5" }));
                assert_eq!(fields["OutId"].as_str().map(str::len), Some(32));
            }
            Vendor::Tencent => {
                assert_eq!(fields["PhoneNumberSet"], json!([number(1).e164()]));
                assert_eq!(
                    (&fields["SmsSdkAppId"], &fields["SignName"]),
                    (&json!("14"), &json!("S"))
                );
                assert_eq!(
                    (&fields["TemplateId"], &fields["TemplateParamSet"]),
                    (&json!("1"), &json!([code, "5"]))
                );
            }
            Vendor::Twilio => {
                let expected =
                    json!({ "To": number(1).e164(), "From": "+15005550006", "Body": text });
                for (name, value) in expected.as_object().expect("an object") {
                    assert_eq!(fields[name], *value);
                }
                let validity: u64 =
                    fields["ValidityPeriod"].as_str().expect("text").parse().expect("a number");
                assert!(
                    (290..=300).contains(&validity),
                    "what is left of the code's life: {validity}"
                );
            }
            Vendor::Aws => {
                assert_eq!(fields["DestinationPhoneNumber"], number(1).e164());
                assert_eq!(
                    (&fields["MessageBody"], &fields["MessageType"]),
                    (&json!(text), &json!("TRANSACTIONAL"))
                );
                assert_eq!(fields["OriginationIdentity"], "+12065550100");
                let lifetime = fields["TimeToLive"].as_u64().expect("a number");
                assert!((290..=300).contains(&lifetime), "{lifetime}");
            }
            Vendor::Webhook => {
                assert_eq!(fields["to"], number(1).e164());
                assert_eq!((&fields["text"], &fields["code"]), (&json!(text), &json!(code)));
                assert_eq!((&fields["locale"], &fields["purpose"]), (&json!("zh-CN"), &json!("")));
                assert_eq!(sent.headers["webhook-id"].len(), 32);
            }
        }
    }
}

#[tokio::test]
async fn each_vendor_error_has_its_class() {
    for vendor in VENDORS {
        let stub = Stub::start(vendor).await;
        let mut lines = Vec::new();
        for (status, code) in refusals(vendor) {
            stub.says(vendor.refuses(*status, code));
            let error = error_of(&stub.dsn()).await;
            // The log has the vendor's own code, also where the status alone decides. (AWS's fields
            // are no part of it.)
            let plain = vendor != Vendor::Webhook && !code.contains('\0');
            assert!(!plain || code.starts_with(&error.reason), "{code}: {}", error.reason);
            assert!(!error.to_string().contains(SECRET) && error.reason.len() < 80, "{error}");
            let class = error.class.as_str();
            lines.push(format!("{status} {}: {class}", code.escape_debug()));
            let outcome = outcome(&stub, DeliveryPolicy::AtLeastOnce).await;
            let at_most_once = self::outcome(&stub, DeliveryPolicy::AtMostOnce).await;
            lines.push(format!("    {outcome}"));
            if at_most_once != outcome {
                lines.push(format!("    at_most_once: {at_most_once}"));
            }
        }
        let name = format!("errors_of_{vendor:?}").to_lowercase();
        assert_snapshot!(name, lines.join("\n"));
    }
}

/// The error that a gateway's refusal is read as.
async fn error_of(dsn: &str) -> SendError {
    let sender = Sender::new(dsn, DeliveryPolicy::default());
    let sms = super::gateway_check::sms();
    sender.send_sms.gateways.all()[0].send(&sms).await.expect_err("refused")
}

/// The outcome of a job and the state of its verification, as text.
async fn outcome(stub: &Stub, policy: DeliveryPolicy) -> String {
    let sender = Sender::new(&stub.dsn(), policy);
    let job = sender.job(&number(1)).await;
    let outcome = match sender.deliver(&job).await {
        Outcome::Done => "done".to_owned(),
        Outcome::Retry { delay, job } => {
            format!("retry after {:?}, attempt {}", delay.base, job.attempts)
        }
        Outcome::Hold { delay, .. } => format!("hold for {:?}", delay.base),
        Outcome::Dead(reason) => format!("dead letter: {}", reason.text),
    };
    format!("{outcome}; {:?}", sender.state(&job).await)
}

#[tokio::test]
async fn each_ccp_status_code_has_its_class() {
    let mut lines = Vec::new();
    for code in vendor_errors::CCP {
        let gateway = Gateway::start(&[], Reply::Refuse(code)).await;
        let error = error_of(&gateway.dsn()).await;
        assert_eq!(error.reason, *code);
        lines.push(format!("{code}: {}", error.class.as_str()));
    }
    assert_snapshot!("errors_of_ccp", lines.join("\n"));
}

/// The reason that a program behind a webhook gives may be any text: one with a number in it is not
/// kept.
#[tokio::test]
async fn error_code_is_never_a_number() {
    let stub = Stub::start(Vendor::Webhook).await;
    for (reason, kept) in
        [("8613800138000", false), ("to-13800138000", false), ("blocked.21610", true)]
    {
        stub.says(Says(400, vec![], json!({ "class": "permanent", "reason": reason })));
        let sender = Sender::new(&stub.dsn(), DeliveryPolicy::default());
        let error = sender.send_sms.gateways.all()[0]
            .send(&super::gateway_check::sms())
            .await
            .expect_err(reason);
        assert_eq!(error.reason == reason, kept, "{}", error.reason);
    }
}

/// Tencent's own front door answers with one error for the whole call.
#[tokio::test]
async fn tencent_error_of_a_whole_call_has_its_class() {
    let stub = Stub::start(Vendor::Tencent).await;
    for (code, class) in [
        ("UnsupportedRegion", FailureClass::Configuration),
        ("AuthFailure.TokenFailure", FailureClass::Configuration),
        ("AuthFailure.NeverHeardOf", FailureClass::Configuration),
        ("RequestLimitExceeded.IPLimitExceeded", FailureClass::Throttled),
        ("InternalError", FailureClass::Transient),
        ("NeverHeardOf", FailureClass::Unlisted),
    ] {
        stub.says(Says(
            200,
            vec![],
            json!({ "Response": { "RequestId": "r", "Error": { "Code": code, "Message": "no" } } }),
        ));
        let sender = Sender::new(&stub.dsn(), DeliveryPolicy::default());
        let error = sender.send_sms.gateways.all()[0]
            .send(&super::gateway_check::sms())
            .await
            .expect_err("refused");
        assert_eq!((error.class, error.reason.as_str()), (class, code));
    }
}

#[tokio::test]
async fn credentials_may_be_temporary_or_api_keys() {
    for (vendor, header) in
        [(Vendor::Aliyun, "x-acs-security-token"), (Vendor::Tencent, "x-tc-token")]
    {
        let stub = Stub::start(vendor).await;
        let sender = Sender::new(
            &format!("{}&session_token=CAIS%2Bsts", stub.dsn()),
            DeliveryPolicy::default(),
        );
        assert_eq!(
            sender.deliver(&sender.job(&number(1)).await).await,
            Outcome::Done,
            "{vendor:?}"
        );
        assert_eq!(
            (stub.sent()[0].headers[header].as_str(), stub.refused()),
            ("CAIS+sts", 0),
            "{vendor:?}"
        );
    }
    // Twilio's path has the account, and its Basic authentication the key.
    let key = "SK00112233445566778899aabbccddeeff";
    let dsn = |options: &str| format!("twilio://{key}:{SECRET}@default?from=+15005550006{options}");
    let problem =
        |options| sms_gateways::Gateways::from_dsn(&dsn(options)).expect_err(options).to_string();
    assert!(problem("").contains("lacks account"), "{}", problem(""));
    let pushed = format!("&account={ACCOUNT}&callback=https://sms.example.com/v1/receipts/twilio");
    assert!(problem(&pushed).contains("lacks auth_token or shared_key"), "{}", problem(&pushed));
    for keys in ["&auth_token=0123", "&shared_key=webhooks_sharedkey_1:0123"] {
        assert!(
            sms_gateways::Gateways::from_dsn(&dsn(&format!("{pushed}{keys}"))).is_ok(),
            "{keys}"
        );
    }
}

#[tokio::test]
async fn twilio_messaging_service_differs_from_a_sender_name() {
    let service = "MG0123456789abcdef0123456789ABCDEF";
    for (from, field) in [(service, "MessagingServiceSid"), ("MGSHOP", "From"), ("MG Shop", "From")]
    {
        let stub = Stub::start(Vendor::Twilio).await;
        let dsn = stub.dsn().replace("+15005550006", &from.replace(' ', "%20"));
        let sender = Sender::new(&dsn, DeliveryPolicy::default());
        sender.deliver(&sender.job(&number(1)).await).await;
        assert_eq!(stub.sent()[0].fields[field], from);
    }
}

#[tokio::test]
async fn a_wrong_secret_is_a_configuration_error() {
    for vendor in VENDORS.into_iter().filter(|vendor| *vendor != Vendor::Aws) {
        let stub = Stub::start(vendor).await;
        let dsn = stub.dsn().replace(SECRET, "another-secret-0123456789");
        let sender = Sender::new(&dsn, DeliveryPolicy::default());
        let error = sender.send_sms.gateways.all()[0]
            .send(&super::gateway_check::sms())
            .await
            .expect_err("refused");
        assert_eq!(
            (error.class, stub.sent().len(), stub.refused()),
            (FailureClass::Configuration, 0, 1),
            "{vendor:?}"
        );
    }
}

#[tokio::test]
async fn unreachable_gateway_is_a_transient_error() {
    for vendor in VENDORS {
        let nowhere = std::net::TcpListener::bind("127.0.0.1:0")
            .expect("a port")
            .local_addr()
            .expect("an address");
        let sender = Sender::new(&vendor.dsn(&nowhere.to_string(), ""), DeliveryPolicy::AtMostOnce);
        let error = sender.send_sms.gateways.all()[0]
            .send(&super::gateway_check::sms())
            .await
            .expect_err("nobody");
        assert_eq!(error.class, FailureClass::Transient, "{vendor:?}: {error}");
    }
}

#[tokio::test]
async fn international_number_is_written_as_each_vendor_wants() {
    let british = sms_domain::phone::PhoneNumber::parse("+447400123456", Default::default())
        .expect("a number");
    for (vendor, field, expected) in [
        (Vendor::Aliyun, "PhoneNumbers", json!("447400123456")),
        (Vendor::Tencent, "PhoneNumberSet", json!(["+447400123456"])),
        (Vendor::Twilio, "To", json!("+447400123456")),
    ] {
        let stub = Stub::start(vendor).await;
        let sender = Sender::new(&stub.dsn(), DeliveryPolicy::default());
        sender.deliver(&sender.job(&british).await).await;
        assert_eq!(stub.sent()[0].fields[field], expected, "{vendor:?}");
    }
    assert!(!KEY.is_empty());
}
