//! The store: what it promises on every backend, and Redis alone.

/// Cooldown, resend, purpose, release, approval, expiry, cancellation, pictures, readiness.
mod verifications;

/// Rate limits and their windows.
mod limits;

/// The conversion guard.
mod conversion_guard;

/// Budgets.
mod budget;

/// The circuit breaker of a gateway.
mod gateway_circuits;

/// A Redis that cannot do what is needed, or forgets: `/readyz` and the log.
mod readiness;
