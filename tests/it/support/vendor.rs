//! Stubs of the vendors other than CCP: a real HTTP server that checks each call's signature as the
//! vendor does, answers as it is told, and keeps what it was sent.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use percent_encoding::percent_decode_str;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio::net::TcpListener;

use super::services::from_environment;

/// The clients' user, and their password, which must stand nowhere else.
pub const KEY: &str = "vendor-key";
pub const SECRET: &str = "vendor-secret-7c41f09a2b";
/// The account that Twilio's keys belong to.
pub const ACCOUNT: &str = "AC0123456789abcdef0123456789abcdef";

/// A vendor with a stub.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Vendor {
    Aliyun,
    Tencent,
    Twilio,
    Aws,
    Webhook,
}

pub const VENDORS: [Vendor; 5] =
    [Vendor::Aliyun, Vendor::Tencent, Vendor::Twilio, Vendor::Aws, Vendor::Webhook];

/// A call that a vendor got, with the vendor's own names of the fields.
#[derive(Debug, Clone)]
pub struct Sent {
    pub headers: HashMap<String, String>,
    pub fields: Value,
}

/// A status, headers and a body.
#[derive(Debug, Clone)]
pub struct Says(pub u16, pub Vec<(&'static str, &'static str)>, pub Value);

/// The stub.
#[derive(Clone)]
pub struct Stub {
    pub vendor: Vendor,
    pub address: String,
    state: Arc<Mutex<Script>>,
}

struct Script {
    says: Says,
    sent: Vec<Sent>,
    /// Calls whose signature was not right.
    refused: usize,
}

struct Call<'a> {
    path: &'a str,
    query: &'a str,
    headers: &'a HashMap<String, String>,
    body: &'a [u8],
}

impl Vendor {
    /// A DSN with all that the vendor needs, and further options.
    pub fn dsn(self, address: &str, options: &str) -> String {
        let signed = format!("{KEY}:{SECRET}@{address}");
        let dsn = match self {
            Self::Aliyun => {
                format!("aliyun://{signed}?sign=%E7%AD%BE%E5%90%8D&template=SMS_1&tls=false")
            }
            Self::Tencent => format!("tencent://{signed}?app_id=14&sign=S&template=1&tls=false"),
            Self::Twilio => {
                format!("twilio://{signed}?from=+15005550006&account={ACCOUNT}&tls=false")
            }
            Self::Aws => {
                format!("aws://{address}?origination=+12065550100&region=us-east-1&tls=false")
            }
            Self::Webhook => format!("webhook+http://:{SECRET}@{address}/sms?"),
        };
        format!("{dsn}{options}")
    }

    /// The answer of a vendor that has accepted a message, with its name for it.
    pub fn accepts(self, id: &str) -> Says {
        match self {
            Self::Aliyun => Says(
                200,
                vec![],
                json!({ "Code": "OK", "Message": "OK", "BizId": id, "RequestId": "r" }),
            ),
            Self::Tencent => self.says(200, "Ok", id),
            Self::Twilio => Says(201, vec![], json!({ "sid": id, "status": "queued" })),
            Self::Aws => Says(200, vec![], json!({ "MessageId": id })),
            Self::Webhook => Says(200, vec![], json!({ "id": id })),
        }
    }

    /// The answer of a vendor that has refused a message with its own code.
    pub fn refuses(self, status: u16, code: &str) -> Says {
        self.says(status, code, "")
    }

    fn says(self, status: u16, code: &str, id: &str) -> Says {
        let body = match self {
            Self::Aliyun => json!({ "Code": code, "Message": "no", "RequestId": "r" }),
            Self::Tencent => json!({ "Response": { "RequestId": "r", "SendStatusSet": [{
                "SerialNo": id, "PhoneNumber": "+86", "Fee": 1, "SessionContext": "",
                "Code": code, "Message": "m",
            }] } }),
            Self::Twilio => {
                let number: u32 = code.parse().expect("a number");
                json!({ "code": number, "message": "no", "status": status })
            }
            Self::Aws => {
                let parts: Vec<&str> = code.split('.').collect();
                let (reason, field) = (
                    parts.get(1),
                    parts.get(2).map(|name| json!([{ "Name": name, "Message": "no" }])),
                );
                let body = json!({ "Message": "no", "Reason": reason, "Fields": field });
                return Says(status, vec![("x-amzn-errortype", leak(parts[0]))], body);
            }
            Self::Webhook => json!({ "class": code, "reason": "because" }),
        };
        Says(status, vec![], body)
    }

