//! Challenges as callers meet them over HTTP: proof of work, pictures, and captchas of a third
//! party, which is a stub.

use std::process::Command;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use sms_domain::random::random_u64;

use crate::support::process::{Answer, Client, Deployment, Environment};
use crate::support::siteverify::{SECRET, SITEKEY, Siteverify};

/// A number of nobody else, also on a Redis that others use.
fn anybody() -> String {
    format!("+86137{:08}", random_u64() % 100_000_000)
}

fn deployment(challenge: &str) -> Deployment {
    Deployment::whole(
        &Environment::services().with("CHALLENGE", challenge).with("RESEND_INTERVAL", "1"),
    )
}

async fn ask(client: &Client, to: &str, proof: &str) -> Answer {
    client.post("/v1/verifications", &json!({ "to": to, "proof": proof })).await
}

/// A 403 with a task, whose type ends so.
fn task(answer: &Answer, ends: &str) -> Value {
    assert_eq!((answer.status, &answer.body["code"]), (403, &json!("4001")), "{answer:?}");
    assert_eq!(answer.body["type"], json!(format!("urn:sms-verify:problem:challenge-{ends}")));
    answer.body["challenge"].clone()
}

/// Solves a proof of work as a page does.
fn solve(task: &Value) -> String {
    let text = |name: &str| task[name].as_str().expect(name).to_owned();
    let (salt, challenge) = (text("salt"), text("challenge"));
    let hash = |number: &u64| hex::encode(Sha256::digest(format!("{salt}{number}")));
    let number = (0..=task["maxnumber"].as_u64().expect("a number"))
        .find(|number| hash(number) == challenge);
    let answer = json!({
        "algorithm": text("algorithm"), "challenge": challenge,
        "number": number.expect("a solution"), "salt": salt, "signature": text("signature"),
    });
    base64::Engine::encode(&base64::engine::general_purpose::STANDARD, answer.to_string())
}

