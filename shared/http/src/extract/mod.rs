//! Extractors: parts of a request as the routes take them.

pub(crate) mod caller;
pub(crate) mod failed_credentials;
pub(crate) mod idempotency;
pub(crate) mod json;