    /// The fields of a call, if the vendor would take it.
    fn read(self, call: &Call<'_>) -> Option<Value> {
        match self {
            Self::Aliyun => aliyun(call),
            Self::Tencent => tencent(call),
            Self::Twilio => twilio(call),
            Self::Aws => aws(call),
            Self::Webhook => webhook(call),
        }
    }
}

fn leak(text: &str) -> &'static str {
    Box::leak(text.to_owned().into_boxed_str())
}

impl Stub {
    /// A stub that accepts every message.
    pub async fn start(vendor: Vendor) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address").to_string();
        let script = Script { says: vendor.accepts("message-1"), sent: Vec::new(), refused: 0 };
        let stub = Self { vendor, address, state: Arc::new(Mutex::new(script)) };
        let app = Router::new().fallback(answer).with_state(stub.clone());
        tokio::spawn(async move { axum::serve(listener, app).await });
        stub
    }

    pub fn dsn(&self) -> String {
        self.vendor.dsn(&self.address, "")
    }

    /// Sets the answer from now on.
    pub fn says(&self, says: Says) {
        self.state.lock().expect("no panic").says = says;
    }

    /// Calls with a right signature.
    pub fn sent(&self) -> Vec<Sent> {
        self.state.lock().expect("no panic").sent.clone()
    }

    /// Calls with a wrong signature.
    pub fn refused(&self) -> usize {
        self.state.lock().expect("no panic").refused
    }
}

async fn answer(State(stub): State<Stub>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body: Bytes = axum::body::to_bytes(body, 64 * 1024).await.expect("a body");
    for name in parts.headers.keys() {
        assert_eq!(
            parts.headers.get_all(name).iter().count(),
            1,
            "a real server would not take {name} twice"
        );
    }
    let header = |(name, value): (&axum::http::HeaderName, &axum::http::HeaderValue)| {
        (name.to_string(), value.to_str().expect("text").to_owned())
    };
    let headers = parts.headers.iter().map(header).collect();
    let (path, query) = (parts.uri.path(), parts.uri.query().unwrap_or_default());
    let call = Call { path, query, headers: &headers, body: &body };
    let mut script = stub.state.lock().expect("no panic");
    let Some(fields) = stub.vendor.read(&call) else {
        script.refused += 1;
        return StatusCode::FORBIDDEN.into_response();
    };
    script.sent.push(Sent { headers, fields });
    let Says(status, headers, body) = script.says.clone();
    let mut response =
        (StatusCode::from_u16(status).expect("a status"), body.to_string()).into_response();
    for (name, value) in headers {
        response.headers_mut().insert(name, value.parse().expect("a value"));
    }
    response
}

pub fn hmac(key: &[u8], message: &str) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("any length");
    mac.update(message.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

fn sha256(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

pub fn now() -> i64 {
    #[expect(clippy::disallowed_methods, reason = "a vendor looks at its clock")]
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
    i64::try_from(now.as_secs()).expect("not so late")
}

/// `name=value` pairs behind a word, as they stand in an Authorization header.
fn parameters<'a>(authorization: &'a str, scheme: &str) -> Option<HashMap<&'a str, &'a str>> {
    let rest = authorization.strip_prefix(scheme)?.trim_start();
    Some(rest.split(',').filter_map(|part| part.trim().split_once('=')).collect())
}

impl Call<'_> {
    fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }

    fn signed_headers(&self, names: &str) -> Option<String> {
        names
            .split(';')
            .map(|name| Some(format!("{name}:{}\n", self.header(name)?.trim())))
            .collect()
    }

    fn form(text: &str) -> Value {
        let decoded = |part: &str| {
            percent_decode_str(&part.replace('+', " ")).decode_utf8().expect("UTF-8").into_owned()
        };
        let pairs = text.split('&').filter_map(|pair| pair.split_once('='));
        pairs
            .map(|(name, value)| (decoded(name), Value::String(decoded(value))))
            .collect::<serde_json::Map<_, _>>()
            .into()
    }
}

