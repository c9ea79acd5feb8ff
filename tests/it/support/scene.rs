//! A deployment that things happen to, with a proxy on each of its ways, and the books of what
//! became of each request.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use lapin::options::QueueDeclareOptions;
use lapin::types::FieldTable;
use lapin::{Connection, ConnectionProperties};
use serde_json::Value;
use sms_domain::job::Job;
use sms_outbound::dsn::each_host;
use sms_queue::Queue;
use tokio::task::block_in_place;
use tokio::time::timeout;

use super::gateway::{Call, Gateway, Reply};
use super::process::{Client, Environment, Process, base_url};
use super::proxy::Proxy;
use super::{GIVE_UP, dead_letters, eventually, number};

/// The two policies on SMS that were perhaps sent.
pub const POLICIES: [&str; 2] = ["at_least_once", "at_most_once"];

/// Of the door through which half of the requests come.
const DOOR_TOKEN: &str = "0123456789abcdef0123456789abcdef";

/// Longest time that the tests wait for one answer of RabbitMQ.
const ANSWER: Duration = Duration::from_secs(10);

/// An API, workers, a gateway, and all the ways between them and to the services.
pub struct Scene {
    fault: String,
    policy: &'static str,
    /// The services themselves, past the proxies.
    pub services: Environment,
    pub gateway: Gateway,
    pub api: Process,
    pub client: Client,
    pub workers: Vec<Process>,
    /// Processes that were killed.
    dead: Vec<Process>,
    pub api_store: Proxy,
    pub api_queue: Proxy,
    pub worker_store: Proxy,
    pub worker_queue: Proxy,
    pub worker_gateway: Proxy,
    api_environment: Environment,
    worker_environment: Environment,
    pub ledger: Ledger,
    /// True if codes for odd numbers are somebody else's, and come through a door.
    pub has_doors: bool,
}

/// Requests and their answers.
#[derive(Default)]
pub struct Ledger {
    asked: u32,
    /// The ids that were answered with 202, by national number.
    pub accepted: HashMap<String, HashSet<String>>,
    /// Numbers that were answered with 503 and never with 202.
    refused: HashSet<String>,
    /// Numbers that got no answer at all.
    broken: HashSet<String>,
    slowest: Duration,
}

impl Scene {
    /// A new API without workers, on these services. Retries after 1, 2 and 4 s.
    pub async fn start(fault: &str, policy: &'static str, services: Environment) -> Self {
        let services = services
            .or("RETRY_BACKOFF", "1")
            .or("RESEND_INTERVAL", "1")
            .with("DELIVERY_POLICY", policy);
        let gateway = Gateway::start(&[], Reply::Accept).await;
        let (api_store, redis) = Proxy::before(services.get("REDIS_URL")).await;
        let (api_queue, amqp) = Proxy::before(services.get("QUEUE_URL")).await;
        let api_environment = services
            .clone()
            .with("REDIS_URL", &redis)
            .with("QUEUE_URL", &amqp)
            .with("DOORS", &format!("generic://faults?token={DOOR_TOKEN}"));
        let (worker_store, redis) = Proxy::before(services.get("REDIS_URL")).await;
        let (worker_queue, amqp) = Proxy::before(services.get("QUEUE_URL")).await;
        let worker_gateway = Proxy::to(gateway.address()).await;
        let worker_environment = services
            .clone()
            .with("REDIS_URL", &redis)
            .with("QUEUE_URL", &amqp)
            .with("SMS_DSN", &gateway.dsn_by(&worker_gateway.address));
        let api = Process::start(&["api"], &api_environment).announces("/inbox\n");
        let client = Client::new(&base_url(&api.announced));
        let (workers, dead, ledger, fault) =
            (Vec::new(), Vec::new(), Ledger::default(), fault.to_owned());
        Self {
            fault,
            policy,
            services,
            gateway,
            api,
            client,
            workers,
            dead,
            api_store,
            api_queue,
            worker_store,
            worker_queue,
            worker_gateway,
            api_environment,
            worker_environment,
            ledger,
            has_doors: false,
        }
    }

    /// Another worker, which is at work when this returns.
    pub async fn add_worker(&mut self) {
        let worker = Process::start(&["worker", "--concurrency", "50"], &self.worker_environment);
        worker.logs("consuming from RabbitMQ").await;
        self.workers.push(worker);
    }

