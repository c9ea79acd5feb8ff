//! One file of routes for each resource.

pub(crate) mod check;
pub(crate) mod delivery_reports;
pub(crate) mod doors;
pub(crate) mod health;
pub(crate) mod meiduo;
pub(crate) mod messages;
pub(crate) mod openapi;
pub(crate) mod pictures;
pub(crate) mod twilio_verify;
pub(crate) mod verifications;
