//! Explanations of Redis' errors, which say what to do.

use redis::RedisError;

/// The rights that a user needs, as `ACL SETUSER` takes them. (A test compares the commands with
/// those of the scripts, and the contract of the store runs as such a user.)
pub(crate) const RIGHTS: &str = "~sms-verify:* +eval +evalsha +time +get +mget +set +del +hget \
                                 +hmget +hset +hdel +hincrby +pexpire +info +client|setname";

/// Those that a user needs besides on a cluster.
pub(crate) const CLUSTER_RIGHTS: &str = "+cluster|slots +ping +asking";

/// Codes of Redis' errors.
const CODES: [(&str, &str); 10] = [
    ("READONLY", "it is a read-only replica, and REDIS_URL must name the primary"),
    (
        "MASTERDOWN",
        "it is a replica that has lost its primary, and REDIS_URL must name the primary",
    ),
    (
        "NOREPLICAS",
        "it has fewer good replicas than min-replicas-to-write requires, and accepts no writes",
    ),
    ("OOM", "its memory is full, and it accepts no writes: it needs a higher maxmemory"),
    ("CLUSTERDOWN", "the cluster is down, or no node serves a part of its slots"),
    (
        "MISCONF",
        "it cannot save its data to disk, and accepts no writes (stop-writes-on-bgsave-error)",
    ),
    ("LOADING", "it has just started and is still loading its data"),
    ("BUSY", "another program's script keeps it busy"),
    ("NOAUTH", "it requires a password, and REDIS_URL has none"),
    ("DENIED", "it is in protected mode and accepts connections from its own machine only"),
];

/// Parts of the texts of errors without a code of their own, in lower case.
const TEXTS: [(&str, &str); 9] = [
    (
        "unknown command",
        "it is no Redis that stores data: a Sentinel, perhaps, which redis+sentinel://HOST/NAME \
         asks for the primary",
    ),
    (
        "no such master",
        "the Sentinels of REDIS_URL watch over no primary of the name that it ends with",
    ),
    (
        "cluster support disabled",
        "it belongs to no cluster, and several hosts in REDIS_URL are nodes of one",
    ),
    ("db index is out of range", "it has no database with the number at the end of REDIS_URL"),
    (
        "select is not allowed in cluster mode",
        "a cluster has no numbered databases: REDIS_URL must not end with one",
    ),
    ("max number of clients reached", "it has as many clients as its maxclients allows"),
    ("clusterconnectionnotfound", "the cluster is down: no reachable node serves a slot"),
    (
        "not valid for name",
        "the address is not in the certificate of the server; nodes of a cluster announce names \
         with cluster-announce-hostname and cluster-preferred-endpoint-type hostname",
    ),
    (
        "authentication failed",
        "it does not know the user and the password of REDIS_URL, or has no passwords at all",
    ),
];

/// Begin of an error that a Sentinel has answered with, in lower case.
const OF_SENTINEL: &str = "a sentinel answered";

/// Parts of the texts of errors about users and passwords, in lower case.
const AUTHENTICATION: [&str; 3] = ["noauth", "wrongpass", "authentication failed"];

/// Explains an error as `: ` and its cause; empty if Redis' own text is clear.
pub(crate) fn explain(error: &RedisError) -> String {
    let (code, text) = (error.code().unwrap_or_default(), error.to_string().to_lowercase());
    if is_no_permission(code, &text) {
        return format!(
            ": the user of REDIS_URL needs the rights {RIGHTS}, on a cluster {CLUSTER_RIGHTS}, too \
             (others: docs/operations/servers.md)"
        );
    }
    if text.contains(OF_SENTINEL) && AUTHENTICATION.iter().any(|part| text.contains(part)) {
        return ": the options sentinel_user and sentinel_password of REDIS_URL are for the \
                Sentinels; its user and password are for the servers"
            .to_owned();
    }
    let of_code = CODES.iter().find(|(known, _)| *known == code);
    let cause = of_code.or_else(|| TEXTS.iter().find(|(part, _)| text.contains(part)));
    cause.map(|(_, cause)| format!(": {cause}")).unwrap_or_default()
}

/// Returns true for a missing permission. For commands that a script may not call there is no code:
/// Redis 7.0 has one text, and 7.2, 8 and Valkey have another.
fn is_no_permission(code: &str, text: &str) -> bool {
    code == "NOPERM"
        || text.contains("the user executing the script can't")
        || text.contains("acl failure in script")
}
