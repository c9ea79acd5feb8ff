//! Delivery reports that vendors push: each in its own format, and only if it is the vendor's.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha1::Sha1;

use crate::support::gateway::{Gateway, Reply};
use crate::support::process::{Answer, Deployment, Environment};
use crate::support::vendor::{SECRET, Stub, VENDORS, Vendor, hmac, now};
use crate::support::{eventually, number, unique};

const KEY: &str = "a-path-nobody-guesses";

/// The URL that Twilio was given, which is not the one that this process listens on.
const CALLBACK: &str = "https://sms.example.com/v1/receipts/twilio";

/// A deployment whose gateway is a vendor's stub that pushes receipts, and a verification whose SMS
/// it has taken.
struct Scene {
    deployment: Deployment,
    name: &'static str,
    id: String,
}

impl Scene {
    async fn start(vendor: Vendor) -> Self {
        let (stub, name, options) = match vendor {
            Vendor::Aliyun => (Stub::start(vendor).await, "aliyun", format!("&receipts={KEY}")),
            Vendor::Tencent => (Stub::start(vendor).await, "tencent", format!("&receipts={KEY}")),
            Vendor::Twilio => {
                (Stub::start(vendor).await, "twilio", format!("&callback={CALLBACK}"))
            }
            Vendor::Aws => (Stub::start(vendor).await, "aws", format!("&receipts={KEY}")),
            Vendor::Webhook => (Stub::start(vendor).await, "webhook", "&receipts=true".to_owned()),
        };
        Self::with(&vendor.dsn(&stub.address, &options), name).await
    }

    async fn with(dsn: &str, name: &'static str) -> Self {
        let environment = Environment::services()
            .with("SMS_DSN", dsn)
            .with("AWS_ACCESS_KEY_ID", "test")
            .with("AWS_SECRET_ACCESS_KEY", "test");
        let deployment = Deployment::whole(&environment);
        let id = deployment.client.ask(number(1).e164()).await.id();
        let scene = Self { deployment, name, id };
        eventually("sent", || async { (scene.delivery().await == "sent").then_some(()) }).await;
        scene
    }

    async fn delivery(&self) -> Value {
        self.deployment.client.status(&self.id).await.body["delivery"].clone()
    }

    /// A push to `/v1/receipts/NAME` and a further path.
    async fn push(&self, path: &str, headers: &[(&str, String)], body: String) -> Answer {
        let client = &self.deployment.client;
        let mut request =
            client.request("POST", &format!("/v1/receipts/{}{path}", self.name)).body(body);
        for (name, value) in headers {
            request = request.header(*name, value);
        }
        client.send(request).await
    }
}

