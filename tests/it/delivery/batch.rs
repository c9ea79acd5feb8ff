//! A batch of messages at the edge of `send-sms`, from SQS and from Amazon MQ: each message for
//! itself.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use sms_app::send_sms::{DeliveryPolicy, SendSms};
use sms_domain::code_settings::CodeSettings;
use sms_domain::job::Job;
use sms_domain::job_batch;
use sms_domain::random::random_bytes;
use sms_domain::retry_schedule::Schedule;
use sms_domain::secrets::Secrets;
use sms_domain::verification::{DeliveryState, Policy, Verification};
use sms_gateways::Gateways;
use sms_lambda::batch::{Event, Response, deliver_event};
use sms_queue::Queue;
use sms_store::Store;

use crate::support::gateway::{Gateway, Reply};
use crate::support::{dead_letters, number, request, request_code};

/// `send-sms` in this process, on a gateway.
struct Function {
    send_sms: SendSms,
    queue: Queue,
}

impl Function {
    fn new(gateway: &Gateway) -> Self {
        let send_sms = SendSms {
            store: Store::memory(Policy::default()),
            gateways: Gateways::from_dsn(&gateway.dsn()).expect("a DSN"),
            codes: CodeSettings::new(Secrets::from_random(random_bytes())),
            schedule: Schedule::default(),
            policy: DeliveryPolicy::default(),
        };
        Self { send_sms, queue: Queue::memory() }
    }

    /// A job as `request-code` queues it.
    async fn job(&self, index: u32) -> (Verification, String) {
        let (store, secrets) = (self.send_sms.store.clone(), self.send_sms.codes.secrets.clone());
        let queue = Queue::memory();
        let request_code = request_code(store, queue.clone(), secrets);
        let asked = request_code.request(request(number(index)), random_bytes()).await;
        let message = queue.consumer(1).expect("a consumer").receive().await;
        let body = String::from_utf8(message.body.clone()).expect("text");
        message.ack();
        (asked.expect("admitted"), body)
    }

    /// The ids of the records that are to come again.
    async fn receives(&self, records: &[(&str, &str, u32)]) -> Vec<String> {
        let record = |(id, body, receives): &(&str, &str, u32)| {
            json!({
                "messageId": id, "receiptHandle": id, "body": body, "messageAttributes": {},
                "attributes": { "ApproximateReceiveCount": receives.to_string() },
            })
        };
        let event: Value = json!({ "Records": records.iter().map(record).collect::<Vec<_>>() });
        let event = serde_json::from_value(event).expect("an SQS event");
        let Ok(Response::Sqs(response)) = deliver_event(&self.send_sms, &self.queue, event).await
        else {
            panic!("not SQS's")
        };
        response.batch_item_failures.into_iter().map(|failure| failure.item_identifier).collect()
    }

    async fn state(&self, verification: &Verification) -> DeliveryState {
        let found = self.send_sms.store.find(&verification.id).await.expect("an answer");
        found.expect("is there").delivery
    }
}

#[tokio::test]
async fn one_bad_message_never_fails_its_neighbours() {
    let gateway = Gateway::start(&[], Reply::Accept).await;
    let function = Function::new(&gateway);
    let ((_, first), (_, second)) = (function.job(1).await, function.job(2).await);
    let again = function
        .receives(&[("1", &first, 1), ("2", "\u{0}", 1), ("3", "", 1), ("4", &second, 1)])
        .await;
    assert_eq!(again, Vec::<String>::new());
    assert_eq!(gateway.calls().len(), 2);
    let dead = dead_letters(&function.queue).await.expect("an answer");
    assert_eq!(dead.len(), 2, "each with its reason: {dead:?}");
}

#[tokio::test]
async fn retry_of_failed_messages_alone() {
    let gateway = Gateway::start(&[Reply::Refuse("160000")], Reply::Accept).await;
    let function = Function::new(&gateway);
    let (verification, body) = function.job(1).await;
    assert_eq!(function.receives(&[("a", &body, 1)]).await, ["a"]);
    assert_eq!(function.state(&verification).await, DeliveryState::Retrying);
    assert_eq!(function.receives(&[("a", &body, 2)]).await, Vec::<String>::new());
    assert_eq!(function.state(&verification).await, DeliveryState::Sent);
    assert_eq!(function.receives(&[("a", &body, 3)]).await, Vec::<String>::new());
    assert_eq!(gateway.calls().len(), 2, "handed out a third time, it is not sent again");
}

