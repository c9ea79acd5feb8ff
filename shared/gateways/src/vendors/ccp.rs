//! CCP (Yuntongxun), the gateway of the tutorial: `TemplateSMS`, release 2013-12-26 of its REST
//! interface.
//!
//! `SMS_DSN=ccp://SID:TOKEN@app.cloopen.com:8883?app_id=APP&template=1`. Options: `app_id`,
//! `template` (the id of a template with two variables: code and minutes), `utc_offset` (hours that
//! the account's clock is ahead of UTC, 8 unless set), `receipts`, `tls`.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures_util::future::BoxFuture;
use jiff::Timestamp;
use jiff::tz::Offset;
use md5::{Digest, Md5};
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use serde::Deserialize;
use serde_json::{Value, json};
use sms_domain::phone::PhoneNumber;
use sms_outbound::dsn::{Dsn, DsnError};
use sms_outbound::http_client::{HttpClient, call};
use url::Url;

use crate::codes::CCP;
use crate::delivery_report::{
    Callback, DeliveryReport, DeliveryReportError, PathSecret, each, text,
};
use crate::gateway::{Accepted, Gateway, Sms};
use crate::send_error::{SendError, refused_with, status_error};
use crate::template_ids::{self, Templates};

const NAME: &str = "ccp";

/// The status code of success.
const ACCEPTED: &str = "000000";

/// This endpoint takes national numbers of this country; another endpoint, for other accounts,
/// takes the rest.
const COUNTRY_CODE: &str = "86";

pub(crate) struct Ccp {
    account: Account,
    app_id: String,
    templates: Templates,
    path_secret: PathSecret,
    endpoint: Url,
    client: HttpClient,
}

struct Account {
    sid: String,
    token: String,
    clock: Offset,
}

/// The parameter `sig` of the URL, and the Authorization header.
struct Signature {
    sig: String,
    authorization: String,
}

#[derive(Deserialize)]
struct CcpResponse {
    #[serde(rename = "statusCode")]
    status_code: String,
    #[serde(rename = "templateSMS")]
    sms: Option<Message>,
}

#[derive(Deserialize)]
struct Message {
    #[serde(rename = "smsMessageSid")]
    id: Option<String>,
}

pub(crate) fn from_dsn(mut dsn: Dsn) -> Result<Ccp, DsnError> {
    let hours = dsn.option::<i8>("utc_offset")?.unwrap_or(8);
    let clock = if (-12..=14).contains(&hours) { Offset::from_hours(hours).ok() } else { None };
    let account = Account {
        sid: dsn.user()?,
        token: dsn.password()?,
        clock: clock.ok_or(DsnError::Value("utc_offset"))?,
    };
    let mut endpoint = dsn.base_url("app.cloopen.com:8883")?;
    endpoint.set_path(&format!("/2013-12-26/Accounts/{}/SMS/TemplateSMS", account.sid));
    let (app_id, templates, path_secret) = (
        dsn.required("app_id")?,
        template_ids::templates(&mut dsn)?,
        PathSecret::from_dsn(&mut dsn)?,
    );
    dsn.finish()?;
    Ok(Ccp { account, app_id, templates, path_secret, endpoint, client: HttpClient::default() })
}

impl Ccp {
    async fn call(&self, sms: &Sms, now: Timestamp) -> Result<Accepted, SendError> {
        let signature = self.account.sign(now);
        let mut url = self.endpoint.clone();
        url.query_pairs_mut().append_pair("sig", &signature.sig);
        let mut variables = vec![sms.code.expose().to_owned()];
        variables.extend(sms.minutes().map(|minutes| minutes.to_string()));
        let body = json!({
            "to": sms.to.national(),
            "appId": self.app_id,
            "templateId": self.templates.id_for(&sms.purpose, sms.locale),
            "datas": variables,
            "reqId": sms.idempotency_key,
        });
        let request = self
            .client
            .post(url)
            .map_err(SendError::from_call(NAME))?
            .header(ACCEPT, "application/json")
            .header(CONTENT_TYPE, "application/json;charset=utf-8")
            .header(AUTHORIZATION, signature.authorization)
            .body(body.to_string());
        let response = call(request).await.map_err(SendError::from_call(NAME))?;
        match read(&response.body) {
            Some(CcpResponse { status_code, sms })
                if status_code == ACCEPTED && response.status.is_success() =>
            {
                Ok(Accepted::with_id(sms.and_then(|sms| sms.id)))
            }
            Some(CcpResponse { status_code, .. }) if status_code != ACCEPTED => {
                Err(refused_with(NAME, &CCP, &status_code, &response))
            }
            _ => Err(status_error(NAME, &response)),
        }
    }
}

/// Parses a response. Its code goes to logs and dead letters, so anything but the six digits of a
/// code is rejected.
fn read(body: &[u8]) -> Option<CcpResponse> {
    let response: CcpResponse = serde_json::from_slice(body).ok()?;
    let code = &response.status_code;
    (code.len() == 6 && code.bytes().all(|byte| byte.is_ascii_digit())).then_some(response)
}

impl Gateway for Ccp {
    fn warm_up(&self) -> BoxFuture<'_, ()> {
        self.client.warm_up()
    }

    fn send<'a>(&'a self, sms: &'a Sms) -> BoxFuture<'a, Result<Accepted, SendError>> {
        #[expect(clippy::disallowed_methods, reason = "a signature carries the time of its call")]
        Box::pin(self.call(sms, Timestamp::now()))
    }

    fn serves(&self, to: &PhoneNumber) -> bool {
        to.country_code() == COUNTRY_CODE
    }

    /// Status reports: `{"Request": {"action": "SMSArrived", "smsType": "1", "content": the
    /// message's id, "fromNum", "status": "0" for success, …}}`. CCP does not sign it.
    fn delivery_reports(
        &self,
        callback: &Callback<'_>,
    ) -> Result<Vec<DeliveryReport>, DeliveryReportError> {
        let report = |item: &Value| {
            let report = item.get("Request").unwrap_or(item);
            if text(report, "smsType") != Some("1") {
                return None;
            }
            DeliveryReport::new(
                text(report, "fromNum")?,
                "CN",
                text(report, "content")?,
                text(report, "status") == Some("0"),
            )
        };
        Ok(each(&self.path_secret.open(callback)?, report))
    }
}

impl Account {
    fn sign(&self, now: Timestamp) -> Signature {
        let time = self.clock.to_datetime(now).strftime("%Y%m%d%H%M%S").to_string();
        let hash = Md5::digest(format!("{}{}{time}", self.sid, self.token));
        Signature {
            sig: hex::encode_upper(hash),
            authorization: STANDARD.encode(format!("{}:{time}", self.sid)),
        }
    }
}

impl fmt::Debug for Ccp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Ccp({})", self.endpoint.host_str().unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_signature_is_the_vendors() {
        let clock = Offset::constant(8);
        let account =
            Account { sid: "mock-account-sid".into(), token: "mock-account-token".into(), clock };
        // 12:00 in China.
        let signature = account.sign("2026-01-01T04:00:00Z".parse().expect("a time"));
        assert_eq!(signature.sig, "084EA9F11F8BC28E90769CCAA64B64CB");
        assert_eq!(signature.authorization, "bW9jay1hY2NvdW50LXNpZDoyMDI2MDEwMTEyMDAwMA==");
    }
}
