//! RabbitMQ alone: a queue that is there already, of this type or another.

use sms_queue::Queue;

use crate::support::eventually;
use crate::support::services::rabbitmq_url;

/// By hand: a queue of this name that somebody has declared, with or without its type.
async fn declared(url: &str, kind: Option<&str>) {
    use lapin::options::QueueDeclareOptions;
    use lapin::types::{AMQPValue, FieldTable};

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
    let url = rabbitmq_url();
    declared(&url, Some("quorum")).await;
    let queue = Queue::from_url(&format!("{url}&type=classic"), None).expect("a URL");
    eventually("it is refused", || async {
        let refused = queue.ping().await.expect_err("it is a quorum queue").to_string();
        refused.contains("exists with another type").then_some(())
    })
    .await;
}
