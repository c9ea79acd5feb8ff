//! The release builds of the functions, as they are deployed, under Lambda's own Runtime Interface
//! Emulator.

use std::path::Path;
use std::process::Command;

use aws_sdk_sqs::types::QueueAttributeName;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio::net::UdpSocket;
use tokio::time::timeout;

use crate::support::gateway::{Gateway, Reply};
use crate::support::lambda::{Function, Traced, bootstrap};
use crate::support::process::{Environment, Process, wrong};
use crate::support::services::{Service, redis_url};
use crate::support::sqs::{Queues, client};
use crate::support::{GIVE_UP, eventually};

/// A sample event.
pub fn event(path: &str) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("events").join(path);
    serde_json::from_str(&std::fs::read_to_string(path).expect("an event")).expect("JSON")
}

/// A request for a code for this number.
async fn ask(function: &Function, to: &str) -> Value {
    let mut asked = event("request-code/http-api.json");
    asked["body"] = json!({ "to": to }).to_string().into();
    function.invoke(&asked).await
}

/// The environment of the three functions on AWS.
pub fn environment(redis: &str, queues: &Queues, gateway: &Gateway) -> Environment {
    Environment::lambda()
        .with("REDIS_URL", redis)
        .with("QUEUE_URL", &queues.url)
        .with("DEAD_QUEUE_URL", &queues.dead_url)
        .with("AWS_ENDPOINT_URL_SQS", &queues.endpoint)
        .with("SMS_DSN", &gateway.dsn())
}

