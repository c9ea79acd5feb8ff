//! Twilio's Programmable Messaging, release 2010-04-01.
//!
//! `SMS_DSN=twilio://ACCOUNT_SID:AUTH_TOKEN@default?from=+15005550006`, or with an API key
//! `twilio://SK…:KEY_SECRET@default?account=AC…&from=…`. Options: `from` (a number, a sender's
//! name, or the SID of a messaging service), `account`, `callback` (the public URL of
//! `/v1/receipts/twilio`, for receipts), `auth_token` (which signs receipts, where an API key
//! sends), `shared_key` (`ID:SECRET`, which signs them in its place; several with commas), `tls`.

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
    receipts: Option<Receipts>,
    endpoint: Url,
    client: HttpClient,
}

/// Who the message is from: the form's parameter, and its value.
struct Sender(&'static str, String);

/// Where status callbacks come in, and what they are signed with.
struct Receipts {
    callback: Url,
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
    let receipts = Receipts::from_dsn(&mut dsn, (!is_api_key).then_some(&password))?;
    let mut endpoint = dsn.base_url("api.twilio.com")?;
    endpoint.set_path(&format!("/2010-04-01/Accounts/{account}/Messages.json"));
    dsn.finish()?;
    Ok(Twilio { user, password, from, receipts, endpoint, client: HttpClient::default() })
}

/// Whether it is the SID of a resource of this kind: two letters, and 32 hexadecimal digits.
fn is_sid(kind: &str, text: &str) -> bool {
    let is_hex =
        |digits: &str| digits.len() == 32 && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    text.strip_prefix(kind).is_some_and(is_hex)
}

impl Sender {
    fn new(from: String) -> Self {
        // A sender's name may begin with the same two letters.
        Self(if is_sid("MG", &from) { "MessagingServiceSid" } else { "From" }, from)
    }
}

impl Receipts {
    /// `password` is the account's own token, which no API key is.
    fn from_dsn(dsn: &mut Dsn, password: Option<&String>) -> Result<Option<Self>, DsnError> {
        let (token, shared) = (dsn.option("auth_token")?, dsn.option::<SharedKeys>("shared_key")?);
        let Some(callback) = dsn.option("callback")? else {
            let idle = token.is_some() || shared.is_some();
            return if idle {
                Err(DsnError::Missing("callback, which the keys of receipts are for"))
            } else {
                Ok(None)
            };
        };
        let (auth_token, shared) =
            (token.or_else(|| password.cloned()), shared.unwrap_or_default());
        if auth_token.is_none() && shared.is_empty() {
            return Err(DsnError::Missing(
                "auth_token or shared_key, which receipts are signed with",
            ));
        }
        Ok(Some(Self { callback, keys: Keys { auth_token, shared } }))
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
            self.receipts.as_ref().map(|receipts| ("StatusCallback", receipts.callback.as_str())),
        );
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
        let request = self
            .client
            .post(self.endpoint.clone())
            .map_err(SendError::of_call(NAME))?
            .basic_auth(&self.user, Some(&self.password))
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(body);
        read(&call(request).await.map_err(SendError::of_call(NAME))?)
    }
}

fn read(answer: &HttpResponse) -> Result<Accepted, SendError> {
    if answer.status.is_success() {
        let created: Created =
            serde_json::from_slice(&answer.body).map_err(|_| status_error(NAME, answer))?;
        return Ok(Accepted::with_id(Some(created.sid)));
    }
    match serde_json::from_slice(&answer.body) {
        Ok(Failure { code }) => Err(refused_with(NAME, &TWILIO, &code.to_string(), answer)),
        _ => Err(status_error(NAME, answer)),
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
        push: &Callback<'_>,
    ) -> Result<Vec<DeliveryReport>, DeliveryReportError> {
        let Receipts { callback, keys } =
            self.receipts.as_ref().ok_or(DeliveryReportError::None)?;
        let form: BTreeSet<(String, String)> =
            form_urlencoded::parse(push.body).into_owned().collect();
        if !is_authentic(keys, callback, &form, push.headers) {
            return Err(DeliveryReportError::NotAuthentic);
        }
        let form: HashMap<String, String> = form.into_iter().collect();
        let receipt = || {
            let delivered = match form.get("MessageStatus")?.as_str() {
                "delivered" | "read" => true,
                "undelivered" | "failed" | "canceled" => false,
                // On its way.
                _ => return None,
            };
            DeliveryReport::new(form.get("To")?, "US", form.get("MessageSid")?, delivered)
        };
        Ok(receipt().into_iter().collect())
    }
}

impl fmt::Debug for Twilio {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Twilio({})", self.endpoint.host_str().unwrap_or_default())
    }
}
