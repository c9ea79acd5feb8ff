//! The event of Cognito's custom SMS sender (docs/guide/from-cognito.md names its source).

use serde::Deserialize;
use serde_json::Value;
use sms_domain::job::is_tenant;
use sms_domain::locale::Locale;
use sms_domain::phone::{Country, PhoneError, PhoneNumber, Region};
use sms_domain::verification_id::Purpose;

/// The event that `cognito-sms` is invoked with.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub enum Event {
    /// A code to be sent.
    Trigger(Box<Trigger>),
    /// An event of another source.
    Other(Value),
}

/// A code that Cognito wants to be sent. Only the members that are used are read.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Trigger {
    /// What the person did, `CustomSMSSender_SignUp` and others.
    pub trigger_source: String,
    user_pool_id: PoolId,
    request: Request,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Request {
    #[serde(rename = "type")]
    _kind: Kind,
    #[serde(default)]
    code: Option<String>,
    #[serde(default)]
    user_attributes: Attributes,
}

/// The request's version, by which the event is known.
#[derive(Deserialize)]
enum Kind {
    #[serde(rename = "customSMSSenderRequestV1")]
    V1,
}

#[derive(Default, Deserialize)]
struct Attributes {
    #[serde(default)]
    phone_number: Option<String>,
    #[serde(default)]
    locale: Option<String>,
}

#[derive(Deserialize)]
#[serde(try_from = "String")]
struct PoolId(String);

impl TryFrom<String> for PoolId {
    type Error = &'static str;

    fn try_from(id: String) -> Result<Self, Self::Error> {
        if is_tenant(&tenant(&id)) { Ok(Self(id)) } else { Err("not the id of a user pool") }
    }
}

/// The name of a user pool as a sender of messages.
fn tenant(pool: &str) -> String {
    ["cognito-", pool].concat()
}

/// The reason why nothing can be sent for an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unsendable {
    /// It tells something and has no code.
    #[error("the event has no code")]
    NoCode,
    /// The user has no phone number.
    #[error("the user has no phone_number")]
    NoNumber,
    /// The number has no `+`.
    #[error("phone_number is not in the form +12065550100")]
    NotInternational,
    /// The number does not receive SMS.
    #[error("phone_number: {0}")]
    Number(#[from] PhoneError),
}

impl std::fmt::Debug for Trigger {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Trigger").field("source", &self.trigger_source).finish_non_exhaustive()
    }
}

impl Trigger {
    /// The code, encrypted.
    ///
    /// # Errors
    /// [`Unsendable::NoCode`].
    pub fn encrypted_code(&self) -> Result<&str, Unsendable> {
        self.request.code.as_deref().filter(|code| !code.is_empty()).ok_or(Unsendable::NoCode)
    }

    /// The user's number and its country.
    ///
    /// # Errors
    /// [`Unsendable`], if there is none that receives SMS.
    pub fn number(&self) -> Result<(PhoneNumber, Country), Unsendable> {
        let number = self.request.user_attributes.phone_number.as_deref().map(str::trim);
        let number = number.filter(|text| !text.is_empty()).ok_or(Unsendable::NoNumber)?;
        if !number.starts_with('+') {
            return Err(Unsendable::NotInternational);
        }
        Ok(PhoneNumber::parse_with_country(number, Region::default())?)
    }

    /// The language of the SMS: the user's, else that of the number's country.
    #[must_use]
    pub fn locale(&self, number: &PhoneNumber) -> Locale {
        let locale = self.request.user_attributes.locale.as_deref();
        locale.and_then(Locale::parse).unwrap_or_else(|| Locale::of(number))
    }

    /// The purpose, which selects the text.
    #[must_use]
    pub fn purpose(&self) -> Purpose {
        let purpose = match self.trigger_source.as_str() {
            "CustomSMSSender_SignUp" => "register",
            "CustomSMSSender_ForgotPassword" => "reset-password",
            "CustomSMSSender_Authentication" => "login",
            _ => "",
        };
        Purpose::parse(purpose).unwrap_or_default()
    }

