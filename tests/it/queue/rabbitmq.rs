//! RabbitMQ alone: a queue that is there already, of this type or another, and messages of others.

use lapin::BasicProperties;
use lapin::types::{AMQPValue, FieldTable};
use sms_queue::Queue;

use crate::support::eventually;
use crate::support::process::{Deployment, Environment};
use crate::support::raw_queue::RawQueue;
use crate::support::services::rabbitmq_url;

/// By hand: a queue of this name that somebody has declared, with or without its type.
async fn declared(url: &str, kind: Option<&str>) {
    use lapin::options::QueueDeclareOptions;
    let (server, name) = url.split_once("?queue=").expect("a queue of its own");
    let connection = lapin::Connection::connect(server, lapin::ConnectionProperties::default())
        .await
        .expect("connected");
    let channel = connection.create_channel().await.expect("a channel");
    let mut arguments = FieldTable::default();
    if let Some(kind) = kind {
        arguments.insert("x-queue-type".into(), AMQPValue::LongString(kind.into()));
    }
    channel
        .queue_declare(name.into(), QueueDeclareOptions::durable(), arguments)
        .await
        .expect("declared");
    connection.close(200, "done".into()).await.expect("closed");
}

#[tokio::test(flavor = "multi_thread")]
async fn existing_queue_of_another_type_is_refused() {
    for kind in [None, Some("classic")] {
        let url = rabbitmq_url();
        declared(&url, kind).await;
        let queue = Queue::from_url(&format!("{url}&type=classic"), None).expect("a URL");
        eventually("it is used", || async { queue.ping().await.ok() }).await;
    }
    for (there, wanted, words) in [
        (Some("quorum"), "classic", "exists as quorum: QUEUE_URL takes type=quorum"),
        (Some("classic"), "quorum", "exists as classic: QUEUE_URL takes type=classic"),
        (None, "quorum", "exists as classic: QUEUE_URL takes type=classic"),
    ] {
        let url = rabbitmq_url();
        declared(&url, there).await;
        let queue = Queue::from_url(&format!("{url}&type={wanted}"), None).expect("a URL");
        eventually("it is refused", || async {
            let refused = queue.ping().await.expect_err("it has another type").to_string();
            refused.contains(words).then_some(())
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_of_another_program_keeps_what_is_beside_its_body() {
    let url = rabbitmq_url();
    let _deployment = Deployment::whole(&Environment::services().with("QUEUE_URL", &url));
    let queue = eventually("the queue", || async { Some(RawQueue::open(&url).await) }).await;
    let with = |headers: &[(&str, &str)]| {
        let mut table = FieldTable::default();
        for (name, value) in headers {
            table.insert((*name).into(), AMQPValue::LongString((*value).into()));
        }
        BasicProperties::default()
            .with_correlation_id("c-1".into())
            .with_content_type("text/plain".into())
            .with_headers(table)
    };
    let buried = async |properties| {
        queue.publish_with(b"no job", properties).await;
        let (body, properties) = eventually("a dead letter", || queue.dig_out()).await;
        assert_eq!(body, b"no job");
        properties
    };
    let header = |properties: &BasicProperties, name: &str| {
        Some(properties.headers().as_ref()?.inner().get(name)?.as_long_string()?.to_string())
    };
    let kept = buried(with(&[("tenant", "shop"), ("reason", "theirs")])).await;
    assert_eq!(header(&kept, "tenant").as_deref(), Some("shop"));
    assert!(header(&kept, "reason").is_some_and(|reason| reason != "theirs"), "{kept:?}");
    let beside = (kept.correlation_id(), kept.content_type(), kept.delivery_mode());
    assert_eq!(beside, (&Some("c-1".into()), &Some("text/plain".into()), &Some(2)));
    // Celery's headers hold the arguments of the task, codes among them.
    let celery = buried(with(&[("task", "send_sms"), ("argsrepr", "('13800138000', '123456')")]));
    let kept = celery.await;
    assert!(header(&kept, "reason").is_some());
    assert_eq!((header(&kept, "task"), header(&kept, "argsrepr")), (None, None));
    // They fit into a frame, and would not with the reason beside them.
    let large = buried(with(&[("tenant", "shop"), ("large", &"x".repeat(7_900))])).await;
    assert!(header(&large, "reason").is_some());
    assert_eq!((header(&large, "tenant"), header(&large, "large")), (None, None));
    assert_eq!(large.correlation_id(), &Some("c-1".into()));
}
