//! The memory that Redis needs for a number, which an operator multiplies.

use futures_util::future::join_all;
use sms_domain::limits::Limits;
use sms_domain::quota::Scope;
use sms_domain::verification::Policy;
use sms_store::{AdmissionRequest, SendOutcome, Store};

use super::{admitted, begin};
use crate::support::TestNumber;
use crate::support::services::Service;

const NUMBERS: usize = 2_000;

/// `INFO` of a Redis.
fn field(redis: &Service, section: &str, names: &[&str]) -> String {
    let info = redis.command(&["info", section]);
    let value = |name: &&str| {
        info.lines().find_map(|line| line.trim().strip_prefix(name)?.strip_prefix(':'))
    };
    names.iter().find_map(value).expect("a value").to_owned()
}

/// Prints a row of docs/results/matrix.md.
#[tokio::test(flavor = "multi_thread")]
async fn a_number_takes_less_than_a_kilobyte() {
    let redis = Service::redis();
    let store = Store::redis(&redis.url, Policy::default()).expect("a URL");
    // The scripts, and what a server allocates once.
    admitted(&store, &TestNumber::new().request()).await;
    let used = || field(&redis, "memory", &["used_memory"]).parse::<usize>().expect("a number");
    let windows: Vec<_> = Limits::default().of(Scope::Number).collect();
    let before = used();
    let mut sent = Vec::new();
    for _ in 0..NUMBERS / 100 {
        let requests: Vec<_> = (0..100)
            .map(|_| AdmissionRequest { windows: windows.clone(), ..TestNumber::new().request() })
            .collect();
        sent.extend(join_all(requests.iter().map(|request| admitted(&store, request))).await);
    }
    let record = (used() - before) / NUMBERS;
    for batch in sent.chunks(100) {
        join_all(batch.iter().map(async |(verification, _)| {
            begin(&store, verification, 1, 1).await;
            let outcome = SendOutcome::Sent { message_id: Some(verification.id.to_string()) };
            store.record_outcome(&verification.id, 1, &outcome, 1).await.expect("an answer");
        }))
        .await;
    }
    let with_message = (used() - before) / NUMBERS;
    let version = field(&redis, "server", &["valkey_version", "redis_version"]);
    println!("BYTES | {version} | {record} | {with_message} |");
    assert!(record < 1_000 && with_message < 1_500, "{record}, {with_message}");
}
