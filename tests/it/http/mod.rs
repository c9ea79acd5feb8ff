//! The API as its callers meet it.

/// Idempotency keys.
mod idempotency;

/// Bad input, and the problem that names it.
mod bad_input;

/// A base path, and a proxy that takes a prefix away.
mod base_path;
