//! What can be wrong with a body or with a field of it, in both languages.

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
        let zh = locale == Locale::ZhCn;
        match self {
            Self::Unread if zh => "请求体无法读取".to_owned(),
            Self::Unread => "the body could not be read".to_owned(),
            Self::NoObject if zh => "请求体须为 JSON 对象".to_owned(),
            Self::NoObject => "the body must be a JSON object".to_owned(),
            Self::NoJson { line, column } if zh => format!("JSON 格式错误：第 {line} 行第 {column} 列"),
            Self::NoJson { line, column } => format!("not JSON: line {line}, column {column}"),
            Self::MoreThanOne if zh => "JSON 格式错误：对象之后还有内容".to_owned(),
            Self::MoreThanOne => "not JSON: something follows the object".to_owned(),
            Self::NoReceipts if zh => "不是该网关的回执".to_owned(),
            Self::NoReceipts => "these are no receipts of that gateway".to_owned(),
        }
    }
}

impl FieldFlaw {
    /// In words.
    pub(super) fn say(self, locale: Locale) -> String {
        let zh = locale == Locale::ZhCn;
        match self {
            Self::Unknown if zh => "未知字段".to_owned(),
            Self::Unknown => "the field is unknown".to_owned(),
            Self::Twice if zh => "字段重复".to_owned(),
            Self::Twice => "the field is there twice".to_owned(),
            Self::NoString if zh => "字段须为字符串".to_owned(),
            Self::NoString => "the field must be a string".to_owned(),
            Self::NoCountry if zh => "须为国家或地区代码，如 CN".to_owned(),
            Self::NoCountry => "the field must be a country code such as CN".to_owned(),
            Self::NoLanguage if zh => "须为 zh-CN 或 en".to_owned(),
            Self::NoLanguage => "the field must be zh-CN or en".to_owned(),
            Self::NoPurpose if zh => "最多 32 个字符，只能用 a-z、0-9、_ 和 -".to_owned(),
            Self::NoPurpose => "the field must be up to 32 characters of a-z, 0-9, _ and -".to_owned(),
            Self::NoPicture if zh => "须为图形验证码的 UUID".to_owned(),
            Self::NoPicture => "the field must be the UUID of a picture".to_owned(),
            Self::NoCode { digits } if zh => format!("验证码须为 {digits} 位数字"),
            Self::NoCode { digits } => format!("the field must be a string of {digits} digits"),
            Self::Excludes(other) if zh => format!("不能与 {other} 同时提供"),
            Self::Excludes(other) => format!("give this or {other}, not both"),
            Self::NotConfigured if zh => "不在本服务的配置之中".to_owned(),
            Self::NotConfigured => "the field must be one of those that this installation is configured for".to_owned(),
            Self::OtherNumber if zh => "与该验证的手机号不一致".to_owned(),
            Self::OtherNumber => "this is not the number of this verification".to_owned(),
        }
    }
}