    /// Sets a variable for the workers to come.
    pub fn set_for_workers(&mut self, name: &'static str, value: &str) {
        self.worker_environment = self.worker_environment.clone().with(name, value);
    }

    /// A variable of the workers.
    pub fn worker_variable(&self, name: &str) -> &str {
        self.worker_environment.get(name)
    }

    /// Kills all workers, with what they had in hand.
    pub fn kill_workers(&mut self) {
        for mut worker in self.workers.drain(..) {
            worker.kill();
            self.dead.push(worker);
        }
    }

    /// Kills the API and starts another.
    pub fn replace_api(&mut self) {
        self.api.kill();
        self.replace_the_dead();
    }

    /// Starts another process for each that has ended.
    pub fn replace_the_dead(&mut self) {
        if self.api.has_ended() {
            let start = || Process::start(&["api"], &self.api_environment).announces("/inbox\n");
            let api = block_in_place(start);
            self.client = Client::new(&base_url(&api.announced));
            self.dead.push(std::mem::replace(&mut self.api, api));
        }
        for worker in &mut self.workers {
            if worker.has_ended() {
                let another =
                    Process::start(&["worker", "--concurrency", "50"], &self.worker_environment);
                self.dead.push(std::mem::replace(worker, another));
            }
        }
    }

    /// The proxies, all of them.
    pub fn proxies(&self) -> [&Proxy; 5] {
        [
            &self.api_store,
            &self.api_queue,
            &self.worker_store,
            &self.worker_queue,
            &self.worker_gateway,
        ]
    }

    /// Asks for codes for these numbers, all at once, and writes down the answers.
    pub async fn ask(
        &mut self,
        numbers: impl IntoIterator<Item = u32>,
    ) -> Vec<Option<(u16, Value)>> {
        let (client, has_doors) = (self.client.clone(), self.has_doors);
        let asked = numbers.into_iter().map(|index| {
            let client = client.clone();
            async move {
                let began = Instant::now();
                let (number, code) = (number(index), format!("{index:06}"));
                let answer = match index % 2 {
                    1 if has_doors => client.try_door(number.e164(), DOOR_TOKEN, &code).await,
                    _ => client.try_ask(number.e164()).await,
                };
                (index, answer, began.elapsed())
            }
        });
        let mut answers = Vec::new();
        for (index, answer, took) in join_all(asked).await {
            self.ledger.enter(number(index).national(), answer.as_ref(), took);
            answers.push(answer);
        }
        answers
    }

    /// Asks until the number is accepted, and prints the time since the fault as a row of
    /// docs/results/matrix.md.
    pub async fn is_back(&mut self, index: u32, since: Instant) {
        self.ask_until_accepted(index).await;
        let took = since.elapsed().as_millis();
        println!("AWAY | {} | `{}` | {took} ms |", self.fault, self.policy);
    }

