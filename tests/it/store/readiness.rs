//! A Redis that answers and cannot do what a request needs, or that forgets: `/readyz` and the log
//! say so, before anybody asks for a code in vain.

use serde_json::json;
use sms_store::RIGHTS;

use crate::support::eventually;
use crate::support::process::{Client, Deployment, Environment, Process, wrong};
use crate::support::services::{Service, redis_cli, redis_cluster_url};

const GET_ADDRESS: &str = "+sentinel|get-master-addr-by-name";

fn on(url: &str) -> Environment {
    Environment::embedded()
        .with("REDIS_URL", url)
        .with("CODE_SECRET", "a-secret-that-is-long-enough-for-a-test")
}

/// Neither ready nor able to take a request, and both say why.
async fn is_refused(deployment: &Deployment, words: &str) {
    eventually(&format!("not ready: {words}"), || async {
        let ready = deployment.client.get("/readyz").await;
        let log = deployment.api.log();
        let said =
            log.lines().any(|line| line.contains("not ready: store") && line.contains(words));
        (said && (ready.status, &ready.body["down"]) == (503, &json!(["store"]))).then_some(())
    })
    .await;
    let health = format!("{}/readyz", deployment.client.base);
    assert!(
        !Process::start(&["health", &health], &Environment::embedded()).ended().await.success()
    );
    eventually(&format!("refused: {words}"), || async {
        let refused = deployment.client.ask("+8613800138000").await;
        assert_eq!(refused.status, 503, "{words}: {:?}", refused.body);
        let log = deployment.api.log();
        log.lines()
            .any(|line| line.contains("the store is down") && line.contains(words))
            .then_some(())
    })
    .await;
}

