//! Everything that is tested from outside, against real servers: one binary, in folders named as
//! the crates and features are. `tests/run NAME` runs the tests whose path contains NAME, such as
//! `lockout`, `store::` or `idempotency`.
//!
//! Tables and long texts are compared with `snapshots/*.snap` in the test's folder; a missing or
//! different one fails. After a change that is meant, `INSTA_UPDATE=always tests/run NAME` writes
//! them anew: look at `git diff` then.

#![expect(
    clippy::panic,
    clippy::expect_used,
    clippy::print_stderr,
    clippy::print_stdout,
    reason = "tests panic and print"
)]

/// Services, processes, stubs of vendors, and the contract macro.
mod support;

/// Values and parsing: phone numbers against the reference.
mod domain;

/// The store: cooldown, lockout, leases, limits, conversion guard, budget, gateway circuits.
mod store;

/// The queue: delivery, delays, dead letters and redrives, on each broker.
mod queue;

/// Gateways: vendors' formats and errors, failover, circuit breaker, rate limit, delivery reports.
mod gateways;

/// The API: tokens, CORS, idempotency, API keys, bad input, languages.
mod http;

/// Abuse: rate limits, countries, challenges, the conversion guard, a simulated day.
mod abuse;

/// Codes of others: messages and the doors of identity servers.
mod doors;

/// Delivery: retries, dead letters, batches, workers, outages, rolling deploys.
mod delivery;

/// The command line.
mod cli;

/// Metrics, traces, logs, alarms and the operators' view.
mod observability;

/// Enumeration, leaks, secret rotation, TLS.
mod security;

/// Hostile input: fuzzing, and clients that misbehave.
mod hostile;

/// Whole deployments: the happy path, and the functions as Lambda runs them.
mod e2e;

/// The Meiduo tutorial's pages, and the sample backends.
mod compat;

/// Faults: every part killed, cut off, slow or wrong in turn, and the books afterwards.
mod faults;

/// Load and random faults for a while, and the books at the end.
mod soak;
