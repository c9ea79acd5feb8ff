//! Aliyun (Alibaba Cloud) SMS: `SendSms`, release 2017-05-25, with signature V3.
//!
//! `SMS_DSN=aliyun://ACCESS_KEY_ID:ACCESS_KEY_SECRET@default?sign=SIGN_NAME&template=SMS_123`. Options: `sign`, `template`
//! (the id of a template with the variables `code` and, unless `minutes=` is left empty, `minutes`), `code` and `minutes`
//! (other names for these two), `receipts`, `tls`.

use std::fmt;

use futures_util::future::BoxFuture;
use jiff::Timestamp;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::header::{ACCEPT, AUTHORIZATION};
use serde::Deserialize;
use serde_json::{Map, Value};
use url::Url;

use super::client::{HttpClient, authority, call, plain, refused, status_error};
use super::receipt::{Key, each, text};
use super::{Accepted, Class, Gateway, Push, Receipt, ReceiptError, SendError, Sms};
use crate::dsn::{Dsn, DsnError, Templates};
use crate::entropy::random_bytes;
use crate::signing::{hex, hmac_sha256, sha256_hex};

const NAME: &str = "aliyun";

/// The code of success.
const ACCEPTED: &str = "OK";

/// RFC 3986's unreserved characters stay as they are.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

pub(super) struct Aliyun {
    key_id: String,
    key_secret: String,
    sign: String,
    templates: Templates,
    /// The names of the template's variables; no second one if the template has none.
    variables: (String, Option<String>),
    receipts: Key,
    endpoint: Url,
    client: HttpClient,
}

/// What is signed besides the query.
struct Call<'a> {
    host: &'a str,
    action: &'a str,
    version: &'a str,
    nonce: &'a str,
    time: &'a str,
}

#[derive(Deserialize)]
struct Answer {
    #[serde(rename = "Code")]
    code: String,
    #[serde(rename = "BizId")]
    id: Option<String>,
}

pub(super) fn from_dsn(mut dsn: Dsn) -> Result<Aliyun, DsnError> {
    let (key_id, key_secret) = (dsn.user()?, dsn.password()?);
    let (sign, templates) = (dsn.required("sign")?, dsn.templates()?);
    let code = dsn.option("code")?.unwrap_or_else(|| "code".to_owned());
    let minutes = dsn.option_or_empty("minutes").unwrap_or_else(|| "minutes".to_owned());
    let variables = (code, Some(minutes).filter(|name| !name.is_empty()));
    let (receipts, endpoint) = (Key::from_dsn(&mut dsn)?, dsn.base_url("dysmsapi.aliyuncs.com")?);
    dsn.finish()?;
    Ok(Aliyun { key_id, key_secret, sign, templates, variables, receipts, endpoint, client: HttpClient::default() })
}

impl Aliyun {
    async fn call(&self, sms: &Sms, now: Timestamp, nonce: [u8; 16]) -> Result<Accepted, SendError> {
        // National within China, country code and number elsewhere; never a plus.
        let number = if sms.to.country_code() == "86" { sms.to.national() } else { &sms.to.e164()[1..] };
        let mut variables = Map::new();
        variables.insert(self.variables.0.clone(), sms.code.expose().into());
        if let Some(name) = &self.variables.1 {
            variables.insert(name.clone(), sms.minutes().to_string().into());
        }
        let query = canonical_query([
            ("OutId", &sms.idempotency_key),
            ("PhoneNumbers", number),
            ("SignName", &self.sign),
            ("TemplateCode", self.templates.of(&sms.purpose, sms.locale)),
            ("TemplateParam", &Value::Object(variables).to_string()),
        ]);
        let (host, time) = (authority(&self.endpoint), now.strftime("%Y-%m-%dT%H:%M:%SZ").to_string());
        let (host, nonce, time) = (host.as_str(), hex(&nonce), time.as_str());
        let signed = Call { host, action: "SendSms", version: "2017-05-25", nonce: &nonce, time };
        let mut url = self.endpoint.clone();
        url.set_query(Some(&query));
        let mut request = self.client.post(NAME, url)?.header(ACCEPT, "application/json");
        for (name, value) in signed.headers() {
            request = request.header(name, value);
        }
        let authorization = self.authorization(&signed, &query);
        let answer = call(NAME, request.header(AUTHORIZATION, authorization)).await?;
        match serde_json::from_slice(&answer.body) {
            Ok(Answer { code, id }) if code == ACCEPTED && answer.status.is_success() => Ok(Accepted::with_id(id)),
            Ok(Answer { code, .. }) if code != ACCEPTED => match plain(&code) {
                Some(code) => Err(refused(NAME, class_of(code), code, &answer)),
                None => Err(status_error(NAME, &answer)),
            },
            _ => Err(status_error(NAME, &answer)),
        }
    }

    fn authorization(&self, call: &Call<'_>, query: &str) -> String {
        let signature = call.signature(&self.key_secret, query);
        let names = call.header_names();
        format!("ACS3-HMAC-SHA256 Credential={},SignedHeaders={names},Signature={signature}", self.key_id)
    }
}

