//! One invocation: the code is decrypted, admitted and queued.
//!
//! Cognito invokes a custom sender asynchronously, and shows its errors to nobody. Lambda invokes a
//! function that failed once more after a minute, and again after two. So what another try can mend
//! is an error, as is what an operator has to mend; what is refused is only logged and counted.

use lambda_runtime::{Error, LambdaEvent};
use serde::Serialize;
use sms_app::custom_message::CustomMessage;
use sms_app::request_code::{RequestCode, RequestCodeError};
use sms_domain::custom_code::CustomCode;
use sms_domain::random::random_bytes;
use sms_domain::refusal::Exceeded;
use sms_domain::trace_context::{RequestContext, TraceParent};
use sms_lambda::invocation::{Unexpected, Warm, answer_other};
use sms_telemetry::{causes, emf};
use tracing::{Instrument, error, info_span, warn};

use crate::decryption::{Decryption, DecryptionError};
use crate::trigger::{Event, Trigger, Unsendable};

/// The events that `cognito-sms` takes, for error messages.
const TAKES: &str = "events of Amazon Cognito's custom SMS sender";

/// The custom SMS sender.
pub struct Sender {
    /// Admits a code and queues its SMS.
    pub request_code: RequestCode,
    /// Decrypts a code.
    pub decryption: Decryption,
}

/// The result of an invocation. Cognito does not read it; it is for trials by hand.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum Answer {
    /// What became of a code.
    Code(Outcome),
    /// The response to a warm-up.
    Warm(Warm),
}

/// What became of a code.
#[derive(Debug, Serialize)]
#[serde(tag = "status", rename_all = "snake_case")]
pub enum Outcome {
    /// Its SMS is queued, or was already.
    Queued,
    /// No SMS is sent, and none would be if it were tried again.
    Refused {
        /// The reason, in plain words.
        reason: String,
    },
}

/// An invocation failed.
#[derive(Debug, thiserror::Error)]
pub enum InvocationError {
    /// The code was not decrypted.
    #[error(transparent)]
    Decryption(#[from] DecryptionError),
    /// Store or queue do not answer.
    #[error(transparent)]
    Unavailable(RequestCodeError),
    /// The event is not of Cognito's custom SMS sender.
    #[error(transparent)]
    Unexpected(#[from] Unexpected),
}

/// No SMS is sent.
enum Failure {
    Refused(String),
    Error(InvocationError),
}

impl From<Unsendable> for Failure {
    fn from(reason: Unsendable) -> Self {
        Self::Refused(reason.to_string())
    }
}

impl From<DecryptionError> for Failure {
    fn from(error: DecryptionError) -> Self {
        Self::Error(error.into())
    }
}

impl From<RequestCodeError> for Failure {
    fn from(error: RequestCodeError) -> Self {
        match error {
            RequestCodeError::Store(_) | RequestCodeError::Queue(_) => {
                Self::Error(InvocationError::Unavailable(error))
            }
            RequestCodeError::Refused(refusal) => {
                let policies: Vec<_> =
                    refusal.exceeded().into_iter().map(Exceeded::as_str).collect();
                Self::Refused(format!("too frequent: {}", policies.join(", ")))
            }
            other => Self::Refused(other.to_string()),
        }
    }
}

impl Sender {
    /// Answers an invocation, and writes its metrics.
    ///
    /// # Errors
    /// [`InvocationError`]: Lambda will try again.
    pub async fn invoke(&self, event: LambdaEvent<Event>) -> Result<Answer, Error> {
        let LambdaEvent { payload, context } = event;
        let trace = context.xray_trace_id.as_deref();
        let trace = trace.and_then(|header| TraceParent::from_xray(header, random_bytes()));
        let request = RequestContext { request_id: Some(context.request_id), trace };
        let answer = self.answer(payload, request).await;
        emf::flush();
        // An asynchronous invocation leaves the error in the log alone.
        answer.inspect_err(|error| error!(error = causes(error), "no SMS")).map_err(Error::from)
    }

    async fn answer(
        &self,
        event: Event,
        context: RequestContext,
    ) -> Result<Answer, InvocationError> {
        let trigger = match event {
            Event::Trigger(trigger) => trigger,
            Event::Other(event) => return Ok(answer_other(&event, TAKES).map(Answer::Warm)?),
        };
        let request_id = context.request_id.clone();
        let span = info_span!("request", request_id);
        match self.send(&trigger, context).instrument(span).await {
            Ok(()) => Ok(Answer::Code(Outcome::Queued)),
            Err(Failure::Refused(reason)) => {
                let (source, pool) = (&trigger.trigger_source, trigger.tenant());
                warn!(source, pool, reason, "no SMS: refused");
                Ok(Answer::Code(Outcome::Refused { reason }))
            }
            Err(Failure::Error(error)) => Err(error),
        }
    }

    async fn send(&self, trigger: &Trigger, context: RequestContext) -> Result<(), Failure> {
        let (encrypted, (to, country)) = (trigger.encrypted_code()?, trigger.number()?);
        let code = self.decryption.code(encrypted).await?;
        let message = CustomMessage {
            locale: trigger.locale(&to),
            to,
            country,
            // Cognito does not say how long it accepts a code.
            custom: CustomCode { code, text: None, valid_until: None },
            ip: None,
            tenant: trigger.tenant(),
            purpose: trigger.purpose(),
            is_reported: false,
            context,
        };
        self.request_code.send_message(message).await?;
        Ok(())
    }
}
