//! Whatever a vendor may answer, or somebody may push as a receipt.

use std::time::Duration;

use axum::body::Body;
use axum::http::Request;
use proptest::prelude::*;
use serde_json::{Value, json};
use sms_domain::code::CodeLength;
use sms_domain::failure::FailureClass;
use sms_domain::locale::Locale;
use sms_domain::random::random_bytes;
use sms_domain::secrets::Secrets;
use sms_domain::verification::Policy;
use sms_gateways::Gateways;
use sms_gateways::gateway::Sms;
use sms_http::{self, DeliveryReports};
use sms_store::Store;
use tokio::runtime::Handle;
use tower::ServiceExt;

use super::fuzz::{any_body, fuzz, runtime};
use crate::support::gateway::{Gateway, Reply};
use crate::support::number;
use crate::support::vendor::{Says, Stub, VENDORS, Vendor};

#[test]
fn fuzz_answers_of_ccp() {
    let runtime = runtime();
    let gateway = runtime.block_on(Gateway::start(&[], Reply::Accept));
    let gateways = Gateways::from_dsn(&gateway.dsn()).expect("a DSN");
    let secrets = Secrets::from_random(random_bytes());
    let status = prop_oneof![Just(200), 200_u16..300, 400_u16..600]
        .prop_filter("without a body", |status| ![204, 205].contains(status));
    let code = "[0-9]{6}".prop_map(|code| json!({ "statusCode": code }).to_string().into_bytes());
    let answer =
        (status, prop_oneof![code, Just(b"{\"statusCode\":\"000000\"}".to_vec()), any_body()]);
    fuzz(&answer, |(status, body)| {
        gateway.always(Reply::Raw(status, body.clone()));
        let sms = sms(&secrets);
        let result = Handle::block_on(runtime.handle(), gateways.all()[0].send(&sms));
        let accepted =
            serde_json::from_slice::<Value>(&body).is_ok_and(|body| body["statusCode"] == "000000");
        match result {
            Ok(_) => assert!(accepted && (200..300).contains(&status), "{status} {body:?}"),
            Err(error) => {
                assert!(!(accepted && status == 200), "accepted, and taken for {error}");
                assert!(
                    error.reason.len() <= 12 && error.reason.is_ascii(),
                    "only a code or a status: {error}"
                );
                let known = serde_json::from_slice::<Value>(&body)
                    .is_ok_and(|body| body["statusCode"].is_string());
                assert!(
                    known || status != 200 || error.class == FailureClass::Ambiguous,
                    "unreadable is ambiguous: {error}"
                );
            }
        }
    });
}

/// The other vendors, each of which is given any status and any body.
#[test]
fn fuzz_answers_of_the_other_gateways() {
    let runtime = runtime();
    let secrets = Secrets::from_random(random_bytes());
    for vendor in VENDORS {
        let stub = runtime.block_on(Stub::start(vendor));
        let gateways = Gateways::from_dsn(&stub.dsn()).expect("a DSN");
        let status = prop_oneof![200_u16..300, 400_u16..600]
            .prop_filter("without a body", |status| ![204, 205].contains(status));
        let answer = (status, prop_oneof![near_answer(), any_json()]);
        fuzz(&answer, |(status, body)| {
            stub.says(Says(status, vec![], body.clone()));
            if let Err(error) = runtime.block_on(gateways.all()[0].send(&sms(&secrets))) {
                let shown = error.to_string();
                assert!(
                    shown.len() < 200 && shown.is_ascii() && !shown.contains('\n'),
                    "only what is plainly a code: {shown:?}"
                );
            }
        });
    }
}

