//! Measures against abuse, as callers meet them.

/// Rate limits of addresses and numbers.
mod limits;

/// Allowed countries.
mod countries;

/// Challenges: proof of work, pictures, captchas.
mod challenges;

/// The conversion guard.
mod conversion_guard;

/// A simulated day of people and attackers.
mod simulate;
