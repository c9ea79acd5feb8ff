//! Where everything stands in a store. What is in braces is Redis Cluster's hash tag: keys that
//! share it share a shard.

use sms_domain::picture_id::PictureId;
use sms_domain::quota::{Quota, QuotaRule};
use sms_domain::verification_id::NumberTag;

/// Where a number's entry stands.
pub(super) fn key(tag: NumberTag) -> String {
    format!("sms-verify:{{{tag}}}")
}

/// Where the times of a number's latest SMS stand, beside its entry.
pub(super) fn sent_key(entry: &str) -> String {
    format!("{entry}:sent")
}

/// Where it stands until when a number counts as verified before, beside its entry.
pub(super) fn verified_key(entry: &str) -> String {
    format!("{entry}:verified")
}

/// Where a limit stands.
pub(super) fn limit_key(quota: &Quota) -> String {
    let Quota { scope, subject, rule } = quota;
    let period = match rule {
        QuotaRule::Rate(window) => window.period,
        QuotaRule::Budget(budget) => budget.period,
        QuotaRule::Conversion(_) | QuotaRule::Country(_) => return guard_key(subject),
    };
    format!("sms-verify:{}:{}:{subject}", scope.as_str(), period.as_secs())
}

/// Where it stands what a picture shows: under the name that the tutorial has for it.
pub(super) fn picture_key(uuid: &PictureId) -> String {
    format!("img_{uuid}")
}

/// Where it stands which number a gateway's name for a message is about.
pub(super) fn message_key(gateway: &str, message_id: &str) -> String {
    format!("sms-verify:message:{gateway}:{message_id}")
}

/// Where an idempotency key stands.
pub(super) fn claim_key(subject: &str) -> String {
    format!("sms-verify:idempotency:{subject}")
}

/// Where what the conversion guard knows of a block of numbers or of a country stands.
pub(super) fn guard_key(subject: &str) -> String {
    format!("sms-verify:guard:{subject}")
}

/// Where the probe writes: one of a few places, which are on all shards.
pub(super) fn probe_key(random: u64) -> String {
    format!("sms-verify:probe:{}", random % 100)
}

/// Where what is known of an account at a gateway stands.
pub(super) fn account_key(account: &str) -> String {
    format!("sms-verify:gateway:{{{account}}}")
}
