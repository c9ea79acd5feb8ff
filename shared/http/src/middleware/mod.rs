//! Middleware of every route.

pub(crate) mod cors;
pub(crate) mod host;
pub(crate) mod problem_body;
pub(crate) mod request_id;
