//! Errors in a request body or in one of its fields.

use sms_domain::verification_id::Purpose;

/// An error in a request body.
#[derive(Debug, Clone, Copy)]
pub enum BodyError {
    /// The connection or the encoding failed before its end.
    Unreadable,
    /// Not a JSON object.
    ExpectedObject,
    /// A syntax error at this place.
    InvalidJson {
        /// Counted from 1.
        line: usize,
        /// Counted from 1.
        column: usize,
    },
    /// More text after the object.
    TrailingData,
    /// Not a delivery report in the gateway's format.
    NotADeliveryReport,
}

/// An error in a field of a request body.
#[derive(Debug, Clone, Copy)]
pub enum FieldError {
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
    /// Not a code with this number of digits.
    InvalidCode { digits: usize },
    /// The other field is present, and the two exclude each other.
    Excludes(&'static str),
    /// A page or an app that is not configured.
    NotConfigured,
    /// Not the number of the verification.
    OtherNumber,
    /// Not a code that somebody else may have made.
    InvalidCustomCode,
    /// No code in a text, or several.
    NoCodeInText,
    /// More characters than this.
    TooLong { most: usize },
    /// A number without `+`, and no country to read it in.
    NoCountry,
    /// No outcome of a message.
    InvalidOutcome,
    /// Not a lifetime in seconds.
    InvalidLifetime,
    /// Not an IP address.
    InvalidAddress,
}

impl BodyError {
    /// The key of its text in the table `bad-json`.
    pub(crate) fn key(self) -> &'static str {
        match self {
            Self::Unreadable => "unreadable",
            Self::ExpectedObject => "not-an-object",
            Self::InvalidJson { .. } => "syntax",
            Self::TrailingData => "trailing",
            Self::NotADeliveryReport => "not-a-delivery-report",
        }
    }

    /// The values of the text's placeholders.
    pub(crate) fn values(self) -> Vec<(&'static str, String)> {
        match self {
            Self::InvalidJson { line, column } => {
                vec![("line", line.to_string()), ("column", column.to_string())]
            }
            _ => Vec::new(),
        }
    }
}

impl FieldError {
    /// The key of its text in the table `bad-field`.
    pub(crate) fn key(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Duplicate => "duplicate",
            Self::ExpectedString => "not-a-string",
            Self::InvalidCountry => "country",
            Self::InvalidLanguage => "language",
            Self::InvalidPurpose => "purpose",
            Self::InvalidPicture => "picture",
            Self::InvalidCode { .. } => "code",
            Self::Excludes(_) => "excludes",
            Self::NotConfigured => "not-configured",
            Self::OtherNumber => "other-number",
            Self::InvalidCustomCode => "custom-code",
            Self::NoCodeInText => "no-code",
            Self::TooLong { .. } => "too-long",
            Self::NoCountry => "no-country",
            Self::InvalidOutcome => "outcome",
            Self::InvalidLifetime => "lifetime",
            Self::InvalidAddress => "address",
        }
    }

    /// The values of the text's placeholders.
    pub(crate) fn values(self) -> Vec<(&'static str, String)> {
        match self {
            Self::InvalidPurpose => vec![("max", Purpose::MAX_LENGTH.to_string())],
            Self::InvalidCode { digits } => vec![("digits", digits.to_string())],
            Self::TooLong { most } => vec![("max", most.to_string())],
            Self::Excludes(other) => vec![("other", other.to_owned())],
            _ => Vec::new(),
        }
    }
}
