//! The contracts: cases that run on every backend. This is the one list of backends.
//!
//! No case is left out anywhere. Where a backend differs, the subject says so: see
//! [`Subject`](super::taker::Subject) for SQS.

use jiff::Timestamp;
use sms_domain::verification::Policy;
use sms_queue::Queue;
use sms_store::{Clock, Store};

use super::cluster_proxy::cluster_proxy;
use super::process::{Deployment, Environment};
use super::services::{as_user, rabbitmq_url, redis_cluster_url, redis_url};
use super::sqs::{Queues, client};
use super::taker::Subject;

/// Opens the store that a case is for. Its time stands still until the case moves it, so that it
/// does not matter how fast the machine is; its calls have half a minute then.
pub type Open = fn(Policy) -> Store;

pub fn memory_store(policy: Policy) -> Store {
    Store::memory(policy).with_clock(stopped_clock())
}

pub fn redis_store(policy: Policy) -> Store {
    Store::redis(&as_user(&redis_url()), policy).expect("a URL").with_clock(stopped_clock())
}

pub fn redis_cluster_store(policy: Policy) -> Store {
    let url = as_user(&redis_cluster_url());
    Store::redis(&url, policy).expect("a URL").with_clock(stopped_clock())
}

pub fn redis_cluster_proxy_store(policy: Policy) -> Store {
    let url = cluster_proxy(&redis_url());
    Store::redis(&url, policy).expect("a URL").with_clock(stopped_clock())
}

#[expect(clippy::disallowed_methods, reason = "a virtual clock begins at the present")]
pub fn stopped_clock() -> Clock {
    Clock::virtual_from(Timestamp::now())
}

pub fn memory_queue() -> Subject {
    Queue::memory().into()
}

pub fn rabbitmq_quorum_queue() -> Subject {
    Queue::from_url(&rabbitmq_url(), None).expect("a URL").into()
}

pub fn rabbitmq_classic_queue() -> Subject {
    Queue::from_url(&format!("{}&type=classic", rabbitmq_url()), None).expect("a URL").into()
}

pub async fn sqs_queue() -> Subject {
    Queues::create(&client()).await.into()
}

/// Everything in one process, with nothing else.
pub fn embedded() -> Deployment {
    Deployment::whole(&Environment::embedded())
}

/// One process on Redis and RabbitMQ.
pub fn one_process() -> Deployment {
    Deployment::whole(&Environment::services())
}

/// An API and two workers on Redis and RabbitMQ.
pub fn api_and_workers() -> Deployment {
    Deployment::split(&Environment::services())
}

/// Declares the cases of a contract, each a function that takes the subject.
///
/// - `contract! { stores; case… }`: on the memory, Redis, Redis Cluster and a cluster behind a
///   proxy; a case takes an [`Open`], or with `stores with super::path;` what that function makes
///   of one.
/// - `contract! { queues; case… }`: on the memory, RabbitMQ (quorum and classic) and SQS; a case
///   takes a [`Subject`].
/// - `contract! { deployments; case… }`: embedded, in one process, and as API and workers; a case
///   takes a [`Deployment`].
macro_rules! contract {
    (stores; $($case:ident)*) => {
        contract! { stores with std::convert::identity; $($case)* }
    };
    (stores with $with:path; $($case:ident)*) => {
        contract! { @on [$($case)*]
            memory: $with(backends::memory_store as backends::Open),
            redis: $with(backends::redis_store as backends::Open),
            redis_cluster: $with(backends::redis_cluster_store as backends::Open),
            redis_cluster_proxy: $with(backends::redis_cluster_proxy_store as backends::Open),
        }
    };
    (queues; $($case:ident)*) => {
        contract! { @on [$($case)*]
            memory: backends::memory_queue(),
            rabbitmq_quorum: backends::rabbitmq_quorum_queue(),
            rabbitmq_classic: backends::rabbitmq_classic_queue(),
            sqs: backends::sqs_queue().await,
        }
    };
    (deployments; $($case:ident)*) => {
        contract! { @on [$($case)*]
            embedded: backends::embedded(),
            one_process: backends::one_process(),
            api_and_workers: backends::api_and_workers(),
        }
    };
    (@on $cases:tt $($backend:ident: $subject:expr,)*) => {
        $(contract! { @cases $cases $backend $subject })*
    };
    (@cases [$($case:ident)*] $backend:ident $subject:expr) => {
        mod $backend {
            use crate::support::contract as backends;
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $case() {
                super::$case($subject).await;
            })*
        }
    };
}
pub(crate) use contract;
