//! The API as its callers meet it.

/// Tokens for backends.
mod token;

/// CORS.
mod cors;

/// Idempotency keys.
mod idempotency;

/// API keys.
mod api_keys;

/// Bad input, and the problem that names it.
mod bad_input;

/// Languages of problems and SMS.
mod language;

/// Times in answers.
mod timestamps;

/// Inbox and pages, for this machine alone.
mod local_pages;

/// A base path, and a proxy that takes a prefix away.
mod base_path;
