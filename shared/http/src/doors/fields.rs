//! Where number and code stand in a server's request.

use std::net::IpAddr;

use axum::http::HeaderMap;
use axum::http::header::CONTENT_TYPE;
use serde_json::{Map, Value};
use sms_domain::code::Code;
use sms_domain::custom_code::{CustomCode, MAX_SEGMENTS};
use sms_domain::locale::Locale;
use sms_domain::message::segments;
use sms_domain::phone::{Country, PhoneNumber, Region};
use sms_domain::test_numbers::TestNumbers;
use sms_outbound::dsn::{Dsn, DsnError};
use tracing::warn;
use url::form_urlencoded;

use super::{Door, DoorKind};
use crate::extract::caller::read_address;
use crate::problem::field_error::{BodyError, FieldError};
use crate::problem::{Problem, bad};

/// Paths of the values in a request, as JSON pointers (RFC 6901); the first that is there counts.
#[derive(Debug, Clone, Default)]
pub(crate) struct Fields {
    to: Vec<String>,
    code: Vec<String>,
    text: Vec<String>,
    locale: Vec<String>,
    ip: Vec<String>,
    international: International,
}

/// Which numbers without `+` begin with a country's code.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum International {
    /// None.
    #[default]
    None,
    /// Those that are numbers in JSON: the server has left the `+` out.
    JsonNumbers,
    /// All: the server always leaves the `+` out.
    All,
}

/// What a server asks for.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) to: PhoneNumber,
    pub(crate) country: Country,
    pub(crate) custom: CustomCode,
    pub(crate) locale: Option<Locale>,
    /// The person's address.
    pub(crate) ip: Option<IpAddr>,
}

impl Fields {
    pub(super) fn take(kind: DoorKind, dsn: &mut Dsn) -> Result<Self, DsnError> {
        let of = |to: &[&str], code: &[&str], text: &[&str]| {
            let owned = |list: &[&str]| list.iter().map(|path| (*path).to_owned()).collect();
            Self { to: owned(to), code: owned(code), text: owned(text), ..Self::default() }
        };
        let all = International::All;
        Ok(match kind {
            DoorKind::Supabase => Self {
                ip: vec!["/metadata/ip_address".to_owned()],
                international: all,
                ..of(&["/sms/phone"], &["/sms/otp"], &[])
            },
            DoorKind::Logto => Self {
                locale: vec!["/payload/locale".to_owned()],
                ip: vec!["/ip".to_owned()],
                international: all,
                ..of(&["/to"], &["/payload/code"], &[])
            },
            DoorKind::Zitadel => of(
                &["/contextInfo/recipientPhoneNumber"],
                &["/args/code", "/args/oTP"],
                &["/templateData/text"],
            ),
            DoorKind::Kratos => {
                let code = &["/code", "/template_data/*_code"];
                of(&["/to", "/recipient"], code, &["/text", "/body"])
            }
            // The body is the code alone, and the message the whole text.
            DoorKind::Authentik => of(&["/To"], &[], &["/Message", "/Body"]),
            DoorKind::Novu => of(&["/to"], &[], &["/content"]),
            DoorKind::Twilio => of(&["/To"], &[], &["/Body"]),
            DoorKind::PrivacyIdea | DoorKind::Generic => {
                let mut named = |option: &'static str, default: &str| {
                    let name: Option<String> = dsn.option(option)?;
                    let name = name.as_deref().unwrap_or(default).trim_start_matches('/');
                    Ok::<_, DsnError>(format!("/{name}"))
                };
                let (to, code) = (named("to", "to")?, named("code", "code")?);
                let message = named("message", "text")?;
                let international = match kind {
                    DoorKind::PrivacyIdea => International::JsonNumbers,
                    _ => International::None,
                };
                Self { international, ..of(&[&to], &[&code], &[&message]) }
            }
        })
    }
}

/// Reads a body by its content type, and without a body a query.
pub(crate) fn values(
    headers: &HeaderMap,
    body: &[u8],
    query: Option<&str>,
) -> Result<Value, Problem> {
    let content_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let media_type = content_type.unwrap_or_default().split(';').next().unwrap_or_default().trim();
    let pairs = if body.is_empty() {
        query.unwrap_or_default().as_bytes()
    } else if media_type.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
        body
    } else {
        return match serde_json::from_slice(body) {
            Ok(value @ Value::Object(_)) => Ok(value),
            Ok(_) => Err(Problem::BadJson(BodyError::ExpectedObject)),
            Err(error) => Err(Problem::BadJson(BodyError::InvalidJson {
                line: error.line(),
                column: error.column(),
            })),
        };
    };
    let pairs = form_urlencoded::parse(pairs);
    let values: Map<String, Value> =
        pairs.map(|(name, value)| (name.into_owned(), value.into_owned().into())).collect();
    Ok(values.into())
}

