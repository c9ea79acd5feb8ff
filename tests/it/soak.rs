//! The soak: load and random faults on both policies at once, for `SOAK_SECONDS`, from the seed
//! `SOAK_SEED`; then everything is mended, and every accepted verification has to be accounted for.

use std::sync::Arc;
use std::time::{Duration, Instant};

use fastrand::Rng;
use tokio::task::{JoinSet, block_in_place};
use tokio::time::sleep;

use crate::support::gateway::{Gateway, Reply};
use crate::support::process::Environment;
use crate::support::proxy::Proxy;
use crate::support::scene::{POLICIES, Scene};
use crate::support::services::{Service, redis_cli, with_own_queue};

/// In the suite: long enough that everything below happens a few times.
const DEFAULT_SECONDS: u64 = 20;

const WORKERS: usize = 2;

/// Two, so that some meet.
const FAULTS_AT_ONCE: usize = 2;

#[expect(clippy::disallowed_methods, reason = "an order to the test")]
fn from_environment(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// One Redis and one RabbitMQ, or three of each, with Sentinels.
#[derive(Clone)]
struct Servers {
    several: bool,
    redis: Arc<Service>,
    rabbitmq: Arc<Service>,
}

impl Servers {
    fn start(several: bool) -> Self {
        let (redis, rabbitmq) = if several {
            (Service::redis_sentinels(), Service::rabbitmq_cluster())
        } else {
            let redis = Service::redis();
            redis.command(&["config", "set", "appendfsync", "always"]);
            (redis, Service::rabbitmq())
        };
        Self { several, redis: Arc::new(redis), rabbitmq: Arc::new(rabbitmq) }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_books_balance() {
    let length = Duration::from_secs(from_environment("SOAK_SECONDS").unwrap_or(DEFAULT_SECONDS));
    let seed = from_environment("SOAK_SEED").unwrap_or_else(|| fastrand::u64(..1_000_000));
    println!("SOAK {} s, seed {seed}", length.as_secs());
    let servers = Servers::start(from_environment("SOAK_SEVERAL").is_some());
    let several = servers.several;
    let end = Instant::now() + length;
    let runs = POLICIES.map(|policy| {
        let environment = Environment::services()
            .with("REDIS_URL", &servers.redis.url)
            .with("QUEUE_URL", &with_own_queue(&servers.rabbitmq.url));
        tokio::spawn(run(policy, environment, Rng::with_seed(seed), end))
    });
    // In tasks of their own: what blocks one for a while delays no answer of the others.
    let breaking = tokio::spawn(break_services(servers.clone(), Rng::with_seed(!seed), end));
    breaking.await.expect("no panic");
    for scene in runs {
        let scene = scene.await.expect("no panic");
        let books = scene.balance_after_many_faults().await;
        println!(
            "SOAK {}: {} sent after a 503, store and queue having failed together",
            books.policy, books.refused_and_sent
        );
        assert!(books.accepted > 100, "there was load: {books}");
        assert!(books.delivered * 10 > books.accepted * 5, "most of it was delivered: {books}");
        // Replicas do not have what a primary confirmed in its last milliseconds.
        let lost = if several { books.accepted / 100 } else { 0 };
        println!("SOAK {}: {} lost with a primary", books.policy, books.dropped_only);
        assert!(books.dropped_only <= lost, "dropped, and nobody had received it: {books}");
    }
}

/// Load and faults until `end`.
async fn run(policy: &'static str, environment: Environment, mut rng: Rng, end: Instant) -> Scene {
    let mut scene = Scene::start("soak", policy, environment).await;
    scene.has_doors = true;
    // A connection that fell silent is noticed after 2 s in place of 20.
    let url = format!("{}&heartbeat=1", scene.worker_variable("QUEUE_URL"));
    scene.set_for_workers("QUEUE_URL", &url);
    for _ in 0..WORKERS {
        scene.add_worker().await;
    }
    let (mut next, mut faults) = (0, JoinSet::new());
    while Instant::now() < end {
        while faults.try_join_next().is_some() {}
        if faults.len() < FAULTS_AT_ONCE && rng.u8(..10) == 0 {
            faults.spawn(fault(&scene, &mut rng));
        }
        let numbers = next..next + rng.u32(1..=20);
        next = numbers.end;
        scene.ask(numbers).await;
        check_one(&scene, &mut rng).await;
        scene.replace_the_dead();
    }
    faults.join_all().await;
    scene.replace_the_dead();
    for proxy in scene.proxies() {
        proxy.pass();
        proxy.cut();
    }
    scene.gateway.always(Reply::Accept);
    scene
}

type Fault = std::pin::Pin<Box<dyn Future<Output = ()> + Send>>;

/// Something that goes wrong, soon and for a while.
fn fault(scene: &Scene, rng: &mut Rng) -> Fault {
    let soon = Duration::from_millis(rng.u64(0..100));
    let length = Duration::from_millis(rng.u64(100..2_000));
    let proxy = (*rng.choice(scene.proxies()).expect("five")).clone();
    match rng.u8(..10) {
        0 => {
            let worker = scene.workers[rng.usize(..WORKERS)].group();
            let signal = *rng.choice(&["-KILL", "-TERM"]).expect("two");
            Box::pin(async move {
                sleep(soon).await;
                worker.signal(signal);
            })
        }
        1 => {
            let api = scene.api.group();
            Box::pin(async move {
                sleep(soon).await;
                api.signal("-KILL");
            })
        }
        2..=4 => {
            let breaks = *rng
                .choice(&[Proxy::cut as fn(&Proxy), Proxy::half_close, Proxy::forget])
                .expect("three");
            Box::pin(async move {
                sleep(soon).await;
                breaks(&proxy);
            })
        }
        5..=7 => {
            let mode = rng.u8(..3);
            Box::pin(async move {
                sleep(soon).await;
                match mode {
                    0 => proxy.hold(),
                    1 => proxy.delay(length),
                    _ => proxy.refuse(),
                }
                sleep(length).await;
                proxy.pass();
            })
        }
        _ => {
            misbehave(&scene.gateway, rng);
            let gateway = scene.gateway.clone();
            Box::pin(async move {
                // While its circuit is open it is hardly called: what it has not answered by then
                // it answers well.
                sleep(length).await;
                gateway.always(Reply::Accept);
            })
        }
    }
}

/// The gateway's next few answers are not what they should be.
fn misbehave(gateway: &Gateway, rng: &mut Rng) {
    let replies = [
        Reply::Refuse("160000"),
        Reply::Refuse("160038"),
        Reply::Http(500),
        Reply::Http(503),
        Reply::TooMany(1),
        Reply::Break,
        Reply::AcceptAndBreak,
        Reply::AcceptAndBabble,
        Reply::AcceptAndHang,
        Reply::AcceptAfter(Duration::from_secs(1)),
        Reply::Flood,
    ];
    let reply = rng.choice(&replies).expect("many");
    gateway.first(&vec![reply.clone(); rng.usize(1..10)], Reply::Accept);
}

/// Somebody types the code that came.
async fn check_one(scene: &Scene, rng: &mut Rng) {
    let calls = scene.gateway.accepted();
    let Some(call) = rng.choice(&calls) else { return };
    let Some(id) = scene.ledger.accepted.get(&call.to).and_then(|ids| ids.iter().next()) else {
        return;
    };
    if let Some(status) = scene.client.try_check(id, &call.code).await {
        // 404: used already, perhaps by a check whose answer was lost; 429: a code of somebody
        // else, who checks it himself.
        let is_own = call.to.ends_with(['0', '2', '4', '6', '8']);
        let right = if is_own { [200, 404, 503] } else { [429, 404, 503] };
        assert!(right.contains(&status), "{status} for the right code");
    }
}

/// What ends a fault.
type Mend = Box<dyn FnOnce() + Send>;

/// Redis and RabbitMQ are killed, flushed, filled and restarted, until `end`.
async fn break_services(servers: Servers, mut rng: Rng, end: Instant) {
    loop {
        sleep(Duration::from_millis(rng.u64(2_000..8_000))).await;
        if Instant::now() >= end {
            return;
        }
        let pause = Duration::from_millis(rng.u64(100..2_000));
        // Each of these waits for other processes, and the requests' answers are timed.
        let mend = block_in_place(|| match servers.several {
            false => break_one(&servers, &mut rng),
            true => break_one_of_several(&servers, &mut rng),
        });
        sleep(pause).await;
        block_in_place(mend);
    }
}

fn break_one(servers: &Servers, rng: &mut Rng) -> Mend {
    let (redis, rabbitmq) = (Arc::clone(&servers.redis), Arc::clone(&servers.rabbitmq));
    match rng.u8(..5) {
        0 => {
            redis.kill();
            Box::new(move || {
                redis.start_again();
                redis.command(&["config", "set", "appendfsync", "always"]);
            })
        }
        1 => {
            redis.hang();
            Box::new(move || redis.go_on())
        }
        2 => {
            redis.command(&["script", "flush"]);
            Box::new(|| {})
        }
        3 => {
            rabbitmq.rabbitmqctl(&["set_disk_free_limit", "999999GB"]);
            Box::new(move || rabbitmq.rabbitmqctl(&["set_disk_free_limit", "50MB"]))
        }
        _ => {
            rabbitmq.stop();
            Box::new(move || rabbitmq.start_again())
        }
    }
}

/// One of three fails, and is there again before the next one does.
fn break_one_of_several(servers: &Servers, rng: &mut Rng) -> Mend {
    let (redis, rabbitmq) = (Arc::clone(&servers.redis), Arc::clone(&servers.rabbitmq));
    let primary = redis.primary();
    let node = format!("rabbitmq-{}", rng.u8(1..=3));
    match rng.u8(..6) {
        0 => {
            redis.kill_part(&primary);
            Box::new(move || redis.start_part(&primary))
        }
        1 => {
            redis.signal_part(&primary, "-STOP");
            Box::new(move || redis.signal_part(&primary, "-CONT"))
        }
        2 => {
            redis_cli(&redis.port(&primary), &["script", "flush"]);
            Box::new(|| {})
        }
        3 => {
            // Refused while the last failover is not over.
            redis_cli(&redis.port("sentinel-1"), &["sentinel", "failover", "mymaster"]);
            Box::new(|| {})
        }
        4 => {
            rabbitmq.signal_part(&node, "-STOP");
            Box::new(move || rabbitmq.signal_part(&node, "-CONT"))
        }
        _ => {
            rabbitmq.kill_part(&node);
            Box::new(move || rabbitmq.start_part(&node))
        }
    }
}
