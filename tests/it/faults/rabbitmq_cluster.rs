//! Three nodes of RabbitMQ, one of which dies, hangs, or is cut off from the others.

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::eventually;
use crate::support::gateway::Reply;
use crate::support::process::Environment;
use crate::support::scene::{POLICIES, Scene};
use crate::support::services::{Service, with_own_queue};

const NODES: [&str; 3] = ["rabbitmq-1", "rabbitmq-2", "rabbitmq-3"];

/// The node that leads the main queue, by another node.
fn leader(cluster: &Service, asked: &str, queue: &str) -> Option<String> {
    let queues = cluster.rabbitmqctl_of(asked, &["list_queues", "name", "leader"]);
    let line = queues.lines().find(|line| line.split('\t').next() == Some(queue))?;
    Some(line.split('\t').nth(1)?.split('@').next()?.to_owned())
}

/// The nodes with a connection of the program.
fn connected(cluster: &Service, asked: &str) -> Vec<String> {
    let pids = cluster.rabbitmqctl_of(asked, &["list_connections", "pid"]);
    let node = |pid: &str| Some(pid.trim_start_matches('<').split_once('@')?.0.to_owned());
    pids.lines().filter_map(node).collect()
}

async fn start(cluster: &Service, fault: &str, policy: &'static str) -> Scene {
    let url = with_own_queue(&cluster.url);
    let environment = Environment::services().with("QUEUE_URL", &url);
    let mut scene = Scene::start(fault, policy, environment).await;
    scene.add_worker().await;
    for index in 900_000..900_005 {
        scene.ask_until_accepted(index).await;
    }
    scene.gateway.got(5).await;
    scene
}

fn queue(scene: &Scene) -> String {
    scene.services.get("QUEUE_URL").split_once("queue=").expect("a queue").1.to_owned()
}

/// Asks while a node is down, and goes on until all that is asked then is accepted. Returns the
/// first answers.
async fn goes_on(scene: &mut Scene) -> Vec<Option<(u16, Value)>> {
    let since = Instant::now();
    let first = scene.ask(0..20).await;
    scene.is_back(20, since).await;
    for index in 30..90 {
        scene.ask_until_accepted(index).await;
    }
    scene.gateway.got(66).await;
    first
}

