//! What the official clients make of services, limits and errors.

use serde_json::json;

use super::{
    APP, LANGUAGES, LOGIN, Language, Official, PAY, SHOP, TO, check, check_sid, create,
    create_with, facade, fetch, is_error, of_service, raw, text, update,
};
use crate::support::number;
use crate::support::process::{Deployment, Environment, wrong};
use crate::support::services::Service;

#[tokio::test(flavor = "multi_thread")]
async fn services_and_rate_limits_of_twilio_are_those_of_the_configuration() {
    let limits = "number=5/hour ip=50/hour,100/day";
    let environment = facade(&Environment::embedded()).with("LIMITS", limits);
    let deployment = Deployment::whole(&environment);
    for language in LANGUAGES {
        let mut twilio = Official::new(language, &deployment.client.base, APP);
        let services = twilio.ok(&of_service("services", ""));
        let services = services.as_array().expect("a list");
        let named: Vec<_> = services
            .iter()
            .map(|service| (text(service, "sid"), text(service, "friendly_name")))
            .collect();
        assert_eq!(named, [(LOGIN, "login"), (PAY, "")]);
        let service = twilio.ok(&of_service("service", LOGIN));
        assert_eq!((&service["sid"], &service["code_length"]), (&json!(LOGIN), &json!(6)));
        assert!(service["date_created"]["date"].is_string(), "{service}");
        let of_nobody = "VA00000000000000000000000000000003";
        assert_eq!(twilio.error(&of_service("service", of_nobody)), (20404, 404));
        for call in ["create service", "update service", "delete service", "create rate limit"] {
            assert_eq!(twilio.error(&of_service(call, LOGIN)), (20004, 405), "{call}");
        }
        let limits = twilio.ok(&of_service("rate limits", LOGIN));
        let limits = limits.as_array().expect("a list").iter();
        let limits: Vec<_> =
            limits.map(|limit| (text(limit, "unique_name"), text(limit, "description"))).collect();
        assert!(limits.contains(&("number", "5 in 3600 s")), "{limits:?}");
        assert!(limits.contains(&("ip", "50 in 3600 s, 100 in 86400 s")), "{limits:?}");
    }
    // Also what no client of Twilio's calls.
    let service = format!("/v2/Services/{LOGIN}");
    for (method, path) in [
        ("POST", "/v2/Services".to_owned()),
        ("DELETE", service.clone()),
        ("POST", format!("{service}/RateLimits")),
        ("PUT", "/v2/Services".to_owned()),
        ("PATCH", service.clone()),
        ("GET", format!("{service}/Verifications")),
        ("DELETE", format!("{service}/Verifications")),
        ("DELETE", format!("{service}/Verifications/{TO}")),
    ] {
        let answer = raw(&deployment.client, method, &path, APP, "").await;
        is_error(&answer, 405, 20004);
        // As HTTP asks of a 405.
        assert!(!answer.header("allow").is_empty(), "{method} {path}: {answer:?}");
    }
    // (Python's client throws away the body of the error of a list.)
    let of_nobody = "/v2/Services/VA00000000000000000000000000000003/RateLimits".to_owned();
    for path in
        ["/v2/Services/", "/v2/Forms/Challenges", &format!("{service}/Entities"), &of_nobody]
    {
        is_error(&raw(&deployment.client, "GET", path, APP, "").await, 404, 20404);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_have_the_codes_that_clients_of_twilio_know() {
    let redis = Service::redis();
    let environment = facade(&Environment::services()).with("REDIS_URL", &redis.url);
    let deployment = Deployment::whole(&environment);
    let base = &deployment.client.base;
    for (index, language) in (0..).zip(LANGUAGES) {
        let to = number(index).e164().to_owned();
        let mut stranger = Official::new(language, base, "key-of-nobody");
        assert_eq!(stranger.error(&create(LOGIN, &to)), (20003, 401));
        let mut twilio = Official::new(language, base, SHOP);
        for params in [
            json!({ "to": to, "channel": "call" }),
            json!({ "to": to, "channel": "whatsapp" }),
            json!({ "to": "a@example.com", "channel": "email" }),
            json!({ "to": "13800138000", "channel": "sms" }),
            json!({ "to": "+86138", "channel": "sms" }),
            json!({ "to": to, "channel": "sms", "custom_code": "123456" }),
            json!({ "to": to, "channel": "sms", "template_sid": "HJ1" }),
            json!({ "to": to, "channel": "sms", "app_hash": "FA+9qCX9VSu" }),
            json!({ "to": to, "channel": "sms", "device_ip": "nowhere" }),
            json!({ "to": to, "channel": "sms", "locale": "!" }),
        ] {
            assert_eq!(twilio.error(&create_with(LOGIN, &params)), (60200, 400), "{params}");
        }
        let abroad = "+12025550123";
        assert_eq!(twilio.error(&create(LOGIN, abroad)), (60605, 403));
        assert_eq!(twilio.error(&check(LOGIN, &to, "000000")), (20404, 404));

        let created = twilio.ok(&create(LOGIN, &to));
        let sid = text(&created, "sid");
        assert_eq!(twilio.error(&check(LOGIN, &to, "")), (60200, 400));
        assert_eq!(twilio.error(&check(LOGIN, &to, "123")), (60200, 400));
        assert_eq!(twilio.error(&check(LOGIN, &to, "12345678901")), (60200, 400));
        assert_eq!(twilio.error(&check_sid(LOGIN, "VE1", "123456")), (60200, 400));
        assert_eq!(twilio.error(&update(LOGIN, sid, "pending")), (60200, 400));
        let code = deployment.client.code(&to).await;
        for _ in 0..5 {
            assert_eq!(twilio.ok(&check(LOGIN, &to, &wrong(&code)))["status"], "pending");
        }
        // Also the right one, from now on, and another SMS.
        assert_eq!(twilio.error(&check(LOGIN, &to, &code)), (60202, 429));
        assert_eq!(twilio.error(&create(LOGIN, &to)), (60202, 429));

        let again = number(100 + index).e164().to_owned();
        twilio.ok(&create(LOGIN, &again));
        assert_eq!(twilio.error(&create(LOGIN, &again)), (20429, 429), "in its cooldown");
    }
    redis.stop();
    for language in LANGUAGES {
        let mut twilio = Official::new(language, base, SHOP);
        for call in [
            create(LOGIN, "+8613900139000"),
            check(LOGIN, TO, "123456"),
            fetch(LOGIN, TO),
            update(LOGIN, TO, "canceled"),
        ] {
            assert_eq!(twilio.error(&call), (20503, 503), "{call}");
        }
    }
    let answer = raw(&deployment.client, "GET", "/v2/Services", "key-of-nobody", "").await;
    is_error(&answer, 401, 20003);
    assert!(answer.header("www-authenticate").starts_with("Basic realm="), "{answer:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn zitadels_client_of_twilio_verify_cancels_on_used_up_sends_and_on_fraud() {
    // Its SMS are used up: it is not tried again (60203). A budget will have room again (20429).
    let limited = facade(&Environment::embedded()).with("RESEND_INTERVAL", "1");
    let one = Deployment::whole(&limited.clone().with("LIMITS", "number=1/hour"));
    let spent =
        Deployment::whole(&limited.with("BUDGET", "0.05/hour,1/day").with("PRICES", "CN=0.05"));
    // Something that the server of a client cannot solve.
    let always = Environment::embedded().with("CHALLENGE", "pow://default?when=always");
    let fraud = Deployment::whole(&facade(&always));
    for (index, language) in (0..).zip(LANGUAGES) {
        let to = number(index).e164().to_owned();
        let mut twilio = Official::new(language, &one.client.base, SHOP);
        twilio.ok(&create(LOGIN, &to));
        assert_eq!(twilio.error(&create(LOGIN, &to)), (60203, 429));
        // Whoever it was that had them sent.
        assert_eq!(twilio.error(&create(PAY, &to)), (60203, 429));
        let mut twilio = Official::new(language, &fraud.client.base, SHOP);
        assert_eq!(twilio.error(&create(LOGIN, &to)), (60410, 403));
    }
    let mut twilio = Official::new(Language::Python, &spent.client.base, SHOP);
    twilio.ok(&create(LOGIN, TO));
    assert_eq!(twilio.error(&create(LOGIN, "+8613900139000")), (20429, 429));
}
