//! Hostile input: nothing panics, nothing is a fault that is none, nothing grows without bound.

/// Input that is made up, a few hundred of each kind, or for as long as `tests/fuzz` says.
mod made_up;

/// The same from vendors.
mod vendors;

/// Clients that send too much, too slowly, or nothing at all.
mod clients;
