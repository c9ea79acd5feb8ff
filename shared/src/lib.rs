//! sms-verify's library: the domain, the ports it needs, their adapters, and the edges.
//!
//! Read it in the order of the list below. Data flows one way: an edge parses a request into domain
//! types, a use case decides, a port carries the decision out. The domain knows no AWS, no AMQP and
//! no HTTP.

// The domain: values first, then what stands in the way of abuse, then the three use cases.
pub mod code;
pub mod code_settings;
pub mod job;
pub mod message;
pub mod phone;
pub mod test_numbers;
pub mod token;
pub mod verification;

pub mod budget;
pub mod challenge;
pub mod guard;
pub mod limits;

pub mod meiduo;

pub mod admission;
mod afterwards;
pub mod checking;
pub mod delivery;

// The ports, each with its adapters.
pub mod provider;
mod proxy;
pub mod queue;
pub mod store;

pub mod eviction;

// What the ports' adapters and the edges share.
mod dsn;
mod prepare;
mod signing;
pub mod times;

// The edges: what turns HTTP requests, queue events and the environment into calls of the domain.
pub mod batch;
pub mod config;
pub mod entropy;
pub mod http;
pub mod invocation;
pub mod telemetry;
pub mod tls;
