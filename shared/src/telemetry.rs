//! Logs: JSON on Lambda, readable on a terminal, to standard error, from the level that `LOG_LEVEL` names.

use std::env;
use std::io::{IsTerminal, stderr};

use tracing_subscriber::EnvFilter;

/// Starts logging. `LOG_LEVEL` is `error`, `warn`, `info` (the default), `debug`, `trace`, or a list of
/// `target=level`. A wrong value is reported and `info` used: logs are not a reason not to start.
pub fn init() {
    let level = env::var("LOG_LEVEL").unwrap_or_default();
    // The clients' own logs are of use only when something is searched for in them.
    let directives = if level.is_empty() { "info,lapin=warn,redis=warn" } else { &level };
    let parsed = EnvFilter::builder().parse(directives);
    let problem = parsed.as_ref().err().map(ToString::to_string);
    let filter = parsed.unwrap_or_else(|_| EnvFilter::new("info"));
    let subscriber = tracing_subscriber::fmt().with_env_filter(filter).with_writer(stderr);
    // An error means that the process logs already, as a test's does.
    let _ = if env::var_os("AWS_LAMBDA_FUNCTION_NAME").is_some() {
        subscriber.json().flatten_event(true).with_current_span(false).try_init()
    } else {
        subscriber.with_ansi(stderr().is_terminal()).try_init()
    };
    if let Some(problem) = problem {
        tracing::warn!(problem, "LOG_LEVEL is not understood: logging from info");
    }
}
