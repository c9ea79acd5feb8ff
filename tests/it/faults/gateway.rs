//! A gateway that loses its answers, fails for long, wants to be left alone, or cannot be found.

use crate::support::eventually;
use crate::support::gateway::{Gateway, Reply};
use crate::support::process::Environment;
use crate::support::scene::{Books, POLICIES, Scene};

const JOBS: usize = 5;

/// Five jobs, whose first attempts are answered with `first`, and all others with `then`.
async fn run(fault: &str, policy: &'static str, first: Reply, then: Reply) -> Books {
    let mut scene = Scene::start(fault, policy, Environment::services()).await;
    scene.gateway.first(&vec![first; JOBS], then);
    scene.ask(0..5).await;
    scene.add_worker().await;
    scene.balance().await
}

#[tokio::test(flavor = "multi_thread")]
async fn gateway_accepts_and_loses_its_answer() {
    for (fault, reply) in [
        ("gateway accepts and hangs", Reply::AcceptAndHang),
        ("gateway accepts and cuts its answer off", Reply::AcceptAndBreak),
        ("gateway accepts and babbles", Reply::AcceptAndBabble),
    ] {
        for policy in POLICIES {
            let books = run(fault, policy, reply.clone(), Reply::Accept).await;
            let expected = if policy == "at_most_once" { (0, JOBS) } else { (JOBS, 0) };
            assert_eq!((books.delivered, (books.doubled, books.dead)), (JOBS, expected), "{books}");
        }
    }
}

/// Codes that live for six seconds: whatever lasts longer lasts too long.
fn short_lived() -> Environment {
    Environment::services().with("CODE_TTL", "6")
}

#[tokio::test(flavor = "multi_thread")]
async fn gateway_fails_for_longer_than_codes_live() {
    for policy in POLICIES {
        for (fault, reply) in [
            ("gateway answers 500 until codes expire", Reply::Http(500)),
            ("gateway refuses until codes expire", Reply::Refuse("160000")),
        ] {
            let mut scene = Scene::start(fault, policy, short_lived()).await;
            scene.gateway.always(reply);
            scene.add_worker().await;
            scene.ask(0..5).await;
            let books = scene.balance().await;
            // What a machine is too slow to try once before the code expires is dropped.
            assert_eq!(
                (books.delivered, books.dead + books.dropped),
                (0, JOBS),
                "each is with the operator"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn gateway_fails_for_a_while_and_costs_no_job() {
    for policy in POLICIES {
        let mut scene =
            Scene::start("gateway refuses for a while", policy, Environment::services()).await;
        scene.gateway.always(Reply::Refuse("160000"));
        scene.ask(0..5).await;
        scene.add_worker().await;
        eventually("its circuit is open", || async {
            scene.workers[0].log().contains("the gateway's circuit is open").then_some(())
        })
        .await;
        scene.gateway.always(Reply::Accept);
        let books = scene.balance().await;
        assert_eq!((books.delivered, books.doubled, books.dead), (JOBS, 0, 0));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn gateway_sends_endless_bytes() {
    for policy in POLICIES {
        let books =
            run("gateway answers without an end", policy, Reply::Flood, Reply::Accept).await;
        let expected = if policy == "at_most_once" { (0, JOBS) } else { (JOBS, 0) };
        assert_eq!((books.delivered, books.dead), expected);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn gateway_throttles() {
    for policy in POLICIES {
        let mut scene =
            Scene::start("gateway answers 429, Retry-After: 5", policy, Environment::services())
                .await;
        scene.gateway.first(&[Reply::TooMany(5)], Reply::Accept);
        scene.ask([0]).await;
        scene.add_worker().await;
        let calls = scene.gateway.got(2).await;
        let gap = calls[1].at - calls[0].at;
        assert!(gap.as_secs() >= 5, "it was called after {gap:?}, and had asked for 5 s");
        let books = scene.balance().await;
        assert_eq!((books.delivered, books.doubled, books.dead), (1, 0, 0));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn gateway_cannot_be_found() {
    for policy in POLICIES {
        let mut scene =
            Scene::start("gateway's name does not resolve", policy, short_lived()).await;
        scene.ask(0..5).await;
        // No label of a name is this long: the resolver refuses it without asking anybody.
        let nowhere = format!("{}.example", "x".repeat(64));
        let dsn = Gateway::dsn_of(&nowhere).replace("&tls=false", "");
        scene.set_for_workers("SMS_DSN", &dsn);
        scene.add_worker().await;
        let books = scene.balance().await;
        assert_eq!((books.delivered, books.dead + books.dropped), (0, JOBS));
    }
}