#[tokio::test]
async fn permanent_refusal_is_deleted_and_shown_as_failed() {
    let gateway = Gateway::start(&[Reply::Refuse("160042")], Reply::Accept).await;
    let function = Function::new(&gateway);
    let (verification, body) = function.job(1).await;
    assert_eq!(function.receives(&[("a", &body, 1)]).await, Vec::<String>::new());
    assert_eq!(function.state(&verification).await, DeliveryState::Failed);
    assert_eq!(dead_letters(&function.queue).await.expect("an answer"), []);
}

#[tokio::test]
async fn attempts_end_with_the_receives() {
    let gateway = Gateway::start(&[], Reply::Refuse("160000")).await;
    let function = Function::new(&gateway);
    let (verification, body) = function.job(1).await;
    for receives in 1..=3 {
        assert_eq!(function.receives(&[("a", &body, receives)]).await, ["a"]);
    }
    assert_eq!(function.receives(&[("a", &body, 4)]).await, Vec::<String>::new());
    let dead = dead_letters(&function.queue).await.expect("an answer");
    assert_eq!(dead[0].body, body.as_bytes());
    assert!(dead[0].reason.text.contains("after attempt 4"), "{}", dead[0].reason.text);
    assert_eq!(function.state(&verification).await, DeliveryState::Failed);
}

#[tokio::test]
async fn amazon_mq_batch_is_done_when_each_outcome_is_in_its_queue() {
    let gateway = Gateway::start(&[Reply::Refuse("160000")], Reply::Accept).await;
    let mut function = Function::new(&gateway);
    function.send_sms.schedule.backoff = Duration::from_millis(50);
    let (_, body) = function.job(1).await;
    let data = |body: &str| {
        let properties = json!({ "priority": null });
        json!({ "data": STANDARD.encode(body), "basicProperties": properties })
    };
    let event =
        json!({ "rmqMessagesByQueue": { "sms-verify::/": [data(&body), data("not a job")] } });
    let event = serde_json::from_value(event).expect("an Amazon MQ event");
    let response =
        deliver_event(&function.send_sms, &function.queue, event).await.expect("settled");
    assert_eq!(serde_json::to_value(response).expect("JSON"), Value::Null);
    assert_eq!(dead_letters(&function.queue).await.expect("an answer").len(), 1);
    let again = function.queue.consumer(1).expect("a consumer").receive().await;
    assert_eq!(Job::decode(&again.body).expect("a job").attempts, 1);
}

/// An event of Amazon MQ with one message, and its jobs in that.
fn amazon_mq(jobs: &[&str], redelivered: bool) -> Event {
    let body = job_batch::join(jobs.iter().map(|job| job.as_bytes()));
    let message = json!({ "data": STANDARD.encode(body), "redelivered": redelivered });
    let event = json!({ "rmqMessagesByQueue": { "sms-verify::/": [message] } });
    serde_json::from_value(event).expect("an Amazon MQ event")
}

#[tokio::test]
async fn amazon_mq_message_of_several_jobs_is_taken_apart() {
    let gateway = Gateway::start(&[Reply::Accept, Reply::Refuse("160000")], Reply::Accept).await;
    let mut function = Function::new(&gateway);
    function.send_sms.schedule.backoff = Duration::from_millis(50);
    let ((_, first), (_, second)) = (function.job(1).await, function.job(2).await);
    let event = amazon_mq(&[&first, "not a job", &second], false);
    deliver_event(&function.send_sms, &function.queue, event).await.expect("settled");
    assert_eq!(gateway.calls().len(), 2);
    let dead = dead_letters(&function.queue).await.expect("an answer");
    assert_eq!((dead.len(), dead[0].body.as_slice()), (1, b"not a job".as_slice()));
    let again = function.queue.consumer(1).expect("a consumer").receive().await;
    assert_eq!(Job::decode(&again.body).expect("one job").attempts, 1);
}

