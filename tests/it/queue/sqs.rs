//! SQS, on a real SQS server: the producer, the way of a job through an event source mapping, and
//! dead letters.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::{Message, MessageSystemAttributeName};
use futures_util::future::join_all;
use sms_app::request_code::Request;
use sms_app::send_sms::{DeliveryPolicy, SendSms};
use sms_domain::code_settings::CodeSettings;
use sms_domain::job::Job;
use sms_domain::retry_schedule::{Delay, Schedule};
use sms_domain::secrets::Secrets;
use sms_domain::trace_context::{RequestContext, TraceParent};
use sms_domain::verification::Policy;
use sms_gateways::Gateways;
use sms_lambda::batch::{Response, deliver_event};
use sms_queue::Queue;
use sms_store::Store;

use super::job;
use crate::support::gateway::{Gateway, Reply};
use crate::support::process::{Environment, Process};
use crate::support::services::sqs_endpoint;
use crate::support::sqs::{Queues, client, client_in};
use crate::support::{GIVE_UP, dead_letters, eventually, number, request, request_code, unique};

struct Fixture {
    queue: Queue,
    client: Client,
    queues: Queues,
}

async fn fixture() -> Fixture {
    let client = client();
    let queues = Queues::create(&client).await;
    let queue = Queue::from_url(&queues.url, Some(&queues.dead_url)).expect("a URL");
    Fixture { queue, client, queues }
}

