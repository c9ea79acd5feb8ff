//! The command line.

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use clap_complete::Shell;
use jiff::{Span, SpanRelativeTo, Unit};
use url::Url;

/// Jobs that a worker has in hand at the same time, unless told otherwise.
pub const DEFAULT_CONCURRENCY: u16 = 100;

/// What nearly everybody sets.
const ENVIRONMENT: &str = "\
Environment (each of the first three may be left out: a part within the process stands in):
  REDIS_URL    the store: redis://127.0.0.1:6379, rediss://user:password@host:6379
  QUEUE_URL    the queue: amqp://user:password@127.0.0.1:5672/%2f, or the https:// URL of an SQS queue
  SMS_DSN      the gateway: ccp://SID:TOKEN@app.cloopen.com:8883?app_id=A&template=1, aliyun://, tencent://,
               twilio://, aws://, webhook+https:// (docs/reference/gateways.md)
  CODE_SECRET  what codes come from, needed with REDIS_URL: openssl rand -hex 32
  LISTEN       where to serve, 127.0.0.1:8080 unless set; page, inbox and docs are there only while it is loopback and
               TRUSTED_PROXIES is 0
  LOG_LEVEL    error, warn, info, debug or trace
  All others: docs/reference/configuration.md";

const EXAMPLES: &str = "\
Examples:
  sms-verify                                         try it: open http://127.0.0.1:8080
  sms-verify api                                     the API alone, on Redis and RabbitMQ
  sms-verify worker --concurrency 1000               a sender; start as many as you like, on any machine
  SMS_DSN=ccp://… sms-verify provider check          what the gateway would be sent
  sms-verify dead list                               why SMS were given up
  sms-verify dead redrive --since 10m --rate 50      put those of the last ten minutes back
  sms-verify completions bash > /etc/bash_completion.d/sms-verify";

/// Phone verification by SMS.
///
/// Without a command it does everything in one process, with nothing else to install: API, sender,
/// a page to try it on, and an inbox in place of a phone.
#[derive(Debug, Parser)]
#[command(version, after_help = EXAMPLES, after_long_help = format!("{ENVIRONMENT}\n\n{EXAMPLES}"))]
pub struct Cli {
    #[command(subcommand)]
    pub command: Option<Command>,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Serve the API alone, on Redis and a queue that it shares with senders
    ///
    /// Needs REDIS_URL, QUEUE_URL and CODE_SECRET. While LISTEN is loopback it serves page, inbox
    /// and docs, too. On SIGTERM it finishes the requests in hand.
    Api,
    /// Take jobs from RabbitMQ and send them
    ///
    /// Needs REDIS_URL, QUEUE_URL, CODE_SECRET and SMS_DSN; without the last it sends to the inbox
    /// of an API on this machine. On SIGTERM it finishes the jobs in hand and gives the others
    /// back.
    Worker {
        /// Jobs in hand at the same time, 6000 at most; with --invoke, invocations
        #[arg(long, value_name = "N", default_value_t = DEFAULT_CONCURRENCY, value_parser = clap::value_parser!(u16).range(1..=6000))]
        concurrency: u16,
        /// Hand the jobs as SQS events to a function, such as one under `cargo lambda watch` at
        /// http://127.0.0.1:9000/2015-03-31/functions/send-sms/invocations
        #[arg(long, value_name = "URL", value_parser = http_url)]
        invoke: Option<Url>,
        /// Serve /metrics, /healthz and /readyz here, such as at 127.0.0.1:9464; with OPS_TOKEN
        /// /metrics needs it
        #[arg(long, value_name = "ADDRESS", conflicts_with = "invoke")]
        metrics: Option<SocketAddr>,
    },
    /// Look after the SMS gateways
    Provider {
        #[command(subcommand)]
        action: ProviderAction,
    },
    /// Replay a day of people and attackers, and show what pumping, bombing and guessing come to
    ///
    /// Through the real admission, with a virtual clock: with the cooldown alone, with the limits
    /// (LIMITS), with the conversion guard, with challenges, and with a budget (BUDGET).
    Simulate(Simulation),
    /// Look after SMS that were given up, and stand in the dead-letter queue
    ///
    /// Needs QUEUE_URL and, on SQS, DEAD_QUEUE_URL. Safe to interrupt: what was not done yet is
    /// still a dead letter.
    Dead {
        #[command(subcommand)]
        action: DeadAction,
    },
    /// Ask a process whether it can do its work: for health checks of containers
    Health {
        /// Where it answers
        #[arg(default_value = "http://127.0.0.1:8080/readyz", value_parser = http_url)]
        url: Url,
    },
    /// Print a completion script for a shell
    Completions {
        /// The shell
        shell: Shell,
    },
}