async fn balances(scene: Scene) {
    let books = scene.balance().await;
    assert_eq!((books.delivered, books.dead), (books.accepted, 0), "{books}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_dies_and_the_others_go_on() {
    let cluster = Service::rabbitmq_cluster();
    for (policy, leads) in [(POLICIES[0], true), (POLICIES[1], true), (POLICIES[0], false)] {
        let which = if leads { "the leader" } else { "a follower" };
        let fault = format!("three RabbitMQ nodes: {which} killed");
        let mut scene = start(&cluster, &fault, policy).await;
        let lead = leader(&cluster, "rabbitmq-1", &queue(&scene)).expect("a leader");
        let connected = connected(&cluster, "rabbitmq-1");
        assert!(leads || connected.contains(&lead), "{connected:?}");
        let victim = NODES.into_iter().find(|node| (*node == lead) == leads).expect("a node");
        cluster.kill_part(victim);
        let first = goes_on(&mut scene).await;
        if !leads {
            let accepted = first.iter().filter(|answer| matches!(answer, Some((202, _)))).count();
            assert!(accepted > 0, "nobody needs a follower: {first:?}");
        }
        cluster.start_part(victim);
        cluster.rabbitmqctl_of(victim, &["await_online_nodes", "3"]);
        scene.ask(100..110).await;
        balances(scene).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_without_its_majority_stores_nothing_and_says_so() {
    let cluster = Service::rabbitmq_cluster();
    let mut scene = start(&cluster, "three RabbitMQ nodes: two killed", POLICIES[0]).await;
    for node in ["rabbitmq-2", "rabbitmq-3"] {
        cluster.kill_part(node);
    }
    let answers = scene.ask(0..10).await;
    assert!(answers.iter().all(|answer| matches!(answer, Some((503, _)))), "{answers:?}");
    let ready = eventually("not ready", || async {
        Some(scene.client.get("/readyz").await).filter(|ready| ready.status == 503)
    });
    assert_eq!(ready.await.body["down"], serde_json::json!(["queue"]));
    cluster.start_part("rabbitmq-2");
    scene.ask_until_accepted(20).await;
    eventually("ready", || async {
        (scene.client.get("/readyz").await.status == 200).then_some(())
    })
    .await;
    balances(scene).await;
}

/// The worker sees every few seconds if its node stores what it is sent. An alarm is for the whole
/// cluster, and says nothing about the node.
#[tokio::test(flavor = "multi_thread")]
async fn an_alarm_keeps_no_worker_from_its_work() {
    let cluster = Service::rabbitmq_cluster();
    let environment = Environment::services().with("QUEUE_URL", &with_own_queue(&cluster.url));
    let mut scene = Scene::start("three RabbitMQ nodes: no disk", POLICIES[0], environment).await;
    for index in 0..20 {
        scene.ask_until_accepted(index).await;
    }
    cluster.rabbitmqctl_of("rabbitmq-1", &["set_disk_free_limit", "999999GB"]);
    let blocked = async |count| {
        eventually("what publishes is blocked", || async {
            let states = cluster.rabbitmqctl_of("rabbitmq-1", &["list_connections", "state"]);
            (states.lines().filter(|state| *state == "blocked").count() >= count).then_some(())
        })
        .await;
    };
    scene.ask(20..21).await;
    blocked(1).await;
    // Their acknowledgements come when a probe has been published.
    scene.gateway.always(Reply::AcceptAfter(Duration::from_secs(1)));
    scene.add_worker().await;
    scene.gateway.got(20).await;
    blocked(2).await;
    eventually("all are sent", || async {
        (scene.log().matches(r#""message":"sent""#).count() == 20).then_some(())
    })
    .await;
    assert!(!scene.log().contains("stores nothing"), "{}", scene.log());
    // What a worker has not acknowledged comes back when it has ended.
    let mut worker = scene.workers.pop().expect("a worker");
    worker.terminate();
    worker.ended().await;
    assert_eq!(eventually("RabbitMQ notices", || scene.depth(0)).await, 0);
    cluster.rabbitmqctl_of("rabbitmq-1", &["set_disk_free_limit", "50MB"]);
    scene.add_worker().await;
    scene.ask_until_accepted(20).await;
    balances(scene).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_hangs_and_the_others_go_on() {
    let cluster = Service::rabbitmq_cluster();
    let mut scene = start(&cluster, "three RabbitMQ nodes: the leader hangs", POLICIES[0]).await;
    let lead = leader(&cluster, "rabbitmq-1", &queue(&scene)).expect("a leader");
    cluster.signal_part(&lead, "-STOP");
    goes_on(&mut scene).await;
    cluster.signal_part(&lead, "-CONT");
    balances(scene).await;
}

/// The nodes' connections to each other are cut: what is left of the cluster pauses the minority.
#[tokio::test(flavor = "multi_thread")]
async fn a_node_is_cut_off_and_the_majority_goes_on() {
    let cluster = Service::rabbitmq_cluster();
    let mut scene = start(&cluster, "three RabbitMQ nodes: the leader cut off", POLICIES[0]).await;
    let lead = leader(&cluster, "rabbitmq-1", &queue(&scene)).expect("a leader");
    let others: Vec<_> = NODES.into_iter().filter(|node| *node != lead).collect();
    // At once: with one of two links cut, each of these two nodes would pause.
    let each = |action: &str| {
        let of = |other: &&str| action.replace("NODE", &format!("'{other}@localhost'"));
        cluster.rabbitmqctl_of(
            &lead,
            &["eval", &format!("{}ok.", others.iter().map(of).collect::<String>())],
        );
    };
    each("erlang:set_cookie(NODE, cut_off), erlang:disconnect_node(NODE), ");
    eventually("the majority has noticed", || async {
        leader(&cluster, others[0], &queue(&scene)).filter(|leader| *leader != lead)
    })
    .await;
    goes_on(&mut scene).await;
    each("erlang:set_cookie(NODE, erlang:get_cookie()), ");
    balances(scene).await;
}
