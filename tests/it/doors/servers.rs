//! Doors with requests as the servers send them. Bodies were recorded from the releases that are
//! named, or are of their source where that is said; personal details are replaced. Signatures are
//! OpenSSL's.

use std::io::Write;
use std::process::{Command, Stdio};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use reqwest::RequestBuilder;
use serde_json::{Value, json};

use super::{KEY, OTHER_KEY, post_as, with_keys};
use crate::support::number;
use crate::support::process::{Answer, Client, Deployment, Environment};

pub(super) const TOKEN: &str = "0123456789abcdef0123456789abcdef";
/// `v1,whsec_` and the base64 of 32 bytes, as Supabase makes them.
pub(super) const SUPABASE: &str = "v1,whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";
const SUPABASE_KEY: &[u8] = TOKEN.as_bytes();

pub(super) fn doors(environment: Environment, doors: &str) -> Environment {
    environment.with("DOORS", doors)
}

/// HMAC with SHA-256 by another implementation than ours.
fn hmac(key: &[u8], message: &[u8]) -> Vec<u8> {
    let mut child = Command::new("openssl")
        .args(["dgst", "-sha256", "-mac", "HMAC", "-macopt"])
        .arg(format!("hexkey:{}", hex::encode(key)))
        .arg("-binary")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("openssl");
    child.stdin.take().expect("its input").write_all(message).expect("written");
    let output = child.wait_with_output().expect("ends");
    assert!(output.status.success());
    output.stdout
}

#[expect(clippy::disallowed_methods, reason = "a signature is of the present")]
fn now() -> i64 {
    jiff::Timestamp::now().as_second()
}

/// Supabase Auth 2.196.0.
fn supabase(client: &Client, phone: &str, otp: &str, at: i64, signature: &str) -> RequestBuilder {
    let body = json!({
        "metadata": {
            "uuid": "c2a0d3a0-9f4e-4b52-8a37-5d9a3a3b7c11", "time": "2026-11-27T10:00:00.123456Z",
            "name": "send-sms", "ip_address": "192.0.2.7",
        },
        "user": {
            "id": "5b1c6a52-0d3c-4f0e-9e64-1b7f2f2f9a10", "aud": "authenticated",
            "role": "authenticated", "email": "", "phone": phone, "app_metadata": {},
            "user_metadata": {}, "identities": [], "is_anonymous": false,
        },
        "sms": { "otp": otp, "phone": phone },
    })
    .to_string();
    let id = "msg_2kRnQv5";
    let signed = format!("{id}.{at}.{body}");
    let own = format!("v1,{}", STANDARD.encode(hmac(SUPABASE_KEY, signed.as_bytes())));
    client
        .request("POST", "/v1/doors/supabase")
        .header("content-type", "application/json")
        .header("webhook-id", id)
        .header("webhook-timestamp", at)
        .header("webhook-signature", signature.replace("OWN", &own))
        .body(body)
}

fn id_of(answer: &Answer) -> String {
    let id = answer.id();
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.header("content-type"), "application/json");
    assert_eq!((&answer.body["sid"], &answer.body["data"]["id"]), (&json!(id), &json!(id)));
    id
}

