//! The function `cognito-sms` under Lambda's runtime emulator: what Amazon Cognito encrypted under
//! a key of KMS becomes an SMS. KMS is moto's, on the port of its SQS.

use std::net::TcpListener;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::e2e::lambda_events::{samples, survives};
use crate::e2e::runtime_emulator::{environment, event};
use crate::support::gateway::{Gateway, Reply};
use crate::support::lambda::Function;
use crate::support::process::Environment;
use crate::support::services::{redis_url, sqs_endpoint};
use crate::support::sqs::{Queues, client};

/// A user pool's key, and codes under it.
struct Pool {
    key: String,
    /// Each code in every suite, code by code.
    codes: Vec<(String, String)>,
}

impl Pool {
    /// AWS's Encryption SDK for Python in Cognito's place.
    fn with_codes(codes: &[&str]) -> Self {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/encrypted_codes.py");
        let output = Command::new("python")
            .arg(script)
            .args(["kms", &sqs_endpoint()])
            .args(codes)
            .output()
            .expect("python");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let mut printed: Value = serde_json::from_slice(&output.stdout).expect("JSON");
        let key = printed["key"].as_str().expect("an ARN").to_owned();
        let codes = serde_json::from_value(printed["messages"].take());
        Self { key, codes: codes.expect("pairs of a suite and a message") }
    }

    /// The function as this pool's custom SMS sender.
    fn sender(&self, environment: &Environment) -> Function {
        let environment = environment
            .clone()
            .or("AWS_ENDPOINT_URL_KMS", &sqs_endpoint())
            .with("COGNITO_KEY_ARN", &self.key)
            .with("LOG_LEVEL", "trace");
        Function::start("cognito-sms", &environment)
    }
}

