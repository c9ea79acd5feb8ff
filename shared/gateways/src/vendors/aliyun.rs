//! Aliyun (Alibaba Cloud) SMS: `SendSms`, release 2017-05-25, with signature V3.
//!
//! `SMS_DSN=aliyun://ACCESS_KEY_ID:ACCESS_KEY_SECRET@default?sign=SIGN_NAME&template=SMS_123`.
//! Options: `sign`, `template` (the id of a template with the variables `code` and, unless
//! `minutes=` is left empty, `minutes`), `code` and `minutes` (other names for these two),
//! `template_kind` (`verification`, whose variable takes six characters at most, unless it is
//! `notice`), `session_token` (of temporary credentials), `receipts`, `tls`.

use std::fmt;

use futures_util::future::BoxFuture;
use jiff::Timestamp;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_LENGTH};
use serde::Deserialize;
use serde_json::{Map, Value};
use sms_domain::random::random_bytes;
use sms_outbound::dsn::{Dsn, DsnError};
use sms_outbound::http_client::{HttpClient, authority, call};
use sms_outbound::signing::{hmac_sha256, sha256_hex};
use url::Url;

use crate::codes::ALIYUN;
use crate::delivery_report::{
    Callback, DeliveryReport, DeliveryReportError, PathSecret, each, text,
};
use crate::gateway::{Accepted, Gateway, Sms};
use crate::send_error::{SendError, refused_with, safe_code, status_error};
use crate::template_ids::{self, Templates};

const NAME: &str = "aliyun";

/// The code of success.
const ACCEPTED: &str = "OK";

/// Maximum length of the variable of a verification template (help document
/// 463237, 验证码模板规范).
const VERIFICATION_DIGITS: usize = 6;

/// Characters to percent-encode: all but the unreserved ones of RFC 3986.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

pub(crate) struct Aliyun {
    key_id: String,
    key_secret: String,
    sign: String,
    templates: Templates,
    /// Names of the template's variables; the second one is `None` if the template lacks it.
    variables: (String, Option<String>),
    max_digits: Option<usize>,
    session_token: Option<String>,
    path_secret: PathSecret,
    endpoint: Url,
    client: HttpClient,
}

/// The signed parts of a request, besides the query.
struct Call<'a> {
    host: &'a str,
    action: &'a str,
    version: &'a str,
    nonce: &'a str,
    time: &'a str,
    session_token: Option<&'a str>,
}

#[derive(Deserialize)]
struct AliyunResponse {
    #[serde(rename = "Code")]
    code: String,
    #[serde(rename = "BizId")]
    id: Option<String>,
}

pub(crate) fn from_dsn(mut dsn: Dsn) -> Result<Aliyun, DsnError> {
    let (key_id, key_secret) = (dsn.user()?, dsn.password()?);
    let (sign, templates) = (dsn.required("sign")?, template_ids::templates(&mut dsn)?);
    let code = dsn.option("code")?.unwrap_or_else(|| "code".to_owned());
    let minutes = dsn.option_or_empty("minutes").unwrap_or_else(|| "minutes".to_owned());
    let variables = (code, Some(minutes).filter(|name| !name.is_empty()));
    let (path_secret, endpoint) =
        (PathSecret::from_dsn(&mut dsn)?, dsn.base_url("dysmsapi.aliyuncs.com")?);
    let (max_digits, session_token) =
        (template_ids::max_digits(&mut dsn, VERIFICATION_DIGITS)?, dsn.option("session_token")?);
    dsn.finish()?;
    Ok(Aliyun {
        key_id,
        key_secret,
        sign,
        templates,
        variables,
        max_digits,
        session_token,
        path_secret,
        endpoint,
        client: HttpClient::default(),
    })
}

impl Aliyun {
    async fn call(
        &self,
        sms: &Sms,
        now: Timestamp,
        nonce: [u8; 16],
    ) -> Result<Accepted, SendError> {
        // National within China, country code and number elsewhere; never a plus.
        let number =
            if sms.to.country_code() == "86" { sms.to.national() } else { &sms.to.e164()[1..] };
        let mut variables = Map::new();
        variables.insert(self.variables.0.clone(), sms.code.expose().into());
        if let (Some(name), Some(minutes)) = (&self.variables.1, sms.minutes()) {
            variables.insert(name.clone(), minutes.to_string().into());
        }
        let query = canonical_query([
            ("OutId", &sms.idempotency_key),
            ("PhoneNumbers", number),
            ("SignName", &self.sign),
            ("TemplateCode", self.templates.id_for(&sms.purpose, sms.locale)),
            ("TemplateParam", &Value::Object(variables).to_string()),
        ]);
        let (host, time) =
            (authority(&self.endpoint), now.strftime("%Y-%m-%dT%H:%M:%SZ").to_string());
        let (host, nonce, time, session_token) =
            (host.as_str(), hex::encode(nonce), time.as_str(), self.session_token.as_deref());
        let signed = Call {
            host,
            action: "SendSms",
            version: "2017-05-25",
            nonce: &nonce,
            time,
            session_token,
        };
        let mut url = self.endpoint.clone();
        url.set_query(Some(&query));
        // The body is empty; strict servers and proxies refuse a POST without a length.
        let mut request = self
            .client
            .post(url)
            .map_err(SendError::from_call(NAME))?
            .header(ACCEPT, "application/json")
            .header(CONTENT_LENGTH, "0");
        for (name, value) in signed.headers() {
            request = request.header(name, value);
        }
        let authorization = self.authorization(&signed, &query);
        let response = call(request.header(AUTHORIZATION, authorization))
            .await
            .map_err(SendError::from_call(NAME))?;
        match serde_json::from_slice(&response.body) {
            Ok(AliyunResponse { code, id }) if code == ACCEPTED && response.status.is_success() => {
                Ok(Accepted::with_id(id))
            }
            Ok(AliyunResponse { code, .. }) if code != ACCEPTED => match safe_code(&code) {
                Some(code) => Err(refused_with(NAME, &ALIYUN, code, &response)),
                None => Err(status_error(NAME, &response)),
            },
            _ => Err(status_error(NAME, &response)),
        }
    }