/// A receipt as the vendor pushes it: path, headers and body.
fn receipt(vendor: Vendor, delivered: bool) -> (String, Vec<(&'static str, String)>, String) {
    let (path, to) = (format!("/{KEY}"), number(1));
    match vendor {
        Vendor::Aliyun => {
            let code = if delivered { "DELIVERED" } else { "MOBILE_NOT_ON_SERVICE" };
            let report = json!({
                "phone_number": to.national(), "send_time": "2026-01-01 00:00:00",
                "report_time": "2026-01-01 00:00:01", "success": delivered, "err_code": code,
                "err_msg": "", "sms_size": "1", "biz_id": "message-1", "out_id": "",
            });
            (path, vec![], json!([report]).to_string())
        }
        Vendor::Tencent => {
            let status = if delivered { "SUCCESS" } else { "FAIL" };
            let report = json!({
                "user_receive_time": "2026-01-01 08:00:00", "nationcode": "86",
                "mobile": to.national(), "report_status": status, "errmsg": "DELIVRD",
                "description": "", "sid": "message-1",
            });
            (path, vec![], json!([report]).to_string())
        }
        Vendor::Twilio => {
            let status = if delivered { "delivered" } else { "undelivered" };
            let form = [("MessageSid", "message-1"), ("MessageStatus", status), ("To", to.e164())];
            let signed: String =
                form.iter().map(|(name, value)| format!("{name}{value}")).collect();
            let mut mac = Hmac::<Sha1>::new_from_slice(SECRET.as_bytes()).expect("any length");
            mac.update(format!("{CALLBACK}{signed}").as_bytes());
            let signature = STANDARD.encode(mac.finalize().into_bytes());
            let body =
                format!("MessageSid=message-1&MessageStatus={status}&To=%2B{}", &to.e164()[1..]);
            (String::new(), vec![("x-twilio-signature", signature)], body)
        }
        Vendor::Aws => {
            let kind = if delivered { "TEXT_DELIVERED" } else { "TEXT_CARRIER_UNREACHABLE" };
            let event = json!({
                "eventType": kind, "eventVersion": "1.0", "isFinal": true,
                "destinationPhoneNumber": to.e164(), "messageId": "message-1",
                "messageStatus": "DELIVERED",
            });
            let notification =
                json!({ "Type": "Notification", "TopicArn": "arn", "Message": event.to_string() });
            (
                path,
                vec![("x-amz-sns-message-type", "Notification".to_owned())],
                notification.to_string(),
            )
        }
        Vendor::Webhook => {
            let status = if delivered { "delivered" } else { "failed" };
            let body = json!({ "id": "message-1", "to": to.e164(), "status": status }).to_string();
            let time = now();
            let signature =
                STANDARD.encode(hmac(SECRET.as_bytes(), &format!("push-1.{time}.{body}")));
            let headers = vec![
                ("webhook-id", "push-1".to_owned()),
                ("webhook-timestamp", time.to_string()),
                ("webhook-signature", format!("v1,{signature}")),
            ];
            (String::new(), headers, body)
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn delivery_report_of_each_vendor_moves_the_verification() {
    for vendor in VENDORS {
        for (delivered, state) in [(true, "delivered"), (false, "failed")] {
            let scene = Scene::start(vendor).await;
            let (path, headers, body) = receipt(vendor, delivered);
            let answer = scene.push(&path, &headers, body).await;
            assert_eq!(answer.status, 200, "{vendor:?}: {answer:?}");
            assert_eq!(scene.delivery().await, state, "{vendor:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn forged_delivery_report_changes_nothing() {
    for vendor in VENDORS {
        let scene = Scene::start(vendor).await;
        let (path, headers, body) = receipt(vendor, true);
        // A wrong secret in the path, a changed body, no signature at all.
        let forged =
            if path.is_empty() { body.replace("message-1", "message-2") } else { body.clone() };
        let wrong =
            if path.is_empty() { String::new() } else { format!("{}x", &path[..path.len() - 1]) };
        assert_eq!(scene.push(&wrong, &headers, forged).await.status, 403, "{vendor:?}");
        assert_eq!(scene.push("", &[], body).await.status, 403, "{vendor:?}");
        let unreadable = scene.push(&path, &headers, "{".to_owned()).await.status;
        // Where the body is signed, another body is not authentic.
        assert_eq!(unreadable, if path.is_empty() { 403 } else { 400 }, "{vendor:?}");
        assert_eq!(scene.delivery().await, "sent", "{vendor:?}");
        let logs = scene.deployment.logs();
        for secret in [SECRET, KEY, number(1).national()] {
            assert!(!logs.contains(secret), "{vendor:?}: {secret} in the logs");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn ccp_delivery_reports() {
    let gateway = Gateway::start(&[], Reply::Accept).await;
    let scene = Scene::with(&format!("{}&receipts={KEY}", gateway.dsn()), "ccp").await;
    let report = |status: &str| {
        json!({ "Request": {
            "action": "SMSArrived", "smsType": "1", "apiVersion": "2013-12-26", "content": "1",
            "fromNum": number(1).national(), "dateSent": "20260101120000",
            "deliverCode": "DELIVRD", "status": status,
        } })
        .to_string()
    };
    assert_eq!(scene.push("/another-path-nobody-guesses", &[], report("0")).await.status, 403);
    assert_eq!(scene.push(&format!("/{KEY}"), &[], report("0")).await.status, 200);
    assert_eq!(scene.delivery().await, "delivered");
}

#[tokio::test(flavor = "multi_thread")]
async fn delivery_reports_have_no_path_unless_configured() {
    let gateway = Gateway::start(&[], Reply::Accept).await;
    let scene = Scene::with(&gateway.dsn(), "ccp").await;
    assert_eq!(scene.push("", &[], "{}".to_owned()).await.status, 404, "without the option");
    assert_eq!(scene.push("/a-path-nobody-guesses", &[], "{}".to_owned()).await.status, 404);
    let other = scene.deployment.client.post("/v1/receipts/nobody", &json!({})).await;
    assert_eq!(other.status, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn delivery_reports_in_a_batch_count_each_for_itself() {
    let scene = Scene::start(Vendor::Aliyun).await;
    let (path, _, body) = receipt(Vendor::Aliyun, true);
    let mut all: Vec<Value> = serde_json::from_str(&body).expect("JSON");
    all.insert(0, json!({ "phone_number": "not a number", "biz_id": "x", "success": true }));
    all.insert(0, json!("not an object"));
    all.extend((1000..1300).map(|index| {
        let to = number(index);
        json!({ "phone_number": to.national(), "biz_id": "unknown", "success": true })
    }));
    assert_eq!(scene.push(&path, &[], Value::Array(all).to_string()).await.status, 200);
    assert_eq!(scene.delivery().await, "delivered");
    let huge = format!("[{}]", " ".repeat(300 * 1024));
    assert_eq!(scene.push(&path, &[], huge).await.status, 413);
}

/// An event of AWS's, as SNS hands it over.
fn notification(message: &str) -> String {
    json!({ "Type": "Notification", "TopicArn": "arn:aws:sns:us-east-1:1:sms", "Message": message })
        .to_string()
}

fn aws_event(kind: &str, status: &str) -> Value {
    json!({
        "eventType": kind, "eventVersion": "1.0", "isFinal": true,
        "destinationPhoneNumber": number(1).e164(), "messageId": "message-1",
        "messageStatus": status,
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn aws_delivery_report_counts_only_when_final() {
    let scene = Scene::start(Vendor::Aws).await;
    let path = format!("/{KEY}");
    for (kind, status) in [
        ("RCS_QUEUED", "QUEUED"),
        ("RCS_SENT", "SENT"),
        ("RCS_FALLEN_BACK_TO_SMS", "FALLEN_BACK_TO_SMS"),
        ("RCS_UNKNOWN", "UNKNOWN"),
        ("RCS_TTL_EXPIRED", "TTL_EXPIRATION_REVOKE_FAILED"),
        ("TEXT_UNKNOWN", "UNKNOWN"),
        ("TEXT_SUCCESSFUL", "SUCCESSFUL"),
        ("MEDIA_PENDING", "PENDING"),
        ("VOICE_BUSY", "BUSY"),
        ("NEVER_HEARD_OF", "NEVER_HEARD_OF"),
    ] {
        let event = aws_event(kind, status).to_string();
        assert_eq!(scene.push(&path, &[], notification(&event)).await.status, 200, "{kind}");
        assert_eq!(scene.push(&path, &[], event).await.status, 200, "{kind}, raw");
        assert_eq!(scene.delivery().await, "sent", "{kind}");
    }
    for kind in ["RCS_DELIVERED", "RCS_READ"] {
        let scene = Scene::start(Vendor::Aws).await;
        let event = aws_event(kind, &kind[4..]).to_string();
        assert_eq!(scene.push(&path, &[], notification(&event)).await.status, 200);
        assert_eq!(scene.delivery().await, "delivered", "{kind}");
    }
}

/// EventBridge has the event in `detail`, and in AWS's own samples no number in it.
#[tokio::test(flavor = "multi_thread")]
async fn aws_delivery_report_through_event_bridge() {
    for through_sns in [false, true] {
        let (stub, message) = (Stub::start(Vendor::Aws).await, unique("message"));
        stub.says(Vendor::Aws.accepts(&message));
        let scene =
            Scene::with(&Vendor::Aws.dsn(&stub.address, &format!("&receipts={KEY}")), "aws").await;
        let event = |message_id: &str| {
            let event = json!({
                "version": "0", "detail-type": "Text Message Delivery Status Updated",
                "source": "aws.sms-voice",
                "detail": {
                    "eventType": "TEXT_DELIVERED", "eventVersion": "1.0", "isFinal": true,
                    "messageId": message_id, "originationPhoneNumber": "+12065550100",
                    "messageStatus": "DELIVERED",
                },
            })
            .to_string();
            if through_sns { notification(&event) } else { event }
        };
        assert_eq!(scene.push(&format!("/{KEY}"), &[], event("another-message")).await.status, 200);
        assert_eq!(scene.delivery().await, "sent");
        assert_eq!(scene.push(&format!("/{KEY}"), &[], event(&message)).await.status, 200);
        assert_eq!(scene.delivery().await, "delivered", "through SNS: {through_sns}");
    }
}

/// Control messages of SNS are acknowledged, so that it does not send them again.
#[tokio::test(flavor = "multi_thread")]
async fn sns_control_messages_are_accepted() {
    let scene = Scene::start(Vendor::Aws).await;
    let path = format!("/{KEY}");
    let of_itself = |kind: &str| {
        json!({
            "Type": kind, "MessageId": "m", "Token": "token-of-sns",
            "TopicArn": "arn:aws:sns:us-east-1:1:sms", "Message": "You have chosen …",
            "SubscribeURL": "https://sns.example/", "SignatureVersion": "1",
        })
        .to_string()
    };
    for body in [
        of_itself("SubscriptionConfirmation"),
        of_itself("UnsubscribeConfirmation"),
        notification("Successfully validated SNS topic."),
        notification(
            &json!({ "originationNumber": "+12065550100", "messageBody": "STOP" }).to_string(),
        ),
    ] {
        assert_eq!(scene.push(&path, &[], body.clone()).await.status, 200, "{body}");
    }
    let raw = [("x-amz-sns-rawdelivery", "true".to_owned())];
    assert_eq!(scene.push(&path, &raw, "A test of the topic".to_owned()).await.status, 200);
    assert_eq!(scene.delivery().await, "sent");
    for told in ["token-of-sns", "SNS has ended a subscription"] {
        assert!(scene.deployment.logs().contains(told), "{told}");
    }
}

/// With a shared key: SHA-256, by the key that the header names, and never less than that.
#[tokio::test(flavor = "multi_thread")]
async fn twilio_shared_key_signs_delivery_reports() {
    let stub = Stub::start(Vendor::Twilio).await;
    let shared = "a-shared-secret-of-twilio";
    let options = format!("&callback={CALLBACK}&shared_key=webhooks_sharedkey_1:{shared}");
    let scene = Scene::with(&Vendor::Twilio.dsn(&stub.address, &options), "twilio").await;
    let to = number(1);
    let text = format!("{CALLBACK}MessageSidmessage-1MessageStatusdeliveredTo{}", to.e164());
    let body = format!("MessageSid=message-1&MessageStatus=delivered&To=%2B{}", &to.e164()[1..]);
    let push = |settings: &str, signature: Vec<u8>| {
        let headers = [
            ("x-twilio-webhooks-signature-settings", settings.to_owned()),
            ("x-twilio-signature", STANDARD.encode(signature)),
        ];
        let (scene, body) = (&scene, body.clone());
        async move { scene.push("", &headers, body).await.status }
    };
    let sha1 = |key: &str| {
        let mut mac = Hmac::<Sha1>::new_from_slice(key.as_bytes()).expect("any length");
        mac.update(text.as_bytes());
        mac.finalize().into_bytes().to_vec()
    };
    let right = "key=webhooks_sharedkey_1,algorithm=HMAC_SHA256";
    assert_eq!(push("key=webhooks_sharedkey_1,algorithm=HMAC_SHA1", sha1(shared)).await, 403);
    assert_eq!(
        push("key=webhooks_sharedkey_2,algorithm=HMAC_SHA256", hmac(shared.as_bytes(), &text))
            .await,
        403
    );
    assert_eq!(
        push(right, hmac(SECRET.as_bytes(), &text)).await,
        403,
        "the account's token is no shared key"
    );
    assert_eq!(scene.delivery().await, "sent");
    assert_eq!(push(right, hmac(shared.as_bytes(), &text)).await, 200);
    assert_eq!(scene.delivery().await, "delivered");
}
