//! The happy path, word for word the same on every deployment.

use std::collections::HashMap;

use futures_util::future::join_all;
use serde_json::json;

use crate::support::contract::contract;
use crate::support::process::{Deployment, wrong};

contract! {
    deployments;
    a_number_is_verified
    wrong_codes_are_counted_and_then_locked
    a_thousand_requests_at_once_send_one_sms
    two_hundred_right_checks_at_once_approve_one
    readiness_is_shown
}

const TO: &str = "+8613800138000";

async fn a_number_is_verified(deployment: Deployment) {
    let client = &deployment.client;
    let asked = client.ask("138 0013 8000").await;
    let id = asked.id();
    assert_eq!(asked.status, 202);
    assert_eq!(asked.header("location"), format!("verifications/{id}"), "wherever a proxy has it");
    assert_eq!(asked.header("cache-control"), "no-store");
    let expected = json!({
        "status": "pending", "to": "+86*******8000", "expires_in": 300, "resend_in": 60,
        "attempts_left": 5,
    });
    for (field, value) in expected.as_object().expect("an object") {
        assert_eq!(asked.body[field], *value, "{field}");
    }

    let code = client.code(TO).await;
    assert!(code.len() == 6 && code.bytes().all(|byte| byte.is_ascii_digit()), "{code}");
    let sent = crate::support::eventually("the state `sent`", || async {
        Some(client.status(&id).await).filter(|status| status.body["delivery"] == "sent")
    });
    assert_eq!(sent.await.body["status"], "pending");

    let again = client.ask(TO).await;
    assert_eq!((again.status, &again.body["code"]), (429, &json!("4002")));
    assert_eq!(again.header("content-type"), "application/problem+json");
    assert_eq!(
        again.body["type"],
        "https://iana.org/assignments/http-problem-types#quota-exceeded"
    );
    assert_eq!(again.body["violated_policies"], json!(["cooldown"]));
    let wait: u64 = again.header("retry-after").parse().expect("seconds");
    assert!((1..=60).contains(&wait), "{wait}");

    let refused = client.check(&id, &wrong(&code)).await;
    assert_eq!((refused.status, &refused.body["code"]), (422, &json!("4008")));
    assert_eq!(refused.body["attempts_left"], 4);

    let approved = client.check(&id, &code).await;
    assert_eq!((approved.status, &approved.body["status"]), (200, &json!("approved")));
    assert_eq!(client.status(&id).await.body["status"], "approved");

    let used = client.check(&id, &code).await;
    let unknown = client.check(&format!("{}A", &id[..id.len() - 1]), &code).await;
    assert_eq!((used.status, &used.body), (404, &unknown.body), "used and unknown answer alike");
    assert_eq!(client.inbox(TO).await.len(), 1);
}

async fn wrong_codes_are_counted_and_then_locked(deployment: Deployment) {
    let client = &deployment.client;
    let id = client.ask(TO).await.id();
    let code = client.code(TO).await;
    for left in (0..5).rev() {
        let answer = client.check(&id, &wrong(&code)).await;
        assert_eq!((answer.status, &answer.body["attempts_left"]), (422, &json!(left)));
        let (told, seen) = (answer.body["retry_after"].as_u64(), client.status(&id).await.body);
        assert_eq!(
            (told.is_some(), seen["locked_for"].is_u64()),
            (left == 0, left == 0),
            "until when: {seen}"
        );
    }
    let locked = client.check(&id, &code).await;
    assert_eq!(
        (locked.status, &locked.body["violated_policies"]),
        (429, &json!(["attempts"])),
        "even the right one"
    );
    let asked = client.ask(TO).await;
    assert_eq!(
        (asked.status, &asked.body["violated_policies"]),
        (429, &json!(["attempts", "cooldown"]))
    );
    for answer in [locked, asked] {
        let wait: u64 = answer.header("retry-after").parse().expect("seconds");
        assert!((500..=600).contains(&wait), "until 600 s after the first wrong code: {wait}");
    }
}

async fn a_thousand_requests_at_once_send_one_sms(deployment: Deployment) {
    let client = &deployment.client;
    let answers = join_all((0..1000).map(|_| client.ask(TO))).await;
    let mut count: HashMap<u16, usize> = HashMap::new();
    answers.iter().for_each(|answer| *count.entry(answer.status).or_default() += 1);
    // A machine that is busy with other tests may be too slow for some of them, and says so.
    let unavailable = count.remove(&503).unwrap_or_default();
    assert_eq!(count, HashMap::from([(202, 1), (429, 999 - unavailable)]));
    client.code(TO).await;
    // Whatever was queued for this number before is delivered before this one.
    client.ask("+8613900139000").await;
    client.code("+8613900139000").await;
    assert_eq!(client.inbox(TO).await.len(), 1);
}

async fn two_hundred_right_checks_at_once_approve_one(deployment: Deployment) {
    let client = &deployment.client;
    let id = client.ask(TO).await.id();
    let code = client.code(TO).await;
    let answers = join_all((0..200).map(|_| client.check(&id, &code))).await;
    assert_eq!(answers.iter().filter(|answer| answer.status == 200).count(), 1);
    assert_eq!(answers.iter().filter(|answer| answer.status == 404).count(), 199);
}

async fn readiness_is_shown(deployment: Deployment) {
    for path in ["/healthz", "/readyz"] {
        assert_eq!(deployment.client.get(path).await.status, 200, "{path}");
    }
}
