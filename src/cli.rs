//! The command line.

use std::error::Error;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use url::Url;

/// Jobs that a worker has in hand at the same time, unless told otherwise.
pub const DEFAULT_CONCURRENCY: u16 = 100;

/// Phone verification by SMS. Without a command: API, sender, demo page and inbox in one process.
///
/// Everything is set by environment variables, which the README lists. Where REDIS_URL, QUEUE_URL or SMS_DSN is not
/// set, a part within the process stands in.
#[derive(Debug, Parser)]
#[command(version)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Option<Command>,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Serve the API (and page and inbox, while LISTEN is loopback) on Redis and a queue
    Api,
    /// Take jobs from RabbitMQ and send them
    Worker {
        /// Jobs in hand at the same time; with --invoke, invocations
        #[arg(long, value_name = "N", default_value_t = DEFAULT_CONCURRENCY, value_parser = clap::value_parser!(u16).range(1..=6000))]
        concurrency: u16,
        /// Hand the jobs as SQS events to a function, such as one under `cargo lambda watch` at
        /// http://127.0.0.1:9000/2015-03-31/functions/send-sms/invocations
        #[arg(long, value_name = "URL")]
        invoke: Option<Url>,
    },
    /// Look after the SMS gateways
    Provider {
        #[command(subcommand)]
        action: ProviderAction,
    },
    /// Replay a day of people and attackers through the real admission, with a virtual clock: what pumping, bombing and guessing
    /// come to with the cooldown alone, with the limits (LIMITS), with the conversion guard, with challenges, and with a budget
    /// (BUDGET)
    Simulate(Simulation),
    /// Look after jobs that are out of attempts
    Dead {
        #[command(subcommand)]
        action: DeadAction,
    },
}

#[derive(Debug, Args)]
pub struct Simulation {
    /// Another seed, another day
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// People who verify their number in a day
    #[arg(long, default_value_t = 20_000)]
    pub people: u32,
    /// Price of an SMS in USD
    #[arg(long, default_value_t = 0.05)]
    pub price: f64,
    /// Only attacks whose names contain this
    #[arg(long, value_name = "NAME")]
    pub only: Option<String>,
    /// Use this Redis in place of memory: an empty database, which is emptied again
    #[arg(long, value_name = "URL")]
    pub redis: Option<Url>,
    /// Draw the outcome into this file
    #[arg(long, value_name = "FILE")]
    pub svg: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub enum ProviderAction {
    /// Call each gateway of SMS_DSN once, and show request, answer and its class, with secrets masked
    Check {
        /// Really send a message to this number. Without it a stub on this machine stands in for the gateways
        #[arg(long, value_name = "NUMBER")]
        to: Option<String>,
    },
}

#[derive(Debug, Clone, Copy, Subcommand)]
pub enum DeadAction {
    /// Show them, with their reasons
    List,
    /// Put them back into the queue; what has expired is not sent
    Redrive,
    /// Delete them
    Purge,
}

/// Tells what went wrong, and why.
#[expect(clippy::print_stderr, reason = "the last word of a command that failed")]
pub fn complain(error: &(dyn Error + 'static)) {
    eprint!("error: {error}");
    let mut source = error.source();
    while let Some(error) = source {
        eprint!(": {error}");
        source = error.source();
    }
    eprintln!();
}
