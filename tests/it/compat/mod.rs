//! Code of others that builds on this.

/// The Meiduo tutorial's pages and its register view, unchanged.
mod meiduo;

/// Sample backends that take tokens.
mod samples;

/// Clients of Twilio Verify.
mod twilio;