async fn receive(client: &Client, url: &str) -> Message {
    eventually("a message", || async {
        let request = client.receive_message().queue_url(url).message_attribute_names("All");
        let request = request.message_system_attribute_names(MessageSystemAttributeName::All);
        request.send().await.expect("an answer").messages.unwrap_or_default().pop()
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn job_is_one_message_with_its_trace() {
    let Fixture { queue, client, queues } = fixture().await;
    let trace = TraceParent::parse("00-5759e988bd862e3fe1be46a994272793-53995c3f42cd8ad8-01");
    let traced =
        Job { context: RequestContext { request_id: None, trace: trace.clone() }, ..job(1) };
    eventually("SQS takes the job", || async { queue.send(&traced, Delay::NONE).await.ok() }).await;
    let message = receive(&client, &queues.url).await;
    let received = Job::decode(message.body().expect("a body").as_bytes()).expect("a job");
    assert_eq!((received.to, received.context.trace), (number(1), trace));
    // X-Ray's.
    let header =
        message.attributes().and_then(|all| all.get(&MessageSystemAttributeName::AwsTraceHeader));
    let xray = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1";
    assert_eq!(header.map(String::as_str), Some(xray));
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_jobs_are_messages_of_their_own() {
    const TENANTS: [Option<&str>; 3] = [Some("shop"), None, Some("app")];
    let Fixture { queue, client, queues } = fixture().await;
    let trace = TraceParent::parse("00-5759e988bd862e3fe1be46a994272793-53995c3f42cd8ad8-01");
    let jobs: Vec<Job> = (0..25)
        .map(|index| Job {
            to: number(index),
            tenant: TENANTS[index as usize % 3].map(ToOwned::to_owned),
            context: RequestContext { request_id: None, trace: trace.clone() },
            ..job(1)
        })
        .collect();
    // Each is sent until SQS has taken it, some perhaps twice.
    let sent = jobs.iter().map(|job| {
        eventually("SQS takes the job", || async { queue.send(job, Delay::NONE).await.ok() })
    });
    join_all(sent).await;
    let mut received = HashSet::new();
    while received.len() < jobs.len() {
        let message = receive(&client, &queues.url).await;
        let job = Job::decode(message.body().expect("a body").as_bytes()).expect("a job");
        assert_eq!(job.context.trace, trace);
        assert_eq!(group(&message), job.tenant.as_deref(), "of its own tenant");
        received.insert(job.id);
    }
    assert!(jobs.iter().all(|job| received.contains(&job.id)), "{received:?}");
}

fn group(message: &Message) -> Option<&str> {
    message.attributes()?.get(&MessageSystemAttributeName::MessageGroupId).map(String::as_str)
}

#[tokio::test(flavor = "multi_thread")]
async fn job_is_of_its_tenants_group_wherever_it_goes() {
    let fixture = fixture().await;
    let Fixture { queue, client, queues } = &fixture;
    let gateway = Gateway::start(&[], Reply::Accept).await;
    let SendSms { store, codes, .. } = Mapping::new(&fixture, &gateway).send_sms;
    let request_code = request_code(store, queue.clone(), codes.secrets);
    let tenant = Some("shop".to_owned());
    eventually("an admitted request", || async {
        let asked = Request { tenant: tenant.clone(), ..request(number(1)) };
        request_code.request(asked, sms_domain::random::random_bytes()).await.ok()
    })
    .await;
    let requested = receive(client, &queues.url).await;
    assert_eq!(group(&requested), Some("shop"), "as it is requested");
    let job = Job::decode(requested.body().expect("a body").as_bytes()).expect("a job");

    let anew = Job { to: number(2), ..job.clone() };
    let second = Delay { base: Duration::from_secs(1), jitter: Duration::ZERO };
    eventually("SQS takes the job", || async { queue.send(&anew, second).await.ok() }).await;
    assert_eq!(group(&receive_job(client, &queues.url, &anew).await), Some("shop"), "queued anew");

    let dead = Job { to: number(3), ..job };
    eventually("SQS takes the letter", || async {
        queue.dead_letter(dead.encode().as_bytes(), "out of attempts").await.ok()
    })
    .await;
    let letter = receive_job(client, &queues.dead_url, &dead).await;
    assert_eq!(group(&letter), Some("shop"), "a dead letter");
    let request = client.change_message_visibility().queue_url(&queues.dead_url);
    let request = request.set_receipt_handle(letter.receipt_handle).visibility_timeout(0);
    request.send().await.expect("visible again");

    let mut letters = queue.dead_letters().await.expect("dead letters");
    while let Some(letter) = letters.next().await.expect("an answer") {
        letters.redrive(&letter, dead.clone()).await.expect("redriven");
    }
    letters.close().await.expect("closed");
    assert_eq!(group(&receive_job(client, &queues.url, &dead).await), Some("shop"), "redriven");
}

/// The message of a job; a copy of another, whose call took long, is passed over.
async fn receive_job(client: &Client, url: &str, job: &Job) -> Message {
    loop {
        let message = receive(client, url).await;
        let body = message.body().expect("a body").as_bytes();
        if Job::decode(body).expect("a job").to == job.to {
            return message;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn postponed_message_comes_again_soon() {
    let Fixture { queue, client, queues } = fixture().await;
    eventually("SQS takes the job", || async { queue.send(&job(1), Delay::NONE).await.ok() }).await;
    // Without being postponed it would come again after 30 s, the default of SQS.
    let message = receive(&client, &queues.url).await;
    let delay = Delay { base: Duration::from_secs(1), jitter: Duration::ZERO };
    let handle = message.receipt_handle().expect("a handle");
    eventually("SQS postpones", || async { queue.postpone(handle, delay).await.ok() }).await;
    let again = receive(&client, &queues.url).await;
    let receives = again
        .attributes()
        .expect("attributes")
        .get(&MessageSystemAttributeName::ApproximateReceiveCount);
    assert_eq!(receives.map(String::as_str), Some("2"));
}

#[tokio::test(flavor = "multi_thread")]
async fn dead_letter_reason_is_an_attribute() {
    let Fixture { queue, client, queues } = fixture().await;
    eventually("SQS takes the letter", || async {
        queue.dead_letter(b"not a job", "cannot be read").await.ok()
    })
    .await;
    let letter = receive(&client, &queues.dead_url).await;
    assert_eq!(letter.body(), Some("not a job"));
    let reason = letter
        .message_attributes()
        .and_then(|attributes| attributes.get("reason"))
        .expect("a reason");
    assert_eq!(reason.string_value(), Some("cannot be read"));
}

#[tokio::test(flavor = "multi_thread")]
async fn queue_region_is_that_of_its_url() {
    // `AWS_REGION` is another.
    let client = client_in("eu-central-1", &sqs_endpoint());
    let name = unique("elsewhere");
    let created = client.create_queue().queue_name(&name).send().await.expect("a queue");
    let url = created.queue_url().expect("its URL");
    let account = url.rsplit('/').nth(1).expect("an account");
    let queue =
        Queue::from_url(&format!("https://sqs.eu-central-1.amazonaws.com/{account}/{name}"), None);
    let queue = queue.expect("a URL");
    eventually("SQS takes the job", || async { queue.send(&job(1), Delay::NONE).await.ok() }).await;
    assert!(Job::decode(receive(&client, url).await.body().expect("a body").as_bytes()).is_ok());
}

/// `request-code` and `send-sms` in this process, on the queues of a fixture.
struct Mapping<'a> {
    fixture: &'a Fixture,
    send_sms: SendSms,
}

impl<'a> Mapping<'a> {
    fn new(fixture: &'a Fixture, gateway: &Gateway) -> Self {
        Self::with(fixture, &gateway.dsn())
    }

    fn with(fixture: &'a Fixture, dsn: &str) -> Self {
        let send_sms = SendSms {
            store: Store::memory(Policy::default()),
            gateways: Gateways::from_dsn(dsn).expect("a DSN"),
            codes: CodeSettings::new(Secrets::from_random(sms_domain::random::random_bytes())),
            schedule: Schedule { backoff: Duration::from_secs(1), max_retries: 3 },
            policy: DeliveryPolicy::default(),
        };
        Self { fixture, send_sms }
    }

    /// Asks for a code, as `request-code` does.
    async fn ask(&self, index: u32) {
        let (store, secrets) = (self.send_sms.store.clone(), self.send_sms.codes.secrets.clone());
        let request_code = request_code(store, self.fixture.queue.clone(), secrets);
        eventually("an admitted request", || async {
            let random = sms_domain::random::random_bytes();
            request_code.request(request(number(index)), random).await.ok()
        })
        .await;
    }

    /// One round of the event source mapping.
    async fn poll(&self) {
        let Fixture { queue, queues, .. } = self.fixture;
        queues
            .poll(async |event| {
                let event = serde_json::from_value(event).expect("an SQS event");
                match deliver_event(&self.send_sms, queue, event).await {
                    Ok(Response::Sqs(response)) => response,
                    other => panic!("not SQS's: {other:?}"),
                }
            })
            .await;
    }

    /// Rounds until nothing is left. A call to SQS that takes long is made twice, and the copy of a
    /// job comes when all SMS are sent: it is dropped then.
    async fn poll_until_empty(&self) {
        self.poll_until("an empty queue", async || self.fixture.queues.depth().await == 0).await;
    }

    /// Rounds until `done`.
    async fn poll_until(&self, what: &str, done: impl AsyncFn() -> bool) {
        let deadline = Instant::now() + GIVE_UP;
        while !done().await {
            assert!(Instant::now() < deadline, "never came: {what}");
            self.poll().await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn retry_brings_back_the_failed_job_alone_after_its_back_off() {
    let fixture = fixture().await;
    // One of the two jobs is refused, the other accepted, and the first is then refused once more.
    let gateway =
        Gateway::start(&[Reply::Refuse("160000"), Reply::Accept, Reply::Http(503)], Reply::Accept)
            .await;
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
    mapping.poll_until_empty().await;
    assert_eq!(fixture.queues.dead().await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn dead_letter_of_an_exhausted_job_can_be_redriven() {
    let fixture = fixture().await;
    let gateway = Gateway::start(&[], Reply::Refuse("160000")).await;
    let mapping = Mapping::new(&fixture, &gateway);
    mapping.ask(1).await;
    let body = "not a job";
    fixture
        .client
        .send_message()
        .queue_url(&fixture.queues.url)
        .message_body(body)
        .send()
        .await
        .expect("sent");
    mapping.poll_until("two dead letters", async || fixture.queues.dead().await >= 2).await;
    assert_eq!(gateway.calls().len(), 4);
    mapping.poll_until_empty().await;

    // Two, and a copy of each that took long to put there.
    let letters = fixture.queues.dead().await;
    let all = format!("{letters} dead letter(s)");
    let list = dead(&fixture, "list").await;
    assert!(
        list.contains("out of attempts, after attempt 4") && list.contains("not a job"),
        "{list}"
    );
    assert!(list.contains(&all), "{list}");
    assert!(dead(&fixture, "list").await.contains(&all), "looking does not take away");
    let redriven = dead(&fixture, "redrive").await;
    assert!(redriven.contains("job(s)") && redriven.contains("message(s) left"), "{redriven}");
    assert!(
        letters > 2 || (redriven.contains("1 job(s)") && redriven.contains("1 message(s) left")),
        "{redriven}"
    );
    mapping.poll_until("another attempt", async || gateway.calls().len() >= 5).await;
    assert!(dead(&fixture, "purge").await.contains("dead letter(s) deleted"));
}

#[tokio::test(flavor = "multi_thread")]
async fn redrive_policy_ends_jobs_whose_function_never_answers() {
    let Fixture { queue, client, queues } = fixture().await;
    eventually("SQS takes the job", || async { queue.send(&job(1), Delay::NONE).await.ok() }).await;
    // Each time the function dies, the message shows again when its visibility timeout is over.
    eventually("the dead letter", || async {
        let request = client.receive_message().queue_url(&queues.url).visibility_timeout(0);
        request.send().await.expect("an answer");
        (queues.dead().await == 1).then_some(())
    })
    .await;
    let letters = dead_letters(&queue).await.expect("an answer");
    assert!(letters[0].reason.text.contains("maxReceiveCount"), "{letters:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn rate_limit_holds_jobs_back_and_spends_no_receive() {
    const JOBS: u32 = 30;
    let fixture = fixture().await;
    let gateway = Gateway::start(&[], Reply::Accept).await;
    let mapping = Mapping::with(&fixture, &format!("{}&rate=5", gateway.dsn()));
    for index in 0..JOBS {
        mapping.ask(index).await;
    }
    // Some wait longer than the four receives of the redrive policy would let them.
    mapping.poll_until("all SMS", async || gateway.accepted().len() == JOBS as usize).await;
    let calls = gateway.calls();
    let took = (calls[calls.len() - 1].at - calls[0].at).as_secs_f64();
    println!("RATE | SQS | rate=5 | {JOBS} jobs | {took:.1} s |");
    assert_eq!(calls.len(), JOBS as usize, "nothing twice");
    mapping.poll_until_empty().await;
    assert_eq!(fixture.queues.dead().await, 0);
}

async fn dead(fixture: &Fixture, action: &str) -> String {
    let Queues { url, dead_url, endpoint, .. } = &fixture.queues;
    let environment = Environment::lambda().with("QUEUE_URL", url).with("DEAD_QUEUE_URL", dead_url);
    Process::start(&["dead", action], &environment.with("AWS_ENDPOINT_URL_SQS", endpoint))
        .output()
        .await
}
