//! Redis' eviction policy, from `INFO`: many hosting services forbid `CONFIG GET`.

use redis::RedisError;

use super::connection::Connection;
use crate::{Eviction, StoreError};

impl Connection {
    pub(super) async fn eviction(&self) -> Result<Eviction, StoreError> {
        self.set_name().await;
        if !self.is_cluster()
            && self
                .info("cluster")
                .await
                .is_ok_and(|texts| field(&texts[0], "cluster_enabled") == Some("1"))
        {
            self.join_cluster()?;
        }
        match self.info("memory").await {
            Ok(texts) => Ok(worst(texts.iter().map(|text| of_info(text)))),
            Err(StoreError::Redis(error)) if is_forbidden(&error) => Ok(Eviction::Unknown),
            Err(error) => Err(error),
        }
    }
}

/// Returns true if the server forbids the command, and false for temporary errors (LOADING).
fn is_forbidden(error: &RedisError) -> bool {
    error.code() == Some("NOPERM")
        || error.detail().is_some_and(|detail| detail.contains("unknown command"))
}

/// The worst policy of all nodes.
fn worst(nodes: impl Iterator<Item = Eviction>) -> Eviction {
    nodes.fold(Eviction::Never, |worst, node| match (&worst, &node) {
        (Eviction::By(_), _) | (_, Eviction::Never) => worst,
        _ => node,
    })
}

/// Reads the policy from `INFO`. A server without `maxmemory` never evicts, whatever its policy.
fn of_info(info: &str) -> Eviction {
    match (field(info, "maxmemory_policy"), field(info, "maxmemory")) {
        (None, _) => Eviction::Unknown,
        (Some("noeviction"), _) | (_, Some("0")) => Eviction::Never,
        (Some(policy), _) => Eviction::By(policy.to_owned()),
    }
}

fn field<'a>(info: &'a str, name: &str) -> Option<&'a str> {
    info.lines().find_map(|line| line.trim().strip_prefix(name)?.strip_prefix(':'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_node_counts_and_without_maxmemory_nothing_is_evicted() {
        let info = |limit: &str, policy: &str| {
            of_info(&format!("# Memory\r\nmaxmemory:{limit}\r\nmaxmemory_policy:{policy}\r\n"))
        };
        let (never, lru) = (info("100", "noeviction"), info("100", "volatile-lru"));
        assert_eq!((&never, &lru), (&Eviction::Never, &Eviction::By("volatile-lru".to_owned())));
        assert_eq!(info("0", "allkeys-lru"), Eviction::Never);
        assert_eq!(of_info("used_memory:1\r\n"), Eviction::Unknown);
        assert_eq!(worst([never.clone(), lru.clone(), Eviction::Unknown].into_iter()), lru);
        assert_eq!(worst([Eviction::Unknown, never].into_iter()), Eviction::Unknown);
    }
}
