//! Sealed codes: no queue, store, log or dead letter has one in clear, and none opens elsewhere.

use std::time::Duration;

use redis::AsyncCommands;
use serde_json::{Value, json};
use sms_app::custom_message::CustomMessage;
use sms_app::send_sms::{DeliveryPolicy, Outcome, SendSms};
use sms_domain::code::Code;
use sms_domain::code_settings::CodeSettings;
use sms_domain::custom_code::CustomCode;
use sms_domain::job::{Job, JobCode};
use sms_domain::locale::Locale;
use sms_domain::phone::Country;
use sms_domain::retry_schedule::{Delay, Schedule};
use sms_domain::secrets::Secrets;
use sms_domain::trace_context::RequestContext;
use sms_domain::verification::{DeliveryState, Policy};
use sms_domain::verification_id::Purpose;
use sms_gateways::Gateways;
use sms_queue::Queue;
use sms_store::Store;

use super::{post, with_keys};
use crate::support::contract::stopped_clock;
use crate::support::gateway::{Gateway, Reply};
use crate::support::process::{Client, Deployment, Environment, Process, base_url};
use crate::support::{dead_letters, eventually, number, request_code};

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

/// A worker on the embedded parts, whose time stands still, with these secrets.
fn worker(store: &Store, secrets: &str) -> SendSms {
    let secrets = Secrets::parse(secrets).expect("secrets");
    SendSms {
        store: store.clone(),
        gateways: Gateways::from_dsn("null://default").expect("a DSN"),
        codes: CodeSettings::new(secrets),
        schedule: Schedule::default(),
        policy: DeliveryPolicy::default(),
    }
}

/// Sends a message by a process with these secrets, and returns its job.
async fn job_of(store: &Store, secrets: &str, valid_until: Option<i64>) -> Vec<u8> {
    let queue = Queue::memory();
    let secrets = Secrets::parse(secrets).expect("secrets");
    let request_code = request_code(store.clone(), queue.clone(), secrets);
    let message = CustomMessage {
        to: number(1),
        country: Country::parse("CN").expect("a country"),
        custom: CustomCode { code: Code::custom(CODE).expect("a code"), text: None, valid_until },
        ip: None,
        tenant: "shop".to_owned(),
        locale: Locale::En,
        purpose: Purpose::default(),
        is_reported: false,
        context: RequestContext::default(),
    };
    request_code.send_message(message).await.expect("sent");
    queue.consumer(1).expect("a consumer").receive().await.body.clone()
}

const OLD: &str = "0123456789abcdef0123456789abcdef";
const NEW: &str = "fedcba9876543210fedcba9876543210";

#[tokio::test]
async fn sealed_code_waits_for_its_secret_and_is_a_dead_letter_without_it() {
    let store = Store::memory(Policy::default()).with_clock(stopped_clock());
    let rotated = format!("{NEW},{OLD}");
    let job = job_of(&store, &rotated, None).await;
    // The worker gets the new secret later.
    let held = worker(&store, OLD).deliver(&job, 1, 1).await;
    assert!(matches!(&held, Outcome::Hold { .. }), "{held:?}");
    let sent = worker(&store, &rotated).deliver(&job, 1, 2).await;
    assert_eq!(sent, Outcome::Done);

    let store = Store::memory(Policy::default()).with_clock(stopped_clock());
    let job = job_of(&store, &rotated, None).await;
    store.clock().advance(Policy::MAX_LIFE - Duration::from_secs(2));
    let dead = worker(&store, OLD).deliver(&job, 1, 1).await;
    let Outcome::Dead(reason) = dead else { panic!("{dead:?}") };
    assert!(reason.text.contains("does not hold the secret"), "{}", reason.text);
}

#[tokio::test]
async fn sealed_code_that_its_maker_no_longer_accepts_is_not_sent() {
    let store = Store::memory(Policy::default()).with_clock(stopped_clock());
    let now = store.clock().micros() / 1_000;
    let job = job_of(&store, OLD, Some(now + 30_000)).await;
    store.clock().advance(Duration::from_secs(30));
    assert_eq!(worker(&store, OLD).deliver(&job, 1, 1).await, Outcome::Done);
    let id = Job::decode(&job).expect("a job").id;
    let message = store.latest(id.tag()).await.expect("an answer").expect("is there");
    assert_eq!(message.verification.delivery, DeliveryState::Failed);
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
