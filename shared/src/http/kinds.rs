//! What does not depend on the single case of a problem: type, status, `code`, and the title in all
//! languages.

use axum::http::StatusCode;

use crate::message::Locale;

/// A kind of problem.
pub(super) struct ProblemKind {
    /// The end of its type, or the whole of a registered one.
    pub(super) name: &'static str,
    pub(super) status: StatusCode,
    /// Its number in the tutorial's table.
    pub(super) code: &'static str,
    title: [&'static str; 3],
    /// The words of the tutorial's table, in simplified and in traditional characters; in English
    /// it has the title.
    errmsg: [&'static str; 2],
}

impl ProblemKind {
    pub(super) fn title(&self, locale: Locale) -> &'static str {
        let [en, hans, hant] = self.title;
        locale.choose(en, hans, hant)
    }

    pub(super) fn errmsg(&self, locale: Locale) -> &'static str {
        let [hans, hant] = self.errmsg;
        locale.choose(self.title[0], hans, hant)
    }
}

const fn kind(
    name: &'static str,
    status: StatusCode,
    code: &'static str,
    title: [&'static str; 3],
    errmsg: [&'static str; 2],
) -> ProblemKind {
    ProblemKind { name, status, code, title, errmsg }
}

const PARAMETER: [&str; 2] = ["参数错误", "參數錯誤"];
const NO_DATA: [&str; 2] = ["无数据", "無資料"];
const MOBILE: [&str; 2] = ["手机号错误", "手機號碼錯誤"];

pub(super) const BAD_JSON: ProblemKind = kind(
    "bad-json",
    StatusCode::BAD_REQUEST,
    "5006",
    ["The body is not JSON", "请求体不是 JSON", "請求主體不是 JSON"],
    PARAMETER,
);
pub(super) const BAD_FIELD: ProblemKind = kind(
    "bad-field",
    StatusCode::UNPROCESSABLE_ENTITY,
    "5006",
    ["A field is not valid", "字段无效", "欄位無效"],
    PARAMETER,
);
pub(super) const MISSING_FIELD: ProblemKind = kind(
    "missing-field",
    StatusCode::UNPROCESSABLE_ENTITY,
    "4003",
    ["A field is missing", "缺少字段", "缺少欄位"],
    ["缺少必传参数", "缺少必傳參數"],
);
pub(super) const BAD_NUMBER: ProblemKind = kind(
    "bad-number",
    StatusCode::UNPROCESSABLE_ENTITY,
    "4007",
    ["Not a mobile phone number", "不是手机号", "不是手機號碼"],
    MOBILE,
);
pub(super) const COUNTRY: ProblemKind = kind(
    "country-not-allowed",
    StatusCode::UNPROCESSABLE_ENTITY,
    "4007",
    [
        "No codes are sent to this country",
        "不向该国家或地区发送验证码",
        "不向該國家或地區傳送驗證碼",
    ],
    MOBILE,
);
pub(super) const NOT_A_REQUEST: ProblemKind = kind(
    "bad-request",
    StatusCode::BAD_REQUEST,
    "5006",
    ["Not an HTTP request", "不是有效的 HTTP 请求", "不是有效的 HTTP 請求"],
    PARAMETER,
);
pub(super) const NOT_JSON: ProblemKind = kind(
    "not-json",
    StatusCode::UNSUPPORTED_MEDIA_TYPE,
    "5006",
    ["Send application/json", "请发送 application/json", "請傳送 application/json"],
    PARAMETER,
);
pub(super) const ENCODED: ProblemKind = kind(
    "encoded",
    StatusCode::UNSUPPORTED_MEDIA_TYPE,
    "5006",
    ["The body is encoded", "请求体经过编码", "請求主體經過編碼"],
    PARAMETER,
);
pub(super) const BAD_HOST: ProblemKind = kind(
    "bad-host",
    StatusCode::BAD_REQUEST,
    "5006",
    ["Not one Host", "Host 请求头无效", "Host 標頭無效"],
    PARAMETER,
);
pub(super) const TOO_LARGE: ProblemKind = kind(
    "too-large",
    StatusCode::PAYLOAD_TOO_LARGE,
    "5006",
    ["The body is too large", "请求体过大", "請求主體過大"],
    PARAMETER,
);
pub(super) const TOO_SLOW: ProblemKind = kind(
    "too-slow",
    StatusCode::REQUEST_TIMEOUT,
    "5006",
    ["The body is too slow", "请求体送达过慢", "請求主體送達過慢"],
    PARAMETER,
);
pub(super) const WRONG_CODE: ProblemKind = kind(
    "wrong-code",
    StatusCode::UNPROCESSABLE_ENTITY,
    "4008",
    ["The code is wrong", "验证码错误", "驗證碼錯誤"],
    ["短信验证码有误", "簡訊驗證碼有誤"],
);
pub(super) const CHALLENGE_REQUIRED: ProblemKind = kind(
    "challenge-required",
    StatusCode::FORBIDDEN,
    "4001",
    ["A challenge has to be solved first", "请先完成验证", "請先完成驗證"],
    ["请先完成验证", "請先完成驗證"],
);
pub(super) const CHALLENGE_FAILED: ProblemKind = kind(
    "challenge-failed",
    StatusCode::FORBIDDEN,
    "4001",
    ["The answer to the challenge is wrong", "验证未通过", "驗證未通過"],
    ["验证未通过", "驗證未通過"],
);
pub(super) const PICTURE_FAILED: ProblemKind =
    ProblemKind { errmsg: ["图形验证码错误", "圖形驗證碼錯誤"], ..CHALLENGE_FAILED };
pub(super) const NOT_FOUND: ProblemKind = kind(
    "gone",
    StatusCode::NOT_FOUND,
    "5003",
    ["No such verification", "没有此验证", "沒有此驗證"],
    NO_DATA,
);
pub(super) const INVALID_SIGNATURE: ProblemKind = kind(
    "not-authentic",
    StatusCode::FORBIDDEN,
    "5006",
    ["Not authentic", "来源未通过核验", "來源未通過核驗"],
    PARAMETER,
);
pub(super) const UNAUTHORIZED: ProblemKind = kind(
    "no-key",
    StatusCode::UNAUTHORIZED,
    "4101",
    ["An API key is needed", "需要 API 密钥", "需要 API 金鑰"],
    ["用户未登录", "使用者未登入"],
);
pub(super) const BAD_IDEMPOTENCY_KEY: ProblemKind = kind(
    "bad-idempotency-key",
    StatusCode::BAD_REQUEST,
    "5006",
    ["Not an idempotency key", "幂等键无效", "冪等鍵無效"],
    PARAMETER,
);
pub(super) const IDEMPOTENCY_KEY_REUSED: ProblemKind = kind(
    "idempotency-key-reused",
    StatusCode::UNPROCESSABLE_ENTITY,
    "5006",
    [
        "The idempotency key was used for another request",
        "幂等键已用于其他请求",
        "冪等鍵已用於其他請求",
    ],
    PARAMETER,
);
pub(super) const IDEMPOTENCY_IN_PROGRESS: ProblemKind = kind(
    "idempotency-key-at-work",
    StatusCode::CONFLICT,
    "4002",
    ["The same request is at work", "相同请求正在处理", "相同請求正在處理"],
    ["请求正在处理中", "請求正在處理中"],
);
pub(super) const CROSS_SITE: ProblemKind = kind(
    "cross-site",
    StatusCode::FORBIDDEN,
    "5006",
    ["Not for pages of other sites", "不接受其他网站的页面", "不接受其他網站的頁面"],
    PARAMETER,
);
pub(super) const NO_SUCH_PATH: ProblemKind = kind(
    "no-such-path",
    StatusCode::NOT_FOUND,
    "5003",
    ["No such path", "路径不存在", "路徑不存在"],
    NO_DATA,
);
pub(super) const NO_SUCH_METHOD: ProblemKind = kind(
    "no-such-method",
    StatusCode::METHOD_NOT_ALLOWED,
    "5006",
    ["No such method here", "不支持此方法", "不支援此方法"],
    PARAMETER,
);

/// Registered by draft-ietf-httpapi-ratelimit-headers in the IANA registry of problem types.
const QUOTA_EXCEEDED: &str = "https://iana.org/assignments/http-problem-types#quota-exceeded";

pub(super) const TOO_MANY_REQUESTS: ProblemKind = kind(
    QUOTA_EXCEEDED,
    StatusCode::TOO_MANY_REQUESTS,
    "4002",
    ["Too frequent", "过于频繁", "過於頻繁"],
    ["发送短信过于频繁", "傳送簡訊過於頻繁"],
);
pub(super) const TOO_MANY_WRONG: ProblemKind = ProblemKind {
    errmsg: ["验证码输错次数过多", "驗證碼輸錯次數過多"],
    ..TOO_MANY_REQUESTS
};
pub(super) const UNAVAILABLE: ProblemKind = kind(
    "unavailable",
    StatusCode::SERVICE_UNAVAILABLE,
    "5000",
    ["Temporarily unavailable", "服务暂时不可用", "服務暫時無法使用"],
    ["数据库错误", "資料庫錯誤"],
);
