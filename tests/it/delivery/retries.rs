//! Attempts, back-off, dead letters, and what is never sent: the program on real services, against
//! the vendor's stub.

use std::time::Duration;

use crate::support::gateway::{Gateway, Reply};
use crate::support::process::{Client, Deployment, Environment, Process};
use crate::support::{eventually, number};

const TO: &str = "+8613800138000";

async fn deployment(gateway: &Gateway, environment: Environment) -> Deployment {
    Deployment::whole(&environment.with("SMS_DSN", &gateway.dsn()).with("RETRY_BACKOFF", "1"))
}

async fn delivery_state(client: &Client, id: &str, state: &str) {
    eventually(state, || async {
        let status = client.status(id).await;
        (status.body["delivery"] == state).then_some(())
    })
    .await;
}

/// Sends another job and waits for it: whatever was queued before it is settled by then, unless it
/// waits for its turn.
async fn everything_else_is_settled(client: &Client, gateway: &Gateway) {
    let marker = number(99_999_999);
    client.ask(marker.e164()).await;
    eventually("the marker", || async {
        gateway.calls().iter().any(|call| call.to == marker.national()).then_some(())
    })
    .await;
}

/// `dead list` until it says what is expected, since a dead letter that was looked at returns a
/// moment later.
async fn dead_list(environment: &Environment, expected: &str) -> String {
    eventually(expected, || async {
        let output = dead(environment, "list").await;
        output.contains(expected).then_some(output)
    })
    .await
}

async fn dead(environment: &Environment, action: &str) -> String {
    Process::start(&["dead", action], environment).output().await
}

