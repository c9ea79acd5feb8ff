//! Hostile input: nothing panics, nothing is a fault that is none, nothing grows without bound.

/// Made-up input, a few hundred of each kind, or for as long as `tests/fuzz` says.
mod fuzz;

/// Made-up input from vendors.
mod fuzz_vendors;

/// Clients that send too much, too slowly, or nothing at all.
mod clients;
