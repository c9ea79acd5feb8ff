//! Faults: each test lets one thing go wrong and balances the books afterwards. What was accepted
//! is delivered, a dead letter, or dropped for a reason; what was refused is not sent; and nothing
//! is sent twice under `at_most_once`.

/// Workers and APIs that are killed at every step.
mod killed;

/// A gateway that hangs, babbles, fails for long, wants to be left alone, or cannot be found.
mod gateway;

/// RabbitMQ: restarted, slow, cut off, full.
mod queue;

/// Redis: restarted with and without its data, slow, cut off.
mod store;

/// SQS and a function that dies.
mod sqs;

/// Redis Cluster: slots on the move, primaries that die or hang.
mod cluster;

/// Redis Sentinel: planned failovers, and a primary that dies.
mod sentinel;

/// A cluster of RabbitMQ: a node that leads, follows, or is connected to dies, hangs or is cut off.
mod rabbitmq_cluster;
