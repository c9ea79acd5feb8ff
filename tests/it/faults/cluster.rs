//! Redis Cluster: slots on the move while scripts are flushed, primaries that die or hang.

use crate::support::eventually;
use crate::support::process::Environment;
use crate::support::scene::{POLICIES, Scene};
use crate::support::services::{Service, redis_cli, redis_cli_succeeds};

fn on(cluster: &Service) -> Environment {
    Environment::services().with("REDIS_URL", &cluster.url)
}

fn port(cluster: &Service, node: u32) -> String {
    cluster.port(&format!("redis-{node}"))
}

/// Enough requests that every shard is met, and each process knows that it talks to a cluster.
async fn warm_up(scene: &mut Scene) {
    scene.add_worker().await;
    for index in 900_000..900_020 {
        scene.ask_until_accepted(index).await;
    }
    scene.gateway.got(20).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn slots_move_and_scripts_are_flushed_under_load() {
    let cluster = Service::redis_cluster();
    for policy in POLICIES {
        let mut scene =
            Scene::start("Redis Cluster: slots move, scripts flushed", policy, on(&cluster)).await;
        warm_up(&mut scene).await;
        let node = |node| redis_cli(&port(&cluster, node), &["cluster", "myid"]).trim().to_owned();
        let (seed, from, to) = (format!("127.0.0.1:{}", port(&cluster, 1)), node(1), node(2));
        let ports: Vec<String> = (1..=3).map(|node| port(&cluster, node)).collect();
        let mover = tokio::task::spawn_blocking(move || {
            for (from, to) in [(&from, &to), (&to, &from)] {
                let slots = [
                    "--cluster-from",
                    from,
                    "--cluster-to",
                    to,
                    "--cluster-slots",
                    "1500",
                    "--cluster-yes",
                ];
                // The nodes tell each other in the background who has what.
                while !redis_cli_succeeds(&["--cluster", "check", &seed]) {}
                redis_cli("0", &[&["--cluster", "reshard", &seed], &slots[..]].concat());
            }
        });
        let (mut index, mut rounds) = (0, 0);
        while !mover.is_finished() {
            for answer in scene.ask(index..index + 10).await {
                assert!(matches!(answer, Some((202, _))), "{answer:?}\n{}", scene.log());
            }
            redis_cli(&ports[rounds % 3], &["script", "flush"]);
            (index, rounds) = (index + 10, rounds + 1);
        }
        mover.await.expect("the slots have moved");
        assert!(rounds > 10, "there was load while they did: {rounds}");
        let books = scene.balance().await;
        assert_eq!(
            (books.accepted, books.delivered),
            (index as usize + 20, index as usize + 20),
            "{books}"
        );
        assert_eq!((books.doubled, books.dead), (0, 0));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_primary_dies_and_its_replica_takes_over() {
    let cluster = Service::redis_cluster();
    let environment = on(&cluster).with("RESEND_INTERVAL", "600");
    let mut scene = Scene::start("Redis Cluster: a primary killed", POLICIES[0], environment).await;
    warm_up(&mut scene).await;
    scene.ask(0..50).await;
    scene.gateway.got(70).await;
    for node in 1..=3 {
        assert_eq!(
            redis_cli(&port(&cluster, node), &["wait", "1", "10000"]).trim(),
            "1",
            "the replicas know all"
        );
    }
    // The very node that REDIS_URL names.
    cluster.signal_part("redis-1", "-KILL");
    // A third of the numbers cannot be asked for until the replica has been promoted.
    for index in 100..130 {
        scene.ask_until_accepted(index).await;
    }
    // What was replicated holds.
    let answers = scene.ask(0..50).await;
    assert!(answers.iter().all(|answer| matches!(answer, Some((429, _)))), "{answers:?}");
    eventually("ready", || async {
        (scene.client.get("/readyz").await.status == 200).then_some(())
    })
    .await;
    let books = scene.balance().await;
    assert_eq!(
        (books.accepted, books.delivered + books.dead, books.doubled),
        (100, 100, 0),
        "{books}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_hangs_is_replaced() {
    let cluster = Service::redis_cluster();
    let mut scene = Scene::start("Redis Cluster: a primary hangs", POLICIES[0], on(&cluster)).await;
    warm_up(&mut scene).await;
    cluster.signal_part("redis-2", "-STOP");
    for index in 100..130 {
        scene.ask_until_accepted(index).await;
    }
    scene.gateway.got(50).await;
    // It still answers what it last knew, until it learns that it is no longer the primary.
    cluster.signal_part("redis-2", "-CONT");
    scene.ask_until_accepted(200).await;
    let books = scene.balance().await;
    assert_eq!(
        (books.accepted, books.delivered + books.dead, books.doubled),
        (51, 51, 0),
        "{books}"
    );
}
