//! What can be wrong with a body or with a field of it, in all languages.

use crate::message::Locale;

/// What is wrong with a body.
#[derive(Debug, Clone, Copy)]
pub(super) enum BodyFlaw {
    /// It could not be read to its end.
    Unread,
    /// It is JSON, and no object.
    NoObject,
    /// It is none from here on.
    NoJson { line: usize, column: usize },
    /// Something follows the object.
    MoreThanOne,
    /// It is no receipts of the gateway that it is for.
    NoReceipts,
}

/// What is wrong with a field.
#[derive(Debug, Clone, Copy)]
pub(super) enum FieldFlaw {
    /// It is not one of those that there are.
    Unknown,
    /// It is there twice.
    Twice,
    /// It is no string.
    NoString,
    /// It is no country.
    NoCountry,
    /// It is no language.
    NoLanguage,
    /// It is no purpose.
    NoPurpose,
    /// It is no UUID of a picture.
    NoPicture,
    /// It has another number of digits, or something else than digits.
    NoCode { digits: usize },
    /// It excludes another field.
    Excludes(&'static str),
    /// It names a page or an app that is not configured.
    NotConfigured,
    /// It is another number than that of the verification.
    OtherNumber,
}

impl BodyFlaw {
    /// In words.
    pub(super) fn say(self, locale: Locale) -> String {
        match self {
            Self::Unread => {
                say!(locale; "the body could not be read", "请求体无法读取", "請求主體無法讀取")
            }
            Self::NoObject => {
                say!(locale; "the body must be a JSON object", "请求体须为 JSON 对象", "請求主體須為 JSON 物件")
            }
            Self::NoJson { line, column } => say!(
                locale;
                "not JSON: line {line}, column {column}",
                "JSON 格式错误：第 {line} 行第 {column} 列",
                "JSON 格式錯誤：第 {line} 行第 {column} 列"
            ),
            Self::MoreThanOne => say!(
                locale;
                "not JSON: something follows the object",
                "JSON 格式错误：对象之后还有内容",
                "JSON 格式錯誤：物件之後還有內容"
            ),
            Self::NoReceipts => {
                say!(locale; "these are no receipts of that gateway", "不是该网关的回执", "不是該閘道的回執")
            }
        }
    }
}

impl FieldFlaw {
    /// In words.
    pub(super) fn say(self, locale: Locale) -> String {
        match self {
            Self::Unknown => say!(locale; "the field is unknown", "未知字段", "未知欄位"),
            Self::Twice => say!(locale; "the field is there twice", "字段重复", "欄位重複"),
            Self::NoString => {
                say!(locale; "the field must be a string", "字段须为字符串", "欄位須為字串")
            }
            Self::NoCountry => say!(
                locale;
                "the field must be a country code such as CN",
                "须为国家或地区代码，如 CN",
                "須為國家或地區代碼，如 CN"
            ),
            Self::NoLanguage => say!(
                locale;
                "the field must be a language tag such as en, zh-CN or zh-Hant",
                "须为语言标签，如 zh-CN、zh-Hant 或 en",
                "須為語言標籤，如 zh-Hant、zh-CN 或 en"
            ),
            Self::NoPurpose => say!(
                locale;
                "the field must be up to 32 characters of a-z, 0-9, _ and -",
                "最多 32 个字符，只能用 a-z、0-9、_ 和 -",
                "最多 32 個字元，只能用 a-z、0-9、_ 和 -"
            ),
            Self::NoPicture => {
                say!(locale; "the field must be the UUID of a picture", "须为图形验证码的 UUID", "須為圖形驗證碼的 UUID")
            }
            Self::NoCode { digits } => say!(
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
