//! AWS End User Messaging SMS: `SendTextMessage` of its API version 2, by AWS's own SDK.
//!
//! `SMS_DSN=aws://default?origination=+12065550100`. Credentials and region are found where the SDK
//! always finds them: a function has them from its role, which needs `sms-voice:SendTextMessage`.
//! Options: `origination` (a number, a sender id, a pool, or the ARN of one), `configuration_set`
//! (whose event destination pushes receipts), `region`, `receipts`, `tls`. A host other than
//! `default` is the endpoint.

use std::error::Error;
use std::fmt;

use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region};
use aws_sdk_pinpointsmsvoicev2::Client;
use aws_sdk_pinpointsmsvoicev2::config::interceptors::{
    BeforeDeserializationInterceptorContextRef, BeforeTransmitInterceptorContextMut,
};
use aws_sdk_pinpointsmsvoicev2::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_pinpointsmsvoicev2::error::{BoxError, ProvideErrorMetadata, SdkError};
use aws_sdk_pinpointsmsvoicev2::operation::send_text_message::SendTextMessageError;
use aws_sdk_pinpointsmsvoicev2::types::{
    AccessDeniedExceptionReason, ConflictExceptionReason, MessageType,
    ServiceQuotaExceededExceptionReason, ValidationExceptionField, ValidationExceptionReason,
};
use aws_smithy_runtime_api::client::result::ConnectorError;
use futures_util::future::{BoxFuture, FutureExt};
use hyper_util::client::legacy::Error as Connect;
use reqwest::StatusCode;
use serde_json::Value;
use sms_domain::failure::FailureClass;
use sms_outbound::dsn::{Dsn, DsnError};
use sms_outbound::http_client::{CONNECT_TIMEOUT, TOTAL_TIMEOUT};
use sms_outbound::transcript;
use tokio::sync::OnceCell;
use tracing::{info, warn};
use url::Url;

use crate::codes::AWS;
use crate::delivery_report::{
    Callback, DeliveryReport, DeliveryReportError, PathSecret, each, text,
};
use crate::gateway::{Accepted, Gateway, Sms};
use crate::send_error::{SendError, class_of_status, plain};

const NAME: &str = "aws";

/// The field that holds the number.
const NUMBER: &str = "DestinationPhoneNumber";

/// Shortest and longest `TimeToLive`, in seconds.
const TIME_TO_LIVE: (u64, u64) = (5, 259_200);

pub(crate) struct Aws {
    origination: String,
    configuration_set: Option<String>,
    region: Option<String>,
    endpoint: Option<Url>,
    receipts: PathSecret,
    /// Made with the first message: credentials may have to be asked for.
    client: OnceCell<Client>,
}

pub(crate) fn from_dsn(mut dsn: Dsn) -> Result<Aws, DsnError> {
    let (origination, configuration_set) =
        (dsn.required("origination")?, dsn.option("configuration_set")?);
    let (region, receipts) = (dsn.option("region")?, PathSecret::from_dsn(&mut dsn)?);
    let vendor = "default";
    let endpoint = Some(dsn.base_url(vendor)?).filter(|url| url.host_str() != Some(vendor));
    dsn.finish()?;
    Ok(Aws { origination, configuration_set, region, endpoint, receipts, client: OnceCell::new() })
}

impl Aws {
    async fn call(&self, sms: &Sms) -> Result<Accepted, SendError> {
        let lifetime = sms.lifetime.as_secs().clamp(TIME_TO_LIVE.0, TIME_TO_LIVE.1);
        let sent = self
            .client
            .get_or_init(|| self.connect())
            .await
            .send_text_message()
            .destination_phone_number(sms.to.e164())
            .origination_identity(&self.origination)
            .message_body(sms.text())
            .message_type(MessageType::Transactional)
            .time_to_live(i32::try_from(lifetime).unwrap_or(i32::MAX))
            .set_configuration_set_name(self.configuration_set.clone())
            .send()
            .await;
        match sent {
            Ok(output) => Ok(Accepted::with_id(output.message_id)),
            Err(error) => Err(failure(error)),
        }
    }

    async fn connect(&self) -> Client {
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .operation_timeout(TOTAL_TIMEOUT)
            .operation_attempt_timeout(TOTAL_TIMEOUT);
        let mut config = aws_config::defaults(BehaviorVersion::latest())
            .http_client(sms_outbound::tls::aws_http_client())
            // The queue tries again, not the client.
            .retry_config(RetryConfig::disabled())
            .timeout_config(timeouts.build());
        if let Some(region) = &self.region {
            config = config.region(Region::new(region.clone()));
        }
        let config = config.load().await;
        let mut config =
            aws_sdk_pinpointsmsvoicev2::config::Builder::from(&config).interceptor(Watch);
        if let Some(endpoint) = &self.endpoint {
            config = config.endpoint_url(endpoint.as_str());
        }
        Client::from_conf(config.build())
    }
}

