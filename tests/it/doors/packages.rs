//! Doors with the servers' own packages as clients, as registries have them. Scripts of
//! `tests/doors/` call the packages; each prints what its package has made of every answer.

use std::process::Command;

use serde_json::{Value, json};

use super::servers::{SUPABASE, TOKEN, doors};
use crate::support::process::{Deployment, Environment, Process};

/// A deployment with doors, by which a number gets two SMS.
fn deployment(list: &str) -> Deployment {
    let environment = doors(Environment::embedded(), list).with("LOG_LEVEL", "trace");
    Deployment::whole(&environment.with("LIMITS", "number=2/hour"))
}

/// What a script of `tests/doors/` prints of these calls.
async fn results(program: &str, script: &str, calls: &[Value]) -> Vec<Value> {
    let mut command = Command::new(program);
    let script = format!("{}/tests/doors/{script}", env!("CARGO_MANIFEST_DIR"));
    command.arg(script).arg(Value::from(calls).to_string()).env("NO_PROXY", "127.0.0.1");
    let printed = Process::spawn(command).output().await;
    serde_json::from_str(&printed).unwrap_or_else(|error| panic!("{error}: {printed}"))
}

/// The codes that a number got, the first one first.
async fn codes(deployment: &Deployment, to: &str, count: usize) -> Vec<String> {
    let mut codes = deployment.client.codes(to, count).await;
    assert_eq!(codes.len(), count, "{to}");
    codes.reverse();
    codes
}

