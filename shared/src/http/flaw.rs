//! Errors in a request body or in one of its fields.

use crate::message::Locale;

/// An error in a request body.
#[derive(Debug, Clone, Copy)]
pub(super) enum BodyError {
    /// The connection or the encoding failed before its end.
    Unreadable,
    /// Not a JSON object.
    ExpectedObject,
    /// A syntax error at this place.
    InvalidJson { line: usize, column: usize },
    /// More text after the object.
    TrailingData,
    /// Not a delivery report in the gateway's format.
    NotADeliveryReport,
}

/// An error in a field of a request body.
#[derive(Debug, Clone, Copy)]
pub(super) enum FieldError {
    /// No field of that name exists.
    Unknown,
    /// The field occurs twice.
    Duplicate,
    /// Not a string.
    ExpectedString,
    /// Not a country code.
    InvalidCountry,
    /// Not a language tag.
    InvalidLanguage,
    /// Not a purpose.
    InvalidPurpose,
    /// Not the UUID of a picture.
    InvalidPicture,
    /// Not a code of so many digits.
    InvalidCode { digits: usize },
    /// Given together with a field that it excludes.
    Excludes(&'static str),
    /// A page or an app that is not configured.
    NotConfigured,
    /// Not the number of the verification.
    OtherNumber,
}

impl BodyError {
    /// In words.
    pub(super) fn message(self, locale: Locale) -> String {
        match self {
            Self::Unreadable => {
                say!(locale; "the body could not be read", "请求体无法读取", "請求主體無法讀取")
            }
            Self::ExpectedObject => {
                say!(locale; "the body must be a JSON object", "请求体须为 JSON 对象", "請求主體須為 JSON 物件")
            }
            Self::InvalidJson { line, column } => say!(
                locale;
                "not JSON: line {line}, column {column}",
                "JSON 格式错误：第 {line} 行第 {column} 列",
                "JSON 格式錯誤：第 {line} 行第 {column} 列"
            ),
            Self::TrailingData => say!(
                locale;
                "not JSON: something follows the object",
                "JSON 格式错误：对象之后还有内容",
                "JSON 格式錯誤：物件之後還有內容"
            ),
            Self::NotADeliveryReport => {
                say!(locale; "these are no receipts of that gateway", "不是该网关的回执", "不是該閘道的回執")
            }
        }
    }
}

impl FieldError {
    /// In words.
    pub(super) fn message(self, locale: Locale) -> String {
        match self {
            Self::Unknown => say!(locale; "the field is unknown", "未知字段", "未知欄位"),
            Self::Duplicate => say!(locale; "the field is there twice", "字段重复", "欄位重複"),
            Self::ExpectedString => {
                say!(locale; "the field must be a string", "字段须为字符串", "欄位須為字串")
            }
            Self::InvalidCountry => say!(
                locale;
                "the field must be a country code such as CN",
                "须为国家或地区代码，如 CN",
                "須為國家或地區代碼，如 CN"
            ),
            Self::InvalidLanguage => say!(
                locale;
                "the field must be a language tag such as en, zh-CN or zh-Hant",
                "须为语言标签，如 zh-CN、zh-Hant 或 en",
                "須為語言標籤，如 zh-Hant、zh-CN 或 en"
            ),
            Self::InvalidPurpose => say!(
                locale;
                "the field must be up to 32 characters of a-z, 0-9, _ and -",
                "最多 32 个字符，只能用 a-z、0-9、_ 和 -",
                "最多 32 個字元，只能用 a-z、0-9、_ 和 -"
            ),
            Self::InvalidPicture => {
                say!(locale; "the field must be the UUID of a picture", "须为图形验证码的 UUID", "須為圖形驗證碼的 UUID")
            }
            Self::InvalidCode { digits } => say!(
                locale;
                "the field must be a string of {digits} digits",
                "验证码须为 {digits} 位数字",
                "驗證碼須為 {digits} 位數字"
            ),
            Self::Excludes(other) => say!(
                locale;
                "give this or {other}, not both",
                "不能与 {other} 同时提供",
                "不能與 {other} 同時提供"
            ),
            Self::NotConfigured => say!(
                locale;
                "the field must be one of those that this installation is configured for",
                "不在本服务的配置之中",
                "不在本服務的設定之中"
            ),
            Self::OtherNumber => say!(
                locale;
                "this is not the number of this verification",
                "与该验证的手机号不一致",
                "與該驗證的手機號碼不一致"
            ),
        }
    }
}
