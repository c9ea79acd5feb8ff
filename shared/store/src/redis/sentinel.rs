//! Redis Sentinel: the primary of a name, and its successor as soon as one is announced.
//!
//! A planned failover leaves the old primary writable until a Sentinel makes a replica of it, about
//! ten seconds after the new one took over, and what it accepts meanwhile is lost. Its connections
//! stay open, too. So the calls stop when a Sentinel announces the replica that it is about to
//! promote, and go on there as soon as it announces that the replica is promoted. (Not before: a
//! failover that is given up leaves a replica that takes writes for ten seconds, too.)
//!
//! (The client's own Sentinel support asks for the primary when a connection is opened, and hears
//! no announcement.)

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use futures_util::{FutureExt, StreamExt};
use redis::aio::MultiplexedConnection;
use redis::{Client, ErrorKind, Msg, RedisError, Value};
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tracing::{debug, info, warn};

use super::servers::{QUESTION, Watched, connect};

/// Wait before a Sentinel that could not be followed is tried again.
const RECONNECT: Duration = Duration::from_secs(1);

/// Longest silence of a Sentinel before its connection is replaced: it may have vanished.
const SILENCE: Duration = Duration::from_secs(60);

/// Longest wait for the end of a failover. (Sentinel promotes the replica a tenth of a second after
/// the first announcement, and asks it once a second for the result.)
const FAILOVER: Duration = Duration::from_secs(5);

/// Wait between two questions to a replica that is promoted.
const PROMOTION_POLL: Duration = Duration::from_millis(5);

/// Channels on which a Sentinel tells that it begins to promote a replica.
/// <https://redis.io/docs/latest/operate/oss_and_stack/management/sentinel/>
const BEGINS: [&str; 2] = ["+failover-state-send-slaveof-noone", "+failover-state-wait-promotion"];

/// Those on which it tells that the replica is promoted, and all Sentinels that it is the primary.
const PROMOTED: [&str; 2] = ["+promoted-slave", SWITCH];

/// A channel with a form of its own.
const SWITCH: &str = "+switch-master";

/// The one on which it tells that it gives up to promote the replica. (It gives up for other
/// reasons before it begins, such as that another Sentinel was elected to do it.)
const ABORTED: &str = "-failover-abort-slave-timeout";

/// Host and port.
type Address = (String, u16);

/// What the calls are to do.
pub(super) enum Found {
    /// Use this server.
    Primary(Box<Client>),
    /// Wait: another primary is about to take over.
    Failover,
    /// Fail: no Sentinel names a primary, for this reason.
    None(RedisError),
}

enum News {
    Answer(Answer),
    Begins(Address),
    Promoted(Address),
    Aborted,
    NoAnswer(RedisError),
}

/// The primary by one Sentinel.
struct Answer {
    address: Address,
    /// Number of the failover that made it the primary: the highest one is right.
    epoch: u64,
}

/// Follows the primary of a name.
pub(super) struct Follower {
    sentinels: Vec<Client>,
    watched: Watched,
    /// Told when a call has failed.
    lost: Arc<Notify>,
    primary: Option<Address>,
    epoch: u64,
    /// The end of the wait for a failover, while one is under way.
    failover_until: Option<Instant>,
}

impl Follower {
    pub(super) fn new(sentinels: Vec<Client>, watched: Watched, lost: Arc<Notify>) -> Self {
        Self { sentinels, watched, lost, primary: None, epoch: 0, failover_until: None }
    }

    /// Tells which server is to be used, as long as the task lives.
    pub(super) async fn run(mut self, tell: impl Fn(Found)) {
        let (sender, mut news) = mpsc::channel(16);
        let mut tasks = JoinSet::new();
        for sentinel in &self.sentinels {
            tasks.spawn(follow(sentinel.clone(), self.watched.name.clone(), sender.clone()));
        }
        loop {
            let until = self.failover_until;
            tokio::select! {
                Some(news) = news.recv() => self.hear(news, &tell).await,
                () = sleep_until(until.unwrap_or_else(Instant::now)), if until.is_some() => {
                    warn!("a failover by Sentinel has no end");
                    self.look(&tell).await;
                }
                () = self.lost.notified(), if until.is_none() => self.look(&tell).await,
            }
        }
    }