#[tokio::test(flavor = "multi_thread")]
async fn retry_after_two_failures_sends_one_sms() {
    for environment in [Environment::embedded(), Environment::services()] {
        let gateway =
            Gateway::start(&[Reply::Refuse("160000"), Reply::Http(503)], Reply::Accept).await;
        let deployment = deployment(&gateway, environment).await;
        let id = deployment.client.ask(TO).await.id();
        let calls = gateway.got(3).await;
        let gaps: Vec<Duration> = calls.windows(2).map(|pair| pair[1].at - pair[0].at).collect();
        println!("RETRY_BACKOFF=1: gaps between the attempts {gaps:.2?}");
        assert!(gaps[0] >= Duration::from_secs(1) && gaps[1] >= Duration::from_secs(2), "{gaps:?}");
        delivery_state(&deployment.client, &id, "sent").await;
        everything_else_is_settled(&deployment.client, &gateway).await;
        let calls: Vec<_> =
            gateway.calls().into_iter().filter(|call| call.to == "13800138000").collect();
        assert_eq!(calls.len(), 3, "two refused, one accepted");
        assert!(
            calls
                .iter()
                .all(|call| call.code == calls[0].code && call.request_id == calls[0].request_id)
        );
        assert!(calls[0].request_id.len() <= 32);
        assert_eq!(deployment.client.check(&id, &calls[0].code).await.status, 200);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn dead_letter_after_four_attempts() {
    let gateway = Gateway::start(&[], Reply::Refuse("160000")).await;
    let environment = Environment::services().with("CODE_TTL", "20");
    let deployment = deployment(&gateway, environment.clone()).await;
    let id = deployment.client.ask(TO).await.id();
    let calls = gateway.got(4).await;
    let gaps: Vec<Duration> = calls.windows(2).map(|pair| pair[1].at - pair[0].at).collect();
    println!("RETRY_BACKOFF=1: gaps between the attempts {gaps:.2?}");
    delivery_state(&deployment.client, &id, "failed").await;
    let listed = dead_list(&environment, "1 dead letter").await;
    assert!(
        listed.contains(&id) && listed.contains("out of attempts, after attempt 4"),
        "{listed}"
    );
    assert!(listed.contains("+86*******8000") && !listed.contains("13800138000"), "{listed}");

    // A redrive while the code lives gives it all its attempts again.
    assert!(dead(&environment, "redrive").await.contains("1 job(s)"));
    gateway.got(5).await;

    // After the code has expired it sends nothing.
    eventually("the code's expiry", || async {
        (deployment.client.status(&id).await.status == 404).then_some(())
    })
    .await;
    dead_list(&environment, "1 dead letter").await;
    let before = gateway.calls().len();
    assert!(dead(&environment, "redrive").await.contains("1 job(s)"));
    deployment.api.logs("dropped: approved, expired or replaced").await;
    assert_eq!(gateway.calls().len(), before);
    dead_list(&environment, "0 dead letter").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_retry_after_a_permanent_refusal() {
    let gateway = Gateway::start(&[Reply::Refuse("160042")], Reply::Accept).await;
    let environment = Environment::services();
    let deployment = deployment(&gateway, environment.clone()).await;
    let id = deployment.client.ask(TO).await.id();
    delivery_state(&deployment.client, &id, "failed").await;
    everything_else_is_settled(&deployment.client, &gateway).await;
    assert_eq!(gateway.calls().iter().filter(|call| call.to == "13800138000").count(), 1);
    dead_list(&environment, "0 dead letter").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn retry_after_a_lost_answer_has_the_same_code_and_key() {
    let gateway = Gateway::start(&[Reply::Break, Reply::Http(200)], Reply::Accept).await;
    let deployment = deployment(&gateway, Environment::services()).await;
    let id = deployment.client.ask(TO).await.id();
    let calls = gateway.got(3).await;
    assert!(
        calls
            .iter()
            .all(|call| call.code == calls[0].code && call.request_id == calls[0].request_id)
    );
    delivery_state(&deployment.client, &id, "sent").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn resend_has_the_same_code_under_another_key() {
    let gateway = Gateway::start(&[], Reply::Accept).await;
    let deployment =
        deployment(&gateway, Environment::services().with("RESEND_INTERVAL", "1")).await;
    let first = deployment.client.ask(TO).await.id();
    let second = eventually("the end of the cooldown", || async {
        Some(deployment.client.ask(TO).await).filter(|answer| answer.status == 202)
    });
    assert_eq!(second.await.id(), first);
    let calls = gateway.got(2).await;
    assert_eq!(calls[0].code, calls[1].code);
    assert_ne!(
        calls[0].request_id, calls[1].request_id,
        "the vendor must not take it for a repetition"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_sent_after_the_approval() {
    let gateway = Gateway::start(&[Reply::Refuse("160000")], Reply::Accept).await;
    let deployment = deployment(&gateway, Environment::services()).await;
    let id = deployment.client.ask(TO).await.id();
    let calls = gateway.got(1).await;
    // The gateway refused, but the test has seen the code, as a person has who got an earlier SMS.
    assert_eq!(deployment.client.check(&id, &calls[0].code).await.status, 200);
    deployment.api.logs("dropped: approved, expired or replaced").await;
    assert_eq!(gateway.calls().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn dead_letter_at_once_for_a_message_that_is_no_job() {
    let gateway = Gateway::start(&[], Reply::Accept).await;
    let environment = Environment::services();
    let deployment = deployment(&gateway, environment.clone()).await;
    deployment.api.logs("consuming from RabbitMQ").await;
    publish(&environment, b"not a job").await;
    publish(&environment, b"{\"v\":2}").await;
    deployment.client.ask(TO).await;
    gateway.got(1).await;
    let listed = dead_list(&environment, "2 dead letter").await;
    assert!(listed.contains("not a job") && listed.contains("version 2"), "{listed}");
    dead(&environment, "purge").await;
    dead_list(&environment, "0 dead letter").await;
}

/// Puts any message into the queue, as only somebody else's program would.
async fn publish(environment: &Environment, body: &[u8]) {
    let (url, queue) = environment.get("QUEUE_URL").split_once("?queue=").expect("a queue name");
    let connection = lapin::Connection::connect(url, lapin::ConnectionProperties::default())
        .await
        .expect("RabbitMQ");
    let channel = connection.create_channel().await.expect("a channel");
    let options = lapin::options::BasicPublishOptions::default();
    let confirm = channel.basic_publish(
        "".into(),
        queue.into(),
        options,
        body,
        lapin::BasicProperties::default(),
    );
    confirm.await.expect("published").await.expect("sent");
    connection.close(200, "done".into()).await.expect("closed");
}
