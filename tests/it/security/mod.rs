//! Secrets, and facts that nobody may learn.

/// Enumeration of numbers and ids.
mod enumeration;

/// Codes, numbers and secrets in store, queue and logs.
mod no_leaks;

/// Rotation of `CODE_SECRET`.
mod secret_rotation;

/// TLS to Redis and RabbitMQ.
mod tls;