impl Door {
    /// Reads what is asked for.
    pub(crate) fn read(&self, values: &Value, numbers: &TestNumbers) -> Result<Asked, Problem> {
        let (to, country) = self.number(values, numbers)?;
        let text = self.find(values, &self.fields.text).and_then(as_text);
        let code = self.find(values, &self.fields.code).and_then(as_text);
        let custom = match (code, text) {
            (Some(code), text) => {
                let code = Code::custom(&code).ok_or(bad("code", FieldError::InvalidCustomCode))?;
                CustomCode { code, text: text.filter(|_| self.passes_text), valid_until: None }
            }
            (None, Some(text)) => {
                let code = self.code_in(&text).ok_or(bad("text", FieldError::NoCodeInText))?;
                let text = self.passes_text.then_some(text);
                CustomCode { code, text, valid_until: None }
            }
            (None, None) => return Err(Problem::MissingField("code")),
        };
        if custom.text.as_ref().is_some_and(|text| segments(text) > MAX_SEGMENTS) {
            return Err(bad("text", FieldError::TooLong { most: MAX_SEGMENTS }));
        }
        let locale = self.find(values, &self.fields.locale).and_then(as_text);
        let locale = locale.as_deref().and_then(Locale::parse).or(self.locale);
        let ip = self.find(values, &self.fields.ip).and_then(as_text);
        // A proxy's list begins with the person's.
        let first = ip.as_deref().and_then(|list| list.split(',').next()).map(str::trim);
        let ip = first.and_then(read_address);
        if ip.is_none() && first.is_some() {
            warn!(door = self.name, "the person's address is not readable: it is not counted");
        }
        Ok(Asked { to, country, custom, locale, ip })
    }

    fn number(
        &self,
        values: &Value,
        numbers: &TestNumbers,
    ) -> Result<(PhoneNumber, Country), Problem> {
        let value = self.find(values, &self.fields.to).ok_or(Problem::MissingField("to"))?;
        let text = as_text(value).ok_or(bad("to", FieldError::ExpectedString))?;
        let text = text.trim();
        let is_international = match self.fields.international {
            International::None => false,
            International::JsonNumbers => value.is_number(),
            International::All => true,
        };
        let is_bare = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let (text, region) = if text.starts_with('+') {
            (text.to_owned(), Region::default())
        } else if let Some(region) = self.region {
            // The operator says how they are stored.
            (text.to_owned(), region)
        } else if is_international && is_bare {
            (format!("+{text}"), Region::default())
        } else {
            return Err(bad("to", FieldError::NoCountry));
        };
        numbers.number(&text, region).map_err(Problem::BadNumber)
    }

    /// The first of these paths that is there. `*_code` is any name with this end.
    fn find<'a>(&self, values: &'a Value, paths: &[String]) -> Option<&'a Value> {
        let find = |path: &String| match path.split_once("/*") {
            None => values.pointer(path),
            Some((parent, end)) => {
                let members = values.pointer(parent)?.as_object()?;
                members.iter().find(|(name, _)| name.ends_with(end)).map(|(_, value)| value)
            }
        };
        paths.iter().filter_map(find).find(|value| !value.is_null() && *value != "")
    }

    /// The code in a text: by the door's pattern, or the one word that looks like a code.
    fn code_in(&self, text: &str) -> Option<Code> {
        if let Some(pattern) = &self.pattern {
            let found = pattern.captures(text)?;
            return Code::custom(found.get(1).or(found.get(0))?.as_str());
        }
        let words = text
            .split(|c: char| !(c.is_ascii_alphanumeric() || c == '-'))
            .map(|word| word.trim_matches('-'));
        let mut found: Option<&str> = None;
        for word in words.filter(|word| may_be_a_code(word)) {
            // Small letters are in words and names, too: which of them is the code is not known.
            if !looks_like_a_code(word) || found.is_some_and(|code| code != word) {
                return None;
            }
            found = Some(word);
        }
        // Digits with a space between them: the code, or two numbers.
        let is_punctuation = |c: char| !c.is_ascii_alphanumeric();
        let groups: Vec<&str> =
            text.split_whitespace().map(|word| word.trim_matches(is_punctuation)).collect();
        let is_digits =
            |word: &str| word.len() >= 2 && word.bytes().all(|byte| byte.is_ascii_digit());
        if groups.windows(2).any(|pair| pair.iter().all(|word| is_digits(word))) {
            return None;
        }
        Code::custom(found?)
    }
}

/// A word with a digit, or with groups of capital letters.
fn may_be_a_code(word: &str) -> bool {
    let has_digit = word.bytes().any(|byte| byte.is_ascii_digit());
    (4..=16).contains(&word.len()) && (has_digit || looks_like_a_code(word))
}

