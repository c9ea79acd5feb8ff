//! Sealed codes: no queue, store, log or dead letter has one in clear, and none opens elsewhere.

use redis::AsyncCommands;
use serde_json::{Value, json};
use sms_domain::job::{Job, JobCode};
use sms_domain::retry_schedule::Delay;
use sms_queue::Queue;

use super::{post, with_keys};
use crate::support::gateway::{Gateway, Reply};
use crate::support::process::{Client, Deployment, Environment, Process, base_url};
use crate::support::{dead_letters, eventually, number};

/// One that does not come up by chance.
const CODE: &str = "WBPP-MJGR-7H2KQ";

/// An API without a worker, and its queue.
fn api(environment: &Environment) -> (Process, Client, Queue) {
    let api = Process::start(&["api"], environment).announces("/v1/verifications");
    let client = Client::new(&base_url(&api.announced));
    (api, client, Queue::from_url(environment.get("QUEUE_URL"), None).expect("a URL"))
}

/// The next job of a queue, which is taken out of it.
async fn take(queue: &Queue) -> Job {
    let mut consumer = queue.consumer(1).expect("a consumer");
    let message = consumer.receive().await;
    let job = Job::decode(&message.body).expect("a job");
    message.ack();
    consumer.close().await;
    job
}

async fn first_dead_letter(queue: &Queue) -> (String, String) {
    let letter = eventually("a dead letter", || async {
        dead_letters(queue).await.ok()?.into_iter().next()
    });
    let letter = letter.await;
    (letter.reason.text, String::from_utf8(letter.body).expect("text"))
}

#[tokio::test(flavor = "multi_thread")]
async fn sealed_code_stands_nowhere_in_clear() {
    let gateway = Gateway::start(&[], Reply::Refuse("112300")).await;
    let environment = with_keys(Environment::services())
        .with("LOG_LEVEL", "trace")
        .with("MAX_RETRIES", "1")
        .with("RETRY_BACKOFF", "1");
    let (api, client, queue) = api(&environment);
    let body = json!({ "to": number(1).e164(), "code": CODE });
    let sent = post(&client, "/v1/messages", &body).await;
    assert_eq!(sent.status, 202);
    let job = take(&queue).await;
    let queued = job.encode();
    assert!(queued.contains("\"v\":3") && matches!(job.code, JobCode::Sealed(_)), "{queued}");
    queue.send(&job, Delay::NONE).await.expect("queued");

    let with_gateway = environment.clone().with("SMS_DSN", &gateway.dsn());
    let worker = Process::start(&["worker"], &with_gateway);
    gateway.got(2).await;
    let (_, buried) = first_dead_letter(&queue).await;
    assert_eq!(gateway.calls()[0].code, CODE, "it is what reached the gateway");
    assert!(!buried.contains("sealed"), "{buried}");
    let redrive = Process::start(&["dead", "redrive"], &environment).output().await;
    assert!(redrive.contains("0 job(s) back") && redrive.contains("requested anew"), "{redrive}");

    let store = dump(environment.get("REDIS_URL")).await;
    let logs = api.log() + &worker.log();
    assert!(logs.contains("TRACE") && store.len() > 1, "there is something to search");
    for (place, text) in [
        ("the queue", queued),
        ("a dead letter", buried),
        ("the store", store.join("\n")),
        ("a log", logs),
    ] {
        for part in [CODE, "7H2KQ", &format!("{:?}", CODE.as_bytes())[1..40]] {
            assert!(!text.contains(part), "a code in {place}");
        }
    }
}

async fn dump(url: &str) -> Vec<String> {
    let client = redis::Client::open(url).expect("a URL");
    let mut connection = client.get_multiplexed_async_connection().await.expect("Redis");
    let keys: Vec<String> = connection.keys("sms-verify:*").await.expect("keys");
    let mut entries = keys.clone();
    for key in keys {
        let value: Vec<u8> = connection.get(&key).await.unwrap_or_default();
        entries.push(String::from_utf8_lossy(&value).into_owned());
    }
    entries
}