    /// The user pool as a sender of messages.
    #[must_use]
    pub fn tenant(&self) -> String {
        tenant(&self.user_pool_id.0)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn event(source: &str, attributes: &Value) -> Value {
        json!({
            "version": "1",
            "region": "eu-west-1",
            "triggerSource": source,
            "userPoolId": "eu-west-1_Ab3dEf6hI",
            "userName": "6f1c",
            "callerContext": { "awsSdkVersion": "aws-sdk-unknown-unknown", "clientId": "1example" },
            "request": {
                "type": "customSMSSenderRequestV1",
                "code": "AYAD",
                "clientMetadata": null,
                "userAttributes": attributes,
            },
            "response": {},
        })
    }

    fn trigger(event: Value) -> Trigger {
        match serde_json::from_value(event).expect("an event") {
            Event::Trigger(trigger) => *trigger,
            Event::Other(event) => panic!("not Cognito's: {event}"),
        }
    }

    #[test]
    fn each_trigger_has_the_text_of_its_purpose() {
        for (source, purpose) in [
            ("SignUp", "register"),
            ("ResendCode", ""),
            ("ForgotPassword", "reset-password"),
            ("UpdateUserAttribute", ""),
            ("VerifyUserAttribute", ""),
            ("Authentication", "login"),
            ("AdminCreateUser", ""),
        ] {
            let source = format!("CustomSMSSender_{source}");
            let event = event(&source, &json!({ "phone_number": "+8613800138000" }));
            let trigger = trigger(event);
            assert_eq!(trigger.purpose().as_str(), purpose, "{source}");
            assert_eq!(trigger.tenant(), "cognito-eu-west-1_Ab3dEf6hI");
        }
    }

    #[test]
    fn the_number_is_international_and_the_language_the_users() {
        let of = |attributes: Value| trigger(event("CustomSMSSender_SignUp", &attributes));
        for (attributes, locale) in [
            (json!({ "phone_number": "+8613800138000" }), Locale::ZhCn),
            (json!({ "phone_number": "+8613800138000", "locale": "en_GB" }), Locale::En),
            (json!({ "phone_number": "+8613800138000", "locale": "zh-TW" }), Locale::ZhHant),
            (json!({ "phone_number": "+8613800138000", "locale": "fr-FR" }), Locale::ZhCn),
            (json!({ "phone_number": "+12065550100", "email": "a@b.example" }), Locale::En),
        ] {
            let trigger = of(attributes);
            let (number, _) = trigger.number().expect("a number");
            assert_eq!(trigger.locale(&number), locale, "{number}");
        }
        for (attributes, error) in [
            (json!({}), Unsendable::NoNumber),
            (json!({ "phone_number": "" }), Unsendable::NoNumber),
            (json!({ "phone_number": "13800138000" }), Unsendable::NotInternational),
            (json!({ "phone_number": "+861065529988" }), PhoneError::NotMobile.into()),
            (json!({ "phone_number": "+1206555" }), PhoneError::Invalid.into()),
        ] {
            assert_eq!(of(attributes).number().err(), Some(error));
        }
    }

    #[test]
    fn an_event_without_a_code_is_cognitos_and_another_is_not() {
        let mut told = event("CustomSMSSender_AccountTakeOverNotification", &json!({}));
        told["request"]["code"] = Value::Null;
        assert_eq!(trigger(told).encrypted_code().err(), Some(Unsendable::NoCode));

        let mut email = event("CustomEmailSender_SignUp", &json!({}));
        email["request"]["type"] = "customEmailSenderRequestV1".into();
        let mut elsewhere = event("CustomSMSSender_SignUp", &json!({}));
        elsewhere["userPoolId"] = "a pool".into();
        for event in [email, elsewhere, json!({}), json!({ "Records": [] })] {
            let event = serde_json::from_value(event).expect("an event");
            assert!(matches!(event, Event::Other(_)), "{event:?}");
        }
    }

    #[test]
    fn no_log_line_has_the_number_or_the_encrypted_code() {
        let attributes = json!({ "phone_number": "+8613800138000" });
        let event: Event =
            serde_json::from_value(event("CustomSMSSender_SignUp", &attributes)).expect("an event");
        let shown = format!("{event:?}");
        assert!(shown.contains("SignUp"), "{shown}");
        assert!(!shown.contains("138") && !shown.contains("AYAD"), "{shown}");
    }
}