    /// Asks until the number is accepted.
    pub async fn ask_until_accepted(&mut self, index: u32) {
        let began = Instant::now();
        while !matches!(self.ask([index]).await.pop(), Some(Some((202, _)))) {
            assert!(began.elapsed() < GIVE_UP, "never accepted");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Waits until every accepted request is accounted for and nothing is in the queues or in hand,
    /// and stops the workers.
    pub async fn settle(&mut self) {
        loop {
            eventually("balanced books", || async {
                let settled = self.depth(self.workers.len()).await == Some(0)
                    && self.unaccounted().await.is_empty();
                settled.then_some(())
            })
            .await;
            // What they have in hand is not in the queue: they finish it, and put back what is not
            // finished.
            for mut worker in self.workers.drain(..) {
                worker.terminate();
                worker.ended().await;
                self.dead.push(worker);
            }
            let left = eventually("RabbitMQ notices", || async { self.depth(0).await });
            if left.await == 0 {
                return;
            }
            self.add_worker().await;
        }
    }

    /// Settles, prints the books, and checks that they balance, after a single fault: nothing
    /// refused was sent.
    pub async fn balance(self) -> Books {
        let books = self.balance_after_many_faults().await;
        assert_eq!(books.refused_and_sent, 0, "refused, and sent all the same: {books}");
        books
    }

    /// Balances when store and queue may have failed together. Then it can happen that the queue
    /// has the job, its confirm is lost, and the store cannot be asked to take the admission back:
    /// the API logs that it does not know.
    pub async fn balance_after_many_faults(mut self) -> Books {
        self.settle().await;
        let books = self.books().await;
        println!("{books}");
        let unaccounted = self.unaccounted().await;
        assert!(unaccounted.is_empty(), "lost: {unaccounted:?}");
        let accepted_by_gateway = self.gateway.accepted();
        for call in &accepted_by_gateway {
            let Ledger { accepted, refused, broken, .. } = &self.ledger;
            let asked = accepted.contains_key(&call.to)
                || refused.contains(&call.to)
                || broken.contains(&call.to);
            assert!(asked, "sent without having been asked for: {call:?}");
        }
        let mut codes: HashMap<&str, &str> = HashMap::new();
        for call in self
            .gateway
            .calls()
            .iter()
            .map(|call| (call.request_id.clone(), call.code.clone()))
            .collect::<Vec<_>>()
            .iter()
        {
            assert_eq!(*codes.entry(&call.0).or_insert(&call.1), call.1, "one job, one code");
        }
        let unknown = self.log().matches("the admission is not released yet").count();
        assert!(books.refused_and_sent <= unknown, "refused, and sent all the same: {books}");
        if self.policy == "at_most_once" {
            assert_eq!(books.doubled, 0, "{books}");
        }
        books
    }

    /// The books as they are now.
    pub async fn books(&self) -> Books {
        let (calls, dead, dropped) =
            (self.gateway.accepted(), self.dead_letters().await, self.dropped());
        let (numbers, jobs) =
            (distinct(&calls, |call| &call.to), distinct(&calls, |call| &call.request_id));
        let delivered =
            self.ledger.accepted.keys().filter(|to| numbers.contains(to.as_str())).count();
        let only_dropped = |to: &str, ids: &HashSet<String>| {
            let any = |of: &HashSet<String>| ids.iter().any(|id| of.contains(id));
            any(&dropped) && !any(&dead) && !numbers.contains(to)
        };
        Books {
            delivered,
            doubled: calls.len() - jobs.len(),
            dead: self.ledger.accepted.values().flatten().filter(|id| dead.contains(*id)).count(),
            dropped: self
                .ledger
                .accepted
                .values()
                .flatten()
                .filter(|id| dropped.contains(*id))
                .count(),
            refused_and_sent: self
                .ledger
                .refused
                .iter()
                .filter(|to| numbers.contains(to.as_str()))
                .count(),
            dropped_only: self
                .ledger
                .accepted
                .iter()
                .filter(|(to, ids)| only_dropped(to, ids))
                .count(),
            ..self.ledger.books(&self.fault, self.policy)
        }
    }

    /// Numbers that were accepted, and neither delivered, dead-lettered nor dropped.
    async fn unaccounted(&self) -> Vec<String> {
        let (calls, dead, dropped) =
            (self.gateway.accepted(), self.dead_letters().await, self.dropped());
        let delivered = distinct(&calls, |call| &call.to);
        let accounted = |(to, ids): &(&String, &HashSet<String>)| {
            delivered.contains(to.as_str())
                || ids.iter().any(|id| dead.contains(id) || dropped.contains(id))
        };
        let accepted = self.ledger.accepted.iter();
        accepted
            .filter(|entry| !accounted(entry))
            .map(|(to, ids)| format!("{to} {ids:?}"))
            .collect()
    }

    async fn dead_letters(&self) -> HashSet<String> {
        let queue = Queue::from_url(self.services.get("QUEUE_URL"), None).expect("a URL");
        let letters = eventually("dead letters", || async {
            timeout(ANSWER, dead_letters(&queue)).await.ok()?.ok()
        })
        .await;
        letters
            .iter()
            .filter_map(|letter| Job::decode(&letter.body).ok())
            .map(|job| job.id.to_string())
            .collect()
    }

    /// The ids of jobs that a worker found approved, expired, replaced, or unknown to the store.
    pub fn dropped(&self) -> HashSet<String> {
        self.logged("dropped: approved, expired or replaced")
    }

    /// The ids in the lines of the workers' logs that hold this.
    fn logged(&self, word: &str) -> HashSet<String> {
        let logs: String = self.workers.iter().chain(&self.dead).map(Process::log).collect();
        let lines = logs.lines().filter(|line| line.contains(word));
        lines
            .filter_map(|line| Some(line.split("\"id\":\"").nth(1)?.split('"').next()?.to_owned()))
            .collect()
    }

    /// Messages that are in the queue or wait for another attempt, without those in hand; nothing
    /// before RabbitMQ has noticed how many consumers there are, and taken back what the others
    /// had.
    pub async fn depth(&self, consumers: usize) -> Option<u32> {
        // A connection that RabbitMQ loses while it restarts may never answer: the next one does.
        timeout(ANSWER, self.depth_now(consumers)).await.ok()?
    }

    async fn depth_now(&self, consumers: usize) -> Option<u32> {
        let (url, name) =
            self.services.get("QUEUE_URL").split_once("?queue=").expect("a queue name");
        let connection = any_node(url).await?;
        let mut depth = Some(0);
        for suffix in ["", ".wait.1s", ".wait.2s", ".wait.4s", ".wait.8s"] {
            let passive = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::durable() };
            let channel = connection.create_channel().await.ok()?;
            match channel
                .queue_declare(format!("{name}{suffix}").into(), passive, FieldTable::default())
                .await
            {
                Ok(queue) if suffix.is_empty() && queue.consumer_count() as usize != consumers => {
                    depth = None;
                }
                Ok(queue) => depth = depth.map(|depth| depth + queue.message_count()),
                // Nobody has waited this long.
                Err(_) => {}
            }
        }
        let _ = connection.close(200, "done".into()).await;
        depth
    }

    /// Everything that its processes have logged.
    pub fn log(&self) -> String {
        self.workers.iter().chain(&self.dead).chain([&self.api]).map(Process::log).collect()
    }
}

/// A connection to the first node that answers.
async fn any_node(url: &str) -> Option<Connection> {
    for node in each_host(url) {
        if let Ok(connection) = Connection::connect(&node, ConnectionProperties::default()).await {
            return Some(connection);
        }
    }
    None
}

impl Ledger {
    /// Numbers that were answered with 503 and never with 202.
    pub fn refused(&self) -> &HashSet<String> {
        &self.refused
    }