fn failure(error: SdkError<SendTextMessageError>) -> SendError {
    let (class, reason) = match &error {
        SdkError::ServiceError(service) => {
            return refusal(service.err(), service.raw().status().as_u16());
        }
        SdkError::ConstructionFailure(_) => {
            (FailureClass::Configuration, "no credentials, or no region")
        }
        SdkError::DispatchFailure(failure) if failure.is_user() => {
            (FailureClass::Configuration, "not sent")
        }
        // The only timeout of the connector is that for connecting.
        SdkError::DispatchFailure(failure) if failure.is_timeout() => {
            (FailureClass::Transient, "no connection")
        }
        SdkError::DispatchFailure(failure)
            if failure.as_connector_error().is_some_and(is_connect) =>
        {
            (FailureClass::Transient, "no connection")
        }
        SdkError::TimeoutError(_) => (FailureClass::Ambiguous, "no answer in time"),
        SdkError::ResponseError(_) => (FailureClass::Ambiguous, "an answer that cannot be read"),
        _ => (FailureClass::Ambiguous, "the connection broke"),
    };
    SendError { source: error.into_source().ok(), ..SendError::refused(NAME, class, reason) }
}

/// The message of the answer may quote the number: only its code is kept.
fn refusal(error: &SendTextMessageError, status: u16) -> SendError {
    let code = code_of(error).unwrap_or_else(|| "an answer that cannot be read".to_owned());
    let (class, meaning) = AWS.find(&code);
    let class = match class {
        // Refused before the service looked at it: a signature, a token, a clock. A 5xx leaves open
        // how far it came.
        FailureClass::Unlisted
            if !(error.is_conflict_exception() || error.is_validation_exception()) =>
        {
            class_of_status(status)
        }
        class => class,
    };
    SendError { meaning, for_some: AWS.is_for_some(&code), ..SendError::refused(NAME, class, code) }
}

/// Whether the connection never stood.
fn is_connect(error: &ConnectorError) -> bool {
    let mut source = error.source();
    while let Some(error) = source {
        if error.downcast_ref::<Connect>().is_some_and(Connect::is_connect) {
            return true;
        }
        source = error.source();
    }
    false
}

/// An exception's name, and its reason behind a dot. Which field is wrong counts only if it is the
/// number, and no other.
fn code_of(error: &SendTextMessageError) -> Option<String> {
    let name = plain(error.code()?)?;
    let reason = match error {
        SendTextMessageError::ConflictException(conflict) => {
            conflict.reason().map(ConflictExceptionReason::as_str)
        }
        SendTextMessageError::ValidationException(invalid) => {
            invalid.reason().map(ValidationExceptionReason::as_str)
        }
        SendTextMessageError::AccessDeniedException(denied) => {
            denied.reason().map(AccessDeniedExceptionReason::as_str)
        }
        SendTextMessageError::ServiceQuotaExceededException(quota) => {
            quota.reason().map(ServiceQuotaExceededExceptionReason::as_str)
        }
        _ => None,
    };
    let fields = if let SendTextMessageError::ValidationException(invalid) = error {
        invalid.fields()
    } else {
        &[]
    };
    let is_number = |field: &ValidationExceptionField| field.name().eq_ignore_ascii_case(NUMBER);
    let number = (!fields.is_empty() && fields.iter().all(is_number)).then_some(NUMBER);
    let parts = [Some(name), reason.and_then(plain), number];
    Some(parts.into_iter().flatten().collect::<Vec<_>>().join("."))
}

impl Gateway for Aws {
    fn warm_up(&self) -> BoxFuture<'_, ()> {
        self.client.get_or_init(|| self.connect()).map(|_| ()).boxed()
    }

    fn send<'a>(&'a self, sms: &'a Sms) -> BoxFuture<'a, Result<Accepted, SendError>> {
        self.call(sms).boxed()
    }

    fn names_messages_alone(&self) -> bool {
        self.receipts.is_set()
    }

    /// Events: as SNS pushes them, `{"Type": "Notification", "Message": an event in JSON}`, or by
    /// themselves ("raw message delivery"); and as EventBridge does, in `detail`, through an API
    /// destination or through SNS.
    fn delivery_reports(
        &self,
        push: &Callback<'_>,
    ) -> Result<Vec<DeliveryReport>, DeliveryReportError> {
        let body = match self.receipts.open(push) {
            // A topic may carry prose, such as a test message.
            Err(DeliveryReportError::Unreadable)
                if push.headers.get("x-amz-sns-rawdelivery").is_some_and(|raw| raw == "true") =>
            {
                return Ok(Vec::new());
            }
            body => body?,
        };
        match text(&body, "Type") {
            Some("SubscriptionConfirmation") => {
                // Whoever subscribed this URL confirms it with this token; it opens nothing else.
                info!(
                    topic = text(&body, "TopicArn"),
                    token = text(&body, "Token"),
                    "SNS asks to confirm a subscription"
                );
                return Ok(Vec::new());
            }
            Some("UnsubscribeConfirmation") => {
                warn!(
                    topic = text(&body, "TopicArn"),
                    "SNS has ended a subscription: no receipts come from this topic"
                );
                return Ok(Vec::new());
            }
            _ => {}
        }
        match text(&body, "Message").map(serde_json::from_str::<Value>) {
            Some(Ok(message)) => Ok(each(&message, event)),
            Some(Err(_)) => Ok(Vec::new()),
            None => Ok(each(&body, event)),
        }
    }
}

