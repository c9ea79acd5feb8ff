//! Any other gateway, through a program of your own: a signed POST for each message, according to
//! Standard Webhooks 1.0.0 (for which there are libraries in most languages).
//!
//! `SMS_DSN=webhook+https://:SECRET@example.com/path`, or `webhook+http://` on this machine. SECRET
//! is any text of 24 characters or more, or `whsec_` and the key in base64. Option:
//! `receipts=true`.

use std::fmt;
use std::time::Duration;

use base64::engine::general_purpose::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use base64::{Engine, alphabet};
use futures_util::future::BoxFuture;
use jiff::Timestamp;
use reqwest::header::CONTENT_TYPE;
use serde::Deserialize;
use serde_json::json;
use sms_domain::failure::FailureClass;
use sms_outbound::dsn::{Dsn, DsnError};
use sms_outbound::http_client::{HttpClient, HttpResponse, call};
use sms_outbound::signing::hmac_sha256;
use subtle::ConstantTimeEq;
use url::Url;

use crate::delivery_report::{Callback, DeliveryReport, DeliveryReportError};
use crate::gateway::{Accepted, Gateway, Sms};
use crate::send_error::{SendError, refused, safe_code, status_error};

const NAME: &str = "webhook";

/// Minimum length of the secret: Standard Webhooks asks for 24 bytes.
const MIN_SECRET: usize = 24;

/// Base64 with or without padding: some tools show keys without it.
const KEY: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Maximum age of a callback, and maximum lead of its clock: Standard Webhooks' own tolerance.
const TOLERANCE: Duration = Duration::from_secs(5 * 60);

pub(crate) struct Webhook {
    secret: Vec<u8>,
    takes_reports: bool,
    endpoint: Url,
    client: HttpClient,
}

/// Body of a response with a 2xx status.
#[derive(Default, Deserialize)]
struct SuccessBody {
    id: Option<String>,
}

/// Body of a response with any other status.
#[derive(Deserialize)]
struct ErrorBody {
    class: ErrorClass,
    reason: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum ErrorClass {
    Transient,
    Throttled,
    Permanent,
    #[serde(rename = "not_here")]
    NotHere,
    Configuration,
    Ambiguous,
}

#[derive(Deserialize)]
struct Report {
    id: String,
    to: String,
    status: Status,
}

#[derive(PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Status {
    Delivered,
    Failed,
}

pub(crate) fn from_dsn(mut dsn: Dsn) -> Result<Webhook, DsnError> {
    let (secret, endpoint) = (dsn.password()?, dsn.inner_url()?);
    let secret = match secret.strip_prefix("whsec_") {
        Some(encoded) => KEY.decode(encoded).map_err(|_| DsnError::Value("the password"))?,
        None => secret.into_bytes(),
    };
    if secret.len() < MIN_SECRET {
        return Err(DsnError::Value("the password (24 characters or more)"));
    }
    let takes_reports = dsn.option("receipts")?.unwrap_or(false);
    dsn.finish()?;
    Ok(Webhook { secret, takes_reports, endpoint, client: HttpClient::default() })
}

impl Webhook {
    async fn call(&self, sms: &Sms, now: Timestamp) -> Result<Accepted, SendError> {
        let expires_in = sms.names_lifetime.then_some(sms.lifetime.as_secs());
        let body = json!({
            "to": sms.to.e164(),
            "text": sms.text(),
            "code": sms.code.expose(),
            "locale": sms.locale.tag(),
            "purpose": sms.purpose.as_str(),
            "expires_in": expires_in,
        })
        .to_string();
        let time = now.as_second();
        let request = self
            .client
            .post(self.endpoint.clone())
            .map_err(SendError::from_call(NAME))?
            .header(CONTENT_TYPE, "application/json")
            .header("webhook-id", &sms.idempotency_key)
            .header("webhook-timestamp", time)
            .header(
                "webhook-signature",
                format!("v1,{}", self.sign(&sms.idempotency_key, time, body.as_bytes())),
            )
            .body(body);
        read(&call(request).await.map_err(SendError::from_call(NAME))?)
    }

    /// HMAC-SHA256 over ID, timestamp and body, in base64.
    fn sign(&self, id: &str, time: i64, body: &[u8]) -> String {
        let message = [format!("{id}.{time}.").as_bytes(), body].concat();
        STANDARD.encode(hmac_sha256(&self.secret, &message))
    }

