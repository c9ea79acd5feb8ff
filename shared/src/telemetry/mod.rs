//! Logs, to standard error, from the level that `LOG_LEVEL` names: readable on a terminal, and
//! lines of JSON elsewhere. On Lambda its own controls count, too.

mod controls;
pub mod emf;
mod json;
pub mod metrics;
mod trace;
pub mod xray;

use std::env;
use std::error::Error;
use std::io::stderr;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use self::controls::{Controls, Form};
pub use self::trace::{Names, Propagation, TraceParent, propagate};
pub(crate) use self::trace::{begun, continued};
use tracing::Metadata;
use tracing::subscriber::Interest;
use tracing_subscriber::filter::{LevelFilter, ParseError, Targets};
use tracing_subscriber::fmt::format::JsonFields;
use tracing_subscriber::layer::{Context, Filter, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, Registry, fmt, registry, reload};

/// The clients' own logs, which are kept to warnings: on `trace` they print what goes over the
/// wire, passwords and numbers included. lapin's errors come back from its calls, and are told
/// there. lambda_runtime::runtime warns at each start that it takes one event at a time. And spans
/// that are for exporters alone: a line has the names of the one span that it is in.
const CLIENTS: &str = "shared::spans=off,lapin=off,redis=warn,reqwest=warn,hyper=warn,hyper_util=warn,h2=warn,rustls=warn,\
    aws_config=error,aws_sdk_sqs=warn,aws_sigv4=warn,aws_smithy_http_client=warn,aws_smithy_runtime=warn,\
    aws_smithy_runtime_api=warn,aws_runtime=warn,lambda_runtime=warn,lambda_runtime::runtime=error,\
    lambda_runtime_api_client=warn";

/// An error with its causes, for a line of a log: JSON would leave them out.
#[must_use]
pub fn causes(error: &(dyn Error + 'static)) -> String {
    let causes = std::iter::successors(error.source(), |&cause| cause.source());
    // Some errors repeat their cause in their own words.
    causes.map(ToString::to_string).fold(error.to_string(), |told, cause| {
        if told.contains(&cause) { told } else { format!("{told}: {cause}") }
    })
}

/// A layer that sees spans.
pub type Spans = Box<dyn Layer<Registry> + Send + Sync>;

/// The targets that may be named: the program's own, and nobody's who prints what is secret.
const OURS: [&str; 5] = ["shared", "sms_verify", "request_code", "check_code", "send_sms"];

/// The level, which may be changed. Its lock is taken where it is asked for, and not for each span
/// that is entered or left.
struct Level(reload::Layer<Targets, Registry>);

impl Filter<Registry> for Level {
    fn enabled(&self, metadata: &Metadata<'_>, context: &Context<'_, Registry>) -> bool {
        Filter::enabled(&self.0, metadata, context)
    }

    fn callsite_enabled(&self, metadata: &'static Metadata<'static>) -> Interest {
        Filter::callsite_enabled(&self.0, metadata)
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Filter::<Registry>::max_level_hint(&self.0)
    }
}

/// Changes the level of a running process.
static SET: OnceLock<Box<dyn Fn(Targets) -> bool + Send + Sync>> = OnceLock::new();

/// Whether somebody exports spans.
static EXPORTED: AtomicBool = AtomicBool::new(false);

/// Whether a span's fields go further than to the log.
pub(crate) fn is_exported() -> bool {
    EXPORTED.load(Ordering::Relaxed)
}

/// Starts logging. `LOG_LEVEL` is `error`, `warn`, `info` (the default), `debug`, `trace`, or a
/// list of `target=level`; on Lambda its own level counts too, and the stricter of both. A wrong
/// value is reported and `info` used: logs are not a reason not to start. `spans` gets what is
/// begun and ended, if somebody exports it.
pub fn init(spans: Option<Spans>) {
    let controls = Controls::read(&|name| env::var(name).ok());
    let level = env::var("LOG_LEVEL").ok().filter(|level| !level.trim().is_empty());
    let parsed = level.map_or_else(|| targets(controls.unless_set()), |level| targets(&level));
    let problem = parsed.as_ref().err().cloned();
    let parsed = parsed.or_else(|_| targets("info")).unwrap_or_default();
    let (filter, handle) = reload::Layer::new(controls.within(&parsed));
    let lines = fmt::layer().with_writer(stderr);
    let lines = match controls.form() {
        Form::Terminal => lines.boxed(),
        Form::Text => lines.with_ansi(false).boxed(),
        Form::Json => lines.fmt_fields(JsonFields::new()).event_format(json::Lines).boxed(),
    };
    EXPORTED.store(spans.is_some(), Ordering::Relaxed);
    // An error means that the process logs already, as a test's does.
    let layers: Vec<Spans> =
        std::iter::once(lines.with_filter(Level(filter)).boxed()).chain(spans).collect();
    let _ = registry().with(layers).try_init();
    let _ = SET.set(Box::new(move |targets| handle.reload(targets).is_ok()));
    if let Some(problem) = problem {
        tracing::warn!(problem, "LOG_LEVEL is not understood: logging from info");
    }
}

/// What a function cannot start without; if it is not to be had, the reason is logged, and the
/// process ends. (What the runtime of Rust prints of an error has no level, and Lambda drops it
/// where it keeps errors alone.)
pub fn needed<T, E: Error + 'static>(result: Result<T, E>) -> T {
    result.unwrap_or_else(|error| {
        tracing::error!(error = causes(&error), "not started");
        std::process::exit(1)
    })
}

/// Logs from another level on, written as in `LOG_LEVEL`.
///
/// # Errors
/// What is wrong with it, in words. Then nothing is changed.
pub fn set_level(level: &str) -> Result<(), String> {
    let targets = targets(level)?;
    let set = SET.get().is_some_and(|set| set(targets));
    if set { Ok(()) } else { Err("this process does not log".to_owned()) }
}

fn targets(level: &str) -> Result<Targets, String> {
    // Whatever is no level is read as a target's name: a slip of the pen would end all logs.
    let known = |item: &str| match item.split_once('=') {
        Some((target, _)) => {
            OURS.iter().any(|ours| target == *ours || target.starts_with(&format!("{ours}::")))
        }
        None => !item.is_empty() && item.parse::<LevelFilter>().is_ok(),
    };
    if let Some(item) = level.split(',').map(str::trim).find(|item| !known(item)) {
        return Err(format!(
            "{item:?} is neither a level nor a target of this program with a level"
        ));
    }
    // Of two that name the same target the later counts.
    format!("{level},{CLIENTS}").parse().map_err(|error: ParseError| error.to_string())
}

#[cfg(test)]
mod tests {
    use tracing::Level;

    use super::*;

    #[test]
    fn what_the_runtime_warns_of_at_each_start_is_not_told() {
        let targets = targets("info").expect("a level");
        assert!(!targets.would_enable("lambda_runtime::runtime", &Level::WARN));
        assert!(targets.would_enable("lambda_runtime::layers::panic", &Level::ERROR));
        assert!(targets.would_enable("shared::delivery", &Level::INFO));
    }
}
