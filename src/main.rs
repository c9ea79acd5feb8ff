//! Local mode: the same API, the same delivery and a demo page in one process, or as processes of
//! their own on Redis and RabbitMQ, which is also how sms-verify is hosted without AWS.

mod check;
mod cli;
mod complain;
mod dead;
mod facts;
mod health;
mod invoke;
mod misspelt;
mod ops;
mod otlp;
mod pages;
mod parts;
mod server;
mod settings;
mod simulate;
mod stop;
mod worker;

use std::env;
use std::error::Error;
use std::io::{self, ErrorKind, Write, stdout};
use std::process::exit;

use clap::{CommandFactory, Parser};
use shared::config::{LocalConfig, Role, environment};
use shared::{telemetry, tls};
use tracing::instrument::WithSubscriber;
use tracing::subscriber::NoSubscriber;

use self::cli::{Cli, Command, GatewayAction};
use self::parts::Parts;
use self::stop::Stop;

#[tokio::main]
async fn main() {
    tls::install();
    let cli = Cli::parse();
    let (spans, exporter) = match otlp::exporter() {
        Ok(exporter) => exporter.unzip(),
        Err(error) => {
            complain::complain(&*error);
            exit(1);
        }
    };
    telemetry::init(spans);
    if cli.command.as_ref().is_none_or(Command::is_configured) {
        misspelt::warn_of(env::vars_os().map(|(name, _)| name));
    }
    let result = run(cli).await;
    drop(exporter);
    let result = result.or_else(|error| if is_broken_pipe(&*error) { Ok(()) } else { Err(error) });
    if let Err(error) = &result {
        complain::complain(&**error);
    }
    // All that was to be finished is. What still runs, such as a connection that waits for a silent
    // server, is not waited for.
    exit(i32::from(result.is_err()));
}

/// Whoever reads a command's output, such as `head`, may have seen enough.
fn is_broken_pipe(error: &(dyn Error + 'static)) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == ErrorKind::BrokenPipe)
}

async fn run(cli: Cli) -> Result<(), Box<dyn Error>> {
    let configured = |role| LocalConfig::read(&environment, role);
    match cli.command {
        None => {
            ops::measure();
            let mut parts = Parts::new(configured(Role::All)?)?;
            parts.watch_eviction();
            let consumer = parts.queue.consumer(cli::DEFAULT_CONCURRENCY)?;
            let stop = Stop::on_signals()?;
            let server = server::bind(&mut parts).await?;
            parts.announce(true, true);
            let worker = worker::run(
                consumer,
                parts.deliveries(),
                parts.queue.clone(),
                cli::DEFAULT_CONCURRENCY,
                stop.clone(),
            );
            // Either ends only when both are to end.
            let (served, ()) = tokio::join!(server.run(stop), worker);
            served?;
        }
        Some(Command::Api) => {
            ops::measure();
            let mut parts = Parts::new(configured(Role::Api)?)?;
            parts.watch_eviction();
            let server = server::bind(&mut parts).await?;
            parts.announce(true, false);
            server.run(Stop::on_signals()?).await?;
        }
        Some(Command::Worker { concurrency, invoke: None, metrics }) => {
            ops::measure();
            let parts = Parts::new(configured(Role::Worker)?)?;
            parts.watch_eviction();
            let consumer = parts.queue.consumer(concurrency)?;
            let stop = Stop::on_signals()?;
            if let Some(listen) = metrics {
                server::observed(&parts, listen, stop.clone())?;
            }
            parts.announce(false, true);
            worker::run(consumer, parts.deliveries(), parts.queue.clone(), concurrency, stop).await;
        }
        Some(Command::Worker { concurrency, invoke: Some(function), .. }) => {
            let parts = Parts::new(configured(Role::Invoker)?)?;
            let consumer = parts.queue.consumer(concurrency.saturating_mul(invoke::BATCH_SIZE))?;
            let invoker =
                invoke::Invoker::new(function, parts.queue.clone(), parts.config.schedule)?;
            invoker.run(consumer, concurrency, Stop::on_signals()?).await;
        }
        Some(Command::Gateway { action: GatewayAction::Check { to } }) => check::run(to).await?,
        Some(Command::Provider { action: GatewayAction::Check { to } }) => {
            complain::hint_at("`sms-verify provider` is now `sms-verify gateway`");
            check::run(to).await?;
        }
        Some(Command::Simulate(simulation)) => {
            // What it logs is of no interest.
            simulate::run(simulation).with_subscriber(NoSubscriber::default()).await?;
        }
        Some(Command::Health { url }) => health::run(url).await?,
        Some(Command::Facts) => facts::print()?,
        Some(Command::Completions { shell }) => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "sms-verify", &mut script);
            stdout().write_all(&script)?;
        }
        Some(Command::Dead { action }) => {
            let parts = Parts::new(configured(Role::Dead)?)?;
            dead::run(&parts.queue, action).await?;
        }
    }
    Ok(())
}
