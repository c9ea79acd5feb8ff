//! No gateway: takes every message and sends none, for load tests and for stages where nobody is to
//! be reached.
//!
//! `SMS_DSN=null://default`.

use futures_util::future::{BoxFuture, FutureExt, ready};

use super::{Accepted, Gateway, SendError, Sms};
use crate::dsn::{Dsn, DsnError};

#[derive(Debug)]
pub(super) struct Null;

pub(super) fn from_dsn(dsn: Dsn) -> Result<Null, DsnError> {
    dsn.finish()?;
    Ok(Null)
}

impl Gateway for Null {
    fn send<'a>(&'a self, _: &'a Sms) -> BoxFuture<'a, Result<Accepted, SendError>> {
        ready(Ok(Accepted::with_id(None))).boxed()
    }
}