impl Command {
    /// Whether it reads the variables of a deployment.
    pub fn is_configured(&self) -> bool {
        !matches!(self, Self::Health { .. } | Self::Completions { .. })
    }
}

#[derive(Debug, Args)]
pub struct Simulation {
    /// Another seed, another day
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// People who verify their number in a day
    #[arg(long, default_value_t = 20_000, value_parser = clap::value_parser!(u32).range(1..))]
    pub people: u32,
    /// Price of an SMS in USD, which also counts on BUDGET unless PRICES is set
    #[arg(long, default_value_t = 0.05)]
    pub price: f64,
    /// Only attacks whose names contain this
    #[arg(long, value_name = "NAME")]
    pub only: Option<String>,
    /// Use this Redis in place of memory: an empty database, which is emptied again
    #[arg(long, value_name = "URL", value_parser = redis_url)]
    pub redis: Option<Url>,
    /// Draw the outcome into this file
    #[arg(long, value_name = "FILE")]
    pub svg: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub enum ProviderAction {
    /// Call each gateway of SMS_DSN once, and show request, answer and its class, with secrets
    /// masked
    Check {
        /// Really send a message to this number. Without it a stub on this machine stands in for
        /// the gateways
        #[arg(long, value_name = "NUMBER")]
        to: Option<String>,
    },
}

#[derive(Debug, Clone, Subcommand)]
pub enum DeadAction {
    /// Show them: when each died, after how many attempts, of what
    List {
        #[command(flatten)]
        which: Which,
        /// As JSON, for programs
        #[arg(long)]
        json: bool,
    },
    /// Put them back into the queue, with all their attempts; what has expired is not sent
    Redrive {
        #[command(flatten)]
        which: Which,
        /// So many a second at most
        #[arg(long, value_name = "N")]
        rate: Option<NonZeroU32>,
        /// Only say how many it would be
        #[arg(long)]
        dry_run: bool,
    },
    /// Delete them
    Purge {
        #[command(flatten)]
        which: Which,
        /// Only those whose code cannot be accepted any more
        #[arg(long)]
        expired: bool,
        /// Only say how many it would be
        #[arg(long)]
        dry_run: bool,
    },
}

/// Which dead letters.
#[derive(Debug, Clone, Args)]
pub struct Which {
    /// Those that died within this time, such as 30m, 2h or 1d
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub since: Option<Duration>,
    /// Those whose reason contains this
    #[arg(long, value_name = "TEXT")]
    pub reason: Option<String>,
    /// No more than so many
    #[arg(long, value_name = "N")]
    pub limit: Option<usize>,
}

impl DeadAction {
    pub fn which(&self) -> &Which {
        match self {
            Self::List { which, .. } | Self::Redrive { which, .. } | Self::Purge { which, .. } => {
                which
            }
        }
    }

    pub fn is_dry(&self) -> bool {
        matches!(self, Self::Redrive { dry_run: true, .. } | Self::Purge { dry_run: true, .. })
    }

    pub fn is_of_the_expired(&self) -> bool {
        matches!(self, Self::Purge { expired: true, .. })
    }
}

fn http_url(text: &str) -> Result<Url, String> {
    url(text, &["http", "https"], "http://127.0.0.1:8080/readyz")
}

fn redis_url(text: &str) -> Result<Url, String> {
    url(text, &["redis", "rediss"], "redis://127.0.0.1:6379")
}

fn url(text: &str, schemes: &[&str], example: &str) -> Result<Url, String> {
    let url = Url::parse(text).ok().filter(|url| schemes.contains(&url.scheme()) && url.has_host());
    url.ok_or_else(|| format!("needs a URL such as {example}"))
}

/// Days have 24 hours.
fn time(text: &str) -> Result<Duration, String> {
    let span: Span = text.parse().map_err(|_| "needs a time such as 30m, 2h or 1d".to_owned())?;
    let seconds = span
        .total((Unit::Second, SpanRelativeTo::days_are_24_hours()))
        .map_err(|error| error.to_string())?;
    Duration::try_from_secs_f64(seconds).map_err(|error| error.to_string())
}
