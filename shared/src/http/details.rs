//! What is told of the single case of a problem, in all languages.

use super::BODY_TIMEOUT;
use super::problem::{Problem, whole_seconds};
use crate::message::Locale;
use crate::phone::PhoneError;

impl Problem {
    /// In words.
    pub(super) fn detail(&self, locale: Locale) -> String {
        match self {
            Self::BadJson(error) => error.message(locale),
            Self::BadField { error, .. } => error.message(locale),
            Self::MissingField(field) => {
                say!(locale; "the field {field} is missing", "缺少字段 {field}", "缺少欄位 {field}")
            }
            Self::BadNumber(error) => number(error, locale),
            Self::Country(country) => {
                let code = country.code();
                say!(
                    locale;
                    "this installation sends no codes to {code}",
                    "暂不支持该国家或地区的号码：{code}",
                    "暫不支援該國家或地區的號碼：{code}"
                )
            }
            Self::NotJson | Self::Encoded | Self::TooLarge(_) | Self::TooSlow => {
                self.detail_of_a_body(locale)
            }
            Self::WrongCode { attempts_left, .. } => say!(
                locale;
                "attempts left: {attempts_left}",
                "还可尝试 {attempts_left} 次",
                "還可嘗試 {attempts_left} 次"
            ),
            Self::Challenge { .. } => say!(
                locale;
                "solve the task in challenge, and ask again with the answer",
                "请完成 challenge 中的任务，并附上结果再次请求",
                "請完成 challenge 中的任務，並附上結果再次請求"
            ),
            Self::NotFound => say!(
                locale;
                "the verification is unknown, expired, replaced or used",
                "验证不存在或已失效",
                "驗證不存在或已失效"
            ),
            Self::TooManyRequests(refusal) => {
                let seconds = whole_seconds(refusal.retry_after());
                say!(locale; "try again in {seconds} seconds", "请在 {seconds} 秒后重试", "請在 {seconds} 秒後重試")
            }
            Self::Unavailable(parts) => {
                let parts = parts.join(", ");
                say!(locale; "cannot be used now: {parts}", "服务暂时不可用，请稍后重试", "服務暫時無法使用，請稍後重試")
            }
            _ => self.detail_of_a_call(locale),
        }
    }

    fn detail_of_a_body(&self, locale: Locale) -> String {
        match self {
            Self::Encoded => say!(
                locale;
                "send the body as it is, without Content-Encoding",
                "请原样发送请求体，不要使用 Content-Encoding",
                "請原樣傳送請求主體，不要使用 Content-Encoding"
            ),
            Self::TooLarge(most) => say!(
                locale;
                "the body has more than {most} bytes",
                "请求体超过 {most} 字节",
                "請求主體超過 {most} 位元組"
            ),
            Self::TooSlow => {
                let seconds = BODY_TIMEOUT.as_secs();
                say!(
                    locale;
                    "the body did not arrive within {seconds} seconds",
                    "请求体未在 {seconds} 秒内送达",
                    "請求主體未在 {seconds} 秒內送達"
                )
            }
            _ => say!(
                locale;
                "the body must be JSON, with Content-Type: application/json",
                "请求体须为 JSON，且 Content-Type 为 application/json",
                "請求主體須為 JSON，且 Content-Type 為 application/json"
            ),
        }
    }

    fn detail_of_a_call(&self, locale: Locale) -> String {
        match self {
            Self::InvalidSignature => say!(
                locale;
                "the signature, or the secret in the path, is not right",
                "签名或路径中的密钥不正确",
                "簽章或路徑中的金鑰不正確"
            ),
            Self::Unauthorized => say!(
                locale;
                "send one of the keys of API_KEYS as Authorization: Bearer KEY",
                "请在 Authorization 请求头中携带 API 密钥（Bearer KEY）",
                "請在 Authorization 標頭中附上 API 金鑰（Bearer KEY）"
            ),
            Self::BadIdempotencyKey => say!(
                locale;
                "send one Idempotency-Key of 1 to 255 visible characters of ASCII, such as a UUID, as it is or in double quotes",
                "请发送一个 Idempotency-Key：1 至 255 个可见 ASCII 字符，如 UUID，可加双引号",
                "請傳送一個 Idempotency-Key：1 至 255 個可見 ASCII 字元，如 UUID，可加雙引號"
            ),
            Self::IdempotencyKeyReused => say!(
                locale;
                "use another key for another request",
                "该幂等键已用于其他请求，请更换",
                "該冪等鍵已用於其他請求，請更換"
            ),
            Self::IdempotencyInProgress => say!(
                locale;
                "wait for its answer, or ask again in a second",
                "相同请求正在处理，请稍后重试",
                "相同請求正在處理，請稍後重試"
            ),
            Self::CrossSite => say!(
                locale;
                "name the page's origin in ALLOW_ORIGINS",
                "请在 ALLOW_ORIGINS 中加入该页面的源",
                "請在 ALLOW_ORIGINS 中加入該頁面的來源"
            ),
            Self::NotARequest => say!(
                locale;
                "the method, the path or a header is not valid",
                "请求的方法、路径或请求头无效",
                "請求的方法、路徑或標頭無效"
            ),
            Self::BadHost => say!(
                locale;
                "send one Host, with the name that was asked for",
                "请发送一个有效的 Host 请求头",
                "請傳送一個有效的 Host 標頭"
            ),
            Self::NoSuchMethod => {
                say!(locale; "the path takes other methods", "该路径不支持此方法", "該路徑不支援此方法")
            }
            _ => say!(locale; "there is nothing at this path", "路径不存在", "路徑不存在"),
        }
    }
}

/// What is wrong with a number.
fn number(error: &PhoneError, locale: Locale) -> String {
    let (hans, hant) = match error {
        PhoneError::Invalid => ("请输入正确的手机号", "請輸入正確的手機號碼"),
        PhoneError::NotMobile => {
            ("该号码不能接收短信，请输入手机号", "該號碼無法接收簡訊，請輸入手機號碼")
        }
        PhoneError::ArgentinaWithoutNine => (
            "阿根廷手机号在 +54 之后有一个 9，例如 +54 9 11 2345 6789",
            "阿根廷手機號碼在 +54 之後有一個 9，例如 +54 9 11 2345 6789",
        ),
        PhoneError::BrazilWithoutNine => (
            "巴西手机号在区号之后有一个 9，例如 +55 11 96123 4567",
            "巴西手機號碼在區碼之後有一個 9，例如 +55 11 96123 4567",
        ),
    };
    match locale {
        Locale::En => error.to_string(),
        _ => locale.choose("", hans, hant).to_owned(),
    }
}
