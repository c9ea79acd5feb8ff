//! `/v1/messages`: a code of the caller's own is sent once, within the number's windows.

use futures_util::future::join_all;
use serde_json::{Value, json};
use sms_app::abuse_settings::AbuseSettings;
use sms_app::conversion_guard::ConversionGuard;
use sms_app::custom_message::CustomMessage;
use sms_app::request_code::{RequestCode, RequestCodeError};
use sms_domain::code::Code;
use sms_domain::conversion_test::GuardMode;
use sms_domain::custom_code::CustomCode;
use sms_domain::locale::Locale;
use sms_domain::phone::Country;
use sms_domain::quota::Scope;
use sms_domain::random::random_bytes;
use sms_domain::refusal::Exceeded;
use sms_domain::secrets::Secrets;
use sms_domain::trace_context::RequestContext;
use sms_domain::verification::Policy;
use sms_domain::verification_id::{Purpose, VerificationId};
use sms_queue::Queue;
use sms_store::Store;

use super::{KEY, OTHER_KEY, get_as, post, post_as, with_keys};
use crate::support::contract::stopped_clock;
use crate::support::gateway::{Gateway, Reply};
use crate::support::process::{Answer, Client, Deployment, Environment, wrong};
use crate::support::{dead_letters, eventually, number, request_code};

const MESSAGES: &str = "/v1/messages";

/// Posts a message, and again as long as a server is overloaded or resets the connection.
async fn until_answered(client: &Client, body: &Value) -> Answer {
    eventually("an answer", || async {
        let request = client.request("POST", MESSAGES).bearer_auth(KEY).json(body);
        let answer = Answer::of(request.send().await.ok()?).await;
        (answer.status != 503).then_some(answer)
    })
    .await
}

