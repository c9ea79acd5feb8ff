//! Logs: request and trace IDs on each line, and a level that can be changed.

use serde_json::{Value, json};

use crate::support::eventually;
use crate::support::process::{Deployment, Environment};

#[tokio::test(flavor = "multi_thread")]
async fn log_lines_carry_request_and_trace_ids() {
    let environment = Environment::services();
    let deployment = Deployment::split(&environment);
    let (client, trace) = (&deployment.client, "4bf92f3577b34da6a3ce929d0e0e4736");
    let asked = client.request("POST", "/v1/verifications").header("x-request-id", "mine-1");
    let asked = asked.header("traceparent", format!("00-{trace}-00f067aa0ba902b7-01"));
    let asked = client.send(asked.json(&json!({ "to": "13800138000" }))).await;
    assert_eq!((asked.status, asked.header("x-request-id")), (202, "mine-1"));
    client.code("+8613800138000").await;
    let id = asked.id();
    let lines = |log: String| -> Vec<Value> {
        let lines = log
            .lines()
            .filter(|line| line.contains(&id))
            .map(|line| serde_json::from_str(line).expect("JSON"));
        lines.collect()
    };
    let admitted = lines(deployment.api.log());
    assert!(!admitted.is_empty());
    for line in admitted {
        let names = (&line["request_id"], &line["trace_id"]);
        assert_eq!(names, (&json!("mine-1"), &json!(trace)), "{line}");
    }
    let sent = eventually("the sender's line", || async {
        let sent: Vec<Value> =
            deployment.workers.iter().flat_map(|worker| lines(worker.log())).collect();
        (!sent.is_empty()).then_some(sent)
    });
    for line in sent.await {
        let names = (&line["request_id"], &line["trace_id"]);
        assert_eq!(names, (&json!("mine-1"), &json!(trace)), "{line}");
    }
    for made_up in ["a b", "\u{e9}", &"x".repeat(65)] {
        let answer =
            client.send(client.request("GET", "/healthz").header("x-request-id", made_up)).await;
        assert_eq!(answer.header("x-request-id").len(), 16, "{made_up}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn log_level_changes_while_running() {
    let deployment = Deployment::whole(&Environment::embedded().with("LOG_LEVEL", "error"));
    let client = &deployment.client;
    let level = async |level: &str| {
        let request = client.request("PUT", "/ops/log-level").header("content-type", "text/plain");
        client.send(request.body(level.to_owned())).await.status
    };
    client.ask("13800138000").await;
    for slip in ["shared=loud", "inof", "", "\"info\"", "lapin=trace", "{}"] {
        assert_eq!(level(slip).await, 422, "{slip}");
    }
    assert_eq!(deployment.api.log(), "");
    assert_eq!(level("info").await, 204);
    client.ask("13800138001").await;
    deployment.api.logs("admitted").await;
    assert!(!deployment.api.log().contains("8000"), "only what came after it");
}
