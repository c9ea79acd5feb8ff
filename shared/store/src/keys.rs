//! Keys of a store. The part in braces is Redis Cluster's hash tag: keys with the same tag are on
//! the same shard.

use sms_domain::picture_id::PictureId;
use sms_domain::quota::{Quota, QuotaRule};
use sms_domain::verification_id::NumberTag;

/// Key of a number's record.
pub(super) fn number_key(tag: NumberTag) -> String {
    format!("sms-verify:number:{{{tag}}}")
}

/// Key of the time until which a number counts as verified before (same hash slot as its record).
pub(super) fn verified_key(tag: NumberTag) -> String {
    format!("sms-verify:{{{tag}}}:verified")
}

/// Key of a quota.
pub(super) fn limit_key(quota: &Quota) -> String {
    let Quota { scope, subject, rule } = quota;
    let period = match rule {
        QuotaRule::Rate(window) => window.period,
        QuotaRule::Budget(budget) => budget.period,
        QuotaRule::Conversion(_) | QuotaRule::Country(_) => return guard_key(subject),
        QuotaRule::Number(_) => return format!("sms-verify:number:{{{subject}}}"),
    };
    format!("sms-verify:{}:{}:{subject}", scope.as_str(), period.as_secs())
}

/// Key of a picture's text, named as in the Meiduo tutorial.
pub(super) fn picture_key(uuid: &PictureId) -> String {
    format!("img_{uuid}")
}

/// Key of the number's tag of a gateway's message ID.
pub(super) fn message_key(gateway: &str, message_id: &str) -> String {
    format!("sms-verify:message:{gateway}:{message_id}")
}

/// Key of an idempotency key.
pub(super) fn claim_key(subject: &str) -> String {
    format!("sms-verify:idempotency:{subject}")
}

/// Key of the conversion guard's state of a prefix or country.
pub(super) fn guard_key(subject: &str) -> String {
    format!("sms-verify:conversion:{subject}")
}

/// Key that the health probe writes to: one of a hundred, which are spread over all shards.
pub(super) fn probe_key(random: u64) -> String {
    format!("sms-verify:probe:{}", random % 100)
}

/// Key of the record of an account at a gateway.
pub(super) fn account_key(account: &str) -> String {
    format!("sms-verify:gateway:{{{account}}}")
}
