//! Lambda's own log controls (`LoggingConfig` of a function), which it hands to a custom runtime in
//! two variables:
//! <https://docs.aws.amazon.com/lambda/latest/dg/monitoring-cloudwatchlogs-log-level.html>.
//!
//! In the format JSON Lambda reads the level of each line itself and keeps only those of its own
//! level: a line without `level`, or without a `timestamp` in RFC 3339, counts as INFO. So its
//! level is the least strict that can be; `LOG_LEVEL` may be stricter.

use std::io::{IsTerminal, stderr};

use tracing_subscriber::filter::{LevelFilter, Targets};

/// What the function's `LoggingConfig` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Controls {
    format: Option<Form>,
    level: Option<Level>,
}

/// How a line is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// For eyes, in colours.
    Terminal,
    /// The same without colours.
    Text,
    /// An object.
    Json,
}

/// Lambda's names of levels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd)]
enum Level {
    Trace,
    Debug,
    Info,
    Warn,
    Error,
    Fatal,
}

impl Controls {
    /// `AWS_LAMBDA_LOG_FORMAT` and `AWS_LAMBDA_LOG_LEVEL`. What is not known there is as if it were
    /// not set.
    pub(super) fn read(lookup: &dyn Fn(&str) -> Option<String>) -> Self {
        let word =
            |name| lookup(name).map(|word| word.trim().to_ascii_uppercase()).unwrap_or_default();
        let format = match word("AWS_LAMBDA_LOG_FORMAT").as_str() {
            "JSON" => Some(Form::Json),
            "TEXT" => Some(Form::Text),
            _ => None,
        };
        Self { format, level: Level::parse(&word("AWS_LAMBDA_LOG_LEVEL")) }
    }

    pub(super) fn form(self) -> Form {
        self.format
            .unwrap_or_else(|| if stderr().is_terminal() { Form::Terminal } else { Form::Json })
    }

    /// The level where `LOG_LEVEL` says nothing.
    pub(super) fn unless_set(self) -> &'static str {
        match self.level {
            Some(Level::Trace) => "trace",
            Some(Level::Debug) => "debug",
            _ => "info",
        }
    }

    /// Of each target the stricter of its own level and Lambda's.
    pub(super) fn within(self, targets: &Targets) -> Targets {
        let Some(most) = self.level.map(Level::filter) else { return targets.clone() };
        let default = targets.default_level().unwrap_or(LevelFilter::OFF).min(most);
        let stricter = targets.iter().map(|(target, level)| (target.to_owned(), level.min(most)));
        stricter.collect::<Targets>().with_default(default)
    }

    /// What a line must say so that Lambda keeps it, whatever it is about; nothing where it keeps
    /// all.
    pub(super) fn kept_as(self) -> Option<&'static str> {
        match self.level? {
            Level::Warn => Some("WARN"),
            Level::Error => Some("ERROR"),
            Level::Fatal => Some("FATAL"),
            Level::Trace | Level::Debug | Level::Info => None,
        }
    }
}

impl Level {
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
            // Nothing here is as bad as that.
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
                controls("JSON", level).within(&ours),
                expected.parse().expect("targets"),
                "{level}"
            );
        }
        let unless_set = ["TRACE", "DEBUG", "INFO", "FATAL", ""]
            .map(|level| controls("JSON", level).unless_set());
        assert_eq!(unless_set, ["trace", "debug", "info", "info", "info"]);
    }

    #[test]
    fn the_format_is_lambdas() {
        assert_eq!(
            ["JSON", "Text"].map(|format| controls(format, "").form()),
            [Form::Json, Form::Text]
        );
    }

    #[test]
    fn what_must_be_kept_says_the_level_that_is() {
        let kept = ["DEBUG", "INFO", "WARN", "ERROR", "FATAL"]
            .map(|level| controls("JSON", level).kept_as());
        assert_eq!(kept, [None, None, Some("WARN"), Some("ERROR"), Some("FATAL")]);
    }
}
