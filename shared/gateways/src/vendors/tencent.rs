//! Tencent Cloud SMS: `SendSms`, release 2021-01-11, signed with TC3-HMAC-SHA256.
//!
//! `SMS_DSN=tencent://SECRET_ID:SECRET_KEY@default?app_id=1400006666&sign=SIGN_NAME&template=1234`.
//! Options: `app_id` (SmsSdkAppId), `sign` (needed for numbers in China only, but then by the
//! vendor), `template` (the id of a template with two variables: code and minutes, in this order;
//! with `minutes=false` the code alone), `template_kind` (`verification`, whose variables take six
//! digits at most, unless it is `notice`), `region` (`ap-guangzhou` unless set), `session_token`
//! (of temporary credentials), `receipts`, `tls`.

use std::fmt;

use futures_util::future::BoxFuture;
use jiff::Timestamp;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HOST};
use serde::Deserialize;
use serde_json::{Value, json};
use sms_outbound::dsn::{Dsn, DsnError};
use sms_outbound::http_client::{HttpClient, HttpResponse, authority, call};
use sms_outbound::signing::{hmac_sha256, sha256_hex};
use url::Url;

use crate::codes::TENCENT;
use crate::delivery_report::{
    Callback, DeliveryReport, DeliveryReportError, PathSecret, each, text,
};
use crate::gateway::{Accepted, Gateway, Sms};
use crate::send_error::{SendError, refused_with, safe_code, status_error};
use crate::template_ids::{self, Templates};

const NAME: &str = "tencent";

/// The code of success.
const ACCEPTED: &str = "Ok";

const JSON: &str = "application/json; charset=utf-8";

/// Maximum number of digits of a variable of a verification template (docs
/// 382/39023: 正文模板审核标准, 2025-06-17).
const VERIFICATION_DIGITS: usize = 6;

pub(crate) struct Tencent {
    secret_id: String,
    secret_key: String,
    app_id: String,
    sign: String,
    templates: Templates,
    with_minutes: bool,
    max_digits: Option<usize>,
    region: String,
    session_token: Option<String>,
    path_secret: PathSecret,
    endpoint: Url,
    client: HttpClient,
}

/// The signed parts of a request, besides the body.
struct Call<'a> {
    host: &'a str,
    service: &'a str,
    time: Timestamp,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Envelope {
    response: Response,
}

