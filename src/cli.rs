//! The command line.

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use clap_complete::Shell;
use jiff::{Span, SpanRelativeTo, Unit};
use url::Url;

use crate::settings_help;

/// Jobs in progress of a worker at the same time, by default.
pub const DEFAULT_CONCURRENCY: u16 = 100;

const EXAMPLES: &str = "\
Examples:
  sms-verify                                         try it: open http://127.0.0.1:8080
  sms-verify api                                     the API alone, on Redis and RabbitMQ
  sms-verify worker --concurrency 1000               a sender; start as many as you like, on any machine
  SMS_DSN=ccp://… sms-verify gateway check           what the gateway would be sent
  sms-verify dead list                               why SMS became dead letters
  sms-verify dead redrive --since 10m --rate 50      put those of the last ten minutes back
  sms-verify completions bash > /etc/bash_completion.d/sms-verify";

/// Phone verification by SMS.
///
/// Without a command it does everything in one process, with nothing else to install: API, sender,
/// a page to try it on, and an inbox in place of a phone.
#[derive(Debug, Parser)]
#[command(version, after_help = EXAMPLES, after_long_help = format!("{}\n{EXAMPLES}", settings_help::list()))]
pub struct Cli {
    #[command(subcommand)]
    pub command: Option<Command>,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Serve the API only; workers send the SMS
    ///
    /// Requires REDIS_URL, QUEUE_URL and CODE_SECRET. While LISTEN is loopback, it serves the page,
    /// the inbox and the docs, too. On SIGTERM it finishes the requests in progress.
    Api,
    /// Take jobs from RabbitMQ and send their SMS
    ///
    /// Requires REDIS_URL, QUEUE_URL and CODE_SECRET. Without SMS_DSN, it sends to the inbox of an
    /// API on this machine. On SIGTERM it finishes the jobs in progress and returns the others.
    Worker {
        /// Jobs in progress at the same time, at most 6000; with --invoke, invocations
        #[arg(long, value_name = "N", default_value_t = DEFAULT_CONCURRENCY, value_parser = clap::value_parser!(u16).range(1..=6000))]
        concurrency: u16,
        /// Pass the jobs as SQS events to a function, such as one under `cargo lambda watch` at
        /// http://127.0.0.1:9000/2015-03-31/functions/send-sms/invocations
        #[arg(long, value_name = "URL", value_parser = http_url)]
        invoke: Option<Url>,
        /// Serve /metrics, /healthz and /readyz at this address, such as 127.0.0.1:9464; if
        /// OPS_TOKEN is set, /metrics requires it
        #[arg(long, value_name = "ADDRESS", conflicts_with = "invoke")]
        metrics: Option<SocketAddr>,
    },
    /// Test the configured gateways
    Gateway {
        #[command(subcommand)]
        action: GatewayAction,
    },
    /// The former name of `gateway`
    #[command(hide = true)]
    Provider {
        #[command(subcommand)]
        action: GatewayAction,
    },
    /// Simulate a day of users and attackers, and show the cost of pumping, bombing and guessing
    ///
    /// Runs the real admission with a virtual clock: with the cooldown only, then with the limits
    /// (LIMITS), the conversion guard, challenges and a budget (BUDGET).
    Simulate(Simulation),
    /// List, redrive or purge dead letters
    ///
    /// Requires QUEUE_URL and, on SQS, DEAD_QUEUE_URL. Safe to interrupt: messages that were not
    /// processed yet are still dead letters.
    Dead {
        #[command(subcommand)]
        action: DeadAction,
    },
    /// Check if a process is ready, for health checks of containers
    Health {
        /// URL of the process's health check
        #[arg(default_value = "http://127.0.0.1:8080/readyz", value_parser = http_url)]
        url: Url,
    },
    /// Print the settings and metrics as JSON, for checks of deployments
    #[command(hide = true)]
    Facts,
    /// Print a completion script for a shell
    Completions {
        /// The shell
        shell: Shell,
    },
}

impl Command {
    /// True if it reads the settings of a deployment.
    pub fn is_configured(&self) -> bool {
        !matches!(self, Self::Health { .. } | Self::Facts | Self::Completions { .. })
    }
}

#[derive(Debug, Args)]
pub struct Simulation {
    /// Random seed
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Users who verify their number in a day
    #[arg(long, default_value_t = 20_000, value_parser = clap::value_parser!(u32).range(1..))]
    pub people: u32,
    /// Price of an SMS in USD; also used for BUDGET unless PRICES is set
    #[arg(long, default_value_t = 0.05)]
    pub price: f64,
    /// Only attacks whose name contains this text
    #[arg(long, value_name = "NAME")]
    pub only: Option<String>,
    /// Use this Redis instead of memory; its database must be empty, and is emptied again
    #[arg(long, value_name = "URL", value_parser = redis_url)]
    pub redis: Option<Url>,
    /// Write a chart of the outcome to this file
    #[arg(long, value_name = "FILE")]
    pub svg: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub enum GatewayAction {
    /// Call each gateway of SMS_DSN once, and show request, response and failure class, with
    /// secrets masked
    Check {
        /// Send a real message to this number; without it, a local stub takes the place of the
        /// gateways
        #[arg(long, value_name = "NUMBER")]
        to: Option<String>,
    },
}

#[derive(Debug, Clone, Subcommand)]
pub enum DeadAction {
    /// List dead letters, with time, attempts, failure class and reason
    List {
        #[command(flatten)]
        which: Which,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Move dead letters back to the queue, with all attempts; expired codes are not sent
    Redrive {
        #[command(flatten)]
        which: Which,
        /// Maximum redrives per second
        #[arg(long, value_name = "N")]
        rate: Option<NonZeroU32>,
        /// Only count the dead letters, and change nothing
        #[arg(long)]
        dry_run: bool,
    },
    /// Delete dead letters
    Purge {
        #[command(flatten)]
        which: Which,
        /// Only dead letters whose code has expired
        #[arg(long)]
        expired: bool,
        /// Only count the dead letters, and change nothing
        #[arg(long)]
        dry_run: bool,
    },
}

/// A selection of dead letters.
#[derive(Debug, Clone, Args)]
pub struct Which {
    /// Only dead letters of this last period, such as 30m, 2h or 1d
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub since: Option<Duration>,
    /// Only dead letters whose reason contains this text
    #[arg(long, value_name = "TEXT")]
    pub reason: Option<String>,
    /// At most this many dead letters
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