#[tokio::test(flavor = "multi_thread")]
async fn proof_of_work_is_accepted_once_and_for_its_number_alone() {
    for environment in [Environment::embedded(), Environment::services()] {
        let environment = environment.with("CHALLENGE", "pow://default?effort=1000&when=always");
        let deployment = Deployment::whole(&environment.with("RESEND_INTERVAL", "1"));
        let (client, to) = (&deployment.client, anybody());
        let proof = solve(&task(&client.ask(&to).await, "required"));
        assert_eq!(deployment.client.inbox(&to).await, Vec::<Value>::new(), "nothing was sent");
        task(&ask(client, &anybody(), &proof).await, "failed");
        assert_eq!(ask(client, &to, &proof).await.status, 202);
        tokio::time::sleep(std::time::Duration::from_millis(1010)).await;
        let another = solve(&task(&ask(client, &to, &proof).await, "failed"));
        assert_eq!(
            ask(client, &to, &another).await.status,
            202,
            "what comes with a refusal is a new task"
        );
        for nonsense in ["", "x", "e30=", &"x".repeat(5000)] {
            task(&ask(client, &anybody(), nonsense).await, "failed");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn proof_of_work_solved_by_altchas_library_is_accepted() {
    let deployment = deployment("pow://default?effort=1000&when=always");
    let to = anybody();
    let task = task(&deployment.client.ask(&to).await, "required");
    let script = "import sys, json, altcha, base64; t = json.loads(sys.argv[1]); \
        s = altcha.solve_challenge(t['challenge'], t['salt'], t['algorithm'], t['maxnumber'], 0); \
        same = {k: t[k] for k in ('algorithm', 'challenge', 'salt', 'signature')}; \
        answer = json.dumps({**same, 'number': s.number, 'took': 1}); \
        print(base64.b64encode(answer.encode()).decode())";
    let output = Command::new("python")
        .args(["-c", script, &task.to_string()])
        .output()
        .expect("python runs");
    let proof = String::from_utf8(output.stdout).expect("text");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(ask(&deployment.client, &to, proof.trim()).await.status, 202);
}

#[tokio::test(flavor = "multi_thread")]
async fn challenge_is_not_asked_of_the_unsuspicious() {
    let deployment = Deployment::whole(&Environment::embedded().with("CHALLENGE", ""));
    assert_eq!(deployment.client.ask("13800138000").await.status, 202);
    let picture = deployment.client.get("/v1/pictures/00000000-0000-4000-8000-000000000000").await;
    assert_eq!(picture.status, 404, "pictures are another challenge");
}

#[tokio::test(flavor = "multi_thread")]
async fn picture_challenge_is_read_once() {
    let deployment = deployment("picture://default?when=always");
    let client = &deployment.client;
    let url = crate::support::services::redis_url();
    let mut redis = redis::Client::open(url)
        .expect("a URL")
        .get_multiplexed_async_connection()
        .await
        .expect("Redis");
    let mut shown = async || -> (String, String) {
        let uuid = task(&client.ask(&anybody()).await, "required")["uuid"]
            .as_str()
            .expect("a uuid")
            .to_owned();
        let picture = client.send(client.request("GET", &format!("/v1/pictures/{uuid}"))).await;
        assert_eq!((picture.status, picture.header("content-type")), (200, "image/png"));
        assert_eq!(picture.header("cache-control"), "no-store");
        let key = format!("img_{uuid}");
        let life: i64 =
            redis::cmd("TTL").arg(&key).query_async(&mut redis).await.expect("an answer");
        assert!((290..=300).contains(&life), "{life} s");
        (redis::cmd("GET").arg(&key).query_async(&mut redis).await.expect("a text"), uuid)
    };
    let ask = async |uuid: &str, text: &str| {
        client
            .post(
                "/v1/verifications",
                &json!({ "to": anybody(), "uuid": uuid, "image_code": text }),
            )
            .await
    };
    let (text, uuid) = shown().await;
    assert_eq!(ask(&uuid, &text.to_lowercase()).await.status, 202);
    task(&ask(&uuid, &text).await, "failed");
    let (text, uuid) = shown().await;
    let wrong = ask(&uuid, "wrong").await;
    task(&wrong, "failed");
    task(&ask(&uuid, &text).await, "failed");
    for (body, field) in [
        (json!({ "to": anybody(), "uuid": uuid }), "image_code"),
        (json!({ "to": anybody(), "image_code": text }), "uuid"),
        (json!({ "to": anybody(), "uuid": "1", "image_code": text }), "uuid"),
        (json!({ "to": anybody(), "uuid": uuid, "image_code": text, "proof": "x" }), "proof"),
    ] {
        let answer = client.post("/v1/verifications", &body).await;
        assert_eq!((answer.status, &answer.body["field"]), (422, &json!(field)), "{answer:?}");
    }
    assert_eq!(client.get("/v1/pictures/passwd").await.status, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn captcha_follows_its_vendors_answer() {
    for vendor in ["turnstile", "hcaptcha", "recaptcha"] {
        let stub = Siteverify::start(vendor).await;
        let deployment = deployment(&stub.dsn("when=always&hostname=example.com"));
        let client = &deployment.client;
        let asks_for = |answer: &Answer, ends| {
            assert_eq!(task(answer, ends), json!({ "kind": vendor, "sitekey": SITEKEY }));
        };
        asks_for(&client.ask(&anybody()).await, "required");
        for (says, status) in [
            (json!({ "success": true, "hostname": "example.com" }), 202),
            (json!({ "success": true, "hostname": "example.com", "score": 0.9 }), 202),
            (
                json!({ "success": true, "hostname": "example.com", "score": 0.1 }),
                if vendor == "recaptcha" { 403 } else { 202 },
            ),
            (json!({ "success": true, "hostname": "evil.example" }), 403),
            (json!({ "success": false, "error-codes": ["timeout-or-duplicate"] }), 403),
            (json!({ "success": false, "error-codes": ["invalid-input-secret"] }), 503),
            (json!("no"), 503),
        ] {
            stub.says(says.clone());
            let answer = ask(client, &anybody(), "token-of-a-person").await;
            assert_eq!(answer.status, status, "{vendor}: {says}");
            match status {
                403 => asks_for(&answer, "failed"),
                503 => assert_eq!(answer.body["down"], json!(["captcha"])),
                _ => {}
            }
        }
        assert!(stub.asked().iter().all(|asked| asked == "token-of-a-person"));
        assert!(
            !deployment.logs().contains(SECRET) && !deployment.logs().contains("token-of-a-person")
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn captcha_fails_closed_while_its_vendor_is_down() {
    let nobody = std::net::TcpListener::bind("127.0.0.1:0")
        .and_then(|socket| socket.local_addr())
        .expect("a port");
    let deployment = deployment(&format!("turnstile://{SITEKEY}:{SECRET}@{nobody}?tls=false"));
    let (client, to) = (&deployment.client, anybody());
    let answer = ask(client, &to, "token-of-a-person").await;
    assert_eq!((answer.status, answer.header("retry-after")), (503, "2"), "{answer:?}");
    assert!(client.inbox(&to).await.is_empty());
    assert_eq!(client.ask(&to).await.status, 202, "who is not suspicious need not solve anything");
}
