//! The queue: what it promises on every backend, and RabbitMQ and SQS alone.

/// What every queue promises: acknowledgement, delay, dead letters, redrive, purge.
mod contract;

/// RabbitMQ's types of queues.
mod rabbitmq;

/// SQS: attributes, batches, redrive policy.
mod sqs;
