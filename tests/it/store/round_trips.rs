//! Round trips to Redis: an accepted request is one command, and a server that does not know a
//! script gets it once.

use std::process::Command;

use futures_util::future::join_all;
use sms_domain::verification::Policy;
use sms_store::Store;
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy};
use tokio::net::{TcpListener, TcpStream};

use super::{admitted, begin};
use crate::support::process::{Deployment, Environment, Process};
use crate::support::services::{Service, redis_cli};
use crate::support::{TestNumber, eventually};

const TO: &str = "+8613800138000";

#[tokio::test(flavor = "multi_thread")]
async fn an_accepted_request_is_one_command() {
    let redis = Service::redis();
    let environment = Environment::services().with("REDIS_URL", &redis.url);
    let mut deployment = Deployment::split(&environment);
    // The first request loads the scripts; each later one costs the same.
    let first = deployment.client.ask("+8613900139000").await.id();
    let sent =
        async || (deployment.client.status(&first).await.body["delivery"] == "sent").then_some(());
    eventually("the first SMS is sent", sent).await;
    let workers = deployment.workers.len();
    assert_eq!(workers, 2);
    let port = redis.url.rsplit(':').next().expect("a port");
    let mut monitor = Command::new("redis-cli");
    monitor.args(["-p", port, "monitor"]);
    let monitor = Process::spawn(monitor).announces("OK");
    deployment.client.ask(TO).await;
    deployment.client.code(TO).await;
    // The workers record the outcome before they end.
    for worker in &mut deployment.workers {
        worker.terminate();
        worker.ended().await;
    }
    deployment.client.get("/readyz").await;
    let monitor = monitor.announces("\"sms-verify:probe:");
    let seen = &monitor.announced;
    let from_clients: Vec<&str> = seen
        .lines()
        .filter(|line| {
            line.contains("] \"")
                && !line.contains(" lua]")
                && !line.contains("\"INFO\"")
                && !line.contains("\"SETNAME\"")
                && !line.contains("\"1\" \"sms-verify:conversion:")
        })
        .collect();
    // admit by the API; begin, permit (unless it was asked for a tenth of a second before) and
    // finish by the worker; and the probe that ends the test. (INFO is asked for, and the
    // connection named, once a minute, and what the guard counts is written once a second.)
    assert!((4..=5).contains(&from_clients.len()), "{seen}");
    assert!(from_clients.iter().all(|line| line.contains("\"EVALSHA\"")), "{seen}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_script_is_sent_once_however_many_calls_need_it() {
    let redis = Service::redis();
    let port = redis.url.rsplit(':').next().expect("a port");
    let store = Store::redis(&redis.url, Policy::default()).expect("a store");
    let (verification, _) = admitted(&store, &TestNumber::new().request()).await;
    for when in ["the server has just started", "its cache was flushed"] {
        redis_cli(port, &["config", "resetstat"]);
        join_all((0..200).map(|worker| begin(&store, &verification, 1, worker))).await;
        let calls = redis_cli(port, &["info", "commandstats"]);
        assert!(calls.contains("cmdstat_eval:calls=1,"), "{when}: {calls}");
        redis_cli(port, &["script", "flush"]);
    }
}

/// A server made for tests may close a connection after this answer (fakeredis does).
#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_hangs_up_on_an_unknown_script_gets_it_on_the_next_connection() {
    let redis = Service::redis();
    let url = hanging_up(&redis.url).await;
    let store = Store::redis(&url, Policy::default()).expect("a store");
    let (verification, _) = admitted(&store, &TestNumber::new().request()).await;
    begin(&store, &verification, 1, 1).await;
}

/// A proxy that closes a connection after an answer that there is no such script.
async fn hanging_up(url: &str) -> String {
    let target = url.strip_prefix("redis://").expect("a URL of Redis").to_owned();
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let server = TcpStream::connect(&target).await.expect("the server");
            let (mut from_client, mut to_client) = client.into_split();
            let (mut from_server, mut to_server) = server.into_split();
            let asking = tokio::spawn(async move { copy(&mut from_client, &mut to_server).await });
            let mut answer = vec![0; 4096];
            while let Ok(length @ 1..) = from_server.read(&mut answer).await {
                let sent = to_client.write_all(&answer[..length]).await;
                if sent.is_err() || answer[..length].starts_with(b"-NOSCRIPT") {
                    break;
                }
            }
            asking.abort();
        }
    });
    format!("redis://{address}")
}
