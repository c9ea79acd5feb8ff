//! Made-up input of each kind. What comes of it is either refused or means what it says.

use std::fmt::Debug;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::http::Request;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Value, json};
use sms_app::check_code::CheckCode;
use sms_app::send_sms::{DeliveryPolicy, SendSms};
use sms_config::{CheckConfig, LocalConfig, RequestConfig, Role, SendConfig};
use sms_domain::code_settings::CodeSettings;
use sms_domain::job::Job;
use sms_domain::limits::Limits;
use sms_domain::message::AllowedAutofill;
use sms_domain::phone::{PhoneNumber, Region};
use sms_domain::random::random_bytes;
use sms_domain::retry_schedule::Schedule;
use sms_domain::secrets::Secrets;
use sms_domain::test_numbers::TestNumbers;
use sms_domain::verification::Policy;
use sms_gateways::{Gateways, Inbox};
use sms_http::{self, HttpSettings};
use sms_lambda::batch::{Event, EventError, Response, deliver_event};
use sms_queue::Queue;
use sms_store::Store;
use tokio::runtime::Runtime;
use tower::ServiceExt;

use crate::support::{number, request_code};

/// Makes up values and checks each, until `FUZZ_SECONDS` are over, and once at least.
#[expect(clippy::disallowed_methods, reason = "an order to the test")]
pub fn fuzz<S: Strategy>(values: &S, check: impl Fn(S::Value))
where
    S::Value: Debug,
{
    let seconds =
        std::env::var("FUZZ_SECONDS").ok().and_then(|text| text.parse().ok()).unwrap_or(0);
    let (began, mut rounds) = (Instant::now(), 0);
    loop {
        let config = Config { cases: 256, failure_persistence: None, ..Config::default() };
        let checked = TestRunner::new(config).run(values, |value| {
            check(value);
            Ok(())
        });
        checked.unwrap_or_else(|failure| panic!("{failure}"));
        rounds += 1;
        if began.elapsed() >= Duration::from_secs(seconds) {
            println!("{} inputs in {:.1?}", rounds * 256, began.elapsed());
            return;
        }
    }
}

pub fn runtime() -> Runtime {
    Runtime::new().expect("a runtime")
}

/// Digits of many scripts, punctuation, invisible characters and letters, mostly in the shape of a
/// number.
fn number_like() -> impl Strategy<Value = String> {
    let odd = prop::sample::select(vec![
        "\0", "\u{202e}", "\u{200b}", "\u{feff}", "\u{2066}", "\u{202a}", "\u{ad}", "\u{fe0f}",
        "O", "l", "①", "𝟏", "¹", "१", "１", "٣", "۴", "๑", "𑁧", " ", "-", "\u{2212}", "\u{30fc}",
        "[", "］", "／", "\u{2009}", "\t", "+", "＋", "﹢", "００", "0", "00", "001", "011",
        "0011", "8~10", "\u{a0}", "ext. 5", "x", "~", "tel:", ";", "*", "#", "万", "\n", "%00",
        "\u{301}",
    ]);
    let part = prop_oneof![3 => "[0-9]{1,4}", 1 => odd.clone().prop_map(str::to_owned)];
    let mixed = prop::collection::vec(part, 0..12).prop_map(|parts| parts.concat());
    let number =
        prop_oneof!["\\+?(86)?1[3-9][0-9]{9}", "(\\+|00)(521|52|54|55|229|881|44|1)[0-9]{8,10}"];
    let spoilt = (number.clone(), odd, 0..12_usize).prop_map(|(mut number, odd, at)| {
        number.insert_str(at.min(number.len()), odd);
        number
    });
    prop_oneof![number, spoilt, mixed, any::<String>(), "[0-9+]{0,60}"]
}

