//! Local mode: the same API, the same delivery and a demo page in one process, or as processes of
//! their own on Redis and RabbitMQ, which is also how sms-verify is hosted without AWS.

mod cli;
mod commands;
mod components;
mod error_report;
mod misspelt_settings;
mod ops;
mod otlp;
mod pages;
mod server;
mod settings_help;
mod shutdown;

use std::env;
use std::error::Error;
use std::io::{self, ErrorKind, Write, stdout};
use std::process::exit;

use clap::{CommandFactory, Parser};
#[cfg(feature = "mimalloc")]
use mimalloc::MiMalloc;
use sms_config::{LocalConfig, Role, environment};
use sms_outbound::tls;
use tracing::instrument::WithSubscriber;
use tracing::subscriber::NoSubscriber;

use self::cli::{Cli, Command, GatewayAction};
use self::commands::{dead_letters, facts, gateway_check, health, invoke, simulate, worker};
use self::components::Components;

/// A request takes less CPU time than with the system's allocator, for nearly the same memory. The
/// functions keep that one, to be small.
#[cfg(feature = "mimalloc")]
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

#[tokio::main]
async fn main() {
    tls::install();
    let cli = Cli::parse();
    let (spans, exporter) = match otlp::exporter() {
        Ok(exporter) => exporter.unzip(),
        Err(error) => {
            error_report::print_error(&*error);
            exit(1);
        }
    };
    sms_telemetry::init_server(spans);
    if cli.command.as_ref().is_none_or(Command::is_configured) {
        misspelt_settings::warn_of(env::vars_os().map(|(name, _)| name));
    }
    let result = run(cli).await;
    drop(exporter);
    let result = result.or_else(|error| if is_broken_pipe(&*error) { Ok(()) } else { Err(error) });
    if let Err(error) = &result {
        error_report::print_error(&**error);
    }
    sms_telemetry::flush();
    // Tasks that still run, such as a connection that waits for a silent server, are not awaited.
    exit(i32::from(result.is_err()));
}

/// Returns true if the reader of the output, such as `head`, has closed the pipe: that is no error.
fn is_broken_pipe(error: &(dyn Error + 'static)) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == ErrorKind::BrokenPipe)
}

async fn run(cli: Cli) -> Result<(), Box<dyn Error>> {
    let configured = |role| LocalConfig::read(&environment, role);
    match cli.command {
        None => {
            ops::measure();
            let mut components = Components::new(configured(Role::All)?)?;
            components.watch_eviction();
            let consumer = components.queue.consumer(cli::DEFAULT_CONCURRENCY)?;
            let stop = shutdown::on_signals()?;
            let server = server::bind(&mut components).await?;
            components.announce(true, true);
            let worker = worker::run(
                consumer,
                components.send_sms(),
                components.queue.clone(),
                cli::DEFAULT_CONCURRENCY,
                stop.clone(),
            );
            // Both end only after a signal.
            let (served, ()) = tokio::join!(server.run(stop), worker);
            components.store.flush().await;
            served?;
        }
        Some(Command::Api) => {
            ops::measure();
            let mut components = Components::new(configured(Role::Api)?)?;
            components.watch_eviction();
            let server = server::bind(&mut components).await?;
            components.announce(true, false);
            let served = server.run(shutdown::on_signals()?).await;
            components.store.flush().await;
            served?;
        }
        Some(Command::Worker { concurrency, invoke: None, metrics }) => {
            ops::measure();
            let components = Components::new(configured(Role::Worker)?)?;
            components.watch_eviction();
            let consumer = components.queue.consumer(concurrency)?;
            let stop = shutdown::on_signals()?;
            if let Some(listen) = metrics {
                server::serve_worker(&components, listen, stop.clone())?;
            }
            components.announce(false, true);
            worker::run(
                consumer,
                components.send_sms(),
                components.queue.clone(),
                concurrency,
                stop,
            )
            .await;
        }
        Some(Command::Worker { concurrency, invoke: Some(function), .. }) => {
            let components = Components::new(configured(Role::Invoker)?)?;
            let consumer =
                components.queue.consumer(concurrency.saturating_mul(invoke::BATCH_SIZE))?;
            let invoker = invoke::Invoker::new(
                function,
                components.queue.clone(),
                components.config.schedule,
            )?;
            invoker.run(consumer, concurrency, shutdown::on_signals()?).await;
        }
        Some(Command::Gateway { action: GatewayAction::Check { to } }) => {
            gateway_check::run(to).await?;
        }
        Some(Command::Provider { action: GatewayAction::Check { to } }) => {
            error_report::hint_at("`sms-verify provider` is now `sms-verify gateway`");
            gateway_check::run(to).await?;
        }
        Some(Command::Simulate(simulation)) => {
            // Logs of simulated requests are discarded.
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
            let components = Components::new(configured(Role::Dead)?)?;
            dead_letters::run(&components.queue, action).await?;
        }
    }
    Ok(())
}
