//! `LOG_LEVEL`: a level, and targets with levels of their own.

use tracing_subscriber::filter::{LevelFilter, ParseError, Targets};

/// The clients' own logs, which are kept to warnings: on `trace` they print what goes over the
/// wire, passwords and numbers included. lapin's errors come back from its calls, and are told
/// there. lambda_runtime::runtime warns at each start that it takes one event at a time. And spans
/// that are for exporters alone: a line has the names of the one span that it is in.
const CLIENTS: &str = "sms_verify::spans=off,lapin=off,redis=warn,reqwest=warn,hyper=warn,\
    hyper_util=warn,h2=warn,rustls=warn,aws_config=error,aws_sdk_sqs=warn,aws_sigv4=warn,aws_smithy_http_client=warn,aws_smithy_runtime=warn,\
    aws_smithy_runtime_api=warn,aws_runtime=warn,lambda_runtime=warn,lambda_runtime::runtime=error,\
    lambda_runtime_api_client=warn";

/// The targets that may be named: this program's crates, and nobody's who prints what is secret.
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
/// In words, the item that is wrong.
pub(crate) fn targets(level: &str) -> Result<Targets, String> {
    let level: Vec<String> = level.split(',').map(|item| present(item.trim())).collect();
    // Whatever is no level is read as a target's name: a slip of the pen would end all logs.
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
    // Of two that name the same target the later counts.
    format!("{},{CLIENTS}", level.join(",")).parse().map_err(|error: ParseError| error.to_string())
}

/// An item by its present name; `shared` alone is all of the library's crates.
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

/// `LOG_LEVEL` names a target of an earlier release.
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
