//! Where everything stands in a store. What is in braces is Redis Cluster's hash tag: keys that share it share a shard.

use crate::limits::{Quota, Rule};
use crate::verification::NumberTag;

/// Where a number's entry stands.
pub(super) fn key(tag: NumberTag) -> String {
    format!("sms-verify:{{{tag}}}")
}

/// Where the times of a number's latest SMS stand.
pub(super) fn sent_key(tag: NumberTag) -> String {
    format!("sms-verify:{{{tag}}}:sent")
}

/// Where a limit stands.
pub(super) fn limit_key(quota: &Quota) -> String {
    let Quota { scope, subject, rule } = quota;
    match rule {
        Rule::Rate(window) => format!("sms-verify:{}:{}:{subject}", scope.as_str(), window.span.as_secs()),
        Rule::Conversion(_) => guard_key(subject),
    }
}

/// Where what the conversion guard knows of a block of numbers or of a country stands.
pub(super) fn guard_key(subject: &str) -> String {
    format!("sms-verify:conversion:{subject}")
}

/// Where what is known of an account at a gateway stands.
pub(super) fn account_key(account: &str) -> String {
    format!("sms-verify:gateway:{{{account}}}")
}