/// A receipt, if the event decides. EventBridge's events do not tell the number.
fn event(item: &Value) -> Option<DeliveryReport> {
    let event = item.get("detail").unwrap_or(item);
    let (message_id, delivered) = (text(event, "messageId")?, is_delivered(event)?);
    match text(event, "destinationPhoneNumber").filter(|number| !number.is_empty()) {
        Some(number) => DeliveryReport::new(number, "US", message_id, delivered),
        None => Some(DeliveryReport::of_message(message_id, delivered)),
    }
}

/// Whether the phone has the message or never will; nothing if that is still open. (AWS's list of
/// event types, as of 2026-11: the crate's `EventType`, and "Event types for SMS, MMS and voice"
/// and "RCS events" in its user guide.)
fn is_delivered(event: &Value) -> Option<bool> {
    match text(event, "eventType")? {
        "TEXT_DELIVERED" | "RCS_DELIVERED" | "RCS_READ" | "MEDIA_DELIVERED" => Some(true),
        // What has run out on RCS may still arrive if it could not be revoked.
        "RCS_TTL_EXPIRED"
            if text(event, "messageStatus") == Some("TTL_EXPIRATION_REVOKE_FAILED") =>
        {
            None
        }
        "TEXT_BLOCKED"
        | "TEXT_CARRIER_BLOCKED"
        | "TEXT_CARRIER_UNREACHABLE"
        | "TEXT_INVALID"
        | "TEXT_INVALID_MESSAGE"
        | "TEXT_PROTECT_BLOCKED"
        | "TEXT_SPAM"
        | "TEXT_TTL_EXPIRED"
        | "TEXT_UNREACHABLE"
        | "RCS_FAILED"
        | "RCS_PROTECT_BLOCKED"
        | "RCS_TTL_EXPIRED"
        | "MEDIA_BLOCKED"
        | "MEDIA_CARRIER_BLOCKED"
        | "MEDIA_CARRIER_UNREACHABLE"
        | "MEDIA_FILE_INACCESSIBLE"
        | "MEDIA_FILE_SIZE_EXCEEDED"
        | "MEDIA_FILE_TYPE_UNSUPPORTED"
        | "MEDIA_INVALID"
        | "MEDIA_INVALID_MESSAGE"
        | "MEDIA_SPAM"
        | "MEDIA_TTL_EXPIRED"
        | "MEDIA_UNREACHABLE" => Some(false),
        // …_QUEUED, …_PENDING, …_SENT, …_SUCCESSFUL (at the carrier), …_FALLEN_BACK_TO_SMS,
        // …_UNKNOWN, calls, and whatever is new.
        _ => None,
    }
}

/// Shows what the SDK sends and gets to whoever sets the gateway up.
#[derive(Debug)]
struct Watch;

impl Intercept for Watch {
    fn name(&self) -> &'static str {
        "Watch"
    }

    fn modify_before_transmit(
        &self,
        context: &mut BeforeTransmitInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let request = context.request_mut();
        let url = Url::parse(request.uri())?;
        let body = request.body().bytes().unwrap_or_default();
        transcript::keep(request.method(), &url, request.headers().iter(), body);
        if let Some(stub) = transcript::stub(&url) {
            request.set_uri(stub.as_str())?;
        }
        Ok(())
    }

    fn read_before_deserialization(
        &self,
        context: &BeforeDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let response = context.response();
        if let Ok(status) = StatusCode::from_u16(response.status().as_u16()) {
            transcript::answer(status, response.body().bytes().unwrap_or_default());
        }
        Ok(())
    }
}

impl fmt::Debug for Aws {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Aws({})",
            self.endpoint.as_ref().map_or("default", |url| url.host_str().unwrap_or_default())
        )
    }
}
