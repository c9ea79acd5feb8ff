//! A deployment of a new release, under load: APIs and workers are replaced one after the other,
//! and nobody notices.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use futures_util::future::join_all;
use serde_json::json;

use crate::support::gateway::{Gateway, Reply};
use crate::support::process::{Environment, Process, base_url};
use crate::support::{eventually, number, unique};

/// As a proxy does, or a client with two addresses: whoever does not answer is passed over. The key
/// makes a repetition safe.
async fn ask(http: &reqwest::Client, bases: &[String], index: u32) -> u16 {
    let (key, body) = (unique("key"), json!({ "to": number(index).e164() }));
    for turn in 0..200_usize {
        let base = &bases[(turn + index as usize) % bases.len()];
        let request = http
            .post(format!("{base}/v1/verifications"))
            .header("idempotency-key", &key)
            .json(&body);
        match request.send().await {
            // The first try is still at work: its answer was lost with its connection.
            Ok(answer) if answer.status() == 409 => {}
            Ok(answer) => return answer.status().as_u16(),
            Err(_) => {}
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    0
}

#[tokio::test(flavor = "multi_thread")]
async fn rolling_deploy_loses_nothing() {
    let gateway = Gateway::start(&[], Reply::AcceptAfter(Duration::from_millis(50))).await;
    let environment = Environment::services().with("SMS_DSN", &gateway.dsn());
    let api =
        |environment: &Environment| Process::start(&["api"], environment).announces("/inbox\n");
    let worker = || Process::start(&["worker", "--concurrency", "20"], &environment);
    let mut apis = [api(&environment), api(&environment)];
    let bases: Arc<[String]> = apis.iter().map(|api| base_url(&api.announced)).collect();
    let mut workers = [worker(), worker()];

    let (over, next) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU32::new(0)));
    let clients: Vec<_> = (0..4)
        .map(|_| {
            let (over, next, bases) = (Arc::clone(&over), Arc::clone(&next), Arc::clone(&bases));
            tokio::spawn(async move {
                let http = reqwest::Client::builder().no_proxy().build().expect("a client");
                let mut statuses = Vec::new();
                while !over.load(Ordering::Relaxed) {
                    statuses.push(ask(&http, &bases, next.fetch_add(1, Ordering::Relaxed)).await);
                }
                statuses
            })
        })
        .collect();

    for round in 0..2 {
        gateway.got(20 * (round + 1)).await;
        apis[round].terminate();
        assert!(apis[round].ended().await.success(), "{}", apis[round].log());
        let listen = bases[round].trim_start_matches("http://");
        apis[round] = api(&environment.clone().with("LISTEN", listen));
        workers[round].terminate();
        assert!(workers[round].ended().await.success(), "{}", workers[round].log());
        workers[round] = worker();
    }
    over.store(true, Ordering::Relaxed);
    let statuses: Vec<u16> = join_all(clients)
        .await
        .into_iter()
        .flat_map(|statuses| statuses.expect("no panic"))
        .collect();
    assert!(statuses.len() > 40 && statuses.iter().all(|status| *status == 202), "{statuses:?}");
    eventually("every SMS", || async {
        (gateway.accepted().len() >= statuses.len()).then_some(())
    })
    .await;
    let mut numbers: Vec<String> = gateway.accepted().into_iter().map(|call| call.to).collect();
    numbers.sort_unstable();
    numbers.dedup();
    assert_eq!(
        (numbers.len(), gateway.calls().len()),
        (statuses.len(), statuses.len()),
        "each once"
    );
}