    async fn hear(&mut self, news: News, tell: impl Fn(Found)) {
        match news {
            News::Begins(address) if self.primary.as_ref() != Some(&address) => {
                self.failover_until.get_or_insert(Instant::now() + FAILOVER);
                tell(Found::Failover);
            }
            News::Promoted(address) if self.primary.as_ref() != Some(&address) => {
                self.fail_over(address, tell).await;
            }
            News::Aborted => self.look(tell).await,
            News::Answer(answer) if self.primary.is_none() || answer.epoch > self.epoch => {
                self.take(answer, tell);
            }
            News::NoAnswer(error) if self.primary.is_none() => tell(Found::None(error)),
            _ => {}
        }
    }

    /// Uses a replica that is promoted, as soon as it says so itself.
    async fn fail_over(&mut self, address: Address, tell: impl Fn(Found)) {
        tell(Found::Failover);
        if timeout(FAILOVER, self.is_promoted(&address)).await.is_err() {
            warn!(host = address.0, port = address.1, "a promoted replica does not say so");
            return self.look(tell).await;
        }
        // At least: the Sentinels' own number may be higher.
        (self.primary, self.epoch) = (Some(address), self.epoch + 1);
        // What failed meanwhile has failed on the old one.
        let _ = self.lost.notified().now_or_never();
        self.use_primary_as(true, tell);
    }

    async fn is_promoted(&self, (host, port): &Address) {
        loop {
            let asked = async {
                let mut connection = connect(&self.watched.client(host, *port)?).await?;
                while !is_primary(&mut connection).await? {
                    sleep(PROMOTION_POLL).await;
                }
                Ok::<_, RedisError>(())
            };
            match asked.await {
                Ok(()) => return,
                Err(error) => debug!(%error, "the announced replica does not answer"),
            }
            sleep(PROMOTION_POLL).await;
        }
    }

    /// Asks all Sentinels. Those that have not heard of the last failover have a lower epoch, which
    /// counts only if most say so and the present one is no primary any more; the one that leads a
    /// failover names the new primary before the epoch is that of the failover.
    async fn look(&mut self, tell: impl Fn(Found)) {
        self.failover_until = None;
        let asked = self.sentinels.iter().map(|sentinel| ask(sentinel, &self.watched.name));
        let mut answers = Vec::new();
        let mut problem = None;
        for answer in join_all(asked).await {
            match answer {
                Ok(answer) => answers.push(answer),
                Err(error) => problem = Some(error),
            }
        }
        let newest = answers.iter().map(|answer| answer.epoch).max().unwrap_or_default();
        let most = answers.len() * 2 > self.sentinels.len();
        let back = newest < self.epoch;
        answers.retain(|answer| answer.epoch == newest && (most || !back));
        if back && self.is_still_primary().await {
            answers.clear();
        }
        let same = |answer: &&Answer| Some(&answer.address) == self.primary.as_ref();
        match answers.iter().find(same).or(answers.first()) {
            Some(Answer { address, epoch }) => {
                self.take(Answer { address: address.clone(), epoch: *epoch }, tell);
            }
            None if self.primary.is_some() => self.use_primary_as(false, tell),
            None => {
                if let Some(problem) = problem {
                    tell(Found::None(problem));
                }
            }
        }
    }

    async fn is_still_primary(&self) -> bool {
        let Some((host, port)) = &self.primary else { return false };
        let asked =
            async { is_primary(&mut connect(&self.watched.client(host, *port)?).await?).await };
        matches!(timeout(QUESTION, asked).await, Ok(Ok(true)))
    }

    fn take(&mut self, answer: Answer, tell: impl Fn(Found)) {
        let changed = self.primary.as_ref() != Some(&answer.address);
        (self.primary, self.epoch) = (Some(answer.address), answer.epoch);
        // (Also a new connection to the same server, which a call has asked for.)
        self.use_primary_as(changed, tell);
    }

    fn use_primary_as(&mut self, changed: bool, tell: impl Fn(Found)) {
        self.failover_until = None;
        let Some((host, port)) = &self.primary else { return };
        if changed {
            info!(host, port, "the primary by Sentinel");
        }
        tell(match self.watched.client(host, *port) {
            Ok(client) => Found::Primary(Box::new(client)),
            Err(error) => Found::None(error),
        });
    }
}