#[tokio::test(flavor = "multi_thread")]
async fn sealed_code_opens_in_no_other_job() {
    let environment = with_keys(Environment::services());
    let (api, client, queue) = api(&environment);
    let mut jobs = Vec::new();
    for index in 1..=2 {
        let body =
            json!({ "to": number(index).e164(), "code": format!("{index}{index}{index}{index}") });
        assert_eq!(post(&client, "/v1/messages", &body).await.status, 202);
        jobs.push(take(&queue).await);
    }
    let moved = Job { code: jobs[1].code.clone(), ..jobs[0].clone() };
    queue.send(&moved, Delay::NONE).await.expect("queued");
    let inbox = environment.clone().with("SMS_DSN", &format!("inbox+{}", client.base));
    let worker = Process::start(&["worker"], &inbox);
    let (reason, _) = first_dead_letter(&queue).await;
    assert!(reason.contains("not of this job"), "{reason}");
    queue.send(&jobs[1], Delay::NONE).await.expect("queued");
    assert_eq!(client.code(number(2).e164()).await, "2222", "its own job's");
    assert_eq!(client.inbox(number(1).e164()).await, Vec::<Value>::new());
    drop((api, worker));
}

#[tokio::test(flavor = "multi_thread")]
async fn sealed_code_of_a_secret_that_was_taken_away_is_a_dead_letter() {
    let environment = with_keys(Environment::services());
    let (api, client, queue) = api(&environment);
    let body = json!({ "to": number(1).e164(), "code": CODE });
    assert_eq!(post(&client, "/v1/messages", &body).await.status, 202);
    // The tags are of the oldest secret: with another one nothing is found. So the old one goes on
    // to tag, and the new one is taken away.
    let old = environment.get("CODE_SECRET").to_owned();
    let both = format!("a-newer-secret-of-this-test-0123,{old}");
    let rotated = environment.clone().with("CODE_SECRET", &both);
    let (newer, client, _) = self::api(&rotated);
    let body = json!({ "to": number(2).e164(), "code": CODE });
    assert_eq!(post(&client, "/v1/messages", &body).await.status, 202);
    let inbox = environment.clone().with("SMS_DSN", &format!("inbox+{}", client.base));
    let worker = Process::start(&["worker"], &inbox);
    let (reason, body) = first_dead_letter(&queue).await;
    assert!(reason.contains("does not hold the secret"), "{reason}");
    assert!(body.contains(number(2).e164()), "the second alone: {body}");
    assert_eq!(client.code(number(1).e164()).await, CODE);
    drop((api, newer, worker));
}

#[tokio::test(flavor = "multi_thread")]
async fn code_that_no_template_takes_says_so_at_once() {
    let environment = with_keys(Environment::services());
    let (api, client, queue) = api(&environment);
    let dsn =
        "tencent://ID:KEY@127.0.0.1:9?app_id=1&sign=S&template=1&region=ap-guangzhou&tls=false";
    let worker = Process::start(&["worker"], &environment.clone().with("SMS_DSN", dsn));
    let body = json!({ "to": number(1).e164(), "code": "WBPP-MJGR" });
    assert_eq!(post(&client, "/v1/messages", &body).await.status, 202);
    let (reason, _) = first_dead_letter(&queue).await;
    assert!(reason.contains("no letters and dashes"), "{reason}");
    drop((api, worker));
}

#[tokio::test(flavor = "multi_thread")]
async fn message_to_a_test_number_is_not_sent() {
    let environment = with_keys(Environment::embedded())
        .with("TEST_NUMBERS", "+8613800138000=012345")
        .with("TEST_NUMBERS_UNTIL", "2999-12-31");
    let deployment = Deployment::whole(&environment);
    let sent = post(
        &deployment.client,
        "/v1/messages",
        &json!({ "to": "+8613800138000", "code": "4711" }),
    )
    .await;
    assert_eq!(sent.status, 202);
    deployment.api.logs("a test number: nothing is sent").await;
    assert_eq!(deployment.client.inbox("+8613800138000").await, Vec::<Value>::new());
}
