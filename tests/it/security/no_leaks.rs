//! No leaks of codes, numbers and secrets: store, queue and logs of a deployment are searched for
//! them.

use redis::AsyncCommands;
use sms_queue::Queue;

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
