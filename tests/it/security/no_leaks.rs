//! No leaks of codes, numbers and secrets: store, queue and logs of a deployment are searched for
//! them.

use redis::AsyncCommands;
use sha2::{Digest, Sha256};
use sms_queue::Queue;

use crate::support::collector::Collector;
use crate::support::gateway::{self, Gateway, Reply};
use crate::support::process::{Deployment, Environment, Process, wrong};
use crate::support::{dead_letters, eventually, number};

#[tokio::test(flavor = "multi_thread")]
async fn no_leaks_of_codes_numbers_or_secrets() {
    // Ten digits, which do not come up by chance; every line that can be logged.
    let environment = Environment::services()
        .with("CODE_LENGTH", "10")
        .with("LOG_LEVEL", "trace")
        .with("RETRY_BACKOFF", "1");
    let refuse = Reply::Refuse("160000");
    let gateway =
        Gateway::start(&[Reply::Accept, Reply::Http(500), Reply::Accept, Reply::Break], refuse)
            .await;
    let mut deployment = Deployment::split(&environment);
    deployment.workers.clear();
    let with_gateway = environment.clone().with("SMS_DSN", &gateway.dsn());
    deployment.workers.push(Process::start(&["worker"], &with_gateway));
    let client = &deployment.client;

    // Approved, wrong, retried, and dead.
    for index in 0..3 {
        let id = client.ask(number(index).e164()).await.id();
        let calls = gateway.got(usize::try_from(index).expect("small") + 1).await;
        let code =
            &calls.iter().find(|call| call.to == number(index).national()).expect("a call").code;
        assert_eq!(client.check(&id, &wrong(code)).await.status, 422);
        if index == 0 {
            assert_eq!(client.check(&id, code).await.status, 200);
        }
    }
    let queue = Queue::from_url(environment.get("QUEUE_URL"), None).expect("a URL");
    let dead = eventually("a dead letter", || async {
        dead_letters(&queue).await.ok().filter(|dead| !dead.is_empty())
    });
    // One more that stays in the queue, since nobody takes it.
    let dead = dead.await;
    deployment.workers[0].terminate();
    deployment.workers[0].ended().await;
    client.ask(number(9).e164()).await;
    let waiting = queue.consumer(1).expect("a consumer").receive().await;

    let store = dump(environment.get("REDIS_URL")).await;
    let announced = format!("{}{}", deployment.api.announced, deployment.workers[0].announced);
    let logs = deployment.logs() + &announced;
    let queued: Vec<String> = dead
        .iter()
        .map(|letter| format!("{letter:?} {}", String::from_utf8_lossy(&letter.body)))
        .chain([String::from_utf8_lossy(&waiting.body).into_owned()])
        .collect();
    let calls = gateway.calls();
    assert!(
        calls.len() >= 5 && !store.is_empty() && logs.contains("TRACE"),
        "there is something to search"
    );
    for call in calls {
        for (place, text) in [
            ("the store", &store.join("\n")),
            ("the queue", &queued.join("\n")),
            ("the logs", &logs),
        ] {
            assert!(!text.contains(&call.code), "a code in {place}");
        }
        let keys: Vec<&str> = store.iter().filter_map(|entry| entry.split(' ').next()).collect();
        for (place, text) in [("a key", &keys.join("\n")), ("the logs", &logs)] {
            assert!(!text.contains(&call.to), "a number in {place}");
            assert!(!text.contains(&decimals(&call.to)), "a number's bytes in {place}");
        }
    }
    // What RabbitMQ is told at the beginning of a connection: user and password.
    for secret in [environment.get("CODE_SECRET"), gateway::TOKEN, "\0guest\0guest"] {
        for (place, text) in [
            ("the store", &store.join("\n")),
            ("the queue", &queued.join("\n")),
            ("the logs", &logs),
        ] {
            assert!(!text.contains(secret), "a secret in {place}");
            assert!(!text.contains(&decimals(secret)), "a secret's bytes in {place}");
        }
    }
}