#[tokio::test(flavor = "multi_thread")]
async fn door_of_supabase_takes_its_hook_and_answers_as_it_reads() {
    for environment in [Environment::embedded(), Environment::services()] {
        let door = format!("supabase://?secret={SUPABASE}|{SUPABASE}");
        let environment = doors(environment, &door).with("LIMITS", "number=2/hour");
        let deployment = Deployment::whole(&environment);
        let client = &deployment.client;
        let send = async |otp: &str, at: i64, signature: &str| {
            client.send(supabase(client, "8613800138000", otp, at, signature)).await
        };
        let first = id_of(&send("012345", now(), "OWN").await);
        assert_eq!(client.code("+8613800138000").await, "012345");
        // Three calls within 10 ms, with a secret that is rotated; and a replay of the hook.
        for _ in 0..3 {
            assert_eq!(id_of(&send("012345", now(), "v1,AAAA, OWN").await), first);
        }
        for (at, signature) in
            [(now() - 600, "OWN"), (now() + 600, "OWN"), (now(), "v1,AAAA"), (now(), "")]
        {
            let refused = send("012345", at, signature).await;
            assert_eq!((refused.status, refused.header("retry-after")), (401, ""), "{signature}");
        }
        id_of(&send("222222", now(), "OWN").await);
        let full = send("333333", now(), "OWN").await;
        let error = &full.body["error"];
        assert_eq!((full.status, &error["http_code"]), (200, &json!(429)), "{full:?}");
        assert!(error["message"].is_string() && full.header("retry-after").is_empty());
        let wrong = client.send(supabase(client, "1", "444444", now(), "OWN")).await;
        assert_eq!((wrong.status, &wrong.body["error"]["http_code"]), (200, &json!(422)));
        assert_eq!(client.inbox("+8613800138000").await.len(), 2);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn door_of_zitadel_takes_a_signed_event() {
    let door = format!("zitadel://?secret={TOKEN}&purpose=login");
    let deployment = Deployment::whole(&doors(Environment::embedded(), &door));
    let client = &deployment.client;
    // By its source (internal/notification/channels/webhook), 4.x.
    let body = json!({
        "contextInfo": {
            "eventType": "session.otp.sms.challenged", "provider": { "id": "1", "description": "" },
            "recipientPhoneNumber": number(1).e164(),
        },
        "templateData": { "text": "471100 is your one-time password for shop.example." },
        "args": { "oTP": "471100", "domain": "shop.example" },
    })
    .to_string();
    let send = async |at: i64, key: &[u8]| {
        let own = hex::encode(hmac(key, format!("{at}.{body}").as_bytes()));
        let request = client
            .request("POST", "/v1/doors/zitadel")
            .header("content-type", "application/json")
            .header("zitadel-signature", format!("t={at},v1=00,v1={own}"));
        client.send(request.body(body.clone())).await
    };
    let id = id_of(&send(now(), TOKEN.as_bytes()).await);
    let message = client.inbox(number(1).e164()).await;
    assert_eq!(client.code(number(1).e164()).await, "471100", "{message:?}");
    assert_eq!(id_of(&send(now(), TOKEN.as_bytes()).await), id, "its worker tries again");
    assert_eq!(send(now() - 600, TOKEN.as_bytes()).await.status, 401);
    assert_eq!(send(now(), b"another key").await.status, 401);
}

/// A request with a token.
struct Recorded {
    door: &'static str,
    path: &'static str,
    authorization: String,
    body: Value,
    /// What is sent.
    expected: (&'static str, &'static str),
}

fn recorded() -> Vec<Recorded> {
    let basic = format!("Basic {}", STANDARD.encode(format!("user:{TOKEN}")));
    let bearer = format!("Bearer {TOKEN}");
    vec![
        Recorded {
            // @logto/connector-http-sms 0.2.1
            door: "logto://",
            path: "/v1/doors/logto",
            authorization: TOKEN.to_owned(),
            body: json!({
                "to": "8613800138001", "type": "SignIn",
                "payload": { "code": "111111", "locale": "zh-CN" }, "ip": "192.0.2.7",
            }),
            expected: ("+8613800138001", "111111"),
        },
        Recorded {
            // Ory Kratos 25.4, by its source (courier/template/sms), with the body of
            // docs/guide/doors.md
            door: "kratos://",
            path: "/v1/doors/kratos",
            authorization: basic.clone(),
            body: json!({
                "recipient": "+8613800138002", "template_type": "login_code_valid",
                "template_data": { "to": "+8613800138002", "login_code": "222222", "identity": {} },
                "body": "Your login code is: 222222\n\nIt expires in 15 minutes.\n\n\
                    @shop.example #222222",
            }),
            expected: ("+8613800138002", "222222"),
        },
        Recorded {
            // authentik 2026.10, by its source (stages/authenticator_sms)
            door: "authentik://",
            path: "/v1/doors/authentik",
            authorization: bearer.clone(),
            body: json!({
                "From": "authentik", "To": "+8613800138003",
                "Body": "333333",
                "Message": "Use this code to authenticate in authentik: 333333",
            }),
            expected: ("+8613800138003", "333333"),
        },
        Recorded {
            // privacyIDEA 3.14, with JSON
            door: "privacyidea://",
            path: "/v1/doors/privacyidea",
            authorization: basic.clone(),
            body: json!({ "to": 8_613_800_138_004_i64, "code": 444_444 }),
            expected: ("+8613800138004", "444444"),
        },
        Recorded {
            // @novu/providers 0.24.2, generic-sms
            door: "novu://own-name",
            path: "/v1/doors/own-name",
            authorization: bearer.clone(),
            body: json!({
                "to": "+8613800138005", "content": "Your code is 555555", "id": "65a1",
                "sender": "Shop",
            }),
            expected: ("+8613800138005", "555555"),
        },
        Recorded {
            door: "generic://mine",
            path: "/v1/doors/mine",
            authorization: bearer,
            body: json!({ "phone": "+8613800138006", "data": { "otp": "WBPP-MJGR" }, "more": 1 }),
            expected: ("+8613800138006", "WBPP-MJGR"),
        },
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn door_takes_what_its_server_sends() {
    let all = recorded();
    let list: Vec<String> = all
        .iter()
        .map(|one| {
            let names =
                if one.door.starts_with("generic") { "&to=phone&code=data/otp" } else { "" };
            format!("{}?token={TOKEN}{names}", one.door)
        })
        .collect();
    for environment in [Environment::embedded(), Environment::services()] {
        let deployment = Deployment::whole(&doors(environment, &list.join(" ")));
        let client = &deployment.client;
        for one in &all {
            let post = |authorization: &str| {
                let request =
                    client.request("POST", one.path).header("authorization", authorization);
                client.send(request.json(&one.body))
            };
            assert_eq!(post("Bearer no-key-at-all").await.status, 401, "{}", one.door);
            let id = id_of(&post(&one.authorization).await);
            let (to, code) = one.expected;
            assert_eq!(client.code(to).await, code, "{}", one.door);
            assert_eq!(id_of(&post(&one.authorization).await), id, "{}: a repetition", one.door);
            assert_eq!(client.inbox(to).await.len(), 1);
        }
        assert_eq!(client.post("/v1/doors/nobodys", &json!({})).await.status, 404);
        assert!(!deployment.logs().contains(TOKEN));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn door_of_privacyidea_takes_a_form_and_a_query() {
    let door = format!("privacyidea://?token={TOKEN}&header=X-Token&to=phone&code=otp&region=CN");
    let deployment = Deployment::whole(&doors(Environment::embedded(), &door));
    let client = &deployment.client;
    let form = client.request("POST", "/v1/doors/privacyidea").header("x-token", TOKEN);
    let form = form
        .header("content-type", "application/x-www-form-urlencoded")
        .body("phone=138+0013+8001&otp=012345");
    id_of(&client.send(form).await);
    assert_eq!(client.code("+8613800138001").await, "012345");
    let query = "/v1/doors/privacyidea?phone=13800138002&otp=471100";
    id_of(&client.send(client.request("GET", query).header("x-token", TOKEN)).await);
    assert_eq!(client.code("+8613800138002").await, "471100");
    assert_eq!(client.get(query).await.status, 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn door_of_twilios_form_takes_a_message() {
    let door = format!("twilio://?token={TOKEN}");
    let deployment = Deployment::whole(&doors(Environment::embedded(), &door));
    let client = &deployment.client;
    let send = async |password: &str, to: &str, text: &str| {
        let request = client
            .request("POST", "/2010-04-01/Accounts/AC0123/Messages.json")
            .basic_auth("AC0123", Some(password));
        let mut form = url::form_urlencoded::Serializer::new(String::new());
        form.extend_pairs([("From", "Shop"), ("To", to), ("Body", text)]);
        let request = request.header("content-type", "application/x-www-form-urlencoded");
        client.send(request.body(form.finish())).await
    };
    id_of(&send(TOKEN, "+8613800138000", "Your code is 012345").await);
    assert_eq!(client.code("+8613800138000").await, "012345");
    assert_eq!(send("guessed", "+8613800138000", "Your code is 012345").await.status, 401);
    let bare = send(TOKEN, "13800138000", "Your code is 012345").await;
    let detail = bare.body["detail"].as_str().expect("words");
    assert!(bare.status == 422 && detail.contains("+ and the country's code"), "{detail}");
    let none = send(TOKEN, "+8613800138000", "Hello").await;
    assert!(none.body["detail"].to_string().contains("no code"), "{none:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn door_of_authentik_answers_in_plain_words() {
    let door = format!("authentik://?token={TOKEN}&text=pass");
    let deployment = Deployment::whole(&doors(Environment::embedded(), &door));
    let client = &deployment.client;
    let send = async |to: &str, text: &str| {
        let request = client.request("POST", "/v1/doors/authentik").bearer_auth(TOKEN);
        let body = json!({ "To": to, "Body": "012345", "Message": text });
        client.send(request.json(&body)).await
    };
    let refused = send("13800138000", "Your code is 012345").await;
    let words = "the number needs a + and the country's code, as in +8613800138000";
    assert_eq!((refused.status, &refused.body), (422, &json!(words)));
    id_of(&send("+8613800138000", "Grüße! Your code is 012345").await);
    client.code("+8613800138000").await;
    let text = client.inbox("+8613800138000").await.remove(0)["text"].clone();
    assert_eq!(text, "Grüße! Your code is 012345", "as it was sent");
}

#[tokio::test(flavor = "multi_thread")]
async fn door_with_outcomes_belongs_to_a_tenant() {
    let door = format!("logto://?token={TOKEN}&outcome=reported&tenant=shop");
    let deployment = Deployment::whole(&doors(with_keys(Environment::embedded()), &door));
    let client = &deployment.client;
    let body = json!({ "to": "8613800138000", "type": "SignIn", "payload": { "code": "012345" } });
    let request = client.request("POST", "/v1/doors/logto").header("authorization", TOKEN);
    let id = id_of(&client.send(request.json(&body)).await);
    let (path, approved) = (format!("/v1/messages/{id}/outcome"), json!({ "outcome": "approved" }));
    assert_eq!(post_as(client, OTHER_KEY, &path, &approved).await.status, 404);
    assert_eq!(post_as(client, KEY, &path, &approved).await.status, 204);
}

#[tokio::test(flavor = "multi_thread")]
async fn door_whose_secret_is_guessed_is_closed_to_that_address() {
    let door = format!("logto://?token={TOKEN}");
    let environment = doors(Environment::embedded(), &door)
        .with("TRUSTED_PROXIES", "1")
        .with("SMS_DSN", "null://default");
    let deployment = Deployment::whole(&environment);
    let client = &deployment.client;
    let send = async |ip: &str, token: &str| {
        let request = client.request("POST", "/v1/doors/logto").header("x-forwarded-for", ip);
        let body = json!({ "to": "8613800138000", "payload": { "code": "012345" } });
        client.send(request.header("authorization", token).json(&body)).await.status
    };
    for _ in 0..20 {
        assert_eq!(send("192.0.2.1", "guessed").await, 401);
    }
    assert_eq!(send("192.0.2.1", TOKEN).await, 429);
    assert_eq!(send("192.0.2.2", TOKEN).await, 200);
}
