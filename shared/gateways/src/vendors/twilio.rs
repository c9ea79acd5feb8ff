//! Twilio's Programmable Messaging, release 2010-04-01.
//!
//! `SMS_DSN=twilio://ACCOUNT_SID:AUTH_TOKEN@default?from=+15005550006`, or with an API key
//! `twilio://SK…:KEY_SECRET@default?account=AC…&from=…`. Options: `from` (a number, a sender's
//! name, or the SID of a messaging service), `account`, `callback` (the public URL of
//! `/v1/receipts/twilio`, for delivery reports), `auth_token` (which signs them if messages are
//! sent with an API key), `shared_key` (`ID:SECRET`, which signs them instead; several are
//! separated by commas), `tls`.

use std::collections::{BTreeSet, HashMap};
use std::fmt;

use futures_util::future::{BoxFuture, FutureExt};
use reqwest::header::CONTENT_TYPE;
use serde::Deserialize;
use sms_outbound::dsn::{Dsn, DsnError};
use sms_outbound::http_client::{HttpClient, HttpResponse, call};
use url::{Url, form_urlencoded};

use super::twilio_signature::{Keys, SharedKeys, is_authentic};
use crate::codes::TWILIO;
use crate::delivery_report::{Callback, DeliveryReport, DeliveryReportError};
use crate::gateway::{Accepted, Gateway, Sms};
use crate::send_error::{SendError, refused_with, status_error};

const NAME: &str = "twilio";

/// Shortest and longest `ValidityPeriod`, in seconds.
const VALIDITY: (u64, u64) = (1, 36_000);

pub(crate) struct Twilio {
    user: String,
    password: String,
    from: Sender,
    status_callbacks: Option<StatusCallbacks>,
    endpoint: Url,
    client: HttpClient,
}

/// The sender: the form's parameter, and its value.
struct Sender(&'static str, String);

/// Delivery reports (status callbacks): the URL, and the keys that sign them.
struct StatusCallbacks {
    url: Url,
    keys: Keys,
}

#[derive(Deserialize)]
struct Created {
    sid: String,
}

#[derive(Deserialize)]
struct Failure {
    code: u32,
}

pub(crate) fn from_dsn(mut dsn: Dsn) -> Result<Twilio, DsnError> {
    let (user, password, from) = (dsn.user()?, dsn.password()?, Sender::new(dsn.required("from")?));
    let is_api_key = is_sid("SK", &user);
    let account = match dsn.option("account")? {
        Some(account) => account,
        None if is_api_key => {
            return Err(DsnError::Missing("account (the AC… that the API key is of)"));
        }
        None => user.clone(),
    };
    let status_callbacks = StatusCallbacks::from_dsn(&mut dsn, (!is_api_key).then_some(&password))?;
    let mut endpoint = dsn.base_url("api.twilio.com")?;
    endpoint.set_path(&format!("/2010-04-01/Accounts/{account}/Messages.json"));
    dsn.finish()?;
    Ok(Twilio { user, password, from, status_callbacks, endpoint, client: HttpClient::default() })
}

/// Returns true for the SID of a resource of this kind: two letters, and 32 hexadecimal digits.
fn is_sid(kind: &str, text: &str) -> bool {
    let is_hex =
        |digits: &str| digits.len() == 32 && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    text.strip_prefix(kind).is_some_and(is_hex)
}

impl Sender {
    fn new(from: String) -> Self {
        // A sender's name may also begin with MG.
        Self(if is_sid("MG", &from) { "MessagingServiceSid" } else { "From" }, from)
    }
}

impl StatusCallbacks {
    /// Reads the options. `password` is the account's auth token; `None` if messages are sent with
    /// an API key.
    fn from_dsn(dsn: &mut Dsn, password: Option<&String>) -> Result<Option<Self>, DsnError> {
        let (token, shared) = (dsn.option("auth_token")?, dsn.option::<SharedKeys>("shared_key")?);
        let Some(callback) = dsn.option("callback")? else {
            let idle = token.is_some() || shared.is_some();
            return if idle {
                Err(DsnError::Missing("callback, which auth_token and shared_key need"))
            } else {
                Ok(None)
            };
        };
        let (auth_token, shared) =
            (token.or_else(|| password.cloned()), shared.unwrap_or_default());
        if auth_token.is_none() && shared.is_empty() {
            return Err(DsnError::Missing("auth_token or shared_key, which sign delivery reports"));
        }
        Ok(Some(Self { url: callback, keys: Keys { auth_token, shared } }))
    }
}

impl Twilio {
    async fn call(&self, sms: &Sms) -> Result<Accepted, SendError> {
        let Sender(sender, from) = &self.from;
        let validity = sms.lifetime.as_secs().clamp(VALIDITY.0, VALIDITY.1);
        let (text, validity) = (sms.text(), validity.to_string());
        let mut form = vec![
            ("To", sms.to.e164()),
            (sender, from),
            ("Body", &text),
            ("ValidityPeriod", &validity),
        ];
        form.extend(
            self.status_callbacks
                .as_ref()
                .map(|callbacks| ("StatusCallback", callbacks.url.as_str())),
        );
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
        let request = self
            .client
            .post(self.endpoint.clone())
            .map_err(SendError::from_call(NAME))?
            .basic_auth(&self.user, Some(&self.password))
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(body);
        read(&call(request).await.map_err(SendError::from_call(NAME))?)
    }
}

fn read(response: &HttpResponse) -> Result<Accepted, SendError> {
    if response.status.is_success() {
        let created: Created =
            serde_json::from_slice(&response.body).map_err(|_| status_error(NAME, response))?;
        return Ok(Accepted::with_id(Some(created.sid)));
    }
    match serde_json::from_slice(&response.body) {
        Ok(Failure { code }) => Err(refused_with(NAME, &TWILIO, &code.to_string(), response)),
        _ => Err(status_error(NAME, response)),
    }
}

impl Gateway for Twilio {
    fn warm_up(&self) -> BoxFuture<'_, ()> {
        self.client.warm_up()
    }

    fn send<'a>(&'a self, sms: &'a Sms) -> BoxFuture<'a, Result<Accepted, SendError>> {
        self.call(sms).boxed()
    }

    /// Status callbacks: a form with `MessageSid`, `MessageStatus` and `To`, signed.
    fn delivery_reports(
        &self,
        callback: &Callback<'_>,
    ) -> Result<Vec<DeliveryReport>, DeliveryReportError> {
        let StatusCallbacks { url, keys } =
            self.status_callbacks.as_ref().ok_or(DeliveryReportError::NotEnabled)?;
        let form: BTreeSet<(String, String)> =
            form_urlencoded::parse(callback.body).into_owned().collect();
        if !is_authentic(keys, url, &form, callback.headers) {
            return Err(DeliveryReportError::NotAuthentic);
        }
        let form: HashMap<String, String> = form.into_iter().collect();
        let report = || {
            let delivered = match form.get("MessageStatus")?.as_str() {
                "delivered" | "read" => true,
                "undelivered" | "failed" | "canceled" => false,
                // Not final.
                _ => return None,
            };
            DeliveryReport::new(form.get("To")?, "US", form.get("MessageSid")?, delivered)
        };
        Ok(report().into_iter().collect())
    }
}

impl fmt::Debug for Twilio {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Twilio({})", self.endpoint.host_str().unwrap_or_default())
    }
}