/// The messages to a number, once there are `count`.
async fn inbox(client: &Client, to: &str, count: usize) -> Vec<Value> {
    eventually("an SMS", || async {
        let messages = client.inbox(to).await;
        (messages.len() >= count).then_some(messages)
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn code_of_somebody_else_reaches_its_number() {
    for environment in [Environment::embedded(), Environment::services()] {
        let deployment = Deployment::whole(&with_keys(environment));
        let client = &deployment.client;
        let to = number(1).e164().to_owned();
        let body = json!({ "to": to, "code": "WBPP-MJGR", "locale": "en", "purpose": "login" });
        let sent = post(client, MESSAGES, &body).await;
        assert_eq!((sent.status, &sent.body["to"]), (202, &json!("+86*******0001")), "{sent:?}");
        let message = inbox(client, &to, 1).await.remove(0);
        let text = message["text"].as_str().expect("a text");
        assert!(text.contains("login code is WBPP-MJGR") && !text.contains("minute"), "{text}");

        let path = format!("{MESSAGES}/{}", sent.id());
        let state = eventually("sent", || async {
            let state = get_as(client, KEY, &path).await;
            (state.body["delivery"] == "sent").then_some(state)
        });
        assert_eq!(state.await.status, 200);
        assert_eq!(get_as(client, OTHER_KEY, &path).await.status, 404, "another's");
        assert_eq!(get_as(client, "nobody", &path).await.status, 401);
        let check = format!("/v1/verifications/{}/check", sent.id());
        let checked = post(client, &check, &json!({ "code": "000000" })).await;
        assert_eq!(checked.status, 429, "its maker checks it: {checked:?}");

        let known = json!({ "to": to, "code": 471_100, "locale": "en", "expires_in": 600 });
        assert_eq!(post(client, MESSAGES, &known).await.status, 202);
        let text = inbox(client, &to, 2).await.remove(0)["text"].to_string();
        assert!(text.contains("471100") && text.contains("valid for 10 minutes"), "{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn message_exists_only_with_keys() {
    let deployment = Deployment::whole(&Environment::embedded());
    let body = json!({ "to": "+8613800138000", "code": "012345" });
    for path in [MESSAGES, "/v1/doors/logto", "/2010-04-01/Accounts/AC1/Messages.json"] {
        let answer = deployment.client.post(path, &body).await;
        let problem = "urn:sms-verify:problem:no-such-path";
        assert_eq!((answer.status, &answer.body["type"]), (404, &json!(problem)), "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn message_that_is_not_valid_names_the_field() {
    let deployment = Deployment::whole(&with_keys(Environment::embedded()));
    let good = json!({ "to": "+8613800138000", "code": "012345" });
    let with = |name: &str, value: Value| {
        let mut body = good.clone();
        body[name] = value;
        body
    };
    for (body, status, field) in [
        (json!({ "code": "012345" }), 422, "to"),
        (json!({ "to": "+8613800138000" }), 422, "code"),
        (with("to", json!("+1")), 422, "to"),
        (with("to", json!("+15005550006")), 422, "to"),
        (with("code", json!("123")), 422, "code"),
        (with("code", json!("12345678901234567")), 422, "code"),
        (with("code", json!("12 345")), 422, "code"),
        (with("code", json!("１２３４５６")), 422, "code"),
        (with("code", json!(1.5)), 422, "code"),
        (with("code", json!(["012345"])), 422, "code"),
        (with("locale", json!("a b")), 422, "locale"),
        (with("purpose", json!("A B")), 422, "purpose"),
        (with("region", json!("XX")), 422, "region"),
        (with("expires_in", json!(0)), 422, "expires_in"),
        (with("expires_in", json!(86_401)), 422, "expires_in"),
        (with("outcome", json!("maybe")), 422, "outcome"),
        (with("ip", json!("nowhere")), 422, "ip"),
        (with("ip", Value::Null), 422, "ip"),
        (with("text", json!("Hello")), 422, "text"),
    ] {
        let answer = post(&deployment.client, MESSAGES, &body).await;
        assert_eq!((answer.status, &answer.body["field"]), (status, &json!(field)), "{body}");
    }
    assert_eq!(deployment.client.inbox("+8613800138000").await, Vec::<Value>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn message_of_a_thousand_at_once_is_sent_once() {
    let environment = with_keys(Environment::services());
    let deployment = Deployment::whole(&environment);
    let client = &deployment.client;
    let (same, different) = (number(1).e164().to_owned(), number(2).e164().to_owned());
    let answers =
        join_all((0..1_000).map(|_| async {
            until_answered(client, &json!({ "to": same, "code": "012345" })).await
        }));
    let mut ids: Vec<String> = answers.await.iter().map(Answer::id).collect();
    ids.dedup();
    assert_eq!(ids.len(), 1, "one message");

    let answers = join_all((0..1_000).map(|index| {
        let body = json!({ "to": different, "code": format!("{index:06}") });
        async move { until_answered(client, &body).await.status }
    }));
    let answers = answers.await;
    let count = |status| answers.iter().filter(|one| **one == status).count();
    // LIMITS are off: five an hour all the same.
    assert_eq!((count(202), count(429)), (5, 995));
    inbox(client, &different, 5).await;
    // The jobs that came after the first one of the same message are done with, too.
    eventually("an empty queue", || async {
        let queue = Queue::from_url(environment.get("QUEUE_URL"), None).expect("a URL");
        (queue.depth().await.ok()?.messages == 0).then_some(())
    })
    .await;
    assert_eq!(client.inbox(&same).await.len(), 1);
    assert_eq!(client.inbox(&different).await.len(), 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn message_that_is_repeated_has_the_attempts_of_one() {
    let gateway = Gateway::start(&[], Reply::Http(500)).await;
    let environment = with_keys(Environment::services())
        .with("SMS_DSN", &gateway.dsn())
        .with("MAX_RETRIES", "1")
        .with("RETRY_BACKOFF", "1");
    let deployment = Deployment::whole(&environment);
    let body = json!({ "to": number(1).e164(), "code": "012345" });
    for _ in 0..100 {
        assert_eq!(until_answered(&deployment.client, &body).await.status, 202);
    }
    let queue = Queue::from_url(environment.get("QUEUE_URL"), None).expect("a URL");
    eventually("a dead letter", || async { dead_letters(&queue).await.ok()?.pop() }).await;
    // Those that came after it had failed are another message, as far as the windows allow.
    let mut ids: Vec<String> = gateway.calls().into_iter().map(|call| call.request_id).collect();
    let calls = ids.len();
    ids.sort();
    ids.dedup();
    assert!(ids.len() <= 5 && calls <= 2 * ids.len(), "{calls} calls for {} messages", ids.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn message_shares_the_windows_of_its_number_and_nothing_else() {
    let environment = with_keys(Environment::services()).with("LIMITS", "number=3/hour");
    let deployment = Deployment::whole(&environment);
    let client = &deployment.client;
    let to = number(1).e164().to_owned();
    let begun = post(client, "/v1/verifications", &json!({ "to": to })).await;
    assert_eq!(begun.status, 202);
    let check = format!("/v1/verifications/{}/check", begun.id());
    let code = client.code(&to).await;
    for _ in 0..5 {
        post(client, &check, &json!({ "code": wrong(&code) })).await;
    }
    // Neither the cooldown nor the lock holds a message.
    for code in ["1111", "2222"] {
        assert_eq!(post(client, MESSAGES, &json!({ "to": to, "code": code })).await.status, 202);
    }
    let refused = post(client, MESSAGES, &json!({ "to": to, "code": "3333" })).await;
    assert_eq!((refused.status, &refused.body["violated_policies"]), (429, &json!(["number"])));
    assert!(!refused.header("retry-after").is_empty());
    let again = post(client, MESSAGES, &json!({ "to": to, "code": "1111" })).await;
    assert_eq!(again.status, 202, "known");
    let other = json!({ "to": to, "code": "1111" });
    assert_eq!(post_as(client, OTHER_KEY, MESSAGES, &other).await.status, 429, "of another sender");
}

#[tokio::test(flavor = "multi_thread")]
async fn message_keeps_to_countries_budget_and_the_limits_of_addresses_and_tenants() {
    let environment = with_keys(Environment::embedded())
        .with("LIMITS", "ip=2/hour tenant=4/hour")
        .with("ALLOWED_COUNTRIES", "CN")
        .with("PRICES", "CN=0.01")
        .with("BUDGET", "0.05/day");
    let deployment = Deployment::whole(&environment);
    let send = async |key, index: u32, ip: &str| {
        let body = json!({ "to": number(index).e164(), "code": "012345", "ip": ip });
        let answer = post_as(&deployment.client, key, MESSAGES, &body).await;
        (answer.status, answer.body["violated_policies"].clone())
    };
    let abroad = json!({ "to": "+12015550123", "code": "012345" });
    let refused = post(&deployment.client, MESSAGES, &abroad).await;
    let country = "urn:sms-verify:problem:country-not-allowed";
    assert_eq!((refused.status, &refused.body["type"]), (422, &json!(country)));
    let policies = |name: &str| (429, json!([name]));
    for (index, ip) in [(1, "192.0.2.1"), (2, "192.0.2.1")] {
        assert_eq!(send(KEY, index, ip).await.0, 202);
    }
    assert_eq!(send(KEY, 3, "192.0.2.1").await, policies("ip"));
    for (index, ip) in [(3, "192.0.2.2"), (4, "192.0.2.3")] {
        assert_eq!(send(KEY, index, ip).await.0, 202);
    }
    assert_eq!(send(KEY, 5, "192.0.2.4").await, policies("tenant"));
    // Numbers that were verified before have a reserve; of messages nobody knows that.
    assert_eq!(send(OTHER_KEY, 5, "192.0.2.4").await.0, 202);
    assert_eq!(send(OTHER_KEY, 6, "192.0.2.5").await, policies("budget"));
}

#[tokio::test(flavor = "multi_thread")]
async fn message_that_is_known_costs_no_second_sms() {
    let environment = with_keys(Environment::embedded()).with("PRICES", "CN=0.01");
    let deployment = Deployment::whole(&environment);
    let client = &deployment.client;
    for (code, spent) in [("012345", 10_000.0), ("012345", 10_000.0), ("471100", 20_000.0)] {
        let body = json!({ "to": number(1).e164(), "code": code });
        assert_eq!(post(client, MESSAGES, &body).await.status, 202);
        let metric = client.metric("spent_microdollars_total", &[]).await;
        assert!((metric - spent).abs() < 1.0, "{metric} after {code}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn message_outcome_is_its_senders_alone() {
    let deployment = Deployment::whole(&with_keys(Environment::services()));
    let client = &deployment.client;
    let body = json!({ "to": number(1).e164(), "code": "012345", "outcome": "reported" });
    let sent = post(client, MESSAGES, &body).await;
    let path = format!("{MESSAGES}/{}/outcome", sent.id());
    let approved = json!({ "outcome": "approved" });
    assert_eq!(post_as(client, OTHER_KEY, &path, &approved).await.status, 404);
    assert_eq!(post(client, &path, &json!({ "outcome": "lost" })).await.status, 422);
    assert_eq!(post(client, &path, &json!({})).await.status, 422);
    for _ in 0..2 {
        assert_eq!(post(client, &path, &approved).await.status, 204);
    }
    let unknown = format!("{MESSAGES}/{}/outcome", "A".repeat(36));
    assert_eq!(post(client, &unknown, &approved).await.status, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn message_whose_keys_are_guessed_is_not_looked_at() {
    let environment = with_keys(Environment::embedded())
        .with("TRUSTED_PROXIES", "1")
        .with("SMS_DSN", "null://default");
    let deployment = Deployment::whole(&environment);
    let from = async |ip: &str, key: &str| {
        let request = deployment.client.request("POST", MESSAGES).header("x-forwarded-for", ip);
        let request = request.header("authorization", format!("Bearer {key}"));
        let body = json!({ "to": "+8613800138000", "code": "012345" });
        deployment.client.send(request.json(&body)).await
    };
    for _ in 0..20 {
        assert_eq!(from("192.0.2.1", "guessed").await.status, 401);
    }
    let refused = from("192.0.2.1", KEY).await;
    let kind = "urn:sms-verify:problem:too-many-wrong-keys";
    assert_eq!((refused.status, &refused.body["type"]), (429, &json!(kind)));
    assert!(!refused.header("retry-after").is_empty());
    assert_eq!(from("192.0.2.2", KEY).await.status, 202);
}

/// Messages on a store whose time stands still.
struct Sender {
    request_code: RequestCode,
}

impl Sender {
    fn new() -> Self {
        let store = Store::memory(Policy::default()).with_clock(stopped_clock());
        let request_code =
            request_code(store, Queue::memory(), Secrets::from_random(random_bytes()));
        let guard = ConversionGuard::new(GuardMode::Enforce);
        let abuse = AbuseSettings { guard, ..AbuseSettings::none() };
        Self { request_code: RequestCode { abuse, ..request_code } }
    }

    async fn sends(
        &self,
        index: u32,
        is_reported: bool,
    ) -> Result<VerificationId, RequestCodeError> {
        self.sends_code("012345", index, is_reported).await
    }

    async fn sends_code(
        &self,
        code: &str,
        index: u32,
        is_reported: bool,
    ) -> Result<VerificationId, RequestCodeError> {
        let code = Code::custom(code).expect("a code");
        let message = CustomMessage {
            to: number(index),
            country: Country::parse("CN").expect("a country"),
            custom: CustomCode { code, text: None, valid_until: None },
            ip: None,
            tenant: "shop".to_owned(),
            locale: Locale::En,
            purpose: Purpose::default(),
            is_reported,
            context: RequestContext::default(),
        };
        let sent = self.request_code.send_message(message).await;
        self.request_code.store.clock().advance(std::time::Duration::from_secs(60));
        sent.map(|message| message.id)
    }

    async fn conversion(&self) -> (f64, f64) {
        self.request_code.store.clock().advance(Policy::MAX_LIFE * 2);
        let conversion = self.request_code.store.conversion("CN").await.expect("an answer");
        (conversion.sent.round(), conversion.approved.round())
    }
}

#[tokio::test]
async fn message_without_an_outcome_moves_no_base_rate_and_refuses_nobody() {
    let sender = Sender::new();
    // Of one prefix.
    for index in 0..1_000 {
        sender.sends(index, false).await.expect("sent");
    }
    assert_eq!(sender.conversion().await, (0.0, 0.0));
}

#[tokio::test]
async fn message_with_outcomes_teaches_the_guard() {
    let sender = Sender::new();
    for index in 0..300 {
        let id = sender.sends(index * 10_000, true).await.expect("sent");
        if index % 10 != 0 {
            assert!(sender.request_code.report_converted(&id, "shop").await.expect("an answer"));
        }
    }
    let (sent, approved) = sender.conversion().await;
    assert!(sent > 0.0 && (0.85..0.95).contains(&(approved / sent)), "{approved} of {sent}");
    // Numbers of one prefix whose codes nobody brings back.
    let mut count = 0;
    for index in 0..1_000 {
        match sender.sends(90_000_000 + index, true).await {
            Ok(_) => count += 1,
            Err(RequestCodeError::Refused(refusal)) => {
                assert_eq!(refusal.exceeded(), [Exceeded::Limit(Scope::Conversion)]);
            }
            Err(error) => panic!("{error}"),
        }
    }
    assert!(count < 30, "{count} of 1000");
    sender.sends(90_001_000, false).await.expect("without outcomes it is not counted");
}

#[tokio::test]
async fn message_that_is_suspicious_has_half_of_its_numbers_windows() {
    let sender = Sender::new();
    for index in 0..300 {
        let id = sender.sends(index * 10_000, true).await.expect("sent");
        if index % 10 != 0 {
            assert!(sender.request_code.report_converted(&id, "shop").await.expect("an answer"));
        }
    }
    sender.conversion().await;
    // Three in vain make a prefix suspicious, and five an abused one.
    for index in 0..3 {
        sender.sends(90_000_000 + index, true).await.expect("sent");
    }
    sender.request_code.store.clock().advance(std::time::Duration::from_secs(300));
    let number = 90_000_100;
    for code in ["1111", "2222"] {
        sender.sends_code(code, number, true).await.expect("sent");
    }
    match sender.sends_code("3333", number, true).await {
        Err(RequestCodeError::Refused(refusal)) => {
            assert!(refusal.contains(Exceeded::Limit(Scope::Number)), "{refusal:?}");
        }
        other => panic!("{other:?}"),
    }
    // Of five an hour.
    for code in ["3333", "4444", "5555"] {
        sender.sends_code(code, number, false).await.expect("without outcomes it is not judged");
    }
}