#[tokio::test]
async fn redelivered_amazon_mq_message_is_split_before_it_is_tried() {
    let gateway = Gateway::start(&[], Reply::Accept).await;
    let function = Function::new(&gateway);
    let ((_, first), (_, second)) = (function.job(1).await, function.job(2).await);
    let event = amazon_mq(&[&first, &second], true);
    deliver_event(&function.send_sms, &function.queue, event).await.expect("settled");
    assert_eq!(gateway.calls().len(), 0);
    let mut consumer = function.queue.consumer(2).expect("a consumer");
    for job in [first, second] {
        let message = consumer.receive().await;
        assert_eq!(message.body, job.as_bytes());
        message.ack();
    }
}

/// Events of other services, and the words for them in the dead letter's reason.
const OTHERS: [(&str, &str); 6] = [
    (r#"{"Records":[{"eventSource":"aws:s3","s3":{"object":{"key":"k"}}}]}"#, "records of aws:s3"),
    (r#"{"Records":[{"EventSource":"aws:sns","Sns":{"Message":"m"}}]}"#, "records of aws:sns"),
    (
        r#"{"Records":[{"eventSource":"aws:kinesis","kinesis":{"data":"SGVsbG8="}}]}"#,
        "records of aws:kinesis",
    ),
    (
        r#"{"Records":[{"eventSource":"aws:dynamodb","eventID":"1","dynamodb":{}}]}"#,
        "records of aws:dynamodb",
    ),
    (r#"{"eventSource":"aws:kafka","records":{}}"#, "an event of aws:kafka"),
    (r#"{"version":"2.0","routeKey":"POST /v1","rawPath":"/v1"}"#, "an event with the members"),
];

#[tokio::test]
async fn event_of_no_queue_is_a_named_error() {
    let gateway = Gateway::start(&[], Reply::Accept).await;
    let Function { send_sms, queue } = Function::new(&gateway);
    for (event, came) in OTHERS {
        let event = serde_json::from_str(event).expect("JSON");
        let error = deliver_event(&send_sms, &queue, event).await.expect_err(came).to_string();
        assert!(
            error.contains(came) && error.contains("this function takes messages of an SQS"),
            "{error}"
        );
    }
    for warm_up in
        [r#"{"key1":"value1","key2":"value2"}"#, r#"{"detail-type":"Scheduled Event"}"#, "{}"]
    {
        let event = serde_json::from_str(warm_up).expect("JSON");
        let answer = deliver_event(&send_sms, &queue, event).await.expect(warm_up);
        assert_eq!(
            serde_json::to_value(answer).expect("JSON"),
            json!({ "batchItemFailures": [] }),
            "{warm_up}"
        );
    }
    assert_eq!(dead_letters(&queue).await.expect("an answer"), [], "nothing to bury");
}

#[tokio::test]
async fn dead_letter_for_foreign_messages_says_what_they_are() {
    let gateway = Gateway::start(&[], Reply::Accept).await;
    let function = Function::new(&gateway);
    let topic = "arn:aws:sns:eu-central-1:123456789012:t";
    let of_sns = format!(r#"{{"Type":"Notification","TopicArn":"{topic}","Message":"m"}}"#);
    assert_eq!(
        function.receives(&[("1", &of_sns, 1), ("2", OTHERS[0].0, 1)]).await,
        Vec::<String>::new()
    );
    let without_body =
        json!({ "Records": [{ "messageId": "3", "attributes": {}, "eventSource": "aws:sqs" }] });
    let event = serde_json::from_value(without_body).expect("an SQS event");
    deliver_event(&function.send_sms, &function.queue, event).await.expect("delivered");
    let dead = dead_letters(&function.queue).await.expect("an answer");
    let mut reasons: Vec<_> = dead.iter().map(|letter| letter.reason.text.as_str()).collect();
    reasons.sort_unstable();
    let look = "and not a job: look at what else sends into this queue";
    let expected = [
        format!("the message is a notification of SNS, {look}"),
        "the message is empty, and not a job".to_owned(),
        format!("the message is records of aws:s3, {look}"),
    ];
    assert_eq!(reasons, expected);
}
