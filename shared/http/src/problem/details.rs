//! The `detail` of a problem: the key of its text, and the values of the placeholders.

use std::borrow::Cow;

use sms_domain::locale::Locale;
use sms_domain::phone::PhoneError;

use super::{Problem, texts, whole_seconds};
use crate::{BODY_TIMEOUT, MAX_IDEMPOTENCY_KEY};

impl Problem {
    /// The text of the `detail`.
    pub(crate) fn detail(&self, locale: Locale) -> Cow<'static, str> {
        let text = texts::find(locale, self.kind().table(), self.key()).unwrap_or_default();
        texts::fill(text, &self.values())
    }

    /// The key of the text in the table of the problem's type.
    pub(crate) fn key(&self) -> &'static str {
        match self {
            Self::BadJson(error) => error.key(),
            Self::BadField { error, .. } => error.key(),
            Self::BadNumber(error) => match error {
                PhoneError::Invalid => "invalid",
                PhoneError::NotMobile => "not-mobile",
                PhoneError::ArgentinaWithoutNine => "argentina",
                PhoneError::BrazilWithoutNine => "brazil",
            },
            Self::WrongCredentials => "door",
            _ => "detail",
        }
    }

    fn values(&self) -> Vec<(&'static str, String)> {
        match self {
            Self::BadJson(error) => error.values(),
            Self::BadField { error, .. } => error.values(),
            Self::MissingField(field) => vec![("field", (*field).to_owned())],
            Self::Country(country) => vec![("country", country.code().to_owned())],
            Self::TooLarge(max) => vec![("bytes", max.to_string())],
            Self::TooSlow => vec![("seconds", BODY_TIMEOUT.as_secs().to_string())],
            Self::WrongCode { attempts_left, .. } => {
                vec![("attempts_left", attempts_left.to_string())]
            }
            Self::BadIdempotencyKey => vec![("max", MAX_IDEMPOTENCY_KEY.to_string())],
            Self::TooManyRequests(refusal) => {
                vec![("seconds", whole_seconds(refusal.retry_after()).to_string())]
            }
            Self::TooManyFailures(wait) => vec![("seconds", whole_seconds(*wait).to_string())],
            Self::Unavailable(parts) => vec![("parts", parts.join(", "))],
            _ => Vec::new(),
        }
    }
}