/// Digits, perhaps with capital letters; or groups of both that are equally long, as `WBPP-MJGR`
/// and `152-012-248`.
fn looks_like_a_code(word: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit();
    let mut groups = word.split('-');
    let first = groups.next().map_or(0, str::len);
    let is_one = first == word.len();
    (4..=16).contains(&word.len())
        && word.bytes().all(|byte| allowed(byte) || byte == b'-')
        && (!is_one || word.bytes().any(|byte| byte.is_ascii_digit()))
        && groups.all(|group| group.len() == first)
}

fn as_text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::doors::Doors;

    const TOKEN: &str = "token=0123456789abcdef0123456789abcdef";

    fn door(text: &str) -> Door {
        let doors = Doors::parse(text).expect("a door");
        doors.0[0].clone()
    }

    fn read(door: &Door, values: &Value) -> Result<(String, String, Option<String>), String> {
        let asked = door.read(values, &TestNumbers::default());
        asked
            .map(|asked| {
                let CustomCode { code, text, .. } = asked.custom;
                (asked.to.e164().to_owned(), code.expose().to_owned(), text)
            })
            .map_err(|problem| problem.detail(Locale::En).into_owned())
    }

    #[test]
    fn bare_digits_are_international_only_where_the_server_leaves_out_the_plus() {
        let of = |kind: &str| door(&format!("{kind}://?{TOKEN}"));
        let logto = json!({ "to": "13125550123", "payload": { "code": "012345" } });
        assert_eq!(read(&of("logto"), &logto).expect("valid").0, "+13125550123");
        let novu = json!({ "to": "13125550123", "content": "Your code: 012345." });
        let refused = read(&of("novu"), &novu).expect_err("of no country");
        assert!(refused.contains("+ and the country's code"), "{refused}");
        let chinese = door(&format!("novu://?{TOKEN}&region=CN"));
        let novu = json!({ "to": "138 0013 8000", "content": "Your code: 012345." });
        assert_eq!(read(&chinese, &novu).expect("valid").0, "+8613800138000");
        let privacy_idea = of("privacyidea");
        let number = json!({ "to": 8_613_800_138_000_i64, "code": 123_456 });
        let expected = ("+8613800138000".to_owned(), "123456".to_owned(), None);
        assert_eq!(read(&privacy_idea, &number), Ok(expected));
        let text = json!({ "to": "8613800138000", "code": "012345" });
        read(&privacy_idea, &text).expect_err("as it is stored");
    }

    #[test]
    fn the_code_in_a_text_is_the_one_word_that_looks_like_one() {
        let plain = door(&format!("novu://?{TOKEN}"));
        let code = |door: &Door, text: &str| {
            let values = json!({ "to": "+8613800138000", "content": text });
            read(door, &values).map(|(_, code, _)| code).ok()
        };
        for (text, found) in [
            ("Your My-Site code is 012345. It is valid for 5 minutes.", Some("012345")),
            ("Code: WBPP-MJGR", Some("WBPP-MJGR")),
            ("152-012-248", Some("152-012-248")),
            ("您的验证码是471100，5分钟内有效", Some("471100")),
            ("012345 is your code\n@shop.example #012345", Some("012345")),
            ("Order 20261128: your code is 012345", None),
            ("Your account already exists", None),
            ("Your MULTI-FACTOR code: abc123", None),
            ("Code a1b2c3 - call 8005550100", None),
            ("COVID-19 line: your code is 471100", None),
            ("Your code is 123 456. Ref 2026", None),
            ("Your MULTI-FACTOR code: 471100", Some("471100")),
        ] {
            assert_eq!(code(&plain, text).as_deref(), found, "{text}");
        }
        let by_pattern = door(&format!("novu://?{TOKEN}&pattern=code%20is%20([0-9]%2B)"));
        let text = "Order 20261128: your code is 012345";
        assert_eq!(code(&by_pattern, text).as_deref(), Some("012345"));
        let passing = door(&format!("novu://?{TOKEN}&text=pass"));
        let values = json!({ "to": "+8613800138000", "content": "Hello 4711" });
        let passed = read(&passing, &values).expect("valid");
        assert_eq!((passed.1.as_str(), passed.2.as_deref()), ("4711", Some("Hello 4711")));
    }

    #[test]
    fn fields_of_kratos_are_those_of_the_template() {
        let kratos = door(&format!("kratos://?{TOKEN}"));
        let values = json!({
            "recipient": "+8613800138000",
            "template_data": { "to": "x", "login_code": "471100", "identity": {} },
        });
        assert_eq!(read(&kratos, &values).expect("valid").1, "471100");
    }
}