/// Characters that may stand around and between digits, but for white space.
const BETWEEN: &str = "+＋﹢-./()[]．／（）［］－﹘﹣\
    \u{2010}\u{2011}\u{2012}\u{2013}\u{2014}\u{2015}\u{2043}\u{2212}\u{30fc}\
    \u{ad}\u{61c}\u{200b}\u{200c}\u{200d}\u{200e}\u{200f}\u{202a}\u{202b}\u{202c}\u{202d}\
    \u{2060}\u{2066}\u{2067}\u{2068}\u{2069}\u{feff}\
    \u{fe00}\u{fe01}\u{fe02}\u{fe03}\u{fe04}\u{fe05}\u{fe06}\u{fe07}\
    \u{fe08}\u{fe09}\u{fe0a}\u{fe0b}\u{fe0c}\u{fe0d}\u{fe0e}\u{fe0f}";

#[test]
fn fuzz_numbers() {
    fuzz(&(number_like(), "[A-Za-z]{0,3}"), |(text, region)| {
        let region = Region::parse(&region).unwrap_or_default();
        let Ok(parsed) = PhoneNumber::parse(&text, region) else { return };
        let e164 = parsed.e164();
        assert!(
            e164.strip_prefix('+').is_some_and(|digits| (7..=15).contains(&digits.len())),
            "{e164}"
        );
        assert!(e164[1..].bytes().all(|byte| byte.is_ascii_digit()), "{e164}");
        assert_eq!(
            PhoneNumber::parse(e164, region).as_ref(),
            Ok(&parsed),
            "one form for one number"
        );
        assert!(!format!("{parsed} {parsed:?}").contains(parsed.national()), "masked");
        let known = |c: char| c.is_numeric() || c.is_whitespace() || BETWEEN.contains(c);
        assert!(text.chars().all(known), "accepted with something else in it: {text:?}");
    });
}

#[test]
fn digits_that_only_look_like_some_are_refused() {
    for digit in ["①", "¹", "⑴", "l", "I", "Ⅰ", "㈠", "一", "\u{202e}1", "1~", "1\0", "1\u{301}"]
    {
        let text = format!("+86{digit}3800138000");
        assert!(PhoneNumber::parse(&text, Region::default()).is_err(), "{text:?}");
    }
    for digit in ["1", "１", "١", "۱", "१", "১", "๑", "𝟏", "1\u{200b}"] {
        let text = format!("+86{digit}3800138000");
        assert_eq!(
            PhoneNumber::parse(&text, Region::default()).expect("a number").e164(),
            "+8613800138000"
        );
    }
}

