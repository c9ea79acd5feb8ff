//! `facts`: prints settings and metrics as JSON, so that tests can compare deployments with them.

use std::io::{self, Write, stdout};

use serde_json::{Map, Value, json};
use sms_app::metrics::{self, Label};
use sms_config::{CheckConfig, CognitoConfig, RequestConfig, Role, SETTINGS, SendConfig, Setting};
use sms_queue::DEFAULT_QUEUE;

/// Prints settings, required settings, metrics and the queue's name.
pub fn print() -> io::Result<()> {
    let settings = SETTINGS.iter().map(|setting| (setting.name.to_owned(), described(setting)));
    let metrics = metrics::ALL.iter().map(|(name, labels)| ((*name).to_owned(), values(labels)));
    let facts = json!({
        "settings": settings.collect::<Map<String, Value>>(),
        "required": {
            "request-code": names(RequestConfig::REQUIRED),
            "check-code": names(CheckConfig::REQUIRED),
            "send-sms": names(SendConfig::REQUIRED),
            "cognito-sms": names(CognitoConfig::REQUIRED),
            "api": names(Role::Api.required()),
            "worker": names(Role::Worker.required()),
        },
        "metrics": metrics.collect::<Map<String, Value>>(),
        "queue": DEFAULT_QUEUE,
    });
    writeln!(stdout(), "{facts:#}")
}

fn described(setting: &Setting) -> Value {
    json!({
        "group": setting.group.title(),
        "default": setting.unset.to_string(),
        "example": setting.example,
        "read_by": setting.read_by.iter().map(|program| program.as_str()).collect::<Vec<_>>(),
        "secret": setting.is_secret,
    })
}

/// The values of each label.
fn values(labels: &[Label]) -> Value {
    labels.iter().map(|(name, values)| ((*name).to_owned(), json!(values))).collect()
}

fn names(settings: &[&Setting]) -> Vec<&'static str> {
    settings.iter().map(|setting| setting.name).collect()
}