fn body(answer: &Value) -> Value {
    serde_json::from_str(answer["body"].as_str().expect("a body")).expect("JSON")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_number_is_verified_by_the_three_functions_on_sqs() {
    let queues = Queues::create(&client()).await;
    let gateway = Gateway::start(&[Reply::Refuse("160000")], Reply::Accept).await;
    let environment = environment(&redis_url(), &queues, &gateway);
    let (request, check, send) = (
        Function::start("request-code", &environment),
        Function::start("check-code", &environment),
        Function::start("send-sms", &environment),
    );
    for (file, status) in [
        ("http-api", 202),
        ("rest-api", 202),
        ("function-url", 202),
        ("alb-health", 200),
        ("http-api", 429),
        ("bad-number", 422),
    ] {
        let answer = request.invoke(&event(&format!("request-code/{file}.json"))).await;
        assert_eq!(answer["statusCode"], status, "{file}: {answer}");
    }
    let codes = request.invoke(&event("request-code/sms-codes.json")).await;
    assert_eq!(
        (&codes["statusCode"], &body(&codes)["code"]),
        (&json!(200), &json!("4002")),
        "{codes}"
    );
    assert_eq!(
        body(&check.invoke(&event("check-code/keys.json")).await)["keys"][0]["alg"],
        "EdDSA"
    );
    for file in ["check", "status"] {
        assert_eq!(
            check.invoke(&event(&format!("check-code/{file}.json"))).await["statusCode"],
            404
        );
    }
    for (file, expected) in [
        ("one-job", json!({ "batchItemFailures": [] })),
        ("batch-with-unreadable", json!({ "batchItemFailures": [] })),
        ("amazon-mq", Value::Null),
    ] {
        assert_eq!(send.invoke(&event(&format!("send-sms/{file}.json"))).await, expected, "{file}");
    }

    let asked = ask(&request, "+8613900139000").await;
    let id = body(&asked)["id"].as_str().expect("an id").to_owned();
    // The gateway refuses one of the four jobs; it comes again after its back-off.
    eventually("all SMS", || async {
        queues
            .poll(async |event| {
                serde_json::from_value(send.invoke(&event).await).expect("a batch response")
            })
            .await;
        (gateway.accepted().len() == 4).then_some(())
    })
    .await;
    let code =
        gateway.accepted().into_iter().find(|call| call.to == "13900139000").expect("an SMS").code;
    let mut typed = event("check-code/check.json");
    typed["rawPath"] = format!("/v1/verifications/{id}/check").into();
    typed["requestContext"]["http"]["path"] = typed["rawPath"].clone();
    typed["body"] = json!({ "code": code }).to_string().into();
    assert_eq!(body(&check.invoke(&typed).await)["status"], "approved");

    let lines = written(request);
    let line = lines
        .iter()
        .find(|line| line.contains("\"outcome\":\"accepted\""))
        .expect("a line of metrics");
    let line: Value = serde_json::from_str(line).expect("JSON");
    let directive = &line["_aws"]["CloudWatchMetrics"][0];
    assert_eq!(
        (&line["sms_verify_requests_total"], &directive["Namespace"]),
        (&json!(1), &json!("sms-verify")),
        "{line}"
    );
    assert_eq!(
        (&line["function"], &directive["Dimensions"]),
        (&json!("request-code"), &json!([["function", "outcome"]]))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn codes_of_others_are_sent_by_the_functions_on_sqs() {
    let queues = Queues::create(&client()).await;
    let gateway = Gateway::start(&[], Reply::Accept).await;
    let environment = environment(&redis_url(), &queues, &gateway);
    let files = [("message", 202), ("door", 200)];
    let closed = Function::start("request-code", &environment);
    for (file, _) in files {
        let answer = closed.invoke(&event(&format!("request-code/{file}.json"))).await;
        assert_eq!(answer["statusCode"], 404, "{file}: {answer}");
    }
    let environment = environment
        .with("API_KEYS", &format!("shop={}", hex::encode(Sha256::digest("key-of-the-shop"))))
        .with("DOORS", "logto://?token=a-token-of-24-characters-or-more");
    let (request, send) =
        (Function::start("request-code", &environment), Function::start("send-sms", &environment));
    for (file, status) in files {
        let answer = request.invoke(&event(&format!("request-code/{file}.json"))).await;
        assert_eq!(answer["statusCode"], status, "{file}: {answer}");
    }
    eventually("both SMS", || async {
        queues
            .poll(async |event| {
                serde_json::from_value(send.invoke(&event).await).expect("a batch response")
            })
            .await;
        (gateway.accepted().len() == 2).then_some(())
    })
    .await;
    let mut codes: Vec<String> = gateway.accepted().into_iter().map(|call| call.code).collect();
    codes.sort();
    assert_eq!(codes, ["012345", "471100"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_of_twilio_are_answered_by_the_functions_whose_logs_mask_numbers() {
    let queues = Queues::create(&client()).await;
    let gateway = Gateway::start(&[], Reply::Accept).await;
    let hash = hex::encode(Sha256::digest("a-key-of-this-sample"));
    let environment = environment(&redis_url(), &queues, &gateway)
        .with("TWILIO_VERIFY_SERVICES", "VA0123456789abcdef0123456789abcdef=login")
        .with("API_KEYS", &format!("sample={hash}"))
        .with("LOG_LEVEL", "trace");
    let (request, check, send) = (
        Function::start("request-code", &environment),
        Function::start("check-code", &environment),
        Function::start("send-sms", &environment),
    );
    let created = request.invoke(&event("request-code/twilio-verify.json")).await;
    assert_eq!(created["statusCode"], 201, "{created}");
    let sid = body(&created)["sid"].as_str().expect("a SID").to_owned();
    eventually("the SMS", || async {
        queues
            .poll(async |event| {
                serde_json::from_value(send.invoke(&event).await).expect("a batch response")
            })
            .await;
        (gateway.accepted().len() == 1).then_some(())
    })
    .await;

    let get = async |path: &str| {
        let mut asked = event("check-code/twilio-verify.json");
        asked["rawPath"] = path.into();
        asked["requestContext"]["http"]["path"] = path.into();
        check.invoke(&asked).await
    };
    let service = "/v2/Services/VA0123456789abcdef0123456789abcdef";
    for name in [&*sid, "+8613800138000", "%2B8613800138000", "+86 138 0013 8000"] {
        let fetched = get(&format!("{service}/Verifications/{name}")).await;
        assert_eq!((&fetched["statusCode"], &body(&fetched)["sid"]), (&json!(200), &json!(sid)));
    }
    for name in ["+8613800138001", "13800138000", "+86138001380000"] {
        let unknown = get(&format!("{service}/Verifications/{name}")).await;
        assert_eq!(
            (&unknown["statusCode"], &body(&unknown)["code"]),
            (&json!(404), &json!(20404)),
            "{name}"
        );
    }
    let mut typed = event("check-code/twilio-verify-check.json");
    let code = &gateway.accepted()[0].code;
    for (code, status) in [(&*wrong(code), "pending"), (code, "approved")] {
        let form = format!("To=%2B8613800138000&Code={code}");
        typed["body"] = STANDARD.encode(form).into();
        let checked = check.invoke(&typed).await;
        assert_eq!(
            (&checked["statusCode"], &body(&checked)["status"]),
            (&json!(201), &json!(status)),
            "{checked}"
        );
    }
    typed["headers"]["authorization"] = "Basic QUM6bm8ta2V5".into();
    assert_eq!(body(&check.invoke(&typed).await)["code"], 20003);
    for (function, said) in [(request, "admitted"), (check, "checked")] {
        let lines = written(function).concat();
        assert!(lines.contains(said), "there is something to search: {lines}");
        assert!(!lines.contains("380013800"), "{lines}");
        assert!(!lines.contains("380 0138") && !lines.contains("138 0013"), "{lines}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn send_sms_tells_what_it_was_invoked_with_and_answers_a_warm_up() {
    let queues = Queues::create(&client()).await;
    let gateway = Gateway::start(&[], Reply::Accept).await;
    let send = Function::start("send-sms", &environment(&redis_url(), &queues, &gateway));
    let of_s3 =
        json!({ "Records": [{ "eventSource": "aws:s3", "s3": { "object": { "key": "k" } } }] });
    let error = send.invoke(&of_s3).await;
    let message = error["errorMessage"].as_str().unwrap_or_default();
    assert!(
        message.contains("invoked with records of aws:s3") && message.contains("takes messages"),
        "{error}"
    );
    assert_eq!(
        send.invoke(&event("send-sms/warm-up.json")).await,
        json!({ "batchItemFailures": [] })
    );
    assert_eq!(queues.dead().await, 0);
    assert!(
        written(send).iter().any(|line| line.contains("invoked with records of aws:s3")),
        "in the log, too"
    );
}

/// The lines that a function has written.
fn written(mut function: Function) -> Vec<String> {
    function.process.kill();
    // The emulator gives the function's output for its own.
    function.process.standard_output().lines().map(str::to_owned).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn lambdas_own_log_controls_count_and_metrics_survive_them() {
    let queues = Queues::create(&client()).await;
    let gateway = Gateway::start(&[], Reply::Accept).await;
    let environment = environment(&redis_url(), &queues, &gateway).with("LOG_LEVEL", "debug");
    let record = json!({
        "messageId": "1", "receiptHandle": "1", "body": "not a job", "attributes": {},
    });
    let bad = json!({ "Records": [record] });
    for (format, level) in [("JSON", "WARN"), ("JSON", "ERROR"), ("JSON", "INFO"), ("Text", "")] {
        let controlled = environment
            .clone()
            .with("AWS_LAMBDA_LOG_FORMAT", format)
            .with("AWS_LAMBDA_LOG_LEVEL", level);
        let send = Function::start("send-sms", &controlled);
        assert_eq!(
            send.invoke(&event("send-sms/one-job.json")).await,
            json!({ "batchItemFailures": [] })
        );
        assert_eq!(send.invoke(&bad).await, json!({ "batchItemFailures": [] }));
        let lines = written(send);
        let objects: Vec<Value> =
            lines.iter().filter_map(|line| serde_json::from_str(line).ok()).collect();
        let (metrics, told): (Vec<_>, Vec<_>) =
            objects.iter().partition(|line| line["_aws"].is_object());
        assert!(
            metrics.iter().any(|line| line["sms_verify_batch_size"] == json!([1.0])),
            "{lines:?}"
        );
        for line in &metrics {
            let (kept, at) = (&line["level"], line["timestamp"].as_str().unwrap_or_default());
            let strict = ["WARN", "ERROR"].contains(&level);
            assert_eq!(
                (kept == level, at.ends_with('Z')),
                (strict, strict),
                "{format} {level}: {line}"
            );
        }
        let info = lines.iter().any(|line| line.contains("dropped: approved, expired or replaced"));
        assert_eq!(info, !["WARN", "ERROR"].contains(&level), "{format} {level}: {lines:?}");
        let is_json =
            told.iter().any(|line| line["level"] == "ERROR" && line["timestamp"].is_string());
        assert_eq!(is_json, format == "JSON", "{lines:?}");
        let error =
            lines.iter().find(|line| line.contains("unreadable message")).expect("an error");
        assert!(!error.contains('\u{1b}'), "no colours: {error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_count_for_the_caller_whom_the_event_names() {
    let queues = Queues::create(&client()).await;
    let gateway = Gateway::start(&[], Reply::Accept).await;
    let environment = environment(&redis_url(), &queues, &gateway).with("LIMITS", "ip=2/day");
    let request = Function::start("request-code", &environment);
    let ask = async |to: &str, caller: &str, forwarded: &str| {
        let mut asked = event("request-code/rest-api-edge.json");
        asked["requestContext"]["identity"]["sourceIp"] = caller.into();
        asked["headers"]["X-Forwarded-For"] = forwarded.into();
        asked["multiValueHeaders"]["X-Forwarded-For"] = json!([forwarded]);
        asked["body"] = json!({ "to": to }).to_string().into();
        request.invoke(&asked).await["statusCode"].clone()
    };
    let caller = "198.51.100.7";
    // Over one edge and over another; and another caller over the first.
    assert_eq!(ask("+8613900139010", caller, "198.51.100.7, 130.176.0.1").await, 202);
    assert_eq!(ask("+8613900139011", caller, "203.0.113.9, 198.51.100.7, 130.176.0.2").await, 202);
    assert_eq!(ask("+8613900139012", caller, "198.51.100.7, 130.176.0.3").await, 429);
    assert_eq!(ask("+8613900139012", caller, "").await, 429, "without the header");
    assert_eq!(ask("+8613900139012", "198.51.100.8", "198.51.100.8, 130.176.0.1").await, 202);
}

/// The subsegments that X-Ray's daemon is sent, until there are so many of this name.
async fn subsegments(daemon: &UdpSocket, until: &str, count: usize) -> Vec<Value> {
    let mut got: Vec<Value> = Vec::new();
    while got.iter().filter(|one| one["name"] == until).count() < count {
        let mut datagram = [0; 65_536];
        let received = timeout(GIVE_UP, daemon.recv(&mut datagram)).await;
        let size =
            received.unwrap_or_else(|_| panic!("{until} is not in {got:?}")).expect("a datagram");
        let text = std::str::from_utf8(&datagram[..size]).expect("text");
        let document = text
            .strip_prefix("{\"format\": \"json\", \"version\": 1}\n")
            .expect("the daemon's header");
        got.push(serde_json::from_str(document).expect("JSON"));
    }
    got
}

#[tokio::test(flavor = "multi_thread")]
async fn x_ray_is_sent_what_an_invocation_does() {
    let daemon = UdpSocket::bind("127.0.0.1:0").await.expect("a port");
    let address = daemon.local_addr().expect("an address").to_string();
    let queues = Queues::create(&client()).await;
    let gateway = Gateway::start(&[Reply::Http(503)], Reply::Accept).await;
    let environment =
        environment(&redis_url(), &queues, &gateway).with("AWS_XRAY_DAEMON_ADDRESS", &address);
    let mut request = Traced::start("request-code", &environment).await;
    let mut send = Traced::start("send-sms", &environment).await;
    let (root, segment) = ("1-5759e988-bd862e3fe1be46a994272793", "53995c3f42cd8ad8");
    let sampled = format!("Root={root};Parent={segment};Sampled=1");
    let mut asked = event("request-code/http-api.json");
    asked["body"] = json!({ "to": "13800138000" }).to_string().into();
    assert_eq!(
        request.invoke(&asked, &sampled.replace("Sampled=1", "Sampled=0")).await["statusCode"],
        202
    );
    asked["body"] = json!({ "to": "13800138001" }).to_string().into();
    asked["headers"]["x-request-id"] = "sampled".into();
    // A caller's own trace is what lines and the job have; X-Ray's goes its own way.
    asked["headers"]["traceparent"] =
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00".into();
    assert_eq!(request.invoke(&asked, &sampled).await["statusCode"], 202);
    let got = subsegments(&daemon, "request", 1).await;
    let names: Vec<_> = got.iter().map(|one| one["name"].as_str().expect("a name")).collect();
    assert_eq!(names, ["admit", "enqueue", "request"]);
    let of_request = &got[2];
    assert_eq!(of_request["annotations"]["request_id"], "sampled", "the other trace is not kept");
    assert_eq!(
        (&of_request["parent_id"], &of_request["trace_id"]),
        (&json!(segment), &json!(root)),
        "{of_request}"
    );
    assert_eq!(of_request["annotations"]["http_response_status_code"], 202);
    assert_eq!(
        (&got[0]["parent_id"], &got[1]["parent_id"]),
        (&of_request["id"], &of_request["id"])
    );

    // Both jobs, of which the gateway takes one.
    let records = queues.take(120).await;
    let headers: Vec<_> = records
        .iter()
        .filter_map(|record| record["attributes"]["AWSTraceHeader"].as_str())
        .collect();
    assert_eq!(
        headers.iter().filter(|header| header.ends_with("Sampled=0")).count(),
        1,
        "as it came: {headers:?}"
    );
    assert_eq!(headers.iter().filter(|header| **header == sampled).count(), 1, "{headers:?}");
    let answer = send.invoke(&json!({ "Records": records }), &sampled).await;
    assert_eq!(answer["batchItemFailures"].as_array().map(Vec::len), Some(1), "{answer}");
    let told = subsegments(&daemon, "delivery", 2).await;
    let call = |result: &str| {
        let found =
            told.iter().find(|one| one["name"] == "ccp" && one["annotations"]["result"] == result);
        found.unwrap_or_else(|| panic!("no call {result} in {told:?}"))
    };
    let (failed, accepted) = (call("transient"), call("accepted"));
    assert_eq!((&failed["fault"], &accepted["fault"]), (&json!(true), &json!(false)));
    assert_eq!((&accepted["namespace"], &accepted["trace_id"]), (&json!("remote"), &json!(root)));
    assert!(accepted["end_time"].as_f64() >= accepted["start_time"].as_f64(), "{accepted}");
    let above = told
        .iter()
        .find(|one| one["id"] == accepted["parent_id"])
        .expect("what the call was made for");
    assert_eq!((&above["name"], &above["parent_id"]), (&json!("delivery"), &json!(segment)));
    assert_eq!(above["annotations"]["trace_id"].as_str().map(str::len), Some(32), "{above}");
    let (code, everything) = (&gateway.accepted()[0].code, format!("{got:?}{told:?}"));
    assert!(!everything.contains("380013800") && !everything.contains(code), "{everything}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_picture_comes_through_api_gateway() {
    let environment = Environment::lambda().with("REDIS_URL", &redis_url());
    let check = Function::start("check-code", &environment.with("CHALLENGE", "picture"));
    let answer = check.invoke(&event("check-code/picture.json")).await;
    assert_eq!(
        (&answer["statusCode"], &answer["isBase64Encoded"]),
        (&json!(200), &json!(true)),
        "{answer}"
    );
    let png = STANDARD.decode(answer["body"].as_str().expect("a body")).expect("base64");
    assert!(png.starts_with(b"\x89PNG"));
}

/// Lambda's runtime panics without what Lambda tells every function. Where a panic aborts, the
/// process ends by a signal; where it unwinds, as the runtime needs it to make an error of an
/// invocation's panic, with 101.
#[tokio::test(flavor = "multi_thread")]
async fn a_panic_unwinds() {
    let queues = Queues::create(&client()).await;
    let gateway = Gateway::start(&[], Reply::Accept).await;
    let environment = environment(&redis_url(), &queues, &gateway);
    for function in ["request-code", "check-code", "send-sms"] {
        let mut command = Command::new(bootstrap(function));
        command.env_clear().envs(environment.variables());
        let mut process = Process::spawn(command);
        assert_eq!(process.ended().await.code(), Some(101), "{function}: {}", process.log());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_function_that_lacks_variables_says_so_at_once() {
    for (function, names) in [
        ("request-code", vec!["REDIS_URL", "QUEUE_URL", "CODE_SECRET"]),
        ("check-code", vec!["REDIS_URL", "CODE_SECRET"]),
        ("send-sms", vec!["REDIS_URL", "QUEUE_URL", "CODE_SECRET", "SMS_DSN"]),
    ] {
        let mut command = Command::new(bootstrap(function));
        command.env_clear().env("CODE_TTL", "soon").env("AWS_LAMBDA_LOG_LEVEL", "ERROR");
        let mut process = Process::spawn(command);
        assert!(!process.ended().await.success());
        let log = process.log();
        let line: Value = serde_json::from_str(&log)
            .unwrap_or_else(|_| panic!("one message, which Lambda keeps: {log}"));
        assert_eq!(line["level"], "ERROR", "{line}");
        for name in names.iter().chain(&["CODE_TTL"]) {
            assert!(log.contains(name), "{name} in {log}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_that_died_between_two_invocations_cost_no_request() {
    let redis = Service::redis();
    let sqs = Service::sqs();
    let sqs_client = crate::support::sqs::client_at(&sqs.url);
    let queues = Queues::create_at(&sqs_client, &sqs.url, "frozen").await;
    let gateway = Gateway::start(&[], Reply::Accept).await;
    let request = Function::start("request-code", &environment(&redis.url, &queues, &gateway));
    let accepted = async |to: &str| {
        let answer = ask(&request, to).await;
        assert_eq!(answer["statusCode"], 202, "{answer}");
    };
    accepted("+8613900139000").await;

    let port = redis.url.rsplit(':').next().expect("a port");
    let killed =
        Command::new("redis-cli").args(["-p", port, "client", "kill", "type", "normal"]).output();
    assert!(
        killed.expect("redis-cli runs").stdout.starts_with(b"1"),
        "the function's connection was there"
    );
    accepted("+8613900139001").await;

    redis.stop();
    redis.start_again();
    accepted("+8613900139002").await;

    // The SQS server forgets its queues when it ends; the new one gets the same.
    sqs.stop();
    sqs.start_again();
    let anew = Queues::create_at(&sqs_client, &sqs.url, "frozen").await;
    assert_eq!(anew.url, queues.url);
    accepted("+8613900139003").await;
    let depth = sqs_client.get_queue_attributes().queue_url(&anew.url);
    let depth = depth
        .attribute_names(QueueAttributeName::ApproximateNumberOfMessages)
        .send()
        .await
        .expect("an answer");
    let depth =
        &depth.attributes.expect("attributes")[&QueueAttributeName::ApproximateNumberOfMessages];
    assert_eq!(depth, "1");
}