/// Any JSON, not too deep, with names that mean something here.
fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        number_like().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    let name = prop_oneof![
        4 => prop::sample::select(vec![
            "to", "region", "locale", "purpose", "code", "v", "id", "send", "attempts", "Records",
            "body", "messageId", "receiptHandle", "attributes", "ApproximateReceiveCount",
            "rmqMessagesByQueue", "data", "statusCode",
        ]).prop_map(str::to_owned),
        1 => any::<String>(),
    ];
    leaf.prop_recursive(5, 64, 8, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::vec((name.clone(), inner), 0..6)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

/// JSON, JSON that was cut off, and anything else.
pub fn any_body() -> impl Strategy<Value = Vec<u8>> {
    let json = any_json().prop_map(|value| value.to_string().into_bytes());
    let cut = (any_json(), any::<prop::sample::Index>()).prop_map(|(value, at)| {
        let mut text = value.to_string().into_bytes();
        text.truncate(at.index(text.len()));
        text
    });
    let asked = number_like().prop_map(|to| json!({ "to": to }).to_string().into_bytes());
    prop_oneof![
        asked,
        json,
        cut,
        prop::collection::vec(any::<u8>(), 0..200),
        (1..2_000_usize).prop_map(|depth| b"[".repeat(depth))
    ]
}

fn app() -> Router {
    let (store, queue, secrets) =
        (Store::memory(Policy::default()), Queue::memory(), Secrets::from_random(random_bytes()));
    let request_code = request_code(store.clone(), queue, secrets.clone());
    let check_code =
        CheckCode { store, codes: CodeSettings::new(secrets), limits: Limits::default() };
    let settings = HttpSettings::default();
    let asking = sms_http::RequestApi {
        request_code,
        test_numbers: TestNumbers::default(),
        autofill: AllowedAutofill::default(),
        settings: settings.clone(),
    };
    sms_http::with_defaults(
        sms_http::request_router(asking).merge(sms_http::check_router(check_code, &settings)),
        &settings.origins,
    )
}

#[test]
fn fuzz_requests() {
    let (runtime, app) = (runtime(), app());
    let path = prop_oneof![
        4 => Just("/v1/verifications".to_owned()),
        2 => "[A-Za-z0-9_-]{0,60}".prop_map(|id| format!("/v1/verifications/{id}/check")),
        1 => "[!-~]{0,80}".prop_map(|path| format!("/{}", path.replace(['#', '?'], "/"))),
    ];
    let method = prop::sample::select(vec![
        "POST", "POST", "POST", "GET", "PUT", "DELETE", "HEAD", "OPTIONS", "BREW",
    ]);
    let content_type = prop::sample::select(vec![
        "application/json",
        "application/json; charset=utf-8",
        "text/plain",
        "",
        "application/problem+json",
        "a/b;\u{e9}",
    ]);
    let request = (method, path, content_type, "[ -~]{0,40}", any_body());
    fuzz(&request, |(method, path, content_type, language, body)| {
        let request = Request::builder().method(method).uri(&path);
        let request =
            request.header("content-type", content_type).header("accept-language", language);
        let Ok(request) = request.body(Body::from(body)) else { return };
        let response = runtime.block_on(app.clone().oneshot(request)).expect("infallible");
        let (status, media_type) =
            (response.status(), response.headers().get("content-type").cloned());
        assert!(!status.is_server_error(), "{status} for {method} {path}");
        assert!(
            status.as_u16() == 202
                || status.is_client_error()
                || method == "HEAD"
                || method == "GET",
            "{status}"
        );
        let body =
            runtime.block_on(to_bytes(response.into_body(), 64 * 1024)).expect("a short body");
        if status.is_client_error() && method != "HEAD" {
            assert_eq!(media_type.expect("a type"), "application/problem+json", "{method} {path}");
            let problem: Value = serde_json::from_slice(&body).expect("JSON");
            assert_eq!(problem["status"], status.as_u16());
        }
    });
}

/// A sender in this process with an inbox.
fn sender(gateways: Gateways) -> SendSms {
    SendSms {
        store: Store::memory(Policy::default()),
        gateways,
        codes: CodeSettings::new(Secrets::from_random(random_bytes())),
        schedule: Schedule::default(),
        policy: DeliveryPolicy::default(),
    }
}

#[test]
fn fuzz_events() {
    let runtime = runtime();
    let _inside = runtime.enter();
    let inbox = Inbox::default();
    let (send_sms, queue) = (sender(Gateways::inbox(inbox.clone())), Queue::memory());
    let body = prop_oneof![
        any_body().prop_map(|body| String::from_utf8_lossy(&body).into_owned()),
        any::<String>()
    ];
    let receives = prop_oneof!["[0-9]{0,12}", any::<String>()];
    let record = (body.clone(), "[0-9a-z]{1,8}", receives).prop_map(|(body, id, receives)| {
        let attributes = json!({ "ApproximateReceiveCount": receives });
        json!({ "messageId": id, "body": body, "attributes": attributes })
    });
    let sqs = prop::collection::vec(record, 1..5).prop_map(|records| json!({ "Records": records }));
    let data = prop_oneof![body.clone().prop_map(|body| STANDARD.encode(body)), body];
    let rmq = prop::collection::vec(data, 1..5).prop_map(|all| {
        let messages: Vec<Value> =
            all.into_iter().map(|data| json!({ "data": data, "redelivered": false })).collect();
        json!({ "eventSource": "aws:rmq", "rmqMessagesByQueue": { "jobs::/": messages } })
    });
    fuzz(&prop_oneof![sqs, rmq, any_json()], |event| {
        let Ok(event) = serde_json::from_value::<Event>(event) else { return };
        match runtime.block_on(deliver_event(&send_sms, &queue, event)) {
            // None of them is a job: each is with the dead letters, and none is to come again.
            Ok(Response::Sqs(response)) => assert!(response.batch_item_failures.is_empty()),
            // What is from no queue is told, and makes no dead letter.
            Ok(Response::RabbitMq) | Err(EventError::Unexpected(_)) => {}
            Err(EventError::Queue(error)) => panic!("{error}"),
        }
    });
    assert!(inbox.messages().is_empty(), "nothing was sent");
}

#[test]
fn fuzz_jobs() {
    let digits = number(12_345_678);
    let spoil = (any::<prop::sample::Index>(), any::<u8>());
    let id = "m1fHfYBkHeM_6ynSKuDiBqEQDUhhxv3P1sTe";
    let text =
        json!({ "v": 1, "id": id, "send": 1, "to": digits.e164(), "locale": "en", "attempts": 0 })
            .to_string();
    fuzz(
        &prop_oneof![
            any_body(),
            spoil.prop_map(move |(at, byte)| {
                let mut text = text.clone().into_bytes();
                let at = at.index(text.len());
                text[at] = byte;
                text
            })
        ],
        |body| {
            if let Err(error) = Job::decode(&body) {
                let shown = format!("{error} {error:?}");
                assert!(!shown.contains("38123456"), "no number: {shown}");
            }
        },
    );
}

/// The gateways', and those of other URLs.
const SCHEMES: [&str; 11] = [
    "aliyun",
    "aws",
    "ccp",
    "tencent",
    "twilio",
    "webhook+https",
    "webhook+http",
    "inbox+http",
    "redis",
    "amqp",
    "",
];

#[test]
fn fuzz_dsns_and_urls() {
    let _inside = runtime();
    let part = "[a-zA-Z0-9:/@?&=%.+_\\[\\]-]{0,30}";
    let near = (part, part, part).prop_map(|(host, name, value)| {
        format!("ccp://hunter2:hunter2@{host}?app_id=A&template=1&{name}={value}")
    });
    let other = (prop::sample::select(SCHEMES.to_vec()), part)
        .prop_map(|(scheme, rest)| format!("{scheme}://hunter2:hunter2@{rest}"));
    let routes = concat!(
        r"(\+86=|\*=|failover\(|roundrobin\(|ccp://hunter2:hunter2@h",
        r"|\|\||&&|;|\)|[a-z? ]){1,12}"
    );
    fuzz(&prop_oneof![near, other, routes, any::<String>()], |dsn| {
        let gateways = Gateways::from_dsn(&dsn);
        let lookup = |name: &str| match name {
            "CODE_SECRET" => Some("hunter2".repeat(8)),
            // What is wrong with it is quoted.
            "LIMITS" | "BUDGET" | "PRICES" => None,
            _ => Some(dsn.clone()),
        };
        let shown = format!(
            "{:?} {:?} {:?} {:?} {:?}",
            gateways.map_err(|error| format!("{error} {error:?}")),
            RequestConfig::read(&lookup),
            CheckConfig::read(&lookup),
            SendConfig::read(&lookup),
            LocalConfig::read(&lookup, Role::All),
        );
        // What stands where a secret does is not shown; the same word as a host or an option is no
        // secret.
        let elsewhere =
            dsn.matches("hunter2").count() != 2 * dsn.matches("hunter2:hunter2@").count();
        assert!(elsewhere || !shown.contains("hunter2"), "{shown}");
    });
}

#[test]
fn a_body_without_an_end_is_too_large() {
    // What an endless body costs: the limit, and an answer.
    let (runtime, app) = (runtime(), app());
    let endless = futures_util::stream::repeat_with(|| {
        Ok::<_, std::io::Error>(Bytes::from_static(&[b' '; 4096]))
    });
    let request = Request::post("/v1/verifications").header("content-type", "application/json");
    let request = request.body(Body::from_stream(endless)).expect("a request");
    assert_eq!(runtime.block_on(app.oneshot(request)).expect("infallible").status(), 413);
}