/// Signature V3, from the request as it came. A POST tells its length (RFC 9110, 8.6), and each
/// header of Aliyun's is signed.
fn aliyun(call: &Call<'_>) -> Option<Value> {
    call.header("content-length")?;
    let parameters = parameters(call.header("authorization")?, "ACS3-HMAC-SHA256")?;
    let (names, hash) = (*parameters.get("SignedHeaders")?, sha256(call.body));
    let must = [
        "host",
        "x-acs-action",
        "x-acs-content-sha256",
        "x-acs-date",
        "x-acs-signature-nonce",
        "x-acs-version",
    ];
    let is_signed = |name: &str| names.split(';').any(|signed| signed == name);
    if !must.iter().all(|name| is_signed(name))
        || call.headers.keys().any(|name| name.starts_with("x-acs-") && !is_signed(name))
        || call.header("x-acs-content-sha256")? != hash
        || (call.header("x-acs-action")?, call.header("x-acs-version")?)
            != ("SendSms", "2017-05-25")
    {
        return None;
    }
    let canonical = format!(
        "POST\n{}\n{}\n{}\n{names}\n{hash}",
        call.path,
        call.query,
        call.signed_headers(names)?
    );
    let text = format!("ACS3-HMAC-SHA256\n{}", sha256(canonical.as_bytes()));
    let expected = hex::encode(hmac(SECRET.as_bytes(), &text));
    (*parameters.get("Credential")? == KEY && *parameters.get("Signature")? == expected)
        .then(|| Call::form(call.query))
}

/// TC3-HMAC-SHA256, with a clock that is right within five minutes.
fn tencent(call: &Call<'_>) -> Option<Value> {
    let parameters = parameters(call.header("authorization")?, "TC3-HMAC-SHA256")?;
    let names = *parameters.get("SignedHeaders")?;
    let time: i64 = call.header("x-tc-timestamp")?.parse().ok()?;
    if (now() - time).abs() > 300
        || (call.header("x-tc-action")?, call.header("x-tc-version")?) != ("SendSms", "2021-01-11")
        || call.header("x-tc-region")?.is_empty()
    {
        return None;
    }
    let scope = parameters.get("Credential")?.strip_prefix(&format!("{KEY}/"))?;
    let date = scope.split('/').next()?;
    let canonical =
        format!("POST\n/\n\n{}\n{names}\n{}", call.signed_headers(names)?, sha256(call.body));
    let text = format!("TC3-HMAC-SHA256\n{time}\n{scope}\n{}", sha256(canonical.as_bytes()));
    let key = hmac(format!("TC3{SECRET}").as_bytes(), date);
    let key = hmac(&hmac(&key, "sms"), "tc3_request");
    (*parameters.get("Signature")? == hex::encode(hmac(&key, &text)))
        .then(|| serde_json::from_slice(call.body).ok())?
}

/// Basic authentication.
fn twilio(call: &Call<'_>) -> Option<Value> {
    let expected = format!("Basic {}", STANDARD.encode(format!("{KEY}:{SECRET}")));
    let path = format!("/2010-04-01/Accounts/{ACCOUNT}/Messages.json");
    let right = call.header("authorization")? == expected && call.path == path;
    right.then(|| Call::form(std::str::from_utf8(call.body).expect("text")))
}

/// AWS Signature Version 4, with the credentials of the tests' environment.
fn aws(call: &Call<'_>) -> Option<Value> {
    let (key, secret) =
        (from_environment("AWS_ACCESS_KEY_ID"), from_environment("AWS_SECRET_ACCESS_KEY"));
    let parameters = parameters(call.header("authorization")?, "AWS4-HMAC-SHA256")?;
    let (names, time) = (*parameters.get("SignedHeaders")?, call.header("x-amz-date")?);
    if call.header("x-amz-target")? != "PinpointSMSVoiceV2.SendTextMessage" {
        return None;
    }
    let scope = parameters.get("Credential")?.strip_prefix(&format!("{key}/"))?;
    let [date, region, service, end] = scope.split('/').collect::<Vec<_>>()[..] else {
        return None;
    };
    let canonical =
        format!("POST\n/\n\n{}\n{names}\n{}", call.signed_headers(names)?, sha256(call.body));
    let text = format!("AWS4-HMAC-SHA256\n{time}\n{scope}\n{}", sha256(canonical.as_bytes()));
    let key = [region, service, end]
        .iter()
        .fold(hmac(format!("AWS4{secret}").as_bytes(), date), |key, part| hmac(&key, part));
    (*parameters.get("Signature")? == hex::encode(hmac(&key, &text)))
        .then(|| serde_json::from_slice(call.body).ok())?
}

/// Standard Webhooks.
fn webhook(call: &Call<'_>) -> Option<Value> {
    let (id, time) = (call.header("webhook-id")?, call.header("webhook-timestamp")?);
    let text = format!("{id}.{time}.{}", std::str::from_utf8(call.body).ok()?);
    let expected = format!("v1,{}", STANDARD.encode(hmac(SECRET.as_bytes(), &text)));
    let right = call.header("webhook-signature")? == expected
        && (now() - time.parse::<i64>().ok()?).abs() < 300;
    right.then(|| serde_json::from_slice(call.body).ok())?
}
