//! Parsing of `LOG_LEVEL`: a level, and targets with levels of their own.

use tracing_subscriber::filter::{LevelFilter, ParseError, Targets};

/// Levels of the clients' own logs, which are limited to warnings: at `trace` they print requests,
/// passwords and phone numbers included. lapin's errors are returned by its calls, and logged
/// there. lambda_runtime::runtime warns at each start that it takes one event at a time.
/// `sms_verify::spans` are spans for exporters only: a log line has the fields of a single span.
const CLIENTS: &str = "sms_verify::spans=off,lapin=off,redis=warn,reqwest=warn,hyper=warn,\
    hyper_util=warn,h2=warn,rustls=warn,aws_config=error,aws_sdk_sqs=warn,aws_sigv4=warn,\
    aws_smithy_http_client=warn,aws_smithy_runtime=warn,\
    aws_smithy_runtime_api=warn,aws_runtime=warn,lambda_runtime=warn,lambda_runtime::runtime=error,\
    lambda_runtime_api_client=warn";

/// Targets that may be named: this program's crates only, since others may log secrets.
const OURS: [&str; 14] = [
    "sms_app",
    "sms_config",
    "sms_domain",
    "sms_gateways",
    "sms_http",
    "sms_lambda",
    "sms_outbound",
    "sms_queue",
    "sms_store",
    "sms_telemetry",
    "sms_verify",
    "request_code",
    "check_code",
    "send_sms",
];

/// Targets of earlier releases, which had one library `shared`, and their present names.
const RENAMED: [(&str, &str); 10] = [
    ("shared::admission", "sms_app::request_code"),
    ("shared::batch", "sms_lambda::batch"),
    ("shared::checking", "sms_app::check_code"),
    ("shared::delivery", "sms_app::send_sms"),
    ("shared::eviction", "sms_app::eviction_watch"),
    ("shared::http", "sms_http"),
    ("shared::provider", "sms_gateways"),
    ("shared::queue", "sms_queue"),
    ("shared::store", "sms_store"),
    ("shared::telemetry", "sms_telemetry"),
];

/// Reads a level, or a list of levels and `target=level`.
///
/// # Errors
/// A description of the invalid item.
pub(crate) fn targets(level: &str) -> Result<Targets, String> {
    let level: Vec<String> = level.split(',').map(|item| present(item.trim())).collect();
    // The parser reads anything but a level as a target's name, so that a typo would end all logs.
    let known = |item: &str| match item.split_once('=') {
        Some((target, _)) => {
            OURS.iter().any(|ours| target == *ours || target.starts_with(&format!("{ours}::")))
        }
        None => !item.is_empty() && item.parse::<LevelFilter>().is_ok(),
    };
    if let Some(item) = level.iter().flat_map(|items| items.split(',')).find(|item| !known(item)) {
        return Err(format!(
            "{item:?} is neither a level nor a target of this program with a level"
        ));
    }
    // If a target is named twice, the later level counts.
    format!("{},{CLIENTS}", level.join(",")).parse().map_err(|error: ParseError| error.to_string())
}

/// Replaces the old target in an item; `shared` alone is all of the library's crates.
fn present(item: &str) -> String {
    if let Some(level) = item.strip_prefix("shared=") {
        let crates = OURS.iter().filter(|ours| ours.starts_with("sms_") && **ours != "sms_verify");
        return crates.map(|ours| format!("{ours}={level}")).collect::<Vec<_>>().join(",");
    }
    let renamed = RENAMED.iter().find_map(|(old, new)| {
        let rest = item.strip_prefix(old)?;
        rest.starts_with(['=', ':']).then(|| format!("{new}{rest}"))
    });
    renamed.unwrap_or_else(|| item.to_owned())
}

/// Returns true if `LOG_LEVEL` names a target of an earlier release.
pub(crate) fn has_old_names(level: &str) -> bool {
    level.split(',').any(|item| item.trim().starts_with("shared"))
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
        assert!(targets.would_enable("sms_app::send_sms", &Level::INFO));
    }

    #[test]
    fn targets_of_earlier_releases_are_understood() {
        let targets = targets("info,shared=warn,shared::store::redis=debug").expect("targets");
        assert!(targets.would_enable("sms_store::redis::connection", &Level::DEBUG));
        assert!(!targets.would_enable("sms_store::memory", &Level::INFO), "shared=warn");
        assert!(!targets.would_enable("sms_app::send_sms", &Level::INFO), "shared=warn");
        assert!(targets.would_enable("sms_verify", &Level::INFO));
    }
}
