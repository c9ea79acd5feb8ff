//! A contract of the stores: its cases, each for the memory, for Redis, and for Redis Cluster.

use shared::store::Store;
use shared::verification::Policy;

/// How a case opens the store that it is for.
pub type Open<'a> = &'a dyn Fn(Policy) -> Store;

/// Declares the cases. Each is a function that is given what `$with` makes of an [`Open`].
macro_rules! contract {
    ($with:path; $($case:ident)*) => {
        mod memory {
            use super::*;
            $(#[tokio::test] async fn $case() { super::$case($with(&shared::store::Store::memory)).await; })*
        }
        mod redis {
            use super::*;
            use crate::support::services::redis_url;
            $(#[tokio::test(flavor = "multi_thread")] async fn $case() {
                let open = |policy| shared::store::Store::redis(&redis_url(), policy).expect("a URL");
                super::$case($with(&open)).await;
            })*
        }
        mod cluster {
            use super::*;
            #[tokio::test(flavor = "multi_thread")]
            async fn every_case() {
                let cluster = crate::support::services::Service::redis_cluster();
                let open = |policy| shared::store::Store::redis(&cluster.url, policy).expect("a URL");
                $(
                    println!("{}", stringify!($case));
                    super::$case($with(&open)).await;
                )*
            }
        }
    };
}
pub(crate) use contract;
