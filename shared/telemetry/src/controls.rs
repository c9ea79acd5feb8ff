//! Lambda's own log controls (`LoggingConfig` of a function), which a custom runtime gets in two
//! variables:
//! <https://docs.aws.amazon.com/lambda/latest/dg/monitoring-cloudwatchlogs-log-level.html>.
//!
//! In the format JSON Lambda reads the level of each line and drops those below its own level: a
//! line without `level`, or without a `timestamp` in RFC 3339, counts as INFO. So `LOG_LEVEL` can
//! only be stricter than Lambda's level.

use std::io::{IsTerminal, stderr};

use tracing_subscriber::filter::{LevelFilter, Targets};

/// The function's `LoggingConfig`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Controls {
    format: Option<LogFormat>,
    level: Option<LambdaLevel>,
}

/// Format of a log line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LogFormat {
    /// Text with colours.
    Terminal,
    /// Text without colours.
    Text,
    /// A JSON object.
    Json,
}

/// Lambda's names of levels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd)]
enum LambdaLevel {
    Trace,
    Debug,
    Info,
    Warn,
    Error,
    Fatal,
}

impl Controls {
    /// Reads `AWS_LAMBDA_LOG_FORMAT` and `AWS_LAMBDA_LOG_LEVEL`. Unknown values count as unset.
    pub(super) fn read(lookup: &dyn Fn(&str) -> Option<String>) -> Self {
        let word =
            |name| lookup(name).map(|word| word.trim().to_ascii_uppercase()).unwrap_or_default();
        let format = match word("AWS_LAMBDA_LOG_FORMAT").as_str() {
            "JSON" => Some(LogFormat::Json),
            "TEXT" => Some(LogFormat::Text),
            _ => None,
        };
        Self { format, level: LambdaLevel::parse(&word("AWS_LAMBDA_LOG_LEVEL")) }
    }

    pub(super) fn format(self) -> LogFormat {
        self.format.unwrap_or_else(|| {
            if stderr().is_terminal() { LogFormat::Terminal } else { LogFormat::Json }
        })
    }

    /// The level to use if `LOG_LEVEL` is not set.
    pub(super) fn default_level(self) -> &'static str {
        match self.level {
            Some(LambdaLevel::Trace) => "trace",
            Some(LambdaLevel::Debug) => "debug",
            _ => "info",
        }
    }

    /// Caps the level of each target at Lambda's.
    pub(super) fn cap(self, targets: &Targets) -> Targets {
        let Some(cap) = self.level.map(LambdaLevel::filter) else { return targets.clone() };
        let default = targets.default_level().unwrap_or(LevelFilter::OFF).min(cap);
        let stricter = targets.iter().map(|(target, level)| (target.to_owned(), level.min(cap)));
        stricter.collect::<Targets>().with_default(default)
    }

    /// The level that a line of metrics must have so that Lambda keeps it; `None` if Lambda keeps
    /// lines without one.
    pub(super) fn metrics_level(self) -> Option<&'static str> {
        match self.level? {
            LambdaLevel::Warn => Some("WARN"),
            LambdaLevel::Error => Some("ERROR"),
            LambdaLevel::Fatal => Some("FATAL"),
            LambdaLevel::Trace | LambdaLevel::Debug | LambdaLevel::Info => None,
        }
    }
}

impl LambdaLevel {
    fn parse(word: &str) -> Option<Self> {
        match word {
            "TRACE" => Some(Self::Trace),
            "DEBUG" => Some(Self::Debug),
            "INFO" => Some(Self::Info),
            "WARN" => Some(Self::Warn),
            "ERROR" => Some(Self::Error),
            "FATAL" => Some(Self::Fatal),
            _ => None,
        }
    }

    fn filter(self) -> LevelFilter {
        match self {
            Self::Trace => LevelFilter::TRACE,
            Self::Debug => LevelFilter::DEBUG,
            Self::Info => LevelFilter::INFO,
            Self::Warn => LevelFilter::WARN,
            Self::Error => LevelFilter::ERROR,
            // Nothing here logs at this level.
            Self::Fatal => LevelFilter::OFF,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn controls(format: &str, level: &str) -> Controls {
        Controls::read(&|name| match name {
            "AWS_LAMBDA_LOG_FORMAT" => Some(format.to_owned()),
            "AWS_LAMBDA_LOG_LEVEL" => Some(level.to_owned()),
            _ => None,
        })
    }

    #[test]
    fn the_stricter_level_counts_for_each_target() {
        let ours: Targets =
            "info,sms_app::send_sms=debug,sms_store=error".parse().expect("targets");
        for (level, expected) in [
            ("", "info,sms_app::send_sms=debug,sms_store=error"),
            ("loud", "info,sms_app::send_sms=debug,sms_store=error"),
            ("TRACE", "info,sms_app::send_sms=debug,sms_store=error"),
            ("INFO", "info,sms_app::send_sms=info,sms_store=error"),
            ("WARN", "warn,sms_app::send_sms=warn,sms_store=error"),
            ("error", "error,sms_app::send_sms=error,sms_store=error"),
            ("FATAL", "off,sms_app::send_sms=off,sms_store=off"),
        ] {
            assert_eq!(
                controls("JSON", level).cap(&ours),
                expected.parse().expect("targets"),
                "{level}"
            );
        }
        let default_level = ["TRACE", "DEBUG", "INFO", "FATAL", ""]
            .map(|level| controls("JSON", level).default_level());
        assert_eq!(default_level, ["trace", "debug", "info", "info", "info"]);
    }

    #[test]
    fn the_format_is_lambdas() {
        assert_eq!(
            ["JSON", "Text"].map(|format| controls(format, "").format()),
            [LogFormat::Json, LogFormat::Text]
        );
    }

    #[test]
    fn what_must_be_kept_says_the_level_that_is() {
        let kept = ["DEBUG", "INFO", "WARN", "ERROR", "FATAL"]
            .map(|level| controls("JSON", level).metrics_level());
        assert_eq!(kept, [None, None, Some("WARN"), Some("ERROR"), Some("FATAL")]);
    }
}
