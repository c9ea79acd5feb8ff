//! Redis Sentinel: the primary of a name, and its successor as soon as one is announced.
//!
//! A planned failover leaves the old primary writable until a Sentinel makes a replica of it, about
//! ten seconds after the new one took over, and what it accepts meanwhile is lost. Its connections
//! stay open, too. So the calls stop when a Sentinel announces the replica that it is about to
//! promote, and go on as soon as that replica says that it is a primary.
//!
//! (The client's own Sentinel support asks for the primary when a connection is opened. It hears no
//! announcement, and believes the first Sentinel that answers.)

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::future::join_all;
use redis::{Client, ErrorKind, Msg, RedisError};
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tracing::{debug, info, warn};

use super::servers::{QUESTION, Watched, connect};

/// Wait before a Sentinel that could not be followed is tried again.
const RECONNECT: Duration = Duration::from_secs(1);

/// Longest silence of a Sentinel before its connection is replaced: it may have vanished.
const SILENCE: Duration = Duration::from_secs(60);

/// Longest wait for an announced replica to become the primary. (Sentinel promotes it a tenth of a
/// second after the announcement, and asks once a second for the result.)
const PROMOTION: Duration = Duration::from_secs(5);

/// Wait between two questions to a replica that is being promoted.
const PROMOTION_POLL: Duration = Duration::from_millis(5);

/// Channels on which Sentinels tell that a replica becomes the primary, from the first moment of a
/// failover to its end. <https://redis.io/docs/latest/operate/oss_and_stack/management/sentinel/>
const ANNOUNCEMENTS: [&str; 4] = [
    "+failover-state-send-slaveof-noone",
    "+failover-state-wait-promotion",
    "+promoted-slave",
    SWITCH,
];

/// Channel of the last announcement, with a form of its own.
const SWITCH: &str = "+switch-master";

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
    Announced(Address),
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
}

impl Follower {
    pub(super) fn new(sentinels: Vec<Client>, watched: Watched, lost: Arc<Notify>) -> Self {
        Self { sentinels, watched, lost, primary: None, epoch: 0 }
    }

    /// Tells which server is to be used, as long as the task lives.
    pub(super) async fn run(mut self, tell: impl Fn(Found)) {
        let (sender, mut news) = mpsc::channel(16);
        let mut tasks = JoinSet::new();
        for sentinel in &self.sentinels {
            tasks.spawn(follow(sentinel.clone(), self.watched.name.clone(), sender.clone()));
        }
        loop {
            tokio::select! {
                Some(news) = news.recv() => match news {
                    News::Announced(address) => self.fail_over(address, &tell).await,
                    News::Answer(answer) => {
                        if self.primary.is_none() || answer.epoch > self.epoch {
                            self.take(answer, &tell);
                        }
                    }
                    News::NoAnswer(error) => {
                        if self.primary.is_none() {
                            tell(Found::None(error));
                        }
                    }
                },
                () = self.lost.notified() => self.look(&tell).await,
            }
        }
    }

    /// Waits for an announced replica to become the primary.
    async fn fail_over(&mut self, address: Address, tell: impl Fn(Found)) {
        if self.primary.as_ref() == Some(&address) {
            return;
        }
        tell(Found::Failover);
        if timeout(PROMOTION, self.is_promoted(&address)).await.is_err() {
            warn!(host = address.0, port = address.1, "the announced replica was not promoted");
            return self.look(tell).await;
        }
        // At least: the Sentinels' own number may be higher.
        (self.primary, self.epoch) = (Some(address), self.epoch + 1);
        self.use_primary(tell);
    }

    async fn is_promoted(&self, (host, port): &Address) {
        loop {
            match self.watched.client(host, *port) {
                Ok(client) => match role(&client).await {
                    Ok(true) => return,
                    Ok(false) => {}
                    Err(error) => debug!(%error, "the announced replica does not answer"),
                },
                Err(error) => debug!(%error, "no client of the announced replica"),
            }
            sleep(PROMOTION_POLL).await;
        }
    }

    /// Asks all Sentinels. Those that have not heard of the last failover have a lower epoch, which
    /// counts only if most say so; the one that leads a failover names the new primary before the
    /// epoch is that of the failover.
    async fn look(&mut self, tell: impl Fn(Found)) {
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
        answers.retain(|answer| answer.epoch == newest && (most || newest >= self.epoch));
        let same = |answer: &&Answer| Some(&answer.address) == self.primary.as_ref();
        match answers.iter().find(same).or(answers.first()) {
            Some(Answer { address, epoch }) => {
                self.take(Answer { address: address.clone(), epoch: *epoch }, tell);
            }
            None if self.primary.is_some() => self.use_primary(tell),
            None => {
                if let Some(problem) = problem {
                    tell(Found::None(problem));
                }
            }
        }
    }

    fn take(&mut self, answer: Answer, tell: impl Fn(Found)) {
        let changed = self.primary.as_ref() != Some(&answer.address);
        (self.primary, self.epoch) = (Some(answer.address), answer.epoch);
        // (Also a new connection to the same server, which a call has asked for.)
        self.use_primary_as(changed, tell);
    }

    fn use_primary(&self, tell: impl Fn(Found)) {
        self.use_primary_as(true, tell);
    }

    fn use_primary_as(&self, changed: bool, tell: impl Fn(Found)) {
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
        events.subscribe(&ANNOUNCEMENTS[..]).await?;
        Ok::<_, RedisError>(events)
    };
    let events = timeout(RECONNECT, subscribe).await.map_err(|_| timed_out())??;
    let answer = ask(sentinel, name).await?;
    let _ = news.send(News::Answer(answer)).await;
    let mut events = events.into_on_message();
    while let Ok(Some(event)) = timeout(SILENCE, events.next()).await {
        if let Some(address) = announced(&event, name) {
            let _ = news.send(News::Announced(address)).await;
        }
    }
    Ok(())
}

/// The address of the next primary, in an announcement about this name.
fn announced(event: &Msg, name: &str) -> Option<Address> {
    let payload: String = event.get_payload().ok()?;
    let words: Vec<&str> = payload.split(' ').collect();
    let (host, port) = match words[..] {
        [about, _, _, host, port] if event.get_channel_name() == SWITCH && about == name => {
            (host, port)
        }
        [_, _, host, port, "@", about, ..] if about == name => (host, port),
        _ => return None,
    };
    Some((host.to_owned(), port.parse().ok()?))
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
    answer.map_err(|error: RedisError| {
        RedisError::from((ErrorKind::Client, "a Sentinel answered", said(&error)))
    })
}

/// An error in the words of the server, if it sent them.
fn said(error: &RedisError) -> String {
    match (error.code(), error.detail()) {
        (Some(code), Some(detail)) => format!("{code} {detail}"),
        _ => error.to_string(),
    }
}

/// Returns true if a server is a primary. A user who may not ask is told so by the first write.
async fn role(server: &Client) -> Result<bool, RedisError> {
    let asked = async {
        let mut connection = connect(server).await?;
        let role = redis::cmd("ROLE").query_async::<Vec<redis::Value>>(&mut connection).await;
        match role {
            Ok(role) => Ok(
                matches!(role.first(), Some(redis::Value::BulkString(role)) if role == b"master"),
            ),
            Err(error) if error.code() == Some("NOPERM") => Ok(true),
            Err(error) => Err(error),
        }
    };
    timeout(QUESTION, asked).await.unwrap_or_else(|_| Err(timed_out()))
}

fn timed_out() -> RedisError {
    std::io::Error::from(std::io::ErrorKind::TimedOut).into()
}
