//! The queue: its contract on every backend, and RabbitMQ and SQS alone.

/// On every backend: acknowledgement, delay, dead letters, redrive, purge.
mod contract;

/// RabbitMQ's types of queues.
mod rabbitmq;

/// RabbitMQ's messages with several jobs.
mod jobs_per_message;

/// SQS: attributes, batches, redrive policy.
mod sqs;