async fn is_ready(client: &Client, after: &str) {
    eventually(after, || async { (client.get("/readyz").await.status == 200).then_some(()) }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_that_takes_no_writes_is_not_ready() {
    let redis = Service::redis();
    let deployment = Deployment::whole(&on(&redis.url));
    is_ready(&deployment.client, "as it is").await;
    for (breaks, words, mends) in [
        (
            "replicaof 127.0.0.1 1",
            "read-only replica, and REDIS_URL must name the primary",
            "replicaof no one",
        ),
        (
            "config set min-replicas-to-write 1",
            "min-replicas-to-write",
            "config set min-replicas-to-write 0",
        ),
        ("config set maxmemory 1mb", "its memory is full", "config set maxmemory 0"),
        (
            "acl setuser default -mget",
            "the user of REDIS_URL needs the rights",
            "acl setuser default +mget",
        ),
        (
            "acl setuser default -evalsha",
            "the user of REDIS_URL needs the rights",
            "acl setuser default +evalsha",
        ),
        ("acl setuser default resetkeys ~x", "~sms-verify:*", "acl setuser default allkeys"),
    ] {
        redis.command(&breaks.split(' ').collect::<Vec<_>>());
        is_refused(&deployment, words).await;
        redis.command(&mends.split(' ').collect::<Vec<_>>());
        is_ready(&deployment.client, mends).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unusable_redis_is_not_ready() {
    let (redis, sentinel) = (Service::redis(), Service::redis_sentinel());
    redis.command(&["config", "set", "requirepass", "secret"]);
    let user = redis.url.replace("redis://", "redis://:wrong@");
    let beyond = format!("{}/99", redis.url.replace("redis://", "redis://:secret@"));
    for (url, words) in [
        (&sentinel.url, "a Sentinel, perhaps"),
        (&redis.url, "it requires a password"),
        (&user, "it does not know the user and the password"),
        (&beyond, "it has no database with the number"),
    ] {
        is_refused(&Deployment::whole(&on(url)), words).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sentinels_that_name_no_primary_are_not_ready() {
    let service = Service::redis_sentinels();
    for node in 1..=3 {
        let port = service.port(&format!("redis-{node}"));
        let rights = RIGHTS.0.split(' ').chain(["+role"]);
        let user = ["acl", "setuser", "app", "on", ">redis"].into_iter().chain(rights);
        redis_cli(&port, &user.collect::<Vec<_>>());
        redis_cli(&port, &["acl", "setuser", "default", "-evalsha"]);
        let port = service.port(&format!("sentinel-{node}"));
        let rights = ["allchannels", "+subscribe", "+sentinel|master", GET_ADDRESS];
        let user = ["acl", "setuser", "guard", "on", ">sentinel"].into_iter().chain(rights);
        redis_cli(&port, &user.collect::<Vec<_>>());
        redis_cli(&port, &["acl", "setuser", "default", "-sentinel"]);
    }
    let guarded = format!("{}?sentinel_user=guard&sentinel_password=sentinel", service.url);
    for (url, words) in [
        (guarded.replace("mymaster", "another"), "no primary of the name"),
        (service.url.clone(), "has no permissions to run the 'sentinel|master'"),
        (guarded.clone(), "needs the rights"),
        (format!("{guarded}-wrong"), "sentinel_user and sentinel_password"),
    ] {
        is_refused(&Deployment::whole(&on(&url)), words).await;
    }
    let as_user = guarded.replace("redis+sentinel://", "redis+sentinel://app:redis@");
    for node in 1..=3 {
        let port = service.port(&format!("sentinel-{node}"));
        redis_cli(&port, &["acl", "setuser", "default", "resetpass", ">other"]);
    }
    let without = as_user.split_once('?').expect("options").0;
    is_refused(&Deployment::whole(&on(without)), "sentinel_user and sentinel_password").await;
    is_ready(&Deployment::whole(&on(&as_user)).client, "with both users").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn several_hosts_are_nodes_of_a_cluster() {
    let cluster = redis_cluster_url();
    let (first, second) = (Service::redis(), Service::redis());
    let with = |url: &str| format!("{},{}", first.url, url.trim_start_matches("redis://"));
    is_refused(&Deployment::whole(&on(&with(&second.url))), "it belongs to no cluster").await;
    first.stop();
    is_ready(&Deployment::whole(&on(&with(&cluster))).client, "the first is down").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_that_is_down_is_not_ready() {
    let node = Service::redis_node();
    let deployment = Deployment::whole(&on(&node.url));
    is_refused(&deployment, "the cluster is down").await;
    node.command(&["cluster", "addslotsrange", "0", "16383"]);
    is_ready(&deployment.client, "it has its slots").await;
    node.command(&["cluster", "delslotsrange", "0", "16383"]);
    is_refused(&deployment, "the cluster is down").await;
}

#[test]
fn the_rights_of_a_user_are_in_the_documents() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/operations/servers.md");
    let text = std::fs::read_to_string(path).expect("the document");
    let text = text.replace("\\\n", "").replace("\\|", "|").replace('\'', "");
    let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
    for rights in [RIGHTS.0, RIGHTS.1] {
        assert!(words.contains(rights), "{rights}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_has_one_connection_with_its_name() {
    let redis = Service::redis();
    let deployment = Deployment::whole(&on(&redis.url));
    is_ready(&deployment.client, "as it is").await;
    let asked = (0..50).map(|line| {
        let (client, number) = (deployment.client.clone(), format!("+86138001380{line:02}"));
        async move { client.ask(&number).await.status }
    });
    assert!(futures_util::future::join_all(asked).await.iter().all(|status| *status == 202));
    let list = eventually("the name", || async {
        let list = redis.command(&["client", "list", "type", "normal"]);
        list.contains(" name=sms-verify ").then_some(list)
    })
    .await;
    let others = list.lines().filter(|line| !line.contains("cmd=client"));
    assert_eq!(others.count(), 1, "{list}");
}

#[tokio::test(flavor = "multi_thread")]
async fn full_memory_forgets_no_lockout() {
    let redis = Service::redis();
    let deployment =
        Deployment::whole(&on(&redis.url).with("MAX_ATTEMPTS", "1").with("RESEND_INTERVAL", "1"));
    let client = &deployment.client;
    let id = client.ask("+8613800138000").await.id();
    let code = client.code("+8613800138000").await;
    assert_eq!(client.check(&id, &wrong(&code)).await.status, 422);
    redis.command(&["config", "set", "maxmemory", "1mb"]);
    assert_eq!(client.ask("+8613900139000").await.status, 503);
    redis.command(&["config", "set", "maxmemory", "0"]);
    eventually("an accepted request", || async {
        (client.ask("+8613900139000").await.status == 202).then_some(())
    })
    .await;
    let locked = client.ask("+8613800138000").await;
    assert_eq!(locked.status, 429, "{:?}", locked.body);
    assert!(locked.body["violated_policies"].to_string().contains("attempts"), "{:?}", locked.body);
}

#[tokio::test(flavor = "multi_thread")]
async fn eviction_by_one_node_of_a_cluster_is_noticed() {
    let cluster = redis_cluster_url();
    let nodes = redis_cli(port(&cluster), &["cluster", "nodes"]);
    // `id address@bus flags …`, of a primary that REDIS_URL does not name.
    let other = nodes
        .lines()
        .find(|line| line.contains("master") && !line.contains("myself"))
        .expect("another");
    let other = port(other.split(['@', ' ']).nth(1).expect("an address"));
    redis_cli(other, &["config", "set", "maxmemory-policy", "allkeys-lru", "maxmemory", "100mb"]);
    Deployment::whole(&on(&cluster)).api.logs("allkeys-lru").await;
    redis_cli(other, &["config", "set", "maxmemory-policy", "noeviction", "maxmemory", "0"]);
    Deployment::whole(&on(&cluster)).client.measures("sms_verify_store_evicts 0").await;
}

fn port(address: &str) -> &str {
    address.rsplit(':').next().expect("a port")
}
