//! `POST /v1/receipts/{provider}`, and `…/{key}` where the vendor signs nothing: what a gateway
//! tells about messages that it took before.

use std::collections::HashMap;

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::HeaderMap;
use axum::{Json, Router};
use jiff::Timestamp;
use serde_json::{Value, json};
use sms_app::metrics;
use sms_domain::phone::PhoneNumber;
use sms_domain::secrets::Secrets;
use sms_gateways::Gateways;
use sms_gateways::delivery_report::{Callback, DeliveryReport, DeliveryReportError};
use sms_store::{Store, StoreError};
use sms_telemetry::causes;
use tracing::{info, warn};

#[cfg(test)]
use crate::document;
use crate::extract::json::is_encoded;
use crate::problem::field_error::BodyError;
use crate::problem::{Problem, STORE};

/// Largest push in bytes: vendors put up to a few hundred receipts of about 300 bytes into one.
pub(crate) const MAX_PUSH: usize = 256 * 1024;

/// The state of the routes.
#[derive(Clone)]
pub struct Receipts {
    /// Keeps the state of a message.
    pub store: Store,
    /// Name a number's place in the store.
    pub secrets: Secrets,
    /// Knows the vendors' formats, and how they sign.
    pub provider: Gateways,
}

/// The routes.
pub fn router(receipts: Receipts) -> Router {
    routes().layer(DefaultBodyLimit::max(MAX_PUSH)).with_state(receipts)
}

routes! {
    Receipts;
    "/v1/receipts/{provider}": post(take);
    "/v1/receipts/{provider}/{key}": post(take);
}

async fn record(
    receipts: &Receipts,
    gateway: &str,
    receipt: &DeliveryReport,
) -> Result<(), StoreError> {
    let tag = match &receipt.to {
        Some(to) => Some(receipts.secrets.tag(to)),
        None => receipts.store.message(gateway, &receipt.message_id).await?,
    };
    // What is too old to be known, or another's.
    let Some(tag) = tag else { return Ok(()) };
    receipts.store.record_delivery_report(tag, &receipt.message_id, receipt.delivered).await
}

/// Delivery reports of a gateway that signs them
///
/// In the gateway's own format. No key is needed: a signature tells who sent it.
#[cfg_attr(test, utoipa::path(
    post,
    path = "/v1/receipts/{provider}",
    operation_id = "takeReceipts",
    tag = "gateways",
    params(document::Gateway),
    request_body(
        description = "At most 256 KiB",
        content((Value = "application/json"), (Object = "application/x-www-form-urlencoded")),
    ),
    responses(
        (status = 200, response = document::Acknowledged),
        (status = 400, response = document::NotADeliveryReport),
        (status = 403, response = document::InvalidSignature),
        (status = 404, response = document::NoDeliveryReports),
        (status = 413, response = document::CallbackTooLarge),
        (status = 415, response = document::UnsupportedEncoding),
        (status = 503, response = document::ServiceUnavailable),
    ),
))]
pub(crate) async fn take(
    State(receipts): State<Receipts>,
    Path(path): Path<HashMap<String, String>>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<Value>, Problem> {
    if is_encoded(&headers) {
        return Err(Problem::Encoded);
    }
    let body = body.map_err(|_| Problem::TooLarge(MAX_PUSH))?;
    let name = path.get("provider").map(String::as_str).unwrap_or_default();
    let header = |(name, value): (&axum::http::HeaderName, &axum::http::HeaderValue)| {
        Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned()))
    };
    let headers = headers.iter().filter_map(header).collect();
    #[expect(clippy::disallowed_methods, reason = "a signature's age is measured by the clock")]
    let now = Timestamp::now().as_second();
    let push =
        Callback { key: path.get("key").map(String::as_str), headers: &headers, body: &body, now };
    let all = receipts.provider.delivery_reports(name, &push).map_err(|error| {
        warn!(gateway = name, %error, "receipts refused");
        match error {
            DeliveryReportError::None => Problem::NoSuchPath,
            DeliveryReportError::NotAuthentic => Problem::InvalidSignature,
            DeliveryReportError::Unreadable => Problem::BadJson(BodyError::NotADeliveryReport),
        }
    })?;
    for receipt in &all {
        record(&receipts, name, receipt).await.map_err(|error| {
            warn!(
                error = causes(&error),
                "a receipt cannot be recorded: the vendor has to push it again"
            );
            Problem::Unavailable(vec![STORE])
        })?;
        let to = receipt.to.as_ref().map(PhoneNumber::masked);
        info!(gateway = name, to, delivered = receipt.delivered, "receipt");
    }
    // Those of a push that cannot be recorded as a whole come again.
    all.iter().for_each(|receipt| metrics::receipt(name, receipt.delivered));
    Ok(Json(acknowledgement()))
}

/// Delivery reports of a gateway that signs nothing
#[cfg(test)]
#[utoipa::path(
    post,
    path = "/v1/receipts/{provider}/{key}",
    operation_id = "takeReceiptsWithKey",
    tag = "gateways",
    params(document::Gateway, document::PathSecret),
    request_body(
        description = "At most 256 KiB",
        content((Value = "application/json"), (Object = "application/x-www-form-urlencoded")),
    ),
    responses(
        (status = 200, response = document::Acknowledged),
        (status = 400, response = document::NotADeliveryReport),
        (status = 403, response = document::InvalidSignature),
        (status = 404, response = document::NoDeliveryReports),
        (status = 413, response = document::CallbackTooLarge),
        (status = 415, response = document::UnsupportedEncoding),
        (status = 503, response = document::ServiceUnavailable),
    ),
)]
#[expect(dead_code, reason = "`take` serves it: this describes it")]
pub(crate) fn take_with_key() {}

/// One body satisfies every vendor's expected acknowledgement.
pub(crate) fn acknowledgement() -> Value {
    json!({ "code": 0, "msg": "OK", "result": 0, "errmsg": "OK", "statusCode": "000000" })
}
