//! SQS, on a real SQS server: the producer, the way of a job through an event source mapping, and dead letters.

use std::time::{Duration, Instant};

use aws_sdk_sqs::Client;
use aws_sdk_sqs::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_sqs::types::{Message, MessageSystemAttributeName, QueueAttributeName};
use serde_json::{Value, json};
use shared::batch::deliver_batch;
use shared::code::{CodeLength, Secrets};
use shared::delivery::{Deliveries, Schedule};
use shared::job::Job;
use shared::message::Locale;
use shared::provider::Provider;
use shared::queue::{Delay, Queue};
use shared::store::Store;
use shared::verification::Policy;

use crate::support::gateway::{Gateway, Reply};
use crate::support::process::{Environment, Process};
use crate::support::services::sqs_endpoint;
use crate::support::{Person, eventually, number, unique};

/// Attempts after the first, as the functions have it unless told otherwise.
const MAX_RETRIES: u32 = 3;

/// A queue with its dead-letter queue, as the template makes them, and a client to look into them.
struct Fixture {
    queue: Queue,
    client: Client,
    url: String,
    dead_url: String,
}

async fn fixture() -> Fixture {
    shared::tls::install();
    let config = aws_sdk_sqs::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .credentials_provider(Credentials::new("test", "test", None, None, "test"))
        .endpoint_url(sqs_endpoint())
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .build();
    let client = Client::from_conf(config);
    let dead_url = create(&client, None).await;
    let request = client.get_queue_attributes().queue_url(&dead_url).attribute_names(QueueAttributeName::QueueArn);
    let attributes = request.send().await.expect("attributes").attributes.expect("attributes");
    let redrive =
        json!({ "deadLetterTargetArn": attributes[&QueueAttributeName::QueueArn], "maxReceiveCount": 1 + MAX_RETRIES });
    let url = create(&client, Some(&redrive.to_string())).await;
    let queue = Queue::from_url(&url, Some(&dead_url)).await.expect("a URL");
    Fixture { queue, client, url, dead_url }
}

async fn create(client: &Client, redrive_policy: Option<&str>) -> String {
    let request = client.create_queue().queue_name(unique("test"));
    let policy = redrive_policy.map(|policy| [(QueueAttributeName::RedrivePolicy, policy.to_owned())].into());
    let created = request.set_attributes(policy).send().await.expect("a queue");
    created.queue_url().expect("its URL").to_owned()
}

fn job() -> Job {
    Job { id: Person::new().asks().id, send: 1, to: number(1), locale: Locale::En, attempts: 0 }
}

