//! A contract of the stores: its cases, each for the memory, for Redis, and for Redis Cluster.

use jiff::Timestamp;
use shared::store::{Clock, Store};
use shared::verification::Policy;

/// How a case opens the store that it is for.
pub type Open<'a> = &'a dyn Fn(Policy) -> Store;

/// A clock that stands still until it is moved, so that it does not matter how fast the machine is.
#[expect(clippy::disallowed_methods, reason = "a virtual clock begins at the present")]
pub fn stopped_clock() -> Clock {
    Clock::virtual_from(Timestamp::now())
}

/// Declares the cases. A store's time stands still until a case moves it, and then its calls have
/// half a minute. Each case is a function that is given what `$with` makes of an [`Open`].
macro_rules! contract {
    ($with:path; $($case:ident)*) => {
        mod memory {
            use super::*;
            use crate::support::contract::stopped_clock;
            $(#[tokio::test] async fn $case() {
                let open = |policy| shared::store::Store::memory(policy).with_clock(stopped_clock());
                super::$case($with(&open)).await;
             })*
        }
        mod redis {
            use super::*;
            use crate::support::contract::stopped_clock;
            use crate::support::services::redis_url;
            $(#[tokio::test(flavor = "multi_thread")] async fn $case() {
                let open = |policy| shared::store::Store::redis(&redis_url(), policy).expect("a URL").with_clock(stopped_clock());
                super::$case($with(&open)).await;
            })*
        }
        mod cluster {
            use super::*;
            use crate::support::contract::stopped_clock;
            use crate::support::services::redis_cluster_url;
            $(#[tokio::test(flavor = "multi_thread")] async fn $case() {
                let open = |policy| shared::store::Store::redis(&redis_cluster_url(), policy).expect("a URL").with_clock(stopped_clock());
                super::$case($with(&open)).await;
            })*
        }
    };
}
pub(crate) use contract;
