//! Redis Sentinel: a failover by an operator, and one after the death of the primary.

use std::collections::HashSet;
use std::time::Instant;

use crate::support::process::{Deployment, Environment};
use crate::support::scene::{POLICIES, Scene};
use crate::support::services::{Service, redis_cli, try_redis_cli};
use crate::support::{GIVE_UP, eventually};

const NAME: &str = "mymaster";

fn on(sentinels: &Service) -> Environment {
    Environment::services().with("REDIS_URL", &sentinels.url)
}

/// The port of the primary by one Sentinel.
fn primary(service: &Service, sentinel: u32) -> String {
    let port = service.port(&format!("sentinel-{sentinel}"));
    let answer = redis_cli(&port, &["sentinel", "get-master-addr-by-name", NAME]);
    answer.lines().nth(1).expect("a port").to_owned()
}

/// A Sentinel closes the connections of a server whose role it changes: that is no answer.
fn has_role(port: &str, role: &str) -> bool {
    try_redis_cli(port, &["info", "replication"])
        .is_ok_and(|answer| answer.contains(&format!("role:{role}\r")))
}

/// Accepts a few, so that both processes have found the primary.
async fn warm_up(scene: &mut Scene) {
    scene.add_worker().await;
    for index in 900_000..900_005 {
        scene.ask_until_accepted(index).await;
    }
    scene.gateway.got(5).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_lets_another_take_over() {
    let service = Service::redis_sentinels();
    for policy in POLICIES {
        let mut scene =
            Scene::start("Sentinel: a failover by an operator", policy, on(&service)).await;
        warm_up(&mut scene).await;
        let (old, sentinel) = (primary(&service, 1), service.port("sentinel-1"));
        eventually("a replica that may take over", || async {
            (redis_cli(&sentinel, &["sentinel", "failover", NAME]).trim() == "OK").then_some(())
        })
        .await;
        // Until then, the old one takes what is written to it, and forgets it afterwards.
        let mut index = 0;
        let mut meanwhile = HashSet::new();
        let began = Instant::now();
        while !has_role(&old, "slave") {
            assert!(began.elapsed() < GIVE_UP, "it stays a primary");
            let announced = (1..=3).all(|sentinel| primary(&service, sentinel) != old);
            for answer in scene.ask(index..index + 10).await {
                if let Some((202, body)) = answer
                    && !announced
                {
                    meanwhile.insert(body["id"].as_str().expect("an id").to_owned());
                }
            }
            index += 10;
        }
        scene.ask_until_accepted(index).await;
        scene.settle().await;
        let dropped = scene.dropped();
        println!("lost in a failover: {} of {}", dropped.len(), meanwhile.len());
        assert!(dropped.is_subset(&meanwhile), "lost after the announcement: {dropped:?}");
        // Who waits for the last announcement loses nearly all of them. (Of a few, all may be of
        // the moment before the first one.)
        let heard = meanwhile.len() < 100 || dropped.len() * 2 <= meanwhile.len();
        assert!(heard, "the first announcement was not heard");
        let books = scene.balance().await;
        assert_eq!(books.delivered + books.dropped, books.accepted, "{books}");
        assert_eq!((books.doubled, books.dead), (0, 0), "{books}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_primary_dies_and_the_sentinels_name_another() {
    let service = Service::redis_sentinels();
    let environment = on(&service).with("RESEND_INTERVAL", "600");
    let mut scene =
        Scene::start("Sentinel: the primary killed", POLICIES[0], environment.clone()).await;
    warm_up(&mut scene).await;
    scene.ask(0..50).await;
    scene.gateway.got(55).await;
    let (part, old) = (service.primary(), primary(&service, 1));
    assert_eq!(redis_cli(&old, &["wait", "2", "10000"]).trim(), "2", "the replicas know all");
    service.kill_part(&part);
    let since = Instant::now();
    let refused = scene.ask(100..110).await;
    assert!(refused.iter().all(|answer| matches!(answer, Some((503 | 202, _)))), "{refused:?}");
    scene.is_back(110, since).await;
    for index in 111..130 {
        scene.ask_until_accepted(index).await;
    }
    // What was replicated holds.
    let answers = scene.ask(0..50).await;
    assert!(answers.iter().all(|answer| matches!(answer, Some((429 | 503, _)))), "{answers:?}");
    assert!(answers.iter().any(|answer| matches!(answer, Some((429, _)))), "{answers:?}");
    // It comes back as a primary, until the Sentinels tell it that it is none: it is not asked.
    service.start_part(&part);
    let (mut index, began) = (200, Instant::now());
    while !has_role(&old, "slave") {
        assert!(began.elapsed() < GIVE_UP, "it stays a primary");
        scene.ask(index..index + 10).await;
        index += 10;
    }
    scene.ask_until_accepted(index).await;
    let found = "the primary by Sentinel";
    let log = scene.api.log();
    let again = log.lines().filter(|line| line.contains(found) && line.contains(&old)).count();
    assert_eq!(again, 1, "only before it died: {log}");
    let books = scene.balance().await;
    assert_eq!((books.delivered, books.doubled, books.dead), (books.accepted, 0, 0), "{books}");
    // A process that starts later finds it, too, with one Sentinel left.
    service.kill_part("sentinel-1");
    service.kill_part("sentinel-2");
    let later = Deployment::whole(&environment);
    assert_eq!(later.client.ask("+8613900139000").await.status, 202);
}
