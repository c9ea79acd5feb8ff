//! A verification by the official clients: created, checked, cancelled, approved, expired.

use futures_util::future::join_all;
use serde_json::{Value, json};

use super::{
    ACCOUNT, APP, LANGUAGES, LOGIN, Language, Official, SHOP, TO, check, check_sid, code_of,
    create, create_with, environments, facade, fetch, raw, text, update,
};
use crate::support::process::{Deployment, Environment, wrong};
use crate::support::{eventually, number};

#[tokio::test(flavor = "multi_thread")]
async fn official_clients_of_twilio_verify_a_number() {
    for environment in environments() {
        let deployment = Deployment::whole(&environment);
        for (index, language) in (0..).zip(LANGUAGES) {
            let to = number(index).e164().to_owned();
            let mut twilio = Official::new(language, &deployment.client.base, SHOP);
            let created = twilio.ok(&create(LOGIN, &to));
            let sid = text(&created, "sid").to_owned();
            assert!(sid.starts_with("VE") && sid.len() == 34, "{sid}");
            for (name, expected) in [
                ("service_sid", json!(LOGIN)),
                ("account_sid", json!(ACCOUNT)),
                ("to", json!(to)),
                ("channel", json!("sms")),
                ("status", json!("pending")),
                ("valid", json!(false)),
                ("lookup", json!({})),
            ] {
                assert_eq!(created[name], expected, "{created}");
            }
            // A date that the client reads as one.
            let date = text(&created["date_created"], "date");
            assert_eq!((date.len(), date.ends_with('Z')), (20, true), "{created}");
            assert!(created["date_updated"]["date"].is_string(), "{created}");
            assert_eq!(created["send_code_attempts"].as_array().map(Vec::len), Some(1));

            let code = deployment.client.code(&to).await;
            let checked = twilio.ok(&check(LOGIN, &to, &wrong(&code)));
            assert_eq!(
                (&checked["status"], &checked["valid"]),
                (&json!("pending"), &json!(false)),
                "{checked}"
            );
            assert!(checked["date_created"]["date"].is_string(), "{checked}");
            // A code of another length, and one with a letter, are wrong ones.
            for wrong in ["1234", "12345678", "12345a"] {
                assert_eq!(twilio.ok(&check(LOGIN, &to, wrong))["status"], "pending");
            }
            let by_number = twilio.ok(&fetch(LOGIN, &to));
            assert_eq!((text(&by_number, "sid"), text(&by_number, "to")), (&*sid, &*to));
            // Nobody but its caller knows the number that a SID stands for.
            let by_sid = twilio.ok(&fetch(LOGIN, &sid));
            assert_eq!(
                (text(&by_sid, "sid"), text(&by_sid, "to")),
                (&*sid, &*number(index).masked())
            );
            let approved = twilio.ok(&check_sid(LOGIN, &sid, &code));
            assert_eq!(
                (&approved["status"], &approved["valid"]),
                (&json!("approved"), &json!(true)),
                "{approved}"
            );
            // It was used.
            for call in [
                check(LOGIN, &to, &code),
                check_sid(LOGIN, &sid, &code),
                fetch(LOGIN, &to),
                fetch(LOGIN, &sid),
                update(LOGIN, &sid, "canceled"),
                update(LOGIN, &to, "approved"),
            ] {
                assert_eq!(twilio.error(&call), (20404, 404), "{call}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pending_number_of_twilio_gets_the_same_code_again() {
    for environment in environments() {
        let deployment = Deployment::whole(&environment.with("RESEND_INTERVAL", "1"));
        for (index, language) in (0..).zip(LANGUAGES) {
            let to = number(index).e164().to_owned();
            let mut twilio = Official::new(language, &deployment.client.base, SHOP);
            let first = twilio.create(LOGIN, &to).await;
            let again = twilio.create(LOGIN, &to).await;
            assert_eq!(first["sid"], again["sid"]);
            assert_eq!(first["date_created"], again["date_created"]);
            let attempts = |body: &Value| body["send_code_attempts"].as_array().map(Vec::len);
            assert_eq!((attempts(&first), attempts(&again)), (Some(1), Some(2)), "{again}");
            let codes = deployment.client.codes(&to, 2).await;
            assert_eq!(codes[0], codes[1]);
            assert_eq!(twilio.ok(&check(LOGIN, &to, &codes[0]))["status"], "approved");
            // The next one has another code.
            assert_ne!(twilio.create(LOGIN, &to).await["sid"], first["sid"]);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_verification_of_twilio_is_cancelled_or_approved_without_its_code() {
    for environment in environments() {
        let deployment = Deployment::whole(&environment.with("RESEND_INTERVAL", "1"));
        let mut index = 0;
        for language in LANGUAGES {
            let mut twilio = Official::new(language, &deployment.client.base, SHOP);
            for (status, by_sid) in
                [("canceled", true), ("canceled", false), ("approved", true), ("approved", false)]
            {
                let to = number(index).e164().to_owned();
                index += 1;
                let created = twilio.create(LOGIN, &to).await;
                let code = deployment.client.code(&to).await;
                let name = if by_sid { text(&created, "sid") } else { &*to };
                let updated = twilio.ok(&update(LOGIN, name, status));
                assert_eq!(
                    (&updated["status"], &updated["sid"]),
                    (&json!(status), &created["sid"]),
                    "{updated}"
                );
                assert!(updated["token"].is_null(), "an approval without a code is no proof");
                assert_eq!(twilio.error(&check(LOGIN, &to, &code)), (20404, 404));
                assert_eq!(twilio.error(&fetch(LOGIN, name)), (20404, 404));
                let again = twilio.create(LOGIN, &to).await;
                assert_ne!(again["sid"], created["sid"], "another one, with another code");
            }
            assert_eq!(twilio.error(&update(LOGIN, TO, "canceled")), (20404, 404));
        }
        let approvals = deployment.client.metric("checks_total", &["approved"]).await;
        assert!(approvals.abs() < f64::EPSILON, "nobody has typed a code");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_of_twilio_that_retries_sends_one_sms_at_a_time() {
    let environment = facade(&Environment::services()).with("RESEND_INTERVAL", "1");
    let deployment = Deployment::whole(&environment);
    // Node's client alone retries, after 429, and only if it is told to.
    let options = json!({ "autoRetry": true, "maxRetries": 10_000, "maxRetryDelay": 20 });
    let options = options.to_string();
    let base = &deployment.client.base;
    let mut twilio = Official::with_options(Language::Node, base, SHOP, &[&options]);
    let first = twilio.ok(&create(LOGIN, TO));
    let second = twilio.ok(&create(LOGIN, TO));
    assert_eq!(first["sid"], second["sid"]);
    assert_eq!(second["send_code_attempts"].as_array().map(Vec::len), Some(2));
    let codes = deployment.client.codes(TO, 2).await;
    assert_eq!((codes.len(), &codes[0]), (2, &codes[1]));
    assert_eq!(twilio.ok(&check(LOGIN, TO, &codes[0]))["status"], "approved");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_verification_of_twilio_expires() {
    let environment = facade(&Environment::services()).with("CODE_TTL", "1");
    let deployment = Deployment::whole(&environment);
    let mut twilio = Official::new(Language::Python, &deployment.client.base, SHOP);
    let created = twilio.ok(&create(LOGIN, TO));
    let sid = text(&created, "sid");
    eventually("the end of its time", || async {
        let path = format!("/v2/Services/{LOGIN}/Verifications/{sid}");
        (raw(&deployment.client, "GET", &path, SHOP, "").await.status == 404).then_some(())
    })
    .await;
    for call in [
        check(LOGIN, TO, "123456"),
        check_sid(LOGIN, sid, "123456"),
        fetch(LOGIN, TO),
        update(LOGIN, sid, "approved"),
    ] {
        assert_eq!(twilio.error(&call), (20404, 404), "{call}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_of_twilio_at_once_send_one_sms_and_have_five_guesses() {
    for environment in environments() {
        let deployment = Deployment::whole(&environment);
        let client = &deployment.client;
        let service = format!("/v2/Services/{LOGIN}");
        let path = format!("{service}/Verifications");
        let asked = "To=%2B8613800138000&Channel=sms";
        // Of two callers; at once, not one after another.
        let answers = join_all((0..300).map(|index| {
            raw(client, "POST", &path, if index % 2 == 0 { SHOP } else { APP }, asked)
        }))
        .await;
        let accepted = answers.iter().filter(|answer| answer.status == 201).count();
        let refused = answers.iter().filter(|answer| code_of(answer) == (429, 20429)).count();
        assert_eq!((accepted, refused), (1, 299));
        let first = answers.iter().position(|answer| answer.status == 201).expect("one");
        let key = if first % 2 == 0 { SHOP } else { APP };
        let code = client.code(TO).await;
        assert_eq!(client.inbox(TO).await.len(), 1);
        let path = format!("{service}/VerificationCheck");
        let typed = format!("To=%2B8613800138000&Code={}", wrong(&code));
        let answers = join_all((0..100).map(|_| raw(client, "POST", &path, key, &typed))).await;
        let wrong = answers.iter().filter(|answer| answer.status == 201).count();
        let locked = answers.iter().filter(|answer| code_of(answer) == (429, 60202)).count();
        assert_eq!((wrong, locked), (5, 95));
        assert!(answers.iter().all(|answer| answer.body["valid"] != true));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn parameters_of_twilio_choose_the_text_and_whom_limits_count() {
    let environment = facade(&Environment::embedded())
        .with("ANDROID_APP_HASHES", "FA+9qCX9VSu")
        .with("ALLOWED_COUNTRIES", "all")
        .with("LIMITS", "ip=2/hour");
    let deployment = Deployment::whole(&environment);
    let client = &deployment.client;
    for (language, ip) in LANGUAGES.into_iter().zip(["198.51.100.7", "2001:db8::1"]) {
        let to =
            |index: u32| number(index + if ip.contains(':') { 10 } else { 0 }).e164().to_owned();
        let mut twilio = Official::new(language, &client.base, SHOP);
        for (index, locale, words) in [
            (0, "en", "login code"),
            (1, "zh", "登录验证码"),
            (2, "zh-HK", "登入驗證碼"),
            // Of another language, or none, it is that of the number's country.
            (3, "pt-BR", "登录验证码"),
            (4, "", "登录验证码"),
        ] {
            let to = to(index);
            let params = json!({ "to": to, "channel": "sms", "locale": locale });
            twilio.ok(&create_with(LOGIN, &params));
            client.code(&to).await;
            let messages = client.inbox(&to).await;
            assert!(text(&messages[0], "text").contains(words), "{locale}: {messages:?}");
        }
        let hash = json!({ "to": to(5), "channel": "sms", "app_hash": "FA+9qCX9VSu" });
        twilio.ok(&create_with(LOGIN, &hash));
        client.code(&to(5)).await;
        assert!(text(&client.inbox(&to(5)).await[0], "text").ends_with("FA+9qCX9VSu"));
        // The address of a person is counted, and nobody's where there is none.
        let from = |index| json!({ "to": to(index), "channel": "sms", "device_ip": ip });
        twilio.ok(&create_with(LOGIN, &from(6)));
        twilio.ok(&create_with(LOGIN, &from(7)));
        assert_eq!(twilio.error(&create_with(LOGIN, &from(8))), (20429, 429));
        twilio.ok(&create(LOGIN, &to(8)));
    }
}
