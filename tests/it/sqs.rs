//! The producer for SQS, on a real SQS server: what it sends, how it postpones, and what it buries.

use std::time::Duration;

use aws_sdk_sqs::Client;
use aws_sdk_sqs::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_sqs::types::{Message, MessageSystemAttributeName};
use shared::job::Job;
use shared::message::Locale;
use shared::queue::{Delay, Queue};

use crate::support::services::sqs_endpoint;
use crate::support::{Person, eventually, number, unique};

/// Two queues, and a client to look into them.
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
    let url = create(&client).await;
    let dead_url = create(&client).await;
    let queue = Queue::from_url(&url, Some(&dead_url)).await.expect("a URL");
    Fixture { queue, client, url, dead_url }
}

async fn create(client: &Client) -> String {
    let created = client.create_queue().queue_name(unique("test")).send().await.expect("a queue");
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