/// A user who signs up with this number, and a code.
fn signs_up(to: &str, code: &str) -> Value {
    let mut event = event("cognito-sms/sign-up.json");
    event["request"]["userAttributes"]["phone_number"] = to.into();
    event["request"]["code"] = code.into();
    event
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "tests/cognito builds the function"]
async fn a_code_of_cognito_becomes_one_sms_however_often_lambda_tries() {
    let queues = Queues::create(&client()).await;
    let gateway = Gateway::start(&[], Reply::Accept).await;
    let environment = environment(&redis_url(), &queues, &gateway);
    let pool = Pool::with_codes(&["271828", "161803"]);
    let sender = pool.sender(&environment);
    let to = "+8613900139201";
    let queued = json!({ "status": "queued" });
    // The first code, encrypted anew for each try, in every suite.
    for (suite, code) in &pool.codes[..4] {
        assert_eq!(sender.invoke(&signs_up(to, code)).await, queued, "{suite}");
    }
    let mut again = signs_up(to, &pool.codes[4].1);
    again["triggerSource"] = "CustomSMSSender_Authentication".into();
    assert_eq!(sender.invoke(&again).await, queued, "another code is another SMS");

    let records = queues.take(120).await;
    let jobs = format!("{records:?}");
    assert!(!jobs.contains("271828") && !jobs.contains("161803"), "a code is sealed: {jobs}");
    let tenant = json!("cognito-us-east-1_Ab3dEf6hI");
    let body: Value =
        serde_json::from_str(records[0]["body"].as_str().expect("a job")).expect("JSON");
    assert_eq!((&body["tenant"], &body["locale"]), (&tenant, &json!("zh-CN")), "{body}");
    let send = Function::start("send-sms", &environment);
    let answer = send.invoke(&json!({ "Records": records })).await;
    assert_eq!(answer, json!({ "batchItemFailures": [] }));
    let mut sent: Vec<_> =
        gateway.accepted().into_iter().map(|call| (call.to, call.code)).collect();
    sent.sort();
    let expected = ["161803", "271828"].map(|code| ("13900139201".to_owned(), code.to_owned()));
    assert_eq!(sent, expected);

    let lines = written(sender);
    let text = lines.join("\n");
    assert!(!text.contains("271828") && !text.contains("161803"), "{text}");
    assert!(!text.contains("13900139201") && !text.contains("Plaintext"), "{text}");
    assert!(
        text.contains("sms_verify_requests_total") && text.contains("\"cognito-sms\""),
        "{text}"
    );
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "tests/cognito builds the function"]
async fn what_is_refused_is_told_and_what_can_be_mended_is_an_error() {
    let queues = Queues::create(&client()).await;
    let gateway = Gateway::start(&[], Reply::Accept).await;
    let environment = environment(&redis_url(), &queues, &gateway);
    let codes = ["314159", "314160", "314161", "314162", "314163", "314164", "P@ssw0rd!"];
    let (pool, other) = (Pool::with_codes(&codes), Pool::with_codes(&["314159"]));
    let sender = pool.sender(&environment);
    let code = |index: usize| pool.codes[4 * index].1.as_str();
    let refused = |reason: &str| json!({ "status": "refused", "reason": reason });
    assert_eq!(
        sender.invoke(&signs_up("+12065550100", code(0))).await,
        refused("no codes are sent to US")
    );
    assert_eq!(
        sender.invoke(&signs_up("+861065529988", code(0))).await,
        refused("phone_number: this number cannot receive SMS; give a mobile number")
    );
    let nobody = event("cognito-sms/no-phone-number.json");
    assert_eq!(sender.invoke(&nobody).await, refused("the user has no phone_number"));
    // Five an hour to a number, although LIMITS is off.
    let to = "+8613900139202";
    for index in 0..5 {
        assert_eq!(sender.invoke(&signs_up(to, code(index))).await, json!({ "status": "queued" }));
    }
    let sixth = sender.invoke(&signs_up(to, code(5))).await;
    assert_eq!(sixth, refused("too frequent: number"));
    assert_eq!(queues.depth().await, 5);

    let error = async |event: &Value| {
        let answer = sender.invoke(event).await;
        answer["errorMessage"].as_str().unwrap_or_else(|| panic!("no error: {answer}")).to_owned()
    };
    let of_another_key = error(&signs_up(to, &other.codes[0].1)).await;
    assert!(of_another_key.starts_with("the code cannot be decrypted: "), "{of_another_key}");
    let password = error(&signs_up(to, code(6))).await;
    assert!(password.contains("no code of 4 to 16 letters, digits and dashes"), "{password}");
    assert_eq!(error(&signs_up(to, "271828!")).await, "the encrypted code is not base64");
    let of_mail = json!({ "triggerSource": "CustomEmailSender_SignUp", "request": {} });
    let foreign = error(&of_mail).await;
    assert!(foreign.contains("takes events of Amazon Cognito's custom SMS sender"), "{foreign}");
    let warm = sender.invoke(&event("cognito-sms/warm-up.json")).await;
    assert_eq!(warm, json!({ "status": "ok" }));

    let text = written(sender).join("\n");
    assert!(!text.contains("31415") && !text.contains("P@ssw0rd"), "{text}");
    assert!(text.contains("no SMS: refused") && text.contains("not base64"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "tests/cognito builds the function"]
async fn a_kms_a_store_or_a_queue_that_is_away_or_silent_is_an_error() {
    let queues = Queues::create(&client()).await;
    let gateway = Gateway::start(&[], Reply::Accept).await;
    let pool = Pool::with_codes(&["577215"]);
    let silent = TcpListener::bind("127.0.0.1:0").expect("a port");
    let silent_url = format!("http://{}", silent.local_addr().expect("an address"));
    let nobody = TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr());
    let nobody = nobody.expect("a port that was free");
    let (http, redis) = (format!("http://{nobody}"), format!("redis://{nobody}"));
    for (environment, words) in [
        (
            environment(&redis_url(), &queues, &gateway).with("AWS_ENDPOINT_URL_KMS", &http),
            "the code cannot be decrypted: ",
        ),
        (
            environment(&redis_url(), &queues, &gateway).with("AWS_ENDPOINT_URL_KMS", &silent_url),
            "the code cannot be decrypted: ",
        ),
        (environment(&redis, &queues, &gateway), "the store does not answer"),
        (
            environment(&redis_url(), &queues, &gateway).with("AWS_ENDPOINT_URL_SQS", &http),
            "the job cannot be queued",
        ),
    ] {
        let sender = pool.sender(&environment);
        let event = signs_up("+8613900139203", &pool.codes[0].1);
        let answer = sender.invoke(&event).await;
        let told = answer["errorMessage"].as_str().unwrap_or_default();
        assert!(told.starts_with(words), "{answer}");
        assert!(!written(sender).join("\n").contains("577215"));
    }
}

/// The lines that a function has written.
fn written(mut function: Function) -> Vec<String> {
    function.process.kill();
    function.process.standard_output().lines().map(str::to_owned).collect()
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "tests/cognito builds the function"]
async fn no_event_ends_the_function() {
    let queues = Queues::create(&client()).await;
    let gateway = Gateway::start(&[], Reply::Accept).await;
    let key = "arn:aws:kms:us-east-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab";
    let environment = environment(&redis_url(), &queues, &gateway).with("COGNITO_KEY_ARN", key);
    let (samples, last) = (samples(), "cognito-sms/no-phone-number.json");
    let answers = survives("cognito-sms", &environment, &samples, last).await;
    assert_eq!(answers.last().expect("an answer")["status"], "refused");
    for (answer, (name, _)) in answers.iter().zip(&samples) {
        let told = answer["errorMessage"].as_str().unwrap_or_default();
        let takes = told.contains("takes events of Amazon Cognito's custom SMS sender");
        assert!(takes || *answer == json!({ "status": "ok" }), "{name}: {answer}");
    }
}
