//! A script's reply: a tag, then its values.

use std::time::Duration;

use redis::{ErrorKind, RedisError, Value};
use sms_domain::quota::Quota;
use sms_domain::refusal::{Exceeded, Refusal};
use sms_domain::verification::{DeliveryState, Status};
use sms_domain::verification_id::VerificationId;

use crate::{StoreError, until};

pub(super) struct ScriptReply(Vec<Value>);

impl ScriptReply {
    pub(super) fn of(values: Vec<Value>) -> Self {
        Self(values)
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn tag(&self) -> Result<&str, StoreError> {
        self.text(0)
    }

    pub(super) fn text(&self, index: usize) -> Result<&str, StoreError> {
        self.0.get(index).and_then(text).ok_or_else(unexpected)
    }

    pub(super) fn number<T: TryFrom<i64>>(&self, index: usize) -> Result<T, StoreError> {
        match self.0.get(index) {
            Some(Value::Int(number)) => T::try_from(*number).map_err(|_| unexpected()),
            _ => Err(unexpected()),
        }
    }

    /// Returns true if a count is more than 0.
    pub(super) fn flag(&self, index: usize) -> Result<bool, StoreError> {
        Ok(self.number::<u32>(index)? > 0)
    }

    pub(super) fn wait(&self, index: usize) -> Result<Duration, StoreError> {
        Ok(until(0, self.number(index)?))
    }

    /// An ID; `None` for an empty text.
    pub(super) fn id(&self, index: usize) -> Result<Option<VerificationId>, StoreError> {
        match self.text(index)? {
            "" => Ok(None),
            id => VerificationId::parse(id).map(Some).ok_or_else(unexpected),
        }
    }

    pub(super) fn status(&self, index: usize) -> Result<Status, StoreError> {
        let is_approved = self.text(index)? == Status::Approved.as_str();
        Ok(if is_approved { Status::Approved } else { Status::Pending })
    }

    pub(super) fn delivery(&self, index: usize) -> Result<DeliveryState, StoreError> {
        DeliveryState::parse(self.text(index)?).ok_or_else(unexpected)
    }

    /// Reads a refusal, which follows the tag: exceeded policies, by name or as the index of a
    /// quota, each with its wait.
    pub(super) fn refusal(&self, quotas: &[Quota]) -> Result<Refusal, StoreError> {
        let mut refusal = Refusal::default();
        for index in (1..self.0.len()).step_by(2) {
            let exceeded = match &self.0[index] {
                Value::Int(index) => usize::try_from(*index)
                    .ok()
                    .and_then(|index| quotas.get(index))
                    .map(Exceeded::from),
                value => text(value).and_then(Exceeded::parse),
            };
            refusal.add(exceeded.ok_or_else(unexpected)?, self.wait(index + 1)?);
        }
        Ok(refusal)
    }
}

fn text(value: &Value) -> Option<&str> {
    match value {
        Value::BulkString(bytes) => std::str::from_utf8(bytes).ok(),
        _ => None,
    }
}

/// Error for a reply that no script gives: the data are not from this product.
pub(super) fn unexpected() -> StoreError {
    StoreError::Redis(RedisError::from((
        ErrorKind::UnexpectedReturnType,
        "unexpected reply of a script",
    )))
}