    /// The books as far as the answers go.
    pub fn books(&self, fault: &str, policy: &'static str) -> Books {
        let (asked, accepted, slowest) = (self.asked, self.accepted.len(), self.slowest);
        let fault = fault.to_owned();
        Books {
            fault,
            policy,
            asked,
            accepted,
            delivered: 0,
            doubled: 0,
            dead: 0,
            dropped: 0,
            refused_and_sent: 0,
            dropped_only: 0,
            slowest,
        }
    }

    /// Writes an answer down.
    pub fn enter(&mut self, to: &str, answer: Option<&(u16, Value)>, took: Duration) {
        self.asked += 1;
        self.slowest = self.slowest.max(took);
        match answer {
            Some((202, body)) => {
                let id = body["id"].as_str().expect("an id").to_owned();
                self.accepted.entry(to.to_owned()).or_default().insert(id);
                self.refused.remove(to);
            }
            Some((429, _)) => {}
            Some((503, _)) => {
                if !self.accepted.contains_key(to) {
                    self.refused.insert(to.to_owned());
                }
            }
            Some(other) => panic!("neither accepted nor unavailable: {other:?}"),
            None => {
                self.broken.insert(to.to_owned());
            }
        }
    }
}

fn distinct<'a>(calls: &'a [Call], of: impl Fn(&'a Call) -> &'a String) -> HashSet<&'a str> {
    calls.iter().map(|call| of(call).as_str()).collect()
}

/// The counts at the end of a scene. Displayed, they are a row of docs/results/faults.md.
pub struct Books {
    pub fault: String,
    pub policy: &'static str,
    pub asked: u32,
    /// Numbers that were answered with 202.
    pub accepted: usize,
    /// Of those, numbers whose SMS the gateway has accepted.
    pub delivered: usize,
    /// SMS that the gateway has accepted once more than once.
    pub doubled: usize,
    /// Verifications with a dead letter.
    pub dead: usize,
    /// Verifications whose job was dropped: approved, expired, or lost with the store's data.
    pub dropped: usize,
    /// Numbers that were answered with 503, and sent all the same.
    pub refused_and_sent: usize,
    /// Accepted numbers of which nothing else is known than that: neither delivered nor a dead
    /// letter.
    pub dropped_only: usize,
    pub slowest: Duration,
}

impl fmt::Display for Books {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            fault, policy, asked, accepted, delivered, doubled, dead, dropped, slowest, ..
        } = self;
        let slowest = slowest.as_millis();
        write!(
            f,
            "BOOKS | {fault} | `{policy}` | {asked} | {accepted} | {delivered} | {doubled} | \
             {dead} | {dropped} | {slowest} ms |"
        )
    }
}