/// The members that vendors' answers have, with anything in them.
fn near_answer() -> impl Strategy<Value = Value> {
    let names = [
        "Code",
        "BizId",
        "sid",
        "code",
        "MessageId",
        "id",
        "class",
        "reason",
        "__type",
        "SerialNo",
    ];
    let members =
        prop::collection::btree_map(prop::sample::select(names.to_vec()), any_json(), 0..4);
    members.prop_map(|members| {
        let object = json!(members);
        json!({
            "Response": { "SendStatusSet": [object], "Error": object },
            "Code": object["Code"], "code": object["code"], "sid": object["sid"],
            "class": object["class"], "reason": object["reason"], "__type": object["__type"],
        })
    })
}

fn any_json() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<i64>().prop_map(|number| json!(number)),
        any::<String>().prop_map(|text| json!(text)),
        "[A-Za-z.]{0,120}".prop_map(|text| json!(text)),
        Just(json!("OK")),
        Just(json!("Ok")),
        Just(json!({ "Code": "Ok" })),
        Just(json!([[[]]])),
    ]
}

/// Whatever is pushed to the paths of receipts.
#[test]
fn fuzz_delivery_reports() {
    let runtime = runtime();
    const KEY: &str = "0123456789abcdef";
    let dsns = VENDORS.map(|vendor| {
        let receipts = if vendor == Vendor::Webhook { "true" } else { KEY };
        let options = if vendor == Vendor::Twilio {
            "&callback=https://h/".to_owned()
        } else {
            format!("&receipts={receipts}")
        };
        vendor.dsn("127.0.0.1:9", &options)
    });
    let _inside = runtime.enter();
    let gateways = Gateways::from_dsn(&format!("failover({})", dsns.join(" || "))).expect("DSNs");
    let receipts = DeliveryReports {
        store: Store::memory(Policy::default()),
        secrets: Secrets::from_random(random_bytes()),
        gateways,
    };
    let app = sms_http::with_defaults(
        sms_http::delivery_reports_router(receipts),
        &sms_http::AllowedOrigins::default(),
    );
    let name = prop::sample::select(vec![
        "aliyun", "aws", "tencent", "twilio", "webhook", "ccp", "%00", "x",
    ]);
    let key = prop_oneof![Just(format!("/{KEY}")), Just(String::new()), "/[ -~&&[^?#/]]{1,20}"];
    let body =
        prop_oneof![any_body(), near_report().prop_map(|report| report.to_string().into_bytes())];
    fuzz(&(name, key, body), |(name, key, body)| {
        let request = Request::builder().method("POST").uri(format!("/v1/receipts/{name}{key}"));
        let Ok(request) = request.header("webhook-signature", "v1,").body(Body::from(body)) else {
            return;
        };
        let response = runtime.block_on(app.clone().oneshot(request)).expect("infallible");
        assert!(
            [200, 400, 403, 404, 405].contains(&response.status().as_u16()),
            "{}",
            response.status()
        );
    });
}

/// The members that vendors' reports have, with anything in them.
fn near_report() -> impl Strategy<Value = Value> {
    let names = [
        "phone_number",
        "biz_id",
        "success",
        "nationcode",
        "mobile",
        "sid",
        "report_status",
        "Message",
        "Type",
        "eventType",
        "messageId",
        "destinationPhoneNumber",
    ];
    let number = prop_oneof![
        Just(json!("13800138000")),
        Just(json!("+8613800138000")),
        Just(json!("86")),
        any_json()
    ];
    prop::collection::btree_map(prop::sample::select(names.to_vec()), number, 0..8)
        .prop_map(|report| json!([report, report]))
}

fn sms(secrets: &Secrets) -> Sms {
    use sms_domain::verification_id::{Purpose, VerificationId};
    let to = number(1);
    let id = VerificationId::new(
        secrets.newest_key_id(),
        secrets.tag(&to),
        random_bytes(),
        &Purpose::default(),
    );
    let code = secrets.derive(&id, CodeLength::default()).expect("its own secret");
    let lifetime = Duration::from_secs(300);
    Sms {
        to,
        code,
        locale: Locale::En,
        purpose: Purpose::default(),
        custom_text: None,
        autofill: None,
        lifetime,
        names_lifetime: true,
        idempotency_key: "0".repeat(32),
    }
}