/// A response: the error of the whole call, or a status for each number.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Response {
    error: Option<Failure>,
    #[serde(default)]
    send_status_set: Vec<Status>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Failure {
    code: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Status {
    code: String,
    serial_no: Option<String>,
}

pub(crate) fn from_dsn(mut dsn: Dsn) -> Result<Tencent, DsnError> {
    let (secret_id, secret_key) = (dsn.user()?, dsn.password()?);
    let (app_id, sign, templates) =
        (dsn.required("app_id")?, dsn.required("sign")?, template_ids::templates(&mut dsn)?);
    let with_minutes = dsn.option("minutes")?.unwrap_or(true);
    let max_digits = template_ids::max_digits(&mut dsn, VERIFICATION_DIGITS)?;
    let region = dsn.option("region")?.unwrap_or_else(|| "ap-guangzhou".to_owned());
    let session_token = dsn.option("session_token")?;
    let (path_secret, endpoint) =
        (PathSecret::from_dsn(&mut dsn)?, dsn.base_url("sms.tencentcloudapi.com")?);
    dsn.finish()?;
    let client = HttpClient::default();
    Ok(Tencent {
        secret_id,
        secret_key,
        app_id,
        sign,
        templates,
        with_minutes,
        max_digits,
        region,
        session_token,
        path_secret,
        endpoint,
        client,
    })
}

impl Tencent {
    async fn call(&self, sms: &Sms, now: Timestamp) -> Result<Accepted, SendError> {
        let mut variables = vec![sms.code.expose().to_owned()];
        variables.extend(sms.minutes().filter(|_| self.with_minutes).map(|one| one.to_string()));
        let body = json!({
            "PhoneNumberSet": [sms.to.e164()],
            "SmsSdkAppId": self.app_id,
            "SignName": self.sign,
            "TemplateId": self.templates.id_for(&sms.purpose, sms.locale),
            "TemplateParamSet": variables,
            "SessionContext": sms.idempotency_key,
        })
        .to_string();
        let host = authority(&self.endpoint);
        let signed = Call { host: &host, service: "sms", time: now };
        let mut request = self
            .client
            .post(self.endpoint.clone())
            .map_err(SendError::from_call(NAME))?
            .header(HOST, &host)
            .header(CONTENT_TYPE, JSON)
            .header(AUTHORIZATION, signed.authorization(&self.secret_id, &self.secret_key, &body))
            .header("x-tc-action", "SendSms")
            .header("x-tc-version", "2021-01-11")
            .header("x-tc-region", &self.region)
            .header("x-tc-timestamp", now.as_second())
            .body(body);
        if let Some(token) = &self.session_token {
            request = request.header("x-tc-token", token);
        }
        read(&call(request).await.map_err(SendError::from_call(NAME))?)
    }
}

/// Reads a response. A number may fail while the call succeeds: both are checked.
fn read(response: &HttpResponse) -> Result<Accepted, SendError> {
    let unreadable = || status_error(NAME, response);
    let Envelope { response: body } =
        serde_json::from_slice(&response.body).map_err(|_| unreadable())?;
    let (code, id) = match (body.error, body.send_status_set.into_iter().next()) {
        (Some(failure), _) => (failure.code, None),
        (None, Some(status)) => (status.code, status.serial_no),
        (None, None) => return Err(unreadable()),
    };
    match safe_code(&code).ok_or_else(unreadable)? {
        ACCEPTED if response.status.is_success() => Ok(Accepted::with_id(id)),
        ACCEPTED => Err(unreadable()),
        code => Err(refused_with(NAME, &TENCENT, code, response)),
    }
}

impl Call<'_> {
    fn signature(&self, secret_key: &str, body: &str) -> String {
        let headers = format!("content-type:{JSON}\nhost:{}\n", self.host);
        let request =
            format!("POST\n/\n\n{headers}\ncontent-type;host\n{}", sha256_hex(body.as_bytes()));
        let (date, scope) = (self.date(), self.scope());
        let text = format!(
            "TC3-HMAC-SHA256\n{}\n{scope}\n{}",
            self.time.as_second(),
            sha256_hex(request.as_bytes())
        );
        let keys = [date.as_bytes(), self.service.as_bytes(), b"tc3_request"];
        let first = format!("TC3{secret_key}").into_bytes();
        let key = keys.iter().fold(first, |key, part| hmac_sha256(&key, part).to_vec());
        hex::encode(hmac_sha256(&key, text.as_bytes()))
    }

    fn authorization(&self, secret_id: &str, secret_key: &str, body: &str) -> String {
        let (scope, signature) = (self.scope(), self.signature(secret_key, body));
        format!(
            "TC3-HMAC-SHA256 Credential={secret_id}/{scope}, SignedHeaders=content-type;host, \
             Signature={signature}"
        )
    }

    fn date(&self) -> String {
        self.time.strftime("%Y-%m-%d").to_string()
    }

    fn scope(&self) -> String {
        format!("{}/{}/tc3_request", self.date(), self.service)
    }
}

impl Gateway for Tencent {
    fn warm_up(&self) -> BoxFuture<'_, ()> {
        self.client.warm_up()
    }

    fn send<'a>(&'a self, sms: &'a Sms) -> BoxFuture<'a, Result<Accepted, SendError>> {
        #[expect(clippy::disallowed_methods, reason = "a signature carries the time of its call")]
        Box::pin(self.call(sms, Timestamp::now()))
    }

    fn max_digits(&self) -> Option<usize> {
        self.max_digits
    }

    /// Status notifications: an array of `{"nationcode", "mobile", "report_status": "SUCCESS" or
    /// "FAIL", "sid", …}`. Tencent does not sign it.
    fn delivery_reports(
        &self,
        callback: &Callback<'_>,
    ) -> Result<Vec<DeliveryReport>, DeliveryReportError> {
        let report = |item: &Value| {
            let number = format!("+{}{}", text(item, "nationcode")?, text(item, "mobile")?);
            DeliveryReport::new(
                &number,
                "CN",
                text(item, "sid")?,
                text(item, "report_status")? == "SUCCESS",
            )
        };
        Ok(each(&self.path_secret.open(callback)?, report))
    }
}

impl fmt::Debug for Tencent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tencent({})", self.endpoint.host_str().unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_signature_is_the_vendors() {
        let body = concat!(
            r#"{"Limit": 1, "Filters": [{"Values": ["\u672a\u547d\u540d"], "#,
            r#""Name": "instance-name"}]}"#
        );
        assert_eq!(
            sha256_hex(body.as_bytes()),
            "35e9c5b0e3ae67532d3c9f17ead6c90222632e5b1ff7f6e89887f1398934f064"
        );
        let time = Timestamp::from_second(1_551_113_065).expect("a time");
        let call = Call { host: "cvm.tencentcloudapi.com", service: "cvm", time };
        assert_eq!(
            call.signature("Gu5t9xGARNpq86cd98joQYCN3EXAMPLE", body),
            "72e494ea809ad7a8c8f7a4507b9bddcbaa8e581f516e8da2f66e2c5a96525168"
        );
    }
}
