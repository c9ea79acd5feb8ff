//! The null gateway: accepts every message and sends none, for load tests and for environments that
//! must reach nobody.
//!
//! `SMS_DSN=null://default`.

use futures_util::future::{BoxFuture, FutureExt, ready};
use sms_outbound::dsn::{Dsn, DsnError};

use crate::gateway::{Accepted, Gateway, Sms};
use crate::send_error::SendError;

#[derive(Debug)]
pub(crate) struct Null;

pub(crate) fn from_dsn(dsn: Dsn) -> Result<Null, DsnError> {
    dsn.finish()?;
    Ok(Null)
}

impl Gateway for Null {
    fn send<'a>(&'a self, _: &'a Sms) -> BoxFuture<'a, Result<Accepted, SendError>> {
        ready(Ok(Accepted::with_id(None))).boxed()
    }
}
