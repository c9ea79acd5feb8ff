//! SQS slow, gone or silent, and a function that dies in the middle of its work.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::gateway::{Gateway, Reply};
use crate::support::lambda::Function;
use crate::support::process::{Client, Environment, Process, base_url};
use crate::support::proxy::Proxy;
use crate::support::scene::{Books, Ledger, POLICIES};
use crate::support::services::redis_url;
use crate::support::sqs::{Queues, client};
use crate::support::{GIVE_UP, eventually, number};

/// An API on SQS by way of a proxy, and the function that sends.
struct Scene {
    fault: &'static str,
    policy: &'static str,
    api: Process,
    client: Client,
    proxy: Proxy,
    queues: Queues,
    gateway: Gateway,
    function: Function,
    environment: Environment,
    ledger: Ledger,
}

impl Scene {
    async fn start(fault: &'static str, policy: &'static str) -> Self {
        let queues = Queues::create(&client()).await;
        let gateway = Gateway::start(&[], Reply::Accept).await;
        let (proxy, through) = Proxy::before(&queues.endpoint).await;
        let environment = Environment::lambda()
            .with("REDIS_URL", &redis_url())
            .with("QUEUE_URL", &queues.url)
            .with("DEAD_QUEUE_URL", &queues.dead_url)
            .with("AWS_ENDPOINT_URL_SQS", &queues.endpoint)
            .with("SMS_DSN", &gateway.dsn())
            .with("RETRY_BACKOFF", "1")
            .with("RESEND_INTERVAL", "1")
            .with("DELIVERY_POLICY", policy);
        let with_proxy = environment
            .clone()
            .with("AWS_ENDPOINT_URL_SQS", &through)
            .with("LISTEN", "127.0.0.1:0");
        let api = Process::start(&["api"], &with_proxy).announces("/inbox\n");
        let client = Client::new(&base_url(&api.announced));
        let function = Function::start("send-sms", &environment);
        let ledger = Ledger::default();
        Self { fault, policy, api, client, proxy, queues, gateway, function, environment, ledger }
    }

    async fn ask(&mut self, index: u32) -> Option<(u16, Value)> {
        let began = Instant::now();
        let answer = self.client.try_ask(number(index).e164()).await;
        self.ledger.enter(number(index).national(), answer.as_ref(), began.elapsed());
        answer
    }

    async fn ask_until_accepted(&mut self, index: u32) {
        let began = Instant::now();
        while !matches!(self.ask(index).await, Some((202, _))) {
            assert!(began.elapsed() < GIVE_UP, "never accepted: {}", self.api.log());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Runs the event source mapping until the queue is empty.
    async fn balance(self) -> Books {
        eventually("an empty queue", || async {
            let respond = async |event| {
                serde_json::from_value(self.function.invoke(&event).await).expect("a response")
            };
            self.queues.poll(respond).await;
            (self.queues.depth().await == 0).then_some(())
        })
        .await;
        let calls = self.gateway.accepted();
        let jobs: std::collections::HashSet<&str> =
            calls.iter().map(|call| call.request_id.as_str()).collect();
        let delivered = self
            .ledger
            .accepted
            .keys()
            .filter(|to| calls.iter().any(|call| call.to == **to))
            .count();
        let (books, refused) = (self.ledger.books(self.fault, self.policy), self.ledger.refused());
        let dead = self.queues.dead().await as usize;
        let books = Books { delivered, doubled: calls.len() - jobs.len(), dead, ..books };
        println!("{books}");
        assert!(
            calls.iter().all(|call| !refused.contains(&call.to)),
            "refused, and sent all the same: {calls:?}"
        );
        books
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn function_is_killed_in_the_middle_of_a_call() {
    for policy in POLICIES {
        let mut scene = Scene::start("function killed after the gateway accepted", policy).await;
        scene.gateway.first(&[Reply::AcceptAndHang], Reply::Accept);
        scene.ask_until_accepted(0).await;
        let taken = scene.queues.take(2).await;
        let event = json!({ "Records": taken });
        let (function, gateway) = (&scene.function, &scene.gateway);
        tokio::select! {
            answer = function.try_invoke(&event) => panic!("it was to be killed: {answer:?}"),
            _ = gateway.got(1) => {}
        }
        scene.function.process.kill();
        scene.function = Function::start("send-sms", &scene.environment);
        let books = scene.balance().await;
        let expected = if policy == "at_most_once" { (0, 1) } else { (1, 0) };
        assert_eq!((books.delivered, (books.doubled, books.dead)), (1, expected), "{books}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sqs_is_slow_or_gone() {
    type Break = fn(&Proxy);
    let breaks: [(&str, Break); 4] = [
        ("SQS gone", Proxy::refuse),
        ("SQS answers after 2 s", |proxy| proxy.delay(Duration::from_secs(2))),
        ("SQS in a black hole for a while", Proxy::hold),
        ("SQS connections cut", Proxy::cut),
    ];
    for (fault, breaks) in breaks {
        let mut scene = Scene::start(fault, POLICIES[0]).await;
        scene.ask_until_accepted(0).await;
        breaks(&scene.proxy);
        let answer = scene.ask(1).await.expect("an answer");
        if !fault.contains("connections") {
            assert_eq!((answer.0, &answer.1["down"]), (503, &json!(["queue"])), "{answer:?}");
            let ready = scene.client.get("/readyz").await;
            assert_eq!((ready.status, &ready.body["down"]), (503, &json!(["queue"])));
        }
        scene.proxy.pass();
        scene.ask_until_accepted(1).await;
        let books = scene.balance().await;
        assert_eq!(
            (books.accepted, books.delivered, books.doubled, books.dead),
            (2, 2, 0, 0),
            "{books}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sqs_is_asked_again_when_a_connection_is_silent() {
    let mut scene = Scene::start("SQS connections silent, one each time", POLICIES[0]).await;
    scene.ask_until_accepted(0).await;
    let mut at_once = 0;
    for index in 1..=10 {
        scene.proxy.forget_next();
        if matches!(scene.ask(index).await, Some((202, _))) {
            at_once += 1;
        } else {
            scene.ask_until_accepted(index).await;
        }
    }
    // A slow machine may spoil some; without a second attempt in time it would be all.
    assert!(at_once > 0, "each silent connection cost a 503");
    let books = scene.balance().await;
    assert_eq!(
        (books.accepted, books.delivered, books.doubled, books.dead),
        (11, 11, 0, 0),
        "{books}"
    );
}
