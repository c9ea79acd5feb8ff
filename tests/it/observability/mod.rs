//! What operators see.

/// Metrics, and who may read them.
mod metrics;

/// Traces, as a collector gets them.
mod traces;

/// Alarms of docs/runbook.md.
mod alarms;