#[tokio::test(flavor = "multi_thread")]
async fn privacyidea_sends_by_query_form_and_json() {
    let deployment = deployment(&format!(
        "privacyidea://?token={TOKEN}&header=X-Token privacyidea://basic?token={TOKEN}"
    ));
    let base = &deployment.client.base;
    let call = |door: &str, how: &[(&str, &str)], phone: &str, otp: &str| {
        let mut options = json!({ "URL": format!("{base}/v1/doors/{door}"), "to": "{phone}" });
        for (name, value) in how {
            options[*name] = json!(value);
        }
        if options["text"].is_null() {
            options["code"] = json!("{otp}");
        }
        let mut headers = json!({});
        if door == "privacyidea" {
            headers["X-Token"] = json!(TOKEN);
        }
        json!({ "options": options, "headers": headers, "phone": phone, "otp": otp })
    };
    let get = [("HTTP_METHOD", "GET")].as_slice();
    let form = [("HTTP_METHOD", "POST")].as_slice();
    let with_json = [("HTTP_METHOD", "POST"), ("SEND_DATA_AS_JSON", "yes")].as_slice();
    let own = [form, [("text", "{otp}"), ("RETURN_SUCCESS", "\"sid\"")].as_slice()].concat();
    let basic = [with_json, [("USERNAME", "any"), ("PASSWORD", TOKEN)].as_slice()].concat();
    let without_plus = [form, [("REGEXP", "/[+]//")].as_slice()].concat();
    let wrong = [with_json, [("USERNAME", "any"), ("PASSWORD", "guessed")].as_slice()].concat();
    let calls = [
        call("privacyidea", get, "+8613800138001", "012345"),
        call("privacyidea", form, "+8613800138001", "471100"),
        call("privacyidea", form, "+8613800138001", "222222"),
        call("privacyidea", form, "+8613800138001", "471100"),
        // In JSON a code is a number, unless it begins with 0; so is a phone without a +.
        call("privacyidea", with_json, "8613800138002", "123456"),
        call("privacyidea", with_json, "+8613800138002", "012345"),
        call("privacyidea", &own, "+8613800138003", "Your code is 333333"),
        call("basic", &basic, "+8613800138004", "444444"),
        call("basic", &wrong, "+8613800138004", "444444"),
        call("privacyidea", &without_plus, "+8613800138005", "555555"),
    ];
    let sent = json!(true);
    let not = |status: u16| json!(format!("SMS could not be sent: {status}"));
    assert_eq!(
        results("python", "privacyidea_sms.py", &calls).await,
        [
            sent.clone(),
            sent.clone(),
            not(429),
            sent.clone(),
            sent.clone(),
            sent.clone(),
            sent.clone(),
            sent,
            not(401),
            not(422)
        ]
    );
    assert_eq!(codes(&deployment, "+8613800138001", 2).await, ["012345", "471100"]);
    assert_eq!(codes(&deployment, "+8613800138002", 2).await, ["123456", "012345"]);
    assert_eq!(codes(&deployment, "+8613800138003", 1).await, ["333333"]);
    assert_eq!(codes(&deployment, "+8613800138004", 1).await, ["444444"]);
    let logs = deployment.logs();
    assert!(logs.contains("message admitted"), "there is something to search");
    for part in ["13800138001", "012345", TOKEN] {
        assert!(!logs.contains(part), "{part} of a query, or of a header, in a log");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn logtos_connector_sends_and_hands_on_the_refusal() {
    let deployment = deployment(&format!("logto://?token={TOKEN}"));
    let call = |authorization: &str, to: &str, code: &str| {
        json!({
            "config": {
                "endpoint": format!("{}/v1/doors/logto", deployment.client.base),
                "authorization": authorization,
            },
            "data": {
                "to": to, "type": "SignIn", "ip": "192.0.2.7",
                "payload": { "code": code, "locale": "en" },
            },
        })
    };
    let bearer = format!("Bearer {TOKEN}");
    let to = "8613800138000";
    let calls = [
        call(TOKEN, to, "012345"),
        call(&bearer, to, "471100"),
        call(&bearer, to, "222222"),
        call(&bearer, "1", "333333"),
        call("Bearer guessed", to, "444444"),
    ];
    let results = results("node", "logto.mjs", &calls).await;
    assert_eq!(results[..2], [200, 200], "{results:?}");
    for (result, (status, part)) in results[2..].iter().zip([
        (429, "try again in"),
        (422, "not a valid phone number"),
        (401, "this door has another token"),
    ]) {
        assert_eq!(result["code"], "general");
        let problem = result["data"]["message"].as_str().expect("what Logto logs");
        let problem: Value = serde_json::from_str(problem).expect("JSON");
        assert_eq!(problem["status"], status);
        assert!(problem["detail"].as_str().is_some_and(|text| text.contains(part)), "{problem}");
    }
    assert_eq!(codes(&deployment, "+8613800138000", 2).await, ["012345", "471100"]);
    let text = deployment.client.inbox("+8613800138000").await.remove(0)["text"].to_string();
    assert!(text.contains("Your verification code is"), "in the language of the payload: {text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn novus_provider_finds_the_id() {
    let deployment = deployment(&format!(
        "novu://?token={TOKEN}&header=X-Api-Key novu://bearer?token={TOKEN}&region=CN"
    ));
    let call = |door: &str, header: &str, key: &str, to: &str, content: &str| {
        json!({
            "config": {
                "baseUrl": format!("{}/v1/doors/{door}", deployment.client.base),
                "apiKeyRequestHeader": header, "apiKey": key, "from": "Shop", "idPath": "data.id",
            },
            "options": { "to": to, "content": content, "id": "65a1" },
        })
    };
    let (bearer, to) = (format!("Bearer {TOKEN}"), "+8613800138000");
    let calls = [
        call("novu", "X-Api-Key", TOKEN, to, "Your code is 012345"),
        call("bearer", "Authorization", &bearer, "13800138000", "471100"),
        call("novu", "X-Api-Key", TOKEN, to, "Your code is 222222"),
        call("novu", "X-Api-Key", TOKEN, "13800138000", "Your code is 222222"),
        call("novu", "X-Api-Key", TOKEN, to, "Hello"),
        call("novu", "X-Api-Key", "guessed", to, "Your code is 222222"),
    ];
    let results = results("node", "novu.mjs", &calls).await;
    for result in &results[..2] {
        assert!(result["id"].as_str().is_some_and(|id| id.len() >= 36), "{result}");
    }
    let refused: Vec<_> = results[2..].iter().map(|one| one["body"]["status"].clone()).collect();
    assert_eq!(refused, [429, 422, 422, 401]);
    assert_eq!(codes(&deployment, to, 2).await, ["012345", "471100"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn django_otp_twilio_challenges_a_phone() {
    let deployment = deployment(&format!("twilio://?token={TOKEN}"));
    let call = |number: &str, settings: Value| {
        let mut all = json!({
            "OTP_TWILIO_URL": deployment.client.base, "OTP_TWILIO_ACCOUNT": "AC0123",
            "OTP_TWILIO_AUTH": TOKEN, "OTP_TWILIO_FROM": "Shop",
        });
        for (name, value) in settings.as_object().expect("settings") {
            all[name] = value.clone();
        }
        json!({ "settings": all, "number": number })
    };
    let to = "+8613800138000";
    let calls = [
        call(to, json!({})),
        call(
            to,
            json!({ "OTP_TWILIO_API_KEY": "SK0123",
            "OTP_TWILIO_TOKEN_TEMPLATE": "Your code is {token}." }),
        ),
        call(to, json!({})),
        call("13800138000", json!({})),
        call(to, json!({ "OTP_TWILIO_AUTH": "guessed" })),
    ];
    let results = results("python", "django_otp_twilio.py", &calls).await;
    let sent: Vec<_> = results.iter().map(|one| one["sent"].as_str().expect("words")).collect();
    assert_eq!(sent[..2], ["Sent by SMS", "Sent by SMS"]);
    for (words, status) in sent[2..].iter().zip(["429", "422", "401"]) {
        assert!(words.starts_with(status), "{words}");
    }
    let tokens: Vec<_> = results[..2].iter().map(|one| one["token"].clone()).collect();
    assert_eq!(codes(&deployment, to, 2).await, tokens);
}

#[tokio::test(flavor = "multi_thread")]
async fn supabases_hook_is_signed_by_standardwebhooks() {
    let deployment = deployment(&format!("supabase://?secret={SUPABASE}"));
    let call = |secrets: &[&str], seconds: i64, phone: &str, otp: &str| {
        json!({
            "url": format!("{}/v1/doors/supabase", deployment.client.base),
            "secrets": secrets, "seconds": seconds,
            "body": {
                "metadata": { "uuid": "c2a0d3a0-9f4e-4b52-8a37-5d9a3a3b7c11", "name": "send-sms" },
                "user": { "phone": phone, "user_metadata": {} },
                "sms": { "otp": otp, "phone": phone },
            },
        })
    };
    let (other, to) = ("v1,whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", "8613800138000");
    let mut calls = [
        call(&[SUPABASE], 0, to, "012345"),
        call(&[other, SUPABASE], 0, to, "012345"),
        call(&[other, SUPABASE], 0, to, "471100"),
        call(&[SUPABASE], 0, to, "222222"),
        call(&[SUPABASE], 0, "1", "222222"),
        call(&[other], 0, to, "222222"),
        call(&[SUPABASE], -600, to, "222222"),
        call(&[SUPABASE], 600, to, "222222"),
    ];
    // What a user has brought from elsewhere.
    calls[0]["body"]["user"]["user_metadata"]["about"] = json!("a".repeat(40_000));
    let results = results("python", "supabase.py", &calls).await;
    assert!(results.iter().all(|one| one["retry_after"].is_null()), "it would try again at once");
    let statuses: Vec<_> = results.iter().map(|one| one["status"].clone()).collect();
    assert_eq!(statuses, [200, 200, 200, 200, 200, 401, 401, 401], "{results:?}");
    assert_eq!(results[0]["body"]["id"], results[1]["body"]["id"], "the same code again");
    let refused: Vec<_> =
        results[3..5].iter().map(|one| one["body"]["error"]["http_code"].clone()).collect();
    assert_eq!(refused, [429, 422]);
    assert_eq!(codes(&deployment, "+8613800138000", 2).await, ["012345", "471100"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn kratos_sends_by_the_guides_jsonnet() {
    let deployment = deployment(&format!("kratos://?token={TOKEN}"));
    let client = &deployment.client;
    let to = "+8613800138000";
    // By its source (courier/http_channel.go and courier/template/sms), 25.4.
    let context = |kind: &str, member: &str, code: &str| {
        let mut context = json!({
            "recipient": to, "subject": "", "template_type": kind, "message_type": "sms",
            "body": format!("Your code is: {code}\n\nIt expires in 15 minutes.\n\n\
                @shop.example #{code}\n"),
            "template_data": {
                "to": to, "identity": { "traits": { "phone": to } }, "request_url": "https://shop",
                "expires_in_minutes": 15,
            },
        });
        context["template_data"][member] = json!(code);
        context
    };
    let contexts = [
        context("login_code_valid", "login_code", "012345"),
        context("verification_code_valid", "verification_code", "471100"),
    ];
    for body in results("python", "kratos.py", &contexts).await {
        assert_eq!(body["template_data"].as_object().map(serde_json::Map::len), Some(1), "{body}");
        let request = client.request("POST", "/v1/doors/kratos").basic_auth("kratos", Some(TOKEN));
        assert_eq!(client.send(request.json(&body)).await.status, 200, "{body}");
    }
    assert_eq!(codes(&deployment, to, 2).await, ["012345", "471100"]);
}
