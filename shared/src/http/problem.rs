//! Everything that can be answered other than what was asked for: RFC 9457 problem documents, in one place.
//!
//! `code` and `errmsg` keep the numbers and words of the tutorial's `RETCODE` table.

use std::time::Duration;

use axum::Json;
use axum::http::header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::{Map, Value, json};
use tracing::error;

use super::flaw::{BodyFlaw, FieldFlaw};
use crate::admission::AdmissionError;
use crate::challenge::Task;
use crate::limits::{Exceeded, Refusal};
use crate::message::Locale;
use crate::phone::{Country, PhoneError};
use crate::store::StoreError;
use crate::telemetry::causes;

/// What a caller is told to wait when a part is down, in seconds: connections are made anew within that time.
const RETRY_WHEN_DOWN: u64 = 2;

/// The same while another call with the same idempotency key is at work.
const RETRY_WHEN_AT_WORK: u64 = 1;

pub(super) const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");

/// Why a request has no answer of its own.
#[derive(Debug, Clone)]
pub(super) enum Problem {
    /// The body is not JSON.
    BadJson(BodyFlaw),
    /// The body is JSON, and a field in it is not what it should be.
    BadField { field: String, flaw: FieldFlaw },
    /// A field that must be there is not.
    MissingField(&'static str),
    /// `to` is not a number that receives SMS.
    BadNumber(PhoneError),
    /// What a gateway tells of cannot be an HTTP request: a method, a path or a header that none can have.
    NotARequest,
    /// The body says that it is something else than JSON.
    NotJson,
    /// The body is too large.
    TooLarge(usize),
    /// The body did not arrive in time.
    TooSlow,
    /// The code is wrong.
    WrongCode { attempts_left: u32 },
    /// A verification that is unknown, expired, replaced or used: always the same answer.
    Gone,
    /// A push whose signature or secret is not right.
    NotAuthentic,
    /// A call without one of the keys that callers have.
    NoKey,
    /// An `Idempotency-Key` that is none.
    BadIdempotencyKey,
    /// An `Idempotency-Key` that was used for another request.
    IdempotencyKeyReused,
    /// Another call with the same `Idempotency-Key` is at work.
    IdempotencyAtWork,
    /// No route for the path.
    NoSuchPath,
    /// A route, but not for the method.
    NoSuchMethod,
    /// A page of another site asks where only a site's own pages may.
    CrossSite,
    /// Limits are reached.
    TooFrequent(Refusal),
    /// A task has to be solved first.
    Challenge { task: Task, wrong: bool },
    /// No codes are sent to the number's country.
    Country(Country),
    /// A part is down.
    Down(Vec<&'static str>),
}

/// A field that is not what it should be.
pub(super) fn bad(field: &str, flaw: FieldFlaw) -> Problem {
    Problem::BadField { field: field.to_owned(), flaw }
}

/// What does not depend on the single case: type, status, `code`, and the words in English and Chinese.
struct Kind {
    name: &'static str,
    status: StatusCode,
    code: &'static str,
    title: &'static str,
    errmsg: &'static str,
}

impl Problem {
    fn kind(&self) -> Kind {
        let kind = |name, status, code, title, errmsg| Kind { name, status, code, title, errmsg };
        match self {
            Self::BadJson(_) => kind("bad-json", StatusCode::BAD_REQUEST, "5006", "The body is not JSON", "参数错误"),
            Self::BadField { .. } => {
                kind("bad-field", StatusCode::UNPROCESSABLE_ENTITY, "5006", "A field is not valid", "参数错误")
            }
            Self::MissingField(_) => {
                kind("missing-field", StatusCode::UNPROCESSABLE_ENTITY, "4003", "A field is missing", "缺少必传参数")
            }
            Self::BadNumber(_) => {
                kind("bad-number", StatusCode::UNPROCESSABLE_ENTITY, "4007", "Not a mobile phone number", "手机号错误")
            }
            Self::Country(_) => {
                let title = "No codes are sent to this country";
                kind("country-not-allowed", StatusCode::UNPROCESSABLE_ENTITY, "4007", title, "手机号错误")
            }
            Self::NotARequest => {
                kind("bad-request", StatusCode::BAD_REQUEST, "5006", "Not an HTTP request", "参数错误")
            }
            Self::NotJson => {
                kind("not-json", StatusCode::UNSUPPORTED_MEDIA_TYPE, "5006", "Send application/json", "参数错误")
            }
            Self::TooLarge(_) => {
                kind("too-large", StatusCode::PAYLOAD_TOO_LARGE, "5006", "The body is too large", "参数错误")
            }
            Self::TooSlow => kind("too-slow", StatusCode::REQUEST_TIMEOUT, "5006", "The body is too slow", "参数错误"),
            Self::WrongCode { .. } => {
                kind("wrong-code", StatusCode::UNPROCESSABLE_ENTITY, "4008", "The code is wrong", "短信验证码有误")
            }
            Self::Challenge { wrong: false, .. } => {
                let title = "A challenge has to be solved first";
                kind("challenge-required", StatusCode::FORBIDDEN, "4001", title, "请先完成验证")
            }
            Self::Challenge { wrong: true, task } => {
                let title = "The answer to the challenge is wrong";
                let errmsg = if task.is_picture() { "图形验证码错误" } else { "验证未通过" };
                kind("challenge-failed", StatusCode::FORBIDDEN, "4001", title, errmsg)
            }
            Self::Gone => kind("gone", StatusCode::NOT_FOUND, "5003", "No such verification", "无数据"),
            Self::NotAuthentic => kind("not-authentic", StatusCode::FORBIDDEN, "5006", "Not authentic", "参数错误"),
            Self::NoKey => kind("no-key", StatusCode::UNAUTHORIZED, "4101", "An API key is needed", "用户未登录"),
            Self::BadIdempotencyKey => {
                let title = "Not an idempotency key";
                kind("bad-idempotency-key", StatusCode::BAD_REQUEST, "5006", title, "参数错误")
            }
            Self::IdempotencyKeyReused => {
                let title = "The idempotency key was used for another request";
                kind("idempotency-key-reused", StatusCode::UNPROCESSABLE_ENTITY, "5006", title, "参数错误")
            }
            Self::IdempotencyAtWork => {
                let title = "The same request is at work";
                kind("idempotency-key-at-work", StatusCode::CONFLICT, "4002", title, "请求正在处理中")
            }
            Self::CrossSite => {
                kind("cross-site", StatusCode::FORBIDDEN, "5006", "Not for pages of other sites", "参数错误")
            }
            Self::NoSuchPath => kind("no-such-path", StatusCode::NOT_FOUND, "5003", "No such path", "无数据"),
            Self::NoSuchMethod => {
                kind("no-such-method", StatusCode::METHOD_NOT_ALLOWED, "5006", "No such method here", "参数错误")
            }
            Self::TooFrequent(refusal) => {
                let wrong_codes = refusal.exceeded.contains(&Exceeded::Attempts);
                let errmsg = if wrong_codes { "验证码输错次数过多" } else { "发送短信过于频繁" };
                kind(QUOTA_EXCEEDED, StatusCode::TOO_MANY_REQUESTS, "4002", "Too frequent", errmsg)
            }
            Self::Down(_) => {
                kind("unavailable", StatusCode::SERVICE_UNAVAILABLE, "5000", "Temporarily unavailable", "数据库错误")
            }
        }
    }

    fn detail(&self, locale: Locale) -> String {
        let zh = locale == Locale::ZhCn;
        match self {
            Self::BadJson(flaw) => flaw.say(locale),
            Self::BadField { flaw, .. } => flaw.say(locale),
            Self::MissingField(field) if zh => format!("缺少字段 {field}"),
            Self::MissingField(field) => format!("the field {field} is missing"),
            Self::BadNumber(PhoneError::Invalid) if zh => "请输入正确的手机号".to_owned(),
            Self::BadNumber(PhoneError::NotMobile) if zh => "该号码不能接收短信，请输入手机号".to_owned(),
            Self::BadNumber(PhoneError::ArgentinaWithoutNine) if zh => {
                "阿根廷手机号在 +54 之后有一个 9，例如 +54 9 11 2345 6789".to_owned()
            }
            Self::BadNumber(PhoneError::BrazilWithoutNine) if zh => {
                "巴西手机号在区号之后有一个 9，例如 +55 11 96123 4567".to_owned()
            }
            Self::BadNumber(error) => error.to_string(),
            Self::Country(country) if zh => format!("暂不支持该国家或地区的号码：{}", country.code()),
            Self::Country(country) => format!("this installation sends no codes to {}", country.code()),
            Self::NotARequest if zh => "请求的方法、路径或请求头无效".to_owned(),
            Self::NotARequest => "the method, the path or a header is not valid".to_owned(),
            Self::NotJson if zh => "请求体须为 JSON".to_owned(),
            Self::NotJson => "the body must be JSON, with Content-Type: application/json".to_owned(),
            Self::TooLarge(most) if zh => format!("请求体超过 {most} 字节"),
            Self::TooLarge(most) => format!("the body has more than {most} bytes"),
            Self::TooSlow if zh => format!("请求体未在 {} 秒内送达", super::BODY_TIMEOUT.as_secs()),
            Self::TooSlow => format!("the body did not arrive within {} seconds", super::BODY_TIMEOUT.as_secs()),
            Self::WrongCode { attempts_left } if zh => format!("还可尝试 {attempts_left} 次"),
            Self::WrongCode { attempts_left } => format!("attempts left: {attempts_left}"),
            Self::Challenge { .. } if zh => "请完成 challenge 中的任务，并附上结果再次请求".to_owned(),
            Self::Challenge { .. } => "solve the task in challenge, and ask again with the answer".to_owned(),
            Self::Gone if zh => "验证不存在或已失效".to_owned(),
            Self::Gone => "the verification is unknown, expired, replaced or used".to_owned(),
            Self::NotAuthentic if zh => "签名或路径中的密钥不正确".to_owned(),
            Self::NotAuthentic => "the signature, or the secret in the path, is not right".to_owned(),
            Self::NoKey if zh => "请在 Authorization 请求头中携带 API 密钥（Bearer KEY）".to_owned(),
            Self::NoKey => "send one of the keys of API_KEYS as Authorization: Bearer KEY".to_owned(),
            Self::BadIdempotencyKey if zh => "Idempotency-Key 须为 1 至 255 个可见 ASCII 字符，如 UUID".to_owned(),
            Self::BadIdempotencyKey => {
                "Idempotency-Key has 1 to 255 visible characters of ASCII, such as a UUID".to_owned()
            }
            Self::IdempotencyKeyReused if zh => "该幂等键已用于其他请求，请更换".to_owned(),
            Self::IdempotencyKeyReused => "use another key for another request".to_owned(),
            Self::IdempotencyAtWork if zh => "相同请求正在处理，请稍后重试".to_owned(),
            Self::IdempotencyAtWork => "wait for its answer, or ask again in a second".to_owned(),
            Self::CrossSite if zh => "请在 ALLOW_ORIGINS 中加入该页面的源".to_owned(),
            Self::CrossSite => "name the page's origin in ALLOW_ORIGINS".to_owned(),
            Self::NoSuchPath if zh => "路径不存在".to_owned(),
            Self::NoSuchPath => "there is nothing at this path".to_owned(),
            Self::NoSuchMethod if zh => "该路径不支持此方法".to_owned(),
            Self::NoSuchMethod => "the path takes other methods".to_owned(),
            Self::TooFrequent(refusal) if zh => format!("请在 {} 秒后重试", whole_seconds(refusal.retry_after)),
            Self::TooFrequent(refusal) => format!("try again in {} seconds", whole_seconds(refusal.retry_after)),
            Self::Down(_) if zh => "服务暂时不可用，请稍后重试".to_owned(),
            Self::Down(parts) => format!("not reachable: {}", parts.join(", ")),
        }
    }

    fn members(&self) -> Map<String, Value> {
        let members = match self {
            Self::BadField { field, .. } => json!({ "field": field }),
            Self::MissingField(field) => json!({ "field": field }),
            Self::BadNumber(PhoneError::ArgentinaWithoutNine | PhoneError::BrazilWithoutNine) => {
                json!({ "field": "to", "missing": "9" })
            }
            Self::BadNumber(_) | Self::Country(_) => json!({ "field": "to" }),
            Self::WrongCode { attempts_left } => json!({ "field": "code", "attempts_left": attempts_left }),
            Self::TooFrequent(Refusal { exceeded, retry_after }) => {
                let policies: Vec<&str> = exceeded.iter().copied().map(Exceeded::as_str).collect();
                json!({ "violated_policies": policies, "retry_after": whole_seconds(*retry_after) })
            }
            Self::Challenge { task, .. } => json!({ "challenge": task }),
            Self::Down(parts) => json!({ "down": parts }),
            _ => json!({}),
        };
        if let Value::Object(members) = members { members } else { Map::new() }
    }

    fn headers(&self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        match self {
            Self::TooFrequent(Refusal { exceeded, retry_after }) => {
                let seconds = whole_seconds(*retry_after);
                headers.insert(RETRY_AFTER, seconds.into());
                // draft-ietf-httpapi-ratelimit-headers: what is left of each quota, and when there is more of all.
                let items = exceeded.iter().map(|policy| format!("\"{}\";r=0;t={seconds}", policy.as_str()));
                if let Ok(value) = HeaderValue::try_from(items.collect::<Vec<_>>().join(", ")) {
                    headers.insert(RATE_LIMIT, value);
                }
            }
            Self::Down(_) => {
                headers.insert(RETRY_AFTER, RETRY_WHEN_DOWN.into());
            }
            Self::IdempotencyAtWork => {
                headers.insert(RETRY_AFTER, RETRY_WHEN_AT_WORK.into());
            }
            Self::NoKey => {
                headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            }
            _ => {}
        }
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        headers
    }

    /// As the tutorial's table has it, in its language unless the caller asks for another.
    pub(super) fn as_in_the_table(&self, locale: Locale) -> Value {
        let kind = self.kind();
        json!({ "code": kind.code, "errmsg": if locale == Locale::ZhCn { kind.errmsg } else { kind.title } })
    }

    /// The document, with its words in the caller's language.
    pub(super) fn document(&self, locale: Locale) -> Response {
        let kind = self.kind();
        let document = Document {
            kind: if kind.name.starts_with("https:") {
                kind.name.to_owned()
            } else {
                format!("urn:sms-verify:problem:{}", kind.name)
            },
            title: kind.title,
            status: kind.status.as_u16(),
            detail: self.detail(locale),
            code: kind.code,
            errmsg: if locale == Locale::ZhCn { kind.errmsg } else { kind.title },
            members: self.members(),
        };
        (kind.status, self.headers(), Json(document)).into_response()
    }
}

/// The members in the order of RFC 9457, then ours, then those of the single case.
#[derive(Serialize)]
struct Document {
    #[serde(rename = "type")]
    kind: String,
    title: &'static str,
    status: u16,
    detail: String,
    code: &'static str,
    errmsg: &'static str,
    #[serde(flatten)]
    members: Map<String, Value>,
}

/// Registered by draft-ietf-httpapi-ratelimit-headers in the IANA registry of problem types.
const QUOTA_EXCEEDED: &str = "https://iana.org/assignments/http-problem-types#quota-exceeded";

/// The document is written when the caller's language is known: see [`super::app`].
impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = self.kind().status.into_response();
        response.extensions_mut().insert(self);
        response
    }
}

impl From<AdmissionError> for Problem {
    fn from(problem: AdmissionError) -> Self {
        match problem {
            AdmissionError::Refused(refusal) => Self::TooFrequent(refusal),
            AdmissionError::Challenge { task, wrong } => Self::Challenge { task, wrong },
            AdmissionError::Captcha(source) => {
                error!(error = causes(&source), "the captcha cannot be verified");
                Self::Down(vec!["captcha"])
            }
            AdmissionError::Country(country) => Self::Country(country),
            AdmissionError::Store(source) => source.into(),
            AdmissionError::Queue(source) => {
                error!(error = causes(&source), "the queue is down");
                Self::Down(vec!["queue"])
            }
        }
    }
}

impl From<StoreError> for Problem {
    fn from(problem: StoreError) -> Self {
        error!(error = causes(&problem), "the store is down");
        Self::Down(vec!["store"])
    }
}

/// Rounded up: who comes back then is not too early.
pub(super) fn whole_seconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis().div_ceil(1000)).unwrap_or(u64::MAX)
}