/// Passes a Sentinel's announcements on, and what it answers when the subscription begins.
async fn follow(sentinel: Client, name: String, news: mpsc::Sender<News>) {
    loop {
        if let Err(error) = follow_once(&sentinel, &name, &news).await {
            debug!(%error, "a Sentinel cannot be followed");
            if news.send(News::NoAnswer(error)).await.is_err() {
                return;
            }
            sleep(RECONNECT).await;
        }
    }
}

async fn follow_once(
    sentinel: &Client,
    name: &str,
    news: &mpsc::Sender<News>,
) -> Result<(), RedisError> {
    let subscribe = async {
        let mut events = sentinel.get_async_pubsub().await?;
        events.subscribe(&BEGINS[..]).await?;
        events.subscribe(&PROMOTED[..]).await?;
        events.subscribe(ABORTED).await?;
        Ok::<_, RedisError>(events)
    };
    let subscribed = timeout(RECONNECT, subscribe).await.map_err(|_| timed_out())?;
    let events = subscribed.map_err(|error| of_sentinel(&error))?;
    let answer = ask(sentinel, name).await?;
    let _ = news.send(News::Answer(answer)).await;
    let mut events = events.into_on_message();
    while let Ok(Some(event)) = timeout(SILENCE, events.next()).await {
        if let Some(announced) = announced(&event, name) {
            let _ = news.send(announced).await;
        }
    }
    Ok(())
}

/// What a Sentinel announces about this name.
fn announced(event: &Msg, name: &str) -> Option<News> {
    let (channel, payload) = (event.get_channel_name(), event.get_payload::<String>().ok()?);
    let words: Vec<&str> = payload.split(' ').collect();
    let (host, port) = match words[..] {
        [about, _, _, host, port] if channel == SWITCH && about == name => (host, port),
        [_, _, host, port, "@", about, ..] if about == name => (host, port),
        // `master NAME HOST PORT`
        [_, about, ..] if about == name && channel == ABORTED => return Some(News::Aborted),
        _ => return None,
    };
    let address = (host.to_owned(), port.parse().ok()?);
    match channel {
        ABORTED => Some(News::Aborted),
        _ if BEGINS.contains(&channel) => Some(News::Begins(address)),
        _ => Some(News::Promoted(address)),
    }
}

async fn ask(sentinel: &Client, name: &str) -> Result<Answer, RedisError> {
    let asked = async {
        let mut connection = connect(sentinel).await?;
        let about = |what| redis::cmd("SENTINEL").arg(what).arg(name).to_owned();
        let state: HashMap<String, String> = about("MASTER").query_async(&mut connection).await?;
        let address = about("GET-MASTER-ADDR-BY-NAME").query_async(&mut connection).await?;
        let epoch = state.get("config-epoch").and_then(|epoch| epoch.parse().ok());
        Ok(Answer { address, epoch: epoch.unwrap_or_default() })
    };
    let answer = timeout(QUESTION, asked).await.unwrap_or_else(|_| Err(timed_out()));
    answer.map_err(|error: RedisError| of_sentinel(&error))
}

fn of_sentinel(error: &RedisError) -> RedisError {
    RedisError::from((ErrorKind::Client, "a Sentinel answered", said(error)))
}

/// An error in the words of the server, if it sent them.
fn said(error: &RedisError) -> String {
    match (error.code(), error.detail()) {
        (Some(code), Some(detail)) => format!("{code} {detail}"),
        _ => error.to_string(),
    }
}

/// Returns true if a server says that it is a primary. A user without the right to ask (`+role`)
/// learns it by the first write.
async fn is_primary(connection: &mut MultiplexedConnection) -> Result<bool, RedisError> {
    match redis::cmd("ROLE").query_async::<Vec<Value>>(connection).await {
        Ok(role) => Ok(matches!(role.first(), Some(Value::BulkString(role)) if role == b"master")),
        Err(error) if error.code() == Some("NOPERM") => Ok(true),
        Err(error) => Err(error),
    }
}

fn timed_out() -> RedisError {
    std::io::Error::from(std::io::ErrorKind::TimedOut).into()
}