    fn authorization(&self, call: &Call<'_>, query: &str) -> String {
        let signature = call.signature(&self.key_secret, query);
        let names = call.header_names();
        format!(
            "ACS3-HMAC-SHA256 Credential={},SignedHeaders={names},Signature={signature}",
            self.key_id
        )
    }
}

impl Call<'_> {
    /// Headers in alphabetical order, as they are signed.
    fn headers(&self) -> Vec<(&'static str, String)> {
        let headers = [
            ("host", Some(self.host.to_owned())),
            ("x-acs-action", Some(self.action.to_owned())),
            ("x-acs-content-sha256", Some(sha256_hex(b""))),
            ("x-acs-date", Some(self.time.to_owned())),
            ("x-acs-security-token", self.session_token.map(str::to_owned)),
            ("x-acs-signature-nonce", Some(self.nonce.to_owned())),
            ("x-acs-version", Some(self.version.to_owned())),
        ];
        headers.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
    }

    fn header_names(&self) -> String {
        self.headers().into_iter().map(|(name, _)| name).collect::<Vec<_>>().join(";")
    }

    fn signature(&self, secret: &str, query: &str) -> String {
        let headers: String =
            self.headers().iter().map(|(name, value)| format!("{name}:{value}\n")).collect();
        let request =
            format!("POST\n/\n{query}\n{headers}\n{}\n{}", self.header_names(), sha256_hex(b""));
        let text = format!("ACS3-HMAC-SHA256\n{}", sha256_hex(request.as_bytes()));
        hex::encode(hmac_sha256(secret.as_bytes(), text.as_bytes()))
    }
}

/// Encodes the parameters, which must be in alphabetical order, as they are signed and sent.
fn canonical_query<const N: usize>(parameters: [(&str, &str); N]) -> String {
    let encoded =
        parameters.map(|(name, value)| format!("{name}={}", utf8_percent_encode(value, ENCODED)));
    encoded.join("&")
}

impl Gateway for Aliyun {
    fn warm_up(&self) -> BoxFuture<'_, ()> {
        self.client.warm_up()
    }

    fn send<'a>(&'a self, sms: &'a Sms) -> BoxFuture<'a, Result<Accepted, SendError>> {
        #[expect(clippy::disallowed_methods, reason = "a signature carries the time of its call")]
        Box::pin(self.call(sms, Timestamp::now(), random_bytes()))
    }

    fn max_digits(&self) -> Option<usize> {
        self.max_digits
    }

    /// `SmsReport` over HTTP: an array of `{"phone_number", "success", "biz_id", …}`. Aliyun does
    /// not sign it.
    fn delivery_reports(
        &self,
        callback: &Callback<'_>,
    ) -> Result<Vec<DeliveryReport>, DeliveryReportError> {
        let report = |item: &Value, plus: &str| {
            let number = format!("{plus}{}", text(item, "phone_number")?);
            DeliveryReport::new(
                &number,
                "CN",
                text(item, "biz_id")?,
                item.get("success")?.as_bool()?,
            )
        };
        // National, or with a country code and no plus: eleven digits may be either, and only one
        // of the two is known to the store.
        let body = self.path_secret.open(callback)?;
        Ok([each(&body, |item| report(item, "")), each(&body, |item| report(item, "+"))].concat())
    }
}

impl fmt::Debug for Aliyun {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Aliyun({})", self.endpoint.host_str().unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_signature_is_the_vendors() {
        let query = canonical_query([
            ("ImageId", "win2019_1809_x64_dtc_zh-cn_40G_alibase_20230811.vhd"),
            ("RegionId", "cn-shanghai"),
        ]);
        for (nonce, time, expected) in [
            (
                "3156853299f313e23d1673dc12e1703d",
                "2023-10-26T10:22:32Z",
                "06563a9e1b43f5dfe96b81484da74bceab24a1d853912eee15083a6f0f3283c0",
            ),
            (
                "d410180a5abf7fe235dd9b74aca91fc0",
                "2023-10-26T09:01:01Z",
                "e521358f7776c97df52e6b2891a8bc73026794a071b50c3323388c4e0df64804",
            ),
        ] {
            let (host, action) = ("ecs.cn-shanghai.aliyuncs.com", "RunInstances");
            let call =
                Call { host, action, version: "2014-05-26", nonce, time, session_token: None };
            assert_eq!(call.signature("YourAccessKeySecret", &query), expected);
        }
    }

    #[test]
    fn a_query_is_encoded_as_it_is_signed() {
        assert_eq!(
            canonical_query([("A", "验 *~"), ("B", "{\"a\":1}")]),
            "A=%E9%AA%8C%20%2A~&B=%7B%22a%22%3A1%7D"
        );
    }
}
