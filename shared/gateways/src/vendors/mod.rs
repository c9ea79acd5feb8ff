//! One file for each vendor: its options, its call, its error table and its delivery reports.

use sms_outbound::dsn::{Dsn, DsnError};

use crate::SmsDsnError;
use crate::gateway::Gateway;

mod aliyun;
mod aws;
mod ccp;
pub(crate) mod inbox;
mod null;
mod tencent;
mod twilio;
mod twilio_signature;
mod webhook;

/// Makes the gateway that the DSN's scheme names.
pub(crate) fn from_dsn(dsn: Dsn) -> Result<Box<dyn Gateway>, SmsDsnError> {
    fn boxed<G: Gateway + 'static>(
        gateway: Result<G, DsnError>,
    ) -> Result<Box<dyn Gateway>, SmsDsnError> {
        Ok(Box::new(gateway?))
    }
    match dsn.scheme() {
        "aliyun" => boxed(aliyun::from_dsn(dsn)),
        "aws" => boxed(aws::from_dsn(dsn)),
        "ccp" => boxed(ccp::from_dsn(dsn)),
        "inbox+http" => boxed(inbox::from_dsn(dsn)),
        "null" => boxed(null::from_dsn(dsn)),
        "tencent" => boxed(tencent::from_dsn(dsn)),
        "twilio" => boxed(twilio::from_dsn(dsn)),
        "webhook+https" | "webhook+http" => boxed(webhook::from_dsn(dsn)),
        other => Err(SmsDsnError::Scheme(other.to_owned())),
    }
}
