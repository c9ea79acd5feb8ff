//! Limits of the parts by themselves, with nothing of the product around them but the one script.
//!
//! ```text
//! limits http                    an HTTP server that answers 202
//! limits script                  … after one call of the admission script
//! limits publish                 … and one confirmed publish to a classic durable queue
//! limits consume                 takes what is in that queue, acknowledging each message
//! limits source                  prints the admission script
//! ```
//! Environment: LISTEN, REDIS_URL, QUEUE_URL, QUEUE (its name).

#![expect(clippy::disallowed_methods, reason = "no settings of the program")]

use std::env;
use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::routing::post;
use futures_util::StreamExt;
use lapin::options::{
    BasicAckOptions, BasicConsumeOptions, BasicPublishOptions, BasicQosOptions,
    ConfirmSelectOptions, QueueDeclareOptions,
};
use lapin::types::FieldTable;
use lapin::{BasicProperties, Channel, Connection, ConnectionProperties};
use redis::Script;
use redis::aio::MultiplexedConnection;
use sms_domain::quota::{Quota, QuotaRule, Scope, Window};
use sms_store::admission_script;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// As long as an answer of the product.
const ANSWER: &str = concat!(
    r#"{"id":"01abcdefghijklmnopqrstuvwxyz0123456789ABCDEFGHIJ","status":"pending","#,
    r#""to":"+86*******8000","expires_at":"2026-01-01T00:00:00Z","expires_in":300,"#,
    r#""resend_in":60,"attempts_left":5}"#
);
/// As long as a job of the product.
const JOB: &str = concat!(
    r#"{"v":1,"id":"01abcdefghijklmnopqrstuvwxyz0123456789ABCDEFGHIJ","send":1,"#,
    r#""to":"+8613800138000","locale":"zh-CN","attempts":0}"#
);

/// The limits of the product: of a number 5 an hour and 10 a day, and one of its block, with room
/// for as many numbers as are asked for here.
const WINDOWS: [Window; 2] = [
    Window { max: 5, period: Duration::from_secs(3_600) },
    Window { max: 10, period: Duration::from_secs(86_400) },
];
const BLOCK: Quota = Quota {
    scope: Scope::Prefix,
    subject: String::new(),
    rule: QuotaRule::Rate(Window { max: 3_600_000, period: Duration::from_secs(3_600) }),
};

#[derive(Clone)]
struct Parts {
    store: Option<(MultiplexedConnection, Arc<Script>)>,
    queue: Option<(Channel, Arc<str>)>,
    count: Arc<AtomicU64>,
}

#[tokio::main]
async fn main() -> Result<()> {
    let what = env::args().nth(1).unwrap_or_default();
    match what.as_str() {
        "http" => serve(None, None).await,
        "script" => serve(Some(store().await?), None).await,
        "publish" => serve(Some(store().await?), Some(publisher().await?)).await,
        "consume" => consume().await,
        "source" => Ok(io::stdout().write_all(admission_script(&WINDOWS, &[]).as_bytes())?),
        _ => Err("limits http|script|publish|consume|source".into()),
    }
}

async fn store() -> Result<MultiplexedConnection> {
    Ok(redis::Client::open(env::var("REDIS_URL")?)?.get_multiplexed_async_connection().await?)
}

async fn channel() -> Result<(Channel, String)> {
    let queue = env::var("QUEUE")?;
    let connection =
        Connection::connect(&env::var("QUEUE_URL")?, ConnectionProperties::default()).await?;
    let channel = connection.create_channel().await?;
    channel
        .queue_declare((&*queue).into(), QueueDeclareOptions::durable(), FieldTable::default())
        .await?;
    // Open until the process ends.
    std::mem::forget(connection);
    Ok((channel, queue))
}

async fn publisher() -> Result<(Channel, Arc<str>)> {
    let (channel, queue) = channel().await?;
    channel.confirm_select(ConfirmSelectOptions::default()).await?;
    Ok((channel, queue.into()))
}

async fn serve(
    store: Option<MultiplexedConnection>,
    queue: Option<(Channel, Arc<str>)>,
) -> Result<()> {
    let script = Arc::new(Script::new(&admission_script(&WINDOWS, &[BLOCK])));
    let parts = Parts { store: store.map(|store| (store, script)), queue, count: Arc::default() };
    let app = Router::new().route("/v1/verifications", post(answer)).with_state(parts);
    let listener = tokio::net::TcpListener::bind(env::var("LISTEN")?).await?;
    axum::serve(listener, app).await?;
    Ok(())
}

async fn answer(
    State(parts): State<Parts>,
    body: Bytes,
) -> std::result::Result<
    (StatusCode, [(axum::http::HeaderName, &'static str); 1], &'static str),
    StatusCode,
> {
    let failed = |_| StatusCode::SERVICE_UNAVAILABLE;
    let mut status = StatusCode::ACCEPTED;
    if let Some((mut store, script)) = parts.store {
        // The body stands for the number, and a counter for the random id.
        let id = parts.count.fetch_add(1, Ordering::Relaxed);
        let mut call = script.prepare_invoke();
        let (number, block) = (&body[..], &body[..body.len() / 2]);
        call.key(number).key(block);
        call.arg(id).arg("").arg("+86*******8000").arg("");
        let decision: Vec<redis::Value> =
            call.invoke_async(&mut store).await.map_err(|_| StatusCode::BAD_GATEWAY)?;
        if decision.len() < 7 {
            status = StatusCode::TOO_MANY_REQUESTS;
        }
    }
    if let Some((channel, queue)) = parts.queue
        && status == StatusCode::ACCEPTED
    {
        let properties = BasicProperties::default().with_delivery_mode(2);
        let options = BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() };
        let confirm = channel
            .basic_publish("".into(), (&*queue).into(), options, JOB.as_bytes(), properties)
            .await
            .map_err(failed)?;
        confirm.await.map_err(failed)?;
    }
    Ok((status, [(CONTENT_TYPE, "application/json")], ANSWER))
}

async fn consume() -> Result<()> {
    let (channel, queue) = channel().await?;
    channel.basic_qos(1000, BasicQosOptions::default()).await?;
    let mut messages = channel
        .basic_consume(
            (&*queue).into(),
            "".into(),
            BasicConsumeOptions::default(),
            FieldTable::default(),
        )
        .await?;
    while let Some(message) = messages.next().await {
        message?.acker.ack(BasicAckOptions::default()).await?;
    }
    Ok(())
}