async fn receive(client: &Client, url: &str) -> Message {
    eventually("a message", || async {
        let request = client.receive_message().queue_url(url).message_attribute_names("All");
        let request = request.message_system_attribute_names(MessageSystemAttributeName::ApproximateReceiveCount);
        request.send().await.expect("an answer").messages.unwrap_or_default().pop()
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_is_one_message() {
    let Fixture { queue, client, url, .. } = fixture().await;
    eventually("SQS takes the job", || async { queue.send(&job(), Delay::NONE).await.ok() }).await;
    let message = receive(&client, &url).await;
    assert_eq!(Job::decode(message.body().expect("a body").as_bytes()).expect("a job").to, number(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_postponed_message_comes_again_soon() {
    let Fixture { queue, client, url, .. } = fixture().await;
    eventually("SQS takes the job", || async { queue.send(&job(), Delay::NONE).await.ok() }).await;
    // Without being postponed it would come again after 30 s, the default of SQS.
    let message = receive(&client, &url).await;
    let delay = Delay { base: Duration::from_secs(1), jitter: Duration::ZERO };
    let handle = message.receipt_handle().expect("a handle");
    eventually("SQS postpones", || async { queue.postpone(handle, delay).await.ok() }).await;
    let again = receive(&client, &url).await;
    let receives = again.attributes().expect("attributes").get(&MessageSystemAttributeName::ApproximateReceiveCount);
    assert_eq!(receives.map(String::as_str), Some("2"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_letter_has_its_reason_as_attribute() {
    let Fixture { queue, client, dead_url, .. } = fixture().await;
    eventually("SQS takes the letter", || async { queue.bury(b"not a job", "cannot be read").await.ok() }).await;
    let letter = receive(&client, &dead_url).await;
    assert_eq!(letter.body(), Some("not a job"));
    let reason = letter.message_attributes().and_then(|attributes| attributes.get("reason")).expect("a reason");
    assert_eq!(reason.string_value(), Some("cannot be read"));
}

/// Plays Lambda's event source mapping: receives batches, invokes `send-sms` with them, and deletes what it does not
/// name in its response.
struct Mapping<'a> {
    fixture: &'a Fixture,
    deliveries: Deliveries,
}

impl<'a> Mapping<'a> {
    fn new(fixture: &'a Fixture, gateway: &Gateway) -> Self {
        let deliveries = Deliveries {
            store: Store::memory(Policy::default()),
            provider: Provider::from_dsn(&gateway.dsn()).expect("a DSN"),
            secrets: Secrets::from_random(shared::entropy::random_bytes()),
            code_length: CodeLength::default(),
            schedule: Schedule { backoff: Duration::from_secs(1), max_retries: MAX_RETRIES },
        };
        Self { fixture, deliveries }
    }

    /// Asks for a code, as `request-code` does.
    async fn ask(&self, index: u32) {
        let (store, secrets) = (self.deliveries.store.clone(), self.deliveries.secrets.clone());
        let admissions = shared::admission::Admissions { store, queue: self.fixture.queue.clone(), secrets };
        eventually("an admitted request", || async {
            let random = shared::entropy::random_bytes();
            admissions.request(number(index), Locale::En, &Default::default(), random).await.ok()
        })
        .await;
    }

    /// One round: up to ten messages, one invocation.
    async fn poll(&self) {
        let Fixture { client, url, queue, .. } = self.fixture;
        let request = client.receive_message().queue_url(url).max_number_of_messages(10).wait_time_seconds(1);
        let request = request.message_system_attribute_names(MessageSystemAttributeName::ApproximateReceiveCount);
        let messages = request.send().await.expect("an answer").messages.unwrap_or_default();
        if messages.is_empty() {
            return;
        }
        let event = json!({ "Records": messages.iter().map(record).collect::<Vec<_>>() });
        let event = serde_json::from_value(event).expect("an SQS event");
        let response = deliver_batch(&self.deliveries, queue, event).await;
        let failed = |message: &Message| {
            response
                .batch_item_failures
                .iter()
                .any(|failure| Some(failure.item_identifier.as_str()) == message.message_id())
        };
        for message in messages.iter().filter(|message| !failed(message)) {
            let request = client.delete_message().queue_url(url).set_receipt_handle(message.receipt_handle.clone());
            request.send().await.expect("deleted");
        }
    }

    /// Rounds until `done`.
    async fn poll_until(&self, what: &str, done: impl AsyncFn() -> bool) {
        let deadline = Instant::now() + Duration::from_secs(60);
        while !done().await {
            assert!(Instant::now() < deadline, "never came: {what}");
            self.poll().await;
        }
    }
}

fn record(message: &Message) -> Value {
    let receives =
        &message.attributes.as_ref().expect("attributes")[&MessageSystemAttributeName::ApproximateReceiveCount];
    json!({
        "messageId": message.message_id, "receiptHandle": message.receipt_handle, "body": message.body,
        "attributes": { "ApproximateReceiveCount": receives }, "messageAttributes": {},
    })
}

/// How many messages a queue has, hidden ones included.
async fn depth(client: &Client, url: &str) -> u32 {
    use QueueAttributeName::{ApproximateNumberOfMessages, ApproximateNumberOfMessagesNotVisible};
    let names = [ApproximateNumberOfMessages, ApproximateNumberOfMessagesNotVisible];
    let request = client.get_queue_attributes().queue_url(url).set_attribute_names(Some(names.to_vec()));
    let attributes = request.send().await.expect("an answer").attributes.expect("attributes");
    names.iter().map(|name| attributes[name].parse::<u32>().expect("a number")).sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_job_comes_again_after_its_back_off_and_its_neighbours_are_deleted() {
    let fixture = fixture().await;
    // One of the two jobs is refused, the other accepted, and the first is then refused once more.
    let gateway = Gateway::start(&[Reply::Refuse("160000"), Reply::Accept, Reply::Http(503)], Reply::Accept).await;
    let mapping = Mapping::new(&fixture, &gateway);
    mapping.ask(1).await;
    mapping.ask(2).await;
    mapping.poll_until("both SMS", async || gateway.accepted().len() == 2).await;
    let calls = gateway.calls();
    let of_the_first: Vec<_> = calls.iter().filter(|call| call.to == calls[0].to).collect();
    assert_eq!((calls.len(), of_the_first.len()), (4, 3), "{calls:?}");
    let gaps: Vec<Duration> = of_the_first.windows(2).map(|pair| pair[1].at - pair[0].at).collect();
    println!("RETRY_BACKOFF=1 on SQS: gaps between the attempts {gaps:.2?}");
    assert!(gaps[0] >= Duration::from_secs(1) && gaps[1] >= Duration::from_secs(2), "{gaps:?}");
    assert_eq!(depth(&fixture.client, &fixture.url).await, 0, "nothing is left");
    assert_eq!(depth(&fixture.client, &fixture.dead_url).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_out_of_attempts_is_a_dead_letter_that_an_operator_can_redrive() {
    let fixture = fixture().await;
    let gateway = Gateway::start(&[], Reply::Refuse("160000")).await;
    let mapping = Mapping::new(&fixture, &gateway);
    mapping.ask(1).await;
    let body = "not a job";
    fixture.client.send_message().queue_url(&fixture.url).message_body(body).send().await.expect("sent");
    mapping.poll_until("two dead letters", async || depth(&fixture.client, &fixture.dead_url).await == 2).await;
    assert_eq!(gateway.calls().len(), 4);
    assert_eq!(depth(&fixture.client, &fixture.url).await, 0);

    let list = dead(&fixture, "list").await;
    assert!(list.contains("out of attempts, after attempt 4") && list.contains("not a job"), "{list}");
    assert!(list.contains("2 dead letter(s)"), "{list}");
    assert!(dead(&fixture, "list").await.contains("2 dead letter(s)"), "looking does not take away");
    let redriven = dead(&fixture, "redrive").await;
    assert!(redriven.contains("1 job(s)") && redriven.contains("1 message(s) left"), "{redriven}");
    mapping.poll_until("another attempt", async || gateway.calls().len() == 5).await;
    assert!(dead(&fixture, "purge").await.contains("1 dead letter(s) deleted"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_function_that_never_answers_ends_with_the_redrive_policy() {
    let Fixture { queue, client, url, dead_url } = fixture().await;
    eventually("SQS takes the job", || async { queue.send(&job(), Delay::NONE).await.ok() }).await;
    // Each time the function dies, the message shows again when its visibility timeout is over.
    eventually("the dead letter", || async {
        let request = client.receive_message().queue_url(&url).visibility_timeout(0);
        request.send().await.expect("an answer");
        (depth(&client, &dead_url).await == 1).then_some(())
    })
    .await;
    let letters = queue.dead_letters().await.expect("an answer");
    assert!(letters[0].reason.contains("maxReceiveCount"), "{letters:?}");
}

async fn dead(fixture: &Fixture, action: &str) -> String {
    let environment = Environment::embedded().with("QUEUE_URL", &fixture.url).with("DEAD_QUEUE_URL", &fixture.dead_url);
    let aws = [("AWS_REGION", "us-east-1"), ("AWS_ACCESS_KEY_ID", "test"), ("AWS_SECRET_ACCESS_KEY", "test")];
    let environment = aws.iter().fold(environment, |environment, (name, value)| environment.with(name, value));
    Process::start(&["dead", action], &environment.with("AWS_ENDPOINT_URL_SQS", &sqs_endpoint())).output().await
}