impl Call<'_> {
    /// In alphabetical order, as they are signed.
    fn headers(&self) -> [(&'static str, String); 6] {
        [
            ("host", self.host.to_owned()),
            ("x-acs-action", self.action.to_owned()),
            ("x-acs-content-sha256", sha256_hex(b"")),
            ("x-acs-date", self.time.to_owned()),
            ("x-acs-signature-nonce", self.nonce.to_owned()),
            ("x-acs-version", self.version.to_owned()),
        ]
    }

    fn header_names(&self) -> String {
        self.headers().map(|(name, _)| name).join(";")
    }

    fn signature(&self, secret: &str, query: &str) -> String {
        let headers: String = self.headers().iter().map(|(name, value)| format!("{name}:{value}\n")).collect();
        let request = format!("POST\n/\n{query}\n{headers}\n{}\n{}", self.header_names(), sha256_hex(b""));
        let text = format!("ACS3-HMAC-SHA256\n{}", sha256_hex(request.as_bytes()));
        hex(&hmac_sha256(secret.as_bytes(), text.as_bytes()))
    }
}

/// The parameters, which must come in alphabetical order, as they are signed and sent.
fn canonical_query<const N: usize>(parameters: [(&str, &str); N]) -> String {
    let encoded = parameters.map(|(name, value)| format!("{name}={}", utf8_percent_encode(value, ENCODED)));
    encoded.join("&")
}

impl Gateway for Aliyun {
    fn send<'a>(&'a self, sms: &'a Sms) -> BoxFuture<'a, Result<Accepted, SendError>> {
        #[expect(clippy::disallowed_methods, reason = "a signature carries the time of its call")]
        Box::pin(self.call(sms, Timestamp::now(), random_bytes()))
    }

    /// `SmsReport` over HTTP: an array of `{"phone_number", "success", "biz_id", …}`. Aliyun signs nothing.
    fn receipts(&self, push: &Push<'_>) -> Result<Vec<Receipt>, ReceiptError> {
        let report = |item: &Value, plus: &str| {
            let number = format!("{plus}{}", text(item, "phone_number")?);
            Receipt::new(&number, "CN", text(item, "biz_id")?, item.get("success")?.as_bool()?)
        };
        // National, or with a country code and no plus: eleven digits may be either, and only one is known in the store.
        let body = self.receipts.open(push)?;
        Ok([each(&body, |item| report(item, "")), each(&body, |item| report(item, "+"))].concat())
    }
}

/// What Aliyun's error codes mean, as the error page of `SendSms` lists them.
fn class_of(code: &str) -> Class {
    match code {
        // The number or the content.
        "isv.MOBILE_NUMBER_ILLEGAL"
        | "isv.BLACK_KEY_CONTROL_LIMIT"
        | "isv.PARAM_NOT_SUPPORT_URL"
        | "MOBILE_NOT_ON_SERVICE"
        | "MOBILE_IN_BLACK" => Class::Permanent,
        // Too many to this number in a minute, an hour or a day.
        "isv.BUSINESS_LIMIT_CONTROL" | "isv.DAY_LIMIT_CONTROL" | "isv.MONTH_LIMIT_CONTROL" => Class::Throttled,
        // The account, its money, its signatures and templates.
        "isp.RAM_PERMISSION_DENY"
        | "isv.OUT_OF_SERVICE"
        | "isv.PRODUCT_UN_SUBSCRIPT"
        | "isv.PRODUCT_UNSUBSCRIBE"
        | "isv.ACCOUNT_NOT_EXISTS"
        | "isv.ACCOUNT_ABNORMAL"
        | "isv.SMS_TEMPLATE_ILLEGAL"
        | "isv.SMS_SIGNATURE_ILLEGAL"
        | "isv.SMS_SIGN_ILLEGAL"
        | "isv.SMS_SIGNATURE_SCENE_ILLEGAL"
        | "isv.SMS_TEST_SIGN_TEMPLATE_LIMIT"
        | "isv.INVALID_PARAMETERS"
        | "isv.INVALID_JSON_PARAM"
        | "isv.TEMPLATE_MISSING_PARAMETERS"
        | "isv.TEMPLATE_PARAMS_ILLEGAL"
        | "isv.PARAM_LENGTH_LIMIT"
        | "isv.AMOUNT_NOT_ENOUGH"
        | "isv.DENY_IP_RANGE"
        | "isv.MOBILE_COUNT_OVER_LIMIT"
        | "SignatureDoesNotMatch"
        | "IncompleteSignature"
        | "SignatureNonceUsed"
        | "InvalidTimeStamp.Expired"
        | "InvalidAccessKeyId.NotFound"
        | "InvalidAccessKeyId.Inactive"
        | "Forbidden.RAM" => Class::Configuration,
        // isp.SYSTEM_ERROR, Throttling and ServiceUnavailable are the gateway's own trouble. So, most likely, is a code
        // that is not listed here: it answered and did not accept, and the next attempt may tell more.
        _ => Class::Transient,
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
            let call = Call { host, action, version: "2014-05-26", nonce, time };
            assert_eq!(call.signature("YourAccessKeySecret", &query), expected);
        }
    }

    #[test]
    fn a_query_is_encoded_as_it_is_signed() {
        assert_eq!(canonical_query([("A", "验 *~"), ("B", "{\"a\":1}")]), "A=%E9%AA%8C%20%2A~&B=%7B%22a%22%3A1%7D");
    }
}
