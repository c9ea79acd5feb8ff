//! Where no code and no number may stand: everything that a deployment leaves behind is searched
//! for them.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use redis::AsyncCommands;
use shared::code::Secrets;
use shared::queue::Queue;

use crate::support::gateway::{self, Gateway, Reply};
use crate::support::process::{Client, Deployment, Environment, Process, base_url, wrong};
use crate::support::{eventually, number, unique};

#[tokio::test(flavor = "multi_thread")]
async fn no_code_stands_in_store_queue_or_logs_and_no_number_in_keys_or_logs() {
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
        queue.dead_letters().await.ok().filter(|dead| !dead.is_empty())
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

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_is_rotated_with_codes_in_flight() {
    let gateway = Gateway::start(&[], Reply::Accept).await;
    let old = Environment::services().with("SMS_DSN", &gateway.dsn());
    let secret = old.get("CODE_SECRET").to_owned();
    // One code has arrived, another job waits for its sender, and one number has guesses against
    // it.
    let before = Deployment::whole(&old);
    let arrived = before.client.ask(number(1).e164()).await.id();
    let code = gateway.got(1).await.remove(0).code;
    assert_eq!(before.client.check(&arrived, &wrong(&code)).await.status, 422);
    drop(before);
    let queued = {
        let api = Process::start(&["api"], &old).announces("/inbox\n");
        Client::new(&base_url(&api.announced)).ask(number(2).e164()).await.id()
    };

    // One in 256 cannot be told apart from the old one by the byte that names it, and is refused at
    // start.
    let lists =
        std::iter::repeat_with(|| format!("{},{secret}", unique("the-new-secret-of-this-test")));
    let list = lists.into_iter().find(|list| Secrets::parse(list).is_ok()).expect("one that can");
    let both = old.clone().with("CODE_SECRET", &list);
    let after = Deployment::whole(&both);
    let client = &after.client;
    assert_eq!(client.ask(number(1).e164()).await.status, 429, "the cooldown goes on");
    assert_eq!(client.status(&arrived).await.body["attempts_left"], 4, "and so do the guesses");
    assert_eq!(client.check(&arrived, &code).await.status, 200);
    let call = gateway.got(2).await.remove(1);
    assert_eq!(client.check(&queued, &call.code).await.status, 200);
    let fresh = client.ask(number(3).e164()).await.id();
    let call = gateway.got(3).await.remove(2);
    assert_eq!(client.check(&fresh, &call.code).await.status, 200);
    let key = |id: &str| URL_SAFE_NO_PAD.decode(&id[..4]).expect("base64")[0];
    assert_ne!(key(&fresh), key(&queued), "the new secret is in use");
    assert_eq!(key(&arrived), key(&queued));
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