/// The calls of Twilio Verify and of the tutorial's pages have numbers in their paths.
#[tokio::test(flavor = "multi_thread")]
async fn no_leaks_of_numbers_in_paths() {
    let (collector, endpoint) = Collector::start().await;
    let hash = hex::encode(Sha256::digest("a-key"));
    let token = "0123456789abcdef0123456789abcdef";
    let service = "/v2/Services/VA0123456789abcdef0123456789abcdef";
    let environment = Environment::services()
        .with("LOG_LEVEL", "trace")
        .with("OTEL_EXPORTER_OTLP_ENDPOINT", &endpoint)
        .with("OTEL_BSP_SCHEDULE_DELAY", "50")
        .with("TWILIO_VERIFY_SERVICES", &format!("{}=login", &service[13..]))
        .with("API_KEYS", &format!("tests={hash}"))
        .with("DOORS", &format!("privacyidea://?token={token}"));
    let deployment = Deployment::whole(&environment);
    let client = &deployment.client;
    let call = async |method: &str, path: &str, key: &str, body: &str| {
        let request = client.request(method, path).basic_auth("AC1", Some(key));
        let form = request.header("content-type", "application/x-www-form-urlencoded");
        client.send(form.body(body.to_owned())).await.status
    };
    let create = format!("{service}/Verifications");
    let asked = "To=%2B8613800138000&Channel=sms";
    assert_eq!(call("POST", &create, "a-key", asked).await, 201);
    for (name, status) in [
        ("+8613800138000", 200),
        ("%2B86%201380013%208000", 200),
        // One that is not pending, and what is no number.
        ("+8613800138001", 404),
        ("13800138000", 404),
        ("+8613800138000/more", 404),
        ("%FF13800138000", 404),
    ] {
        let path = format!("{create}/{name}");
        assert_eq!(call("GET", &path, "a-key", "").await, status, "{name}");
        assert_eq!(
            call("PUT", &path, "a-key", "").await,
            if name.contains('/') { 404 } else { 405 }
        );
        assert_eq!(
            call("GET", &path, "no-key", "").await,
            if name.contains(['/', 'F']) { 404 } else { 401 }
        );
        assert_eq!(
            call("POST", &path, "a-key", "Status=13800138000").await,
            if status == 200 { 400 } else { 404 }
        );
    }
    let check = format!("{service}/VerificationCheck");
    for body in ["To=%2B8613800138000&Code=1380013800", "To=13800138000&Code=13800138000"] {
        call("POST", &check, "a-key", body).await;
    }
    for path in ["/sms_codes/13800138000/", "/sms_codes/138%2000138000/?image_code_id=13800138000"]
    {
        client.get(path).await;
        client.send(client.request("DELETE", path)).await;
    }
    client.get("/13800138000?to=+8613800138000").await;
    // A door whose server may put both into the query; a HEAD is no request for an SMS.
    let query = "/v1/doors/privacyidea?to=%2B8613800138000&code=1380013800";
    for (method, key, status) in [("GET", token, 200), ("GET", "no-key", 401), ("HEAD", token, 405)]
    {
        assert_eq!(call(method, query, key, "").await, status, "{method}");
    }
    eventually("all spans", || async {
        let spans = collector.spans();
        (spans.iter().filter(|span| span.name == "request").count() >= 30).then_some(())
    })
    .await;
    let (logs, spans) = (deployment.logs(), format!("{:?}", collector.spans()));
    assert!(logs.contains("admitted") && logs.contains("checked"), "there is something to search");
    for (place, text) in [("the logs", logs), ("the spans", spans)] {
        let digits: String = text.chars().filter(|c| !"+ ".contains(*c)).collect();
        let digits = digits.replace("%20", "").replace("%2B", "");
        assert!(!digits.contains("1380013800"), "a number in {place}: {text}");
    }
}

/// The text as a client prints the bytes that go over the wire.
fn decimals(text: &str) -> String {
    let bytes = format!("{:?}", text.as_bytes());
    bytes.trim_matches(['[', ']']).to_owned()
}

/// Every key of the store with its value.
async fn dump(url: &str) -> Vec<String> {
    let client = redis::Client::open(url).expect("a URL");
    let mut connection = client.get_multiplexed_async_connection().await.expect("Redis");
    let keys: Vec<String> = connection.keys("sms-verify:*").await.expect("keys");
    let mut entries = Vec::new();
    for key in keys {
        // -2 is that of a key which is gone meanwhile.
        assert_ne!(
            connection.pttl::<_, i64>(&key).await.expect("a TTL"),
            -1,
            "{key} stays for ever"
        );
        let fields: Vec<(String, String)> = connection.hgetall(&key).await.unwrap_or_default();
        entries.push(format!("{key} {fields:?}"));
    }
    entries
}
