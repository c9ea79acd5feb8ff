//! Logs, metrics and traces of a process: logs to standard error from the level in `LOG_LEVEL`
//! (readable on a terminal, lines of JSON elsewhere; on Lambda its own log controls count, too),
//! metrics in CloudWatch's embedded metric format, X-Ray segments, and the propagation of traces.
//!
//! It may use `tracing`, `metrics` and the domain's values, and does not know what is counted: the
//! names of metrics are in `sms-app`. Every crate above it logs through it.

mod controls;
pub mod emf;
mod json;
mod lines;
pub mod propagation;
mod targets;
pub mod xray;

use std::env;
use std::error::Error;
use std::io::{IsTerminal, stderr};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use tracing::subscriber::Interest;
use tracing::{Metadata, Subscriber};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::{Context, Filter, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, Registry, fmt, registry, reload};

use self::controls::{Controls, LogFormat};
use self::lines::Lines;
pub use self::lines::flush;
use self::targets::targets;

/// Formats an error with its causes for a log line: JSON would omit them.
#[must_use]
pub fn causes(error: &(dyn Error + 'static)) -> String {
    let causes = std::iter::successors(error.source(), |&cause| cause.source());
    // Some errors repeat their cause in their own words.
    causes.map(ToString::to_string).fold(error.to_string(), |text, cause| {
        if text.contains(&cause) { text } else { format!("{text}: {cause}") }
    })
}

/// A layer that exports spans.
pub type Spans = Box<dyn Layer<Registry> + Send + Sync>;

/// Filter of the exported spans: those of this program's crates, whose names begin with `sms_`.
#[must_use]
pub fn exported_spans() -> Targets {
    Targets::new().with_target("sms_", LevelFilter::DEBUG)
}

/// Filter whose level can be changed at run time. It takes its lock only when asked for a level,
/// and not each time a span is entered or left.
struct ReloadableFilter(reload::Layer<Targets, Registry>);

impl Filter<Registry> for ReloadableFilter {
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

impl Layer<Registry> for ReloadableFilter {
    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        Layer::register_callsite(&self.0, metadata)
    }

    fn enabled(&self, metadata: &Metadata<'_>, context: Context<'_, Registry>) -> bool {
        Layer::enabled(&self.0, metadata, context)
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Layer::<Registry>::max_level_hint(&self.0)
    }
}

/// Changes the log level of this process; set by `init`.
static RELOAD: OnceLock<Box<dyn Fn(Targets) -> bool + Send + Sync>> = OnceLock::new();

/// True if spans are exported.
static EXPORTED: AtomicBool = AtomicBool::new(false);

/// Returns true if spans are exported, so that their fields go further than to the log.
pub fn is_exported() -> bool {
    EXPORTED.load(Ordering::Relaxed)
}

/// Starts the log of a function, each line of which is written at once. `LOG_LEVEL` is `error`,
/// `warn`, `info` (the default), `debug`, `trace`, or a list of `target=level`; on Lambda its own
/// level counts too, and the stricter of both. An invalid value is reported and `info` used: it
/// should not prevent the start. `spans` is the layer that exports spans, if any.
pub fn init(spans: Option<Spans>) {
    start(spans, Lines::at_once());
}

/// Starts the log of a server as [`init`] does, with lines gathered for some milliseconds unless a
/// person reads them. [`flush`] is to be called at its end.
pub fn init_server(spans: Option<Spans>) {
    start(spans, if stderr().is_terminal() { Lines::at_once() } else { Lines::gathered() });
}

#[expect(clippy::disallowed_methods, reason = "logs begin before settings are read")]
fn start(spans: Option<Spans>, lines: Lines) {
    let controls = Controls::read(&|name| env::var(name).ok());
    let level = env::var("LOG_LEVEL").ok().filter(|level| !level.trim().is_empty());
    let old_names = level.as_deref().is_some_and(targets::has_old_names);
    let parsed = level.map_or_else(|| targets(controls.default_level()), |level| targets(&level));
    let problem = parsed.as_ref().err().cloned();
    let parsed = parsed.or_else(|_| targets("info")).unwrap_or_default();
    let (filter, handle) = reload::Layer::new(controls.cap(&parsed));
    let (filter, format) = (ReloadableFilter(filter), controls.format());
    EXPORTED.store(spans.is_some(), Ordering::Relaxed);
    // An error means that logging has started already, as in tests.
    let _ = match spans {
        Some(spans) => {
            let lines = line_layer(format, lines).with_filter(filter).boxed();
            registry().with(vec![lines, spans]).try_init()
        }
        // A filter of one layer among several has to be asked whenever a span is entered or left.
        None => registry().with(filter).with(line_layer(format, lines)).try_init(),
    };
    let _ = RELOAD.set(Box::new(move |targets| handle.reload(targets).is_ok()));
    if let Some(problem) = problem {
        tracing::warn!(problem, "LOG_LEVEL is not valid: using info");
    }
    if old_names {
        tracing::warn!(
            "LOG_LEVEL names targets of an earlier release: see \
             docs/operations/observability.md for the current ones"
        );
    }
}

/// The layer that writes lines.
fn line_layer<S>(format: LogFormat, lines: Lines) -> Box<dyn Layer<S> + Send + Sync>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    let lines = fmt::layer().with_writer(lines);
    match format {
        LogFormat::Terminal => lines.boxed(),
        LogFormat::Text => lines.with_ansi(false).boxed(),
        LogFormat::Json => {
            lines.fmt_fields(json::JsonMembers).event_format(json::JsonLines).boxed()
        }
    }
}

/// Returns a value that a function cannot start without; on an error, logs it and exits. (The
/// message that Rust's runtime prints for an error has no level, and Lambda drops it if it keeps
/// only errors.)
pub fn or_exit<T, E: Error + 'static>(result: Result<T, E>) -> T {
    result.unwrap_or_else(|error| {
        tracing::error!(error = causes(&error), "startup failed");
        std::process::exit(1)
    })
}

/// Changes the log level of this process, in the format of `LOG_LEVEL`.
///
/// # Errors
/// A description of the invalid item. Then nothing is changed.
pub fn set_level(level: &str) -> Result<(), String> {
    let targets = targets(level)?;
    let set = RELOAD.get().is_some_and(|set| set(targets));
    if set { Ok(()) } else { Err("this process does not log".to_owned()) }
}
