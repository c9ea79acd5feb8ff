//! Clients of Twilio Verify, unchanged but for the host: the official ones for Python and for Node,
//! and calls as others write them.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use futures_util::future::join_all;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::support::process::{Answer, Client, Deployment, Environment, wrong};
use crate::support::services::{Service, redis_cli};
use crate::support::{eventually, number};

const LOGIN: &str = "VA00000000000000000000000000000001";
const PAY: &str = "VA00000000000000000000000000000002";
const ACCOUNT: &str = "AC00000000000000000000000000000009";
const SHOP: &str = "key-of-the-shop";
const APP: &str = "key-of-the-app";
const TO: &str = "+8613800138000";

/// Two services and two callers.
fn facade(environment: &Environment) -> Environment {
    with_keys(&environment.clone().with("TWILIO_VERIFY_SERVICES", &format!("{LOGIN}=login,{PAY}=")))
}

fn with_keys(environment: &Environment) -> Environment {
    let hash = |key: &str| hex::encode(Sha256::digest(key));
    let keys = format!("shop={},app={}", hash(SHOP), hash(APP));
    environment.clone().with("API_KEYS", &keys)
}

/// Memory, and Redis with RabbitMQ.
fn environments() -> [Environment; 2] {
    [facade(&Environment::embedded()), facade(&Environment::services())]
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Language {
    Python,
    Node,
}

const LANGUAGES: [Language; 2] = [Language::Python, Language::Node];

/// A process with one of Twilio's clients, which does a call for each line.
struct Official {
    child: Child,
    calls: ChildStdin,
    results: BufReader<ChildStdout>,
    language: Language,
}

impl Official {
    fn new(language: Language, base: &str, key: &str) -> Self {
        Self::with_options(language, base, key, &[])
    }

    fn with_options(language: Language, base: &str, key: &str, options: &[&str]) -> Self {
        let [program, script] = match language {
            Language::Python => ["python", "tests/twilio/client.py"],
            Language::Node => ["node", "tests/twilio/client.mjs"],
        };
        let mut command = Command::new(program);
        command.arg(script).args([base, ACCOUNT, key]).args(options).env("NO_PROXY", "127.0.0.1");
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("the client starts");
        let calls = child.stdin.take().expect("standard input");
        let results = BufReader::new(child.stdout.take().expect("standard output"));
        Self { child, calls, results, language }
    }

    fn call(&mut self, call: &Value) -> Value {
        writeln!(self.calls, "{call}").expect("the client reads");
        let mut line = String::new();
        self.results.read_line(&mut line).expect("text");
        serde_json::from_str(&line).unwrap_or_else(|_| panic!("{call}: {line}"))
    }

    /// What the client has made of the answer to a call that succeeds.
    fn ok(&mut self, call: &Value) -> Value {
        let mut result = self.call(call);
        assert!(result["ok"] != Value::Null, "{:?}, {call}: {result}", self.language);
        result["ok"].take()
    }

    /// Code and status of the exception that the client throws.
    fn error(&mut self, call: &Value) -> (u64, u64) {
        let result = self.call(call);
        let error = &result["error"];
        let kind = match self.language {
            Language::Python => "TwilioRestException",
            Language::Node => "RestException",
        };
        assert_eq!(error["kind"], kind, "{:?}, {call}: {result}", self.language);
        assert!(!error["message"].as_str().unwrap_or_default().is_empty(), "{result}");
        let of = |name: &str| error[name].as_u64().unwrap_or_else(|| panic!("{result}"));
        (of("code"), of("status"))
    }

    /// Creates a verification, once its number is out of the cooldown.
    async fn create(&mut self, service: &str, to: &str) -> Value {
        loop {
            let result = self.call(&create(service, to));
            if result["error"]["code"] == 20429 {
                tokio::task::yield_now().await;
                continue;
            }
            assert!(result["ok"] != Value::Null, "{result}");
            return result["ok"].clone();
        }
    }
}

impl Drop for Official {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn create(service: &str, to: &str) -> Value {
    create_with(service, &json!({ "to": to, "channel": "sms" }))
}

fn create_with(service: &str, params: &Value) -> Value {
    json!({ "call": "create", "service": service, "params": params })
}

fn check(service: &str, to: &str, code: &str) -> Value {
    json!({ "call": "check", "service": service, "params": { "to": to, "code": code } })
}

fn check_sid(service: &str, sid: &str, code: &str) -> Value {
    let params = json!({ "verification_sid": sid, "code": code });
    json!({ "call": "check", "service": service, "params": params })
}

fn fetch(service: &str, name: &str) -> Value {
    json!({ "call": "fetch", "service": service, "name": name })
}

fn update(service: &str, name: &str, status: &str) -> Value {
    let params = json!({ "status": status });
    json!({ "call": "update", "service": service, "name": name, "params": params })
}

fn of_service(call: &str, service: &str) -> Value {
    json!({ "call": call, "service": service })
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_else(|| panic!("no {name} in {value}"))
}

/// A request as curl sends it, with the user and password of an account.
async fn raw(client: &Client, method: &str, path: &str, key: &str, body: &str) -> Answer {
    let request = client.request(method, path).basic_auth(ACCOUNT, Some(key));
    let form = request.header("content-type", "application/x-www-form-urlencoded");
    client.send(form.body(body.to_owned())).await
}

fn code_of(answer: &Answer) -> (u16, u64) {
    (answer.status, answer.body["code"].as_u64().unwrap_or_default())
}

/// The answer is an error as both clients read it.
fn is_error(answer: &Answer, status: u16, code: u64) {
    assert_eq!(code_of(answer), (status, code), "{answer:?}");
    assert_eq!(answer.body["status"], status, "{answer:?}");
    assert!(answer.body["type"].is_null() && answer.body["title"].is_null(), "{answer:?}");
    assert!(answer.body["message"].is_string() && answer.body["more_info"].is_string());
}

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

/// Calls of the store's scripts so far.
fn questions(redis: &Service) -> u32 {
    let port = redis.url.rsplit(':').next().expect("a port");
    let stats = redis_cli(port, &["info", "commandstats"]);
    let calls = ["cmdstat_evalsha:calls=", "cmdstat_eval:calls="].map(|name| {
        let (_, rest) = stats.split_once(name)?;
        rest.split(',').next()?.parse::<u32>().ok()
    });
    calls.into_iter().flatten().sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_and_services_of_twilio_do_not_see_each_others_verifications() {
    let redis = Service::redis();
    let environment = facade(&Environment::services())
        .with("REDIS_URL", &redis.url)
        // (The guard writes its counts by itself.)
        .with("GUARD", "off");
    for environment in [facade(&Environment::embedded()), environment] {
        let on_redis = environment.variables().any(|(name, _)| name == "REDIS_URL");
        let mut deployment = match on_redis {
            true => Deployment::split(&environment),
            false => Deployment::whole(&environment),
        };
        let mut owner = Official::new(Language::Python, &deployment.client.base, SHOP);
        let sid = text(&owner.ok(&create(LOGIN, TO)), "sid").to_owned();
        let code = deployment.client.code(TO).await;
        // Workers have questions of their own.
        for worker in &mut deployment.workers {
            worker.terminate();
            worker.ended().await;
        }
        let unknown = "+8613900139000";
        let unknown_sid = format!("VE{}", "0".repeat(32));
        for language in LANGUAGES {
            for (key, service) in [(APP, LOGIN), (SHOP, PAY), (APP, PAY)] {
                let mut other = Official::new(language, &deployment.client.base, key);
                for (name, of_nobody) in [(TO, unknown), (&*sid, &*unknown_sid)] {
                    let calls = |name: &str| {
                        let check = match name.starts_with('+') {
                            true => check(service, name, &code),
                            false => check_sid(service, name, &code),
                        };
                        let updates = ["canceled", "approved"].map(|to| update(service, name, to));
                        let [cancel, approve] = updates;
                        [check, fetch(service, name), cancel, approve]
                    };
                    for (call, unknown) in calls(name).iter().zip(calls(of_nobody)) {
                        // The first question of all has its script loaded.
                        other.error(&unknown);
                        let before = questions(&redis);
                        assert_eq!(other.error(call), (20404, 404), "{call}");
                        let between = questions(&redis);
                        assert_eq!(other.error(&unknown), (20404, 404), "{unknown}");
                        let asked = [between - before, questions(&redis) - between];
                        assert_eq!(asked, [u32::from(on_redis); 2], "{call}");
                    }
                }
                // Their requests meet the number's cooldown, as those for another purpose.
                assert_eq!(other.error(&create(service, TO)), (20429, 429));
            }
        }
        // Nothing of that has changed anything.
        assert_eq!(owner.ok(&fetch(LOGIN, TO))["sid"], sid.as_str());
        assert_eq!(owner.ok(&check(LOGIN, TO, &code))["status"], "approved");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_verification_of_twilio_is_replaced_by_one_of_another_owner() {
    let environment = facade(&Environment::embedded()).with("RESEND_INTERVAL", "1");
    let deployment = Deployment::whole(&environment);
    let client = &deployment.client;
    let mut twilio = Official::new(Language::Node, &client.base, SHOP);
    let sid = text(&twilio.create(LOGIN, TO).await, "sid").to_owned();
    let codes = client.codes(TO, 1).await;
    // `/v1` neither continues it nor finds it: it begins another one, as for another purpose.
    let asked = eventually("the end of the cooldown", || async {
        let request = client.request("POST", "/v1/verifications").bearer_auth(SHOP);
        let answer = client.send(request.json(&json!({ "to": TO, "purpose": "login" }))).await;
        (answer.status == 202).then_some(answer)
    })
    .await;
    let code = client.codes(TO, 2).await.remove(0);
    for call in [fetch(LOGIN, &sid), fetch(LOGIN, TO), check(LOGIN, TO, &codes[0])] {
        assert_eq!(twilio.error(&call), (20404, 404), "{call}");
    }
    assert_eq!(twilio.error(&update(LOGIN, TO, "canceled")), (20404, 404));
    let path = format!("/v1/verifications/{}/check", asked.id());
    let typed = client.request("POST", &path).bearer_auth(SHOP).json(&json!({ "code": code }));
    assert_eq!(client.send(typed).await.body["status"], "approved");
}

#[tokio::test(flavor = "multi_thread")]
async fn twilios_paths_do_not_exist_without_keys_or_services() {
    let services = Environment::embedded().with("TWILIO_VERIFY_SERVICES", &format!("{LOGIN}="));
    let keys = with_keys(&Environment::embedded());
    for environment in [Environment::embedded(), services, keys] {
        let deployment = Deployment::whole(&environment);
        let service = format!("/v2/Services/{LOGIN}");
        for (method, path) in [
            ("GET", "/v2/Services".to_owned()),
            ("GET", service.clone()),
            ("POST", format!("{service}/Verifications")),
            ("POST", format!("{service}/VerificationCheck")),
            ("GET", format!("{service}/Verifications/{TO}")),
            ("POST", format!("{service}/Verifications/{TO}")),
            ("GET", format!("{service}/RateLimits")),
        ] {
            let form = "To=%2B8613800138000&Channel=sms&Code=123456";
            let body = if method == "POST" { form } else { "" };
            let answer = raw(&deployment.client, method, &path, SHOP, body).await;
            assert_eq!(answer.status, 404, "{path}: {answer:?}");
            assert_eq!(answer.body["type"], "urn:sms-verify:problem:no-such-path", "{path}");
        }
        assert!(deployment.client.inbox(TO).await.is_empty());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_with_wrong_keys_is_refused_before_its_key_is_looked_at() {
    let environment = facade(&Environment::embedded())
        .with("TRUSTED_PROXIES", "1")
        .with("SMS_DSN", "null://default");
    let deployment = Deployment::whole(&environment);
    let client = &deployment.client;
    let twilio = async |key: &str, ip: &str| {
        let request = client.request("GET", "/v2/Services").basic_auth(ACCOUNT, Some(key));
        client.send(request.header("x-forwarded-for", ip)).await
    };
    let v1 = async |key: Option<&str>, ip: &str| {
        let request = client.request("GET", "/v1/verifications/of-nobody");
        let request = request.header("x-forwarded-for", ip);
        client
            .send(
                key.map_or(request.try_clone(), |key| Some(request.bearer_auth(key)))
                    .expect("no stream"),
            )
            .await
    };
    // Calls without a key guess none.
    for _ in 0..30 {
        assert_eq!(v1(None, "198.51.100.7").await.status, 401);
    }
    for attempt in 0..20 {
        let status = match attempt % 2 {
            0 => twilio("key-of-nobody", "198.51.100.7").await.status,
            _ => v1(Some("key-of-nobody"), "198.51.100.7").await.status,
        };
        assert_eq!(status, 401, "{attempt}");
    }
    // A right key is refused, too: none is looked at.
    let refused = twilio(SHOP, "198.51.100.7").await;
    is_error(&refused, 429, 20429);
    assert!(
        refused.header("retry-after").parse::<u64>().is_ok_and(|wait| (1..=60).contains(&wait))
    );
    let refused = v1(Some(SHOP), "198.51.100.7").await;
    assert_eq!(
        (refused.status, &refused.body["type"]),
        (429, &json!("urn:sms-verify:problem:too-many-wrong-keys"))
    );
    assert_eq!(twilio(SHOP, "198.51.100.8").await.status, 200, "another address");
    assert_eq!(v1(Some(SHOP), "198.51.100.8").await.status, 404, "another address");
    assert!(!deployment.logs().contains("key-of"));
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_as_others_write_them_reach_twilios_facade() {
    let deployment = Deployment::whole(&facade(&Environment::embedded()));
    let client = &deployment.client;
    let service = format!("/v2/Services/{LOGIN}");
    let encoded = "%2B86+138+0013+8000";
    // With spaces, and parameters that change nothing here.
    let body = format!("To={encoded}&Channel=sms&Tags=%7B%7D&RiskCheck=enable&CustomCode=");
    let created = raw(client, "POST", &format!("{service}/Verifications"), SHOP, &body).await;
    assert_eq!((created.status, text(&created.body, "to")), (201, TO), "{created:?}");
    assert_eq!(created.header("cache-control"), "no-store");
    let sid = text(&created.body, "sid");
    let upper = format!("VE{}", sid[2..].to_uppercase());
    let names =
        ["+8613800138000", "%2B8613800138000", "%2b8613800138000", "+86%20138%200013%208000"];
    for name in names.into_iter().chain([sid, &upper]) {
        let fetched =
            raw(client, "GET", &format!("{service}/Verifications/{name}"), SHOP, "").await;
        assert_eq!((fetched.status, text(&fetched.body, "sid")), (200, sid), "{name}: {fetched:?}");
        let path = format!("{service}/Verifications/{name}");
        assert_eq!(raw(client, "HEAD", &path, SHOP, "").await.status, 200, "{name}");
    }
    for name in ["8613800138000", "%FF", "+", "VE1", "+86%00138", "a".repeat(5000).as_str()] {
        let fetched =
            raw(client, "GET", &format!("{service}/Verifications/{name}"), SHOP, "").await;
        is_error(&fetched, 404, 20404);
    }
    let checks = format!("{service}/VerificationCheck");
    // Its content type is not asked for.
    let request = client.request("POST", &checks).basic_auth(ACCOUNT, Some(SHOP));
    let request = request.header("content-type", "text/plain");
    let answer = client.send(request.body(format!("To={encoded}&Code=000001"))).await;
    assert_eq!(answer.status, 201, "{answer:?}");
    for body in [
        r#"{"To":"+8613800138000","Code":"123456"}"#,
        "Code=123456",
        "To=%2B8613800138000",
        "To=%2B8613800138000&Code=",
        "To=&Code=123456",
        "To=8613800138000&Code=123456",
        "To=%2B8613800138000&Code=123456&Amount=1",
        "%FF=%FF",
        "",
        "a".repeat(20_000).as_str(),
    ] {
        is_error(&raw(client, "POST", &checks, SHOP, body).await, 400, 60200);
    }
    let encoded = client.request("POST", &checks).basic_auth(ACCOUNT, Some(SHOP));
    let encoded = client.send(encoded.header("content-encoding", "gzip").body("To=1")).await;
    is_error(&encoded, 400, 60200);
    // A user that is no account, a token in place of a password, and none.
    for request in [
        client.request("GET", &service).basic_auth("shop", Some(SHOP)),
        client.request("GET", &service).basic_auth(ACCOUNT, None::<&str>),
        client.request("GET", &service).bearer_auth(SHOP),
        client.request("GET", &service).header("authorization", "Basic !"),
        client.request("GET", &service),
    ] {
        is_error(&client.send(request).await, 401, 20003);
    }
    // A page of another site, in a browser that was told the password once.
    for path in
        [&checks, &format!("{service}/Verifications"), &format!("{service}/Verifications/{sid}")]
    {
        let request = client.request("POST", path).basic_auth(ACCOUNT, Some(SHOP));
        let request = request.header("sec-fetch-site", "cross-site");
        let form = "To=%2B8613800138001&Channel=sms&Status=canceled&Code=123456";
        is_error(&client.send(request.body(form)).await, 401, 20003);
    }
    // SIDs are hexadecimal, in whatever letters.
    let path = format!("/v2/Services/VA{}", LOGIN[2..].to_uppercase());
    assert_eq!(raw(client, "GET", &path, SHOP, "").await.status, 200);
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
async fn clients_of_twilio_reach_a_host_below_a_path() {
    let environment = facade(&Environment::embedded()).with("BASE_PATH", "/sms");
    let deployment = Deployment::whole(&environment);
    for (index, language) in (0..).zip(LANGUAGES) {
        let base = format!("{}/sms/", deployment.client.base);
        let mut twilio = Official::new(language, &base, SHOP);
        let to = number(index).e164().to_owned();
        assert_eq!(twilio.ok(&create(LOGIN, &to))["status"], "pending");
        assert_eq!(twilio.ok(&fetch(LOGIN, &to))["status"], "pending");
        // What docs/guide/from-twilio.md says of hosts.
        let mut host = |name: &str| twilio.ok(&json!({ "call": "host", "name": name }));
        for name in [
            "http://127.0.0.1:8080/",
            "http://localhost:8080/",
            "https://a.b.c/sms",
            "https://a.b.c.d.e/",
        ] {
            assert_eq!(host(name), name, "{language:?}");
        }
        for (name, in_node) in
            [("https://b.c/", "https://b.c.b.c/"), ("https://a.b.c.d.e.f/", "https://a.b.c.e.f/")]
        {
            assert_eq!(host(name), if language == Language::Node { in_node } else { name });
        }
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