    /// Checks that one of the signatures is valid and the timestamp recent.
    fn verify(&self, callback: &Callback<'_>) -> Option<()> {
        let header = |name: &str| callback.headers.get(name).map(String::as_str);
        let (id, time) = (header("webhook-id")?, header("webhook-timestamp")?.parse().ok()?);
        let expected = format!("v1,{}", self.sign(id, time, callback.body));
        let given = header("webhook-signature")?.split(' ');
        let right =
            given.filter(|given| expected.as_bytes().ct_eq(given.as_bytes()).into()).count() > 0;
        (right && callback.now.abs_diff(time) <= TOLERANCE.as_secs()).then_some(())
    }
}

fn read(response: &HttpResponse) -> Result<Accepted, SendError> {
    if response.status.is_success() {
        let body: SuccessBody = serde_json::from_slice(&response.body).unwrap_or_default();
        return Ok(Accepted::with_id(body.id));
    }
    let Ok(ErrorBody { class, reason }) = serde_json::from_slice(&response.body) else {
        return Err(status_error(NAME, response));
    };
    let class = match class {
        ErrorClass::Transient => FailureClass::Transient,
        ErrorClass::Throttled => FailureClass::Throttled,
        ErrorClass::Permanent => FailureClass::Permanent,
        ErrorClass::NotHere => FailureClass::NotHere,
        ErrorClass::Configuration => FailureClass::Configuration,
        ErrorClass::Ambiguous => FailureClass::Ambiguous,
    };
    let reason = reason.as_deref().and_then(safe_code).map(str::to_owned);
    let reason = reason.unwrap_or_else(|| format!("HTTP {}", response.status.as_u16()));
    Err(refused(NAME, class, reason, response))
}

impl Gateway for Webhook {
    fn warm_up(&self) -> BoxFuture<'_, ()> {
        self.client.warm_up()
    }

    fn send<'a>(&'a self, sms: &'a Sms) -> BoxFuture<'a, Result<Accepted, SendError>> {
        #[expect(clippy::disallowed_methods, reason = "a signature carries the time of its call")]
        Box::pin(self.call(sms, Timestamp::now()))
    }

    /// `{"id", "to", "status": "delivered" or "failed"}`, signed in the same way with the same
    /// secret.
    fn delivery_reports(
        &self,
        callback: &Callback<'_>,
    ) -> Result<Vec<DeliveryReport>, DeliveryReportError> {
        if !self.takes_reports {
            return Err(DeliveryReportError::NotEnabled);
        }
        self.verify(callback).ok_or(DeliveryReportError::NotAuthentic)?;
        let report: Report =
            serde_json::from_slice(callback.body).map_err(|_| DeliveryReportError::Unreadable)?;
        let report =
            DeliveryReport::new(&report.to, "US", &report.id, report.status == Status::Delivered);
        report.map(|report| vec![report]).ok_or(DeliveryReportError::Unreadable)
    }
}

impl fmt::Debug for Webhook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Webhook({})", self.endpoint.host_str().unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_signature_is_that_of_standard_webhooks() {
        // The example of the specification's libraries.
        let dsn =
            Dsn::parse("webhook+https://:whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw@example.com/sms")
                .expect("a DSN");
        let webhook = from_dsn(dsn).expect("a gateway");
        assert_eq!(
            webhook.sign("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, br#"{"test": 2432232314}"#),
            "g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
        );
    }

    #[test]
    fn a_key_needs_no_padding() {
        let key = |text: &str| {
            let dsn = Dsn::parse(&format!("webhook+https://:whsec_{text}@example.com/sms"))
                .expect("a DSN");
            from_dsn(dsn).map(|webhook| webhook.secret).map_err(|error| error.to_string())
        };
        let padded = key("MDEyMzQ1Njc4OWFiY2RlZmdoaWprbG1ub3A%3D").expect("a key");
        assert_eq!(padded, b"0123456789abcdefghijklmnop");
        assert_eq!(key("MDEyMzQ1Njc4OWFiY2RlZmdoaWprbG1ub3A"), Ok(padded));
        assert!(key("MDEyMzQ1Njc4OWFiY2RlZmdoaWprbG1ub3!").is_err());
    }
}
