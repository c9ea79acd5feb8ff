//! What nobody may learn, and secrets.

/// Enumeration of numbers and ids.
mod enumeration;

/// Codes, numbers and secrets in store, queue and logs.
mod no_leaks;
