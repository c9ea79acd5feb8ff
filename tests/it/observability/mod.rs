//! Metrics, logs, traces and alarms: the operators' side.

/// Metrics, and who may read them.
mod metrics;

/// Logs and their level.
mod logs;

/// Traces, as a collector gets them.
mod traces;

/// Alarms of docs/operations/runbook.md.
mod alarms;

/// The operators' view `/ops`.
mod operators;
