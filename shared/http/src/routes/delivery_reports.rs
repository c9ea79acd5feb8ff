//! `POST /v1/receipts/{provider}`, and `…/{key}` for vendors without signatures: delivery reports
//! of the gateways.

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

/// Maximum size of a callback in bytes: vendors put up to a few hundred reports of about 300 bytes
/// into one.
pub(crate) const MAX_CALLBACK: usize = 256 * 1024;

/// The state of the routes of delivery reports.
#[derive(Clone)]
pub struct DeliveryReports {
    /// The store, which keeps the state of a message.
    pub store: Store,
    /// Keys for tagging numbers.
    pub secrets: Secrets,
    /// The gateways, with the vendors' formats and signatures.
    pub gateways: Gateways,
}

/// The routes.
pub fn router(api: DeliveryReports) -> Router {
    routes().layer(DefaultBodyLimit::max(MAX_CALLBACK)).with_state(api)
}

routes! {
    DeliveryReports;
    "/v1/receipts/{provider}": post(receive);
    "/v1/receipts/{provider}/{key}": post(receive);
}

async fn record(
    api: &DeliveryReports,
    gateway: &str,
    report: &DeliveryReport,
) -> Result<(), StoreError> {
    let DeliveryReport { message_id, delivered, .. } = report;
    if let Some(to) = &report.to {
        let tag = api.secrets.tag(to);
        if api.store.record_delivery_report(tag, message_id, *delivered).await? {
            return Ok(());
        }
    }
    // A gateway whose reports have no number, or an SMS that is not of a verification. (Otherwise
    // the message is too old, or of another system.)
    if let Some(tag) = api.store.message(gateway, message_id).await? {
        api.store.record_delivery_report(tag, message_id, *delivered).await?;
    }
    Ok(())
}

/// Delivery reports of a gateway that signs them
///
/// In the gateway's own format. No key is needed: the signature authenticates the gateway.
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
pub(crate) async fn receive(
    State(api): State<DeliveryReports>,
    Path(path): Path<HashMap<String, String>>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<Value>, Problem> {
    if is_encoded(&headers) {
        return Err(Problem::Encoded);
    }
    let body = body.map_err(|_| Problem::TooLarge(MAX_CALLBACK))?;
    let name = path.get("provider").map(String::as_str).unwrap_or_default();
    let header = |(name, value): (&axum::http::HeaderName, &axum::http::HeaderValue)| {
        Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned()))
    };
    let headers = headers.iter().filter_map(header).collect();
    #[expect(clippy::disallowed_methods, reason = "a signature's age is measured by the clock")]
    let now = Timestamp::now().as_second();
    let callback =
        Callback { key: path.get("key").map(String::as_str), headers: &headers, body: &body, now };
    let reports = api.gateways.delivery_reports(name, &callback).map_err(|error| {
        warn!(gateway = name, %error, "delivery reports refused");
        match error {
            DeliveryReportError::NotEnabled => Problem::NoSuchPath,
            DeliveryReportError::NotAuthentic => Problem::InvalidSignature,
            DeliveryReportError::Unreadable => Problem::BadJson(BodyError::NotADeliveryReport),
        }
    })?;
    for report in &reports {
        record(&api, name, report).await.map_err(|error| {
            warn!(
                error = causes(&error),
                "a delivery report cannot be recorded: the vendor has to push it again"
            );
            Problem::Unavailable(vec![STORE])
        })?;
        let to = report.to.as_ref().map(PhoneNumber::masked);
        info!(gateway = name, to, delivered = report.delivered, "delivery report");
    }
    // Counted after all are recorded: after an error the vendor repeats the whole callback.
    reports.iter().for_each(|report| metrics::delivery_report(name, report.delivered));
    Ok(Json(acknowledgement()))
}

/// Delivery reports of a gateway without signatures
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
#[expect(dead_code, reason = "`receive` serves it: this describes it")]
pub(crate) fn receive_with_key() {}

/// One body satisfies every vendor's expected acknowledgement.
pub(crate) fn acknowledgement() -> Value {
    json!({ "code": 0, "msg": "OK", "result": 0, "errmsg": "OK", "statusCode": "000000" })
}
