//! Twilio's Programmable Messaging, release 2010-04-01.
//!
//! `SMS_DSN=twilio://ACCOUNT_SID:AUTH_TOKEN@default?from=+15005550006`. Options: `from` (a number, or the SID of a messaging
//! service, `MG…`), `callback` (the public URL of `/v1/receipts/twilio`, for receipts), `tls`.

use std::collections::BTreeMap;
use std::fmt;

use base64::{Engine, engine::general_purpose::STANDARD};
use futures_util::future::{BoxFuture, FutureExt};
use hmac::{Hmac, KeyInit, Mac};
use reqwest::header::CONTENT_TYPE;
use serde::Deserialize;
use sha1::Sha1;
use url::{Url, form_urlencoded};

use super::client::{Answer, HttpClient, call, refused, status_error};
use super::{Accepted, Class, Gateway, Push, Receipt, ReceiptError, SendError, Sms};
use crate::dsn::{Dsn, DsnError};

const NAME: &str = "twilio";

/// Shortest and longest `ValidityPeriod`, in seconds.
const VALIDITY: (u64, u64) = (1, 36_000);

pub(super) struct Twilio {
    sid: String,
    token: String,
    from: String,
    callback: Option<Url>,
    endpoint: Url,
    client: HttpClient,
}

#[derive(Deserialize)]
struct Created {
    sid: String,
}

#[derive(Deserialize)]
struct Failure {
    code: u32,
}

pub(super) fn from_dsn(mut dsn: Dsn) -> Result<Twilio, DsnError> {
    let (sid, token, from) = (dsn.user()?, dsn.password()?, dsn.required("from")?);
    let (callback, mut endpoint) = (dsn.option("callback")?, dsn.base_url("api.twilio.com")?);
    endpoint.set_path(&format!("/2010-04-01/Accounts/{sid}/Messages.json"));
    dsn.finish()?;
    Ok(Twilio { sid, token, from, callback, endpoint, client: HttpClient::default() })
}

impl Twilio {
    async fn call(&self, sms: &Sms) -> Result<Accepted, SendError> {
        let sender = if self.from.starts_with("MG") { "MessagingServiceSid" } else { "From" };
        let validity = sms.lifetime.as_secs().clamp(VALIDITY.0, VALIDITY.1);
        let (text, validity) = (sms.text(), validity.to_string());
        let mut form =
            vec![("To", sms.to.e164()), (sender, &self.from), ("Body", &text), ("ValidityPeriod", &validity)];
        form.extend(self.callback.as_ref().map(|callback| ("StatusCallback", callback.as_str())));
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
        let request = self
            .client
            .post(NAME, self.endpoint.clone())?
            .basic_auth(&self.sid, Some(&self.token))
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(body);
        read(&call(NAME, request).await?)
    }

    /// `X-Twilio-Signature`: HMAC-SHA1 over the URL that Twilio was given, and each parameter's name and value in the
    /// order of the names.
    fn is_authentic(&self, url: &Url, form: &BTreeMap<String, String>, signature: &str) -> bool {
        #[expect(clippy::expect_used, reason = "HMAC takes a key of any length")]
        let mut mac = Hmac::<Sha1>::new_from_slice(self.token.as_bytes()).expect("HMAC takes a key of any length");
        mac.update(url.as_str().as_bytes());
        for (name, value) in form {
            mac.update(name.as_bytes());
            mac.update(value.as_bytes());
        }
        STANDARD.decode(signature).is_ok_and(|signature| mac.verify_slice(&signature).is_ok())
    }
}

fn read(answer: &Answer) -> Result<Accepted, SendError> {
    if answer.status.is_success() {
        let created: Created = serde_json::from_slice(&answer.body).map_err(|_| status_error(NAME, answer))?;
        return Ok(Accepted::with_id(Some(created.sid)));
    }
    match serde_json::from_slice(&answer.body) {
        Ok(Failure { code }) if answer.status.is_client_error() => {
            Err(refused(NAME, class_of(code), code.to_string(), answer))
        }
        _ => Err(status_error(NAME, answer)),
    }
}

impl Gateway for Twilio {
    fn send<'a>(&'a self, sms: &'a Sms) -> BoxFuture<'a, Result<Accepted, SendError>> {
        self.call(sms).boxed()
    }

    /// Status callbacks: a form with `MessageSid`, `MessageStatus` and `To`, signed.
    fn receipts(&self, push: &Push<'_>) -> Result<Vec<Receipt>, ReceiptError> {
        let url = self.callback.as_ref().ok_or(ReceiptError::None)?;
        let form: BTreeMap<String, String> = form_urlencoded::parse(push.body).into_owned().collect();
        let signature = push.headers.get("x-twilio-signature").ok_or(ReceiptError::NotAuthentic)?;
        if !self.is_authentic(url, &form, signature) {
            return Err(ReceiptError::NotAuthentic);
        }
        let receipt = || {
            let delivered = match form.get("MessageStatus")?.as_str() {
                "delivered" | "read" => true,
                "undelivered" | "failed" | "canceled" => false,
                // On its way.
                _ => return None,
            };
            Receipt::new(form.get("To")?, "US", form.get("MessageSid")?, delivered)
        };
        Ok(receipt().into_iter().collect())
    }
}

/// What Twilio's error codes mean, as its error and warning dictionary lists them.
fn class_of(code: u32) -> Class {
    match code {
        // The number: malformed, in a country that is not enabled, opted out, a landline, unreachable from here.
        21_211 | 21_214 | 21_217 | 21_408 | 21_610 | 21_612 | 21_614 | 21_617 | 21_635 => Class::Permanent,
        // This sender's own queue is full.
        21_611 => Class::Throttled,
        // Credentials, a suspended or trial account, a sender that is not ours or not right, a messaging service that is
        // not there, a geographic permission.
        20_003
        | 20_005
        | 20_006
        | 20_008
        | 20_404
        | 21_212
        | 21_601..=21_609
        | 21_619
        | 21_620
        | 21_656..=21_664
        | 21_701..=21_713
        | 30_002
        | 63_038 => Class::Configuration,
        // 20429 and 14107, too many requests at once, were not processed. Nor, most likely, was what has a code that is not
        // listed here: it was refused, and the next attempt may tell more.
        _ => Class::Transient,
    }
}

impl fmt::Debug for Twilio {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Twilio({})", self.endpoint.host_str().unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_receipts_signature_is_the_vendors() {
        // The example of "Validating Requests" in Twilio's security guide.
        let dsn = Dsn::parse(
            "twilio://AC1:12345@default?from=+15005550006&callback=https://mycompany.com/myapp.php%3Ffoo=1%26bar=2",
        );
        let twilio = from_dsn(dsn.expect("a DSN")).expect("a gateway");
        let form = [
            ("CallSid", "CA1234567890ABCDE"),
            ("Caller", "+12349013030"),
            ("Digits", "1234"),
            ("From", "+12349013030"),
            ("To", "+18005551212"),
        ];
        let mut form: BTreeMap<String, String> = form.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        let url = twilio.callback.clone().expect("a URL");
        assert!(twilio.is_authentic(&url, &form, "0/KCTR6DLpKmkAf8muzZqo1nDgQ="));
        form.insert("Digits".to_owned(), "1235".to_owned());
        assert!(!twilio.is_authentic(&url, &form, "0/KCTR6DLpKmkAf8muzZqo1nDgQ="));
    }
}
