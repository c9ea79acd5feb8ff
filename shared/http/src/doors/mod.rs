//! Doors: what identity servers send when they want an SMS with a code of theirs, and `DOORS`,
//! which names those that are open.

pub(crate) mod credentials;
pub(crate) mod fields;

use std::fmt;
use std::sync::Arc;

use regex_lite::Regex;
use sms_domain::job::is_tenant;
use sms_domain::locale::Locale;
use sms_domain::phone::Region;
use sms_domain::verification_id::Purpose;
use sms_outbound::dsn::{Dsn, DsnError};

use self::credentials::Credentials;
use self::fields::Fields;
use crate::extract::caller::ApiKeys;

/// `DOORS`: the open doors.
#[derive(Debug, Clone, Default)]
pub struct Doors(Arc<[Door]>);

/// An invalid `DOORS`. It never quotes a secret.
#[derive(Debug, thiserror::Error)]
pub enum DoorsError {
    /// One of them is not valid.
    #[error("has a door {0} that {1}")]
    Door(String, #[source] DsnError),
    /// There is no such door.
    #[error("has an unknown door {0}: use {names}", names = DoorKind::names())]
    Kind(String),
    /// Nobody has the key by which a door's outcomes would be reported.
    #[error("has the door {0} with a tenant that has none of the API_KEYS")]
    Tenant(String),
    /// Two doors have the same path.
    #[error("has the door {0} twice: name one, as in KIND://NAME?…")]
    Twice(String),
}

/// One door.
#[derive(Clone)]
pub(crate) struct Door {
    pub(crate) kind: DoorKind,
    /// The end of its path.
    pub(crate) name: String,
    /// The holder of the API key whose messages its messages are.
    tenant: Option<String>,
    pub(crate) credentials: Credentials,
    pub(crate) fields: Fields,
    /// The country in which a number without `+` is read.
    pub(crate) region: Option<Region>,
    pub(crate) locale: Option<Locale>,
    pub(crate) purpose: Purpose,
    /// True if the codes that are brought back are reported.
    pub(crate) is_reported: bool,
    /// True if a text is sent as it is.
    pub(crate) passes_text: bool,
    /// The pattern by which a code is found in a text; its first group if there is one.
    pub(crate) pattern: Option<Regex>,
}

impl fmt::Debug for Door {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Door({})", self.name)
    }
}

impl Door {
    /// The sender of its messages.
    pub(crate) fn sender(&self) -> String {
        self.tenant.clone().unwrap_or_else(|| ["door-", &self.name].concat())
    }
}

/// A server whose format a door has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DoorKind {
    Supabase,
    Logto,
    Zitadel,
    Kratos,
    Authentik,
    PrivacyIdea,
    Novu,
    /// Twilio's form of `Messages.json`.
    Twilio,
    /// JSON or a form with `to` and `code`, or names of its own.
    Generic,
}

impl DoorKind {
    const ALL: [Self; 9] = [
        Self::Supabase,
        Self::Logto,
        Self::Zitadel,
        Self::Kratos,
        Self::Authentik,
        Self::PrivacyIdea,
        Self::Novu,
        Self::Twilio,
        Self::Generic,
    ];

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Supabase => "supabase",
            Self::Logto => "logto",
            Self::Zitadel => "zitadel",
            Self::Kratos => "kratos",
            Self::Authentik => "authentik",
            Self::PrivacyIdea => "privacyidea",
            Self::Novu => "novu",
            Self::Twilio => "twilio",
            Self::Generic => "generic",
        }
    }

    fn names() -> String {
        Self::ALL.map(Self::as_str).join(", ")
    }
}

impl Doors {
    /// Reads a list such as `supabase://?secret=v1,whsec_… logto://shop?token=…`.
    ///
    /// # Errors
    /// [`DoorsError`] names the door and what is wrong with it.
    pub fn parse(list: &str) -> Result<Self, DoorsError> {
        let mut doors: Vec<Door> = Vec::new();
        for text in list.split_whitespace() {
            let scheme = text.split("://").next().unwrap_or_default();
            let kind = DoorKind::ALL.into_iter().find(|kind| kind.as_str() == scheme);
            let kind = kind.ok_or_else(|| DoorsError::Kind(safe(scheme)))?;
            let door = door(kind, text)
                .map_err(|error| DoorsError::Door(kind.as_str().to_owned(), error))?;
            let is_twilio = |door: &Door| door.kind == DoorKind::Twilio;
            let is_same =
                |other: &Door| other.name == door.name || (is_twilio(other) && is_twilio(&door));
            if doors.iter().any(is_same) {
                return Err(DoorsError::Twice(door.name));
            }
            doors.push(door);
        }
        Ok(Self(doors.into()))
    }

    /// Checks that each `tenant` holds one of the API keys.
    ///
    /// # Errors
    /// [`DoorsError::Tenant`] names the door.
    pub fn check_tenants(&self, keys: &ApiKeys) -> Result<(), DoorsError> {
        let lacks = |door: &&Door| door.tenant.as_ref().is_some_and(|one| !keys.has_holder(one));
        let door = self.0.iter().find(lacks);
        door.map_or(Ok(()), |door| Err(DoorsError::Tenant(door.name.clone())))
    }

    /// True if none is open.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn get(&self, name: &str) -> Option<&Door> {
        let by_path = |door: &&Door| door.kind != DoorKind::Twilio && door.name == name;
        self.0.iter().find(by_path)
    }

    /// The door with Twilio's own path.
    pub(crate) fn twilio(&self) -> Option<&Door> {
        self.0.iter().find(|door| door.kind == DoorKind::Twilio)
    }
}

fn door(kind: DoorKind, text: &str) -> Result<Door, DsnError> {
    let mut dsn = Dsn::parse(text)?;
    let name = match dsn.host() {
        host if host.is_empty() => kind.as_str().to_owned(),
        host if is_tenant(&host) => host,
        _ => return Err(DsnError::Value("its name (letters, digits, _ and -)")),
    };
    let purpose = dsn.option::<String>("purpose")?.unwrap_or_default();
    let locale: Option<String> = dsn.option("locale")?;
    let region: Option<String> = dsn.option("region")?;
    let pattern: Option<String> = dsn.option("pattern")?;
    let tenant: Option<String> = dsn.option("tenant")?;
    let is_reported = word(&mut dsn, "outcome", "reported")?;
    if is_reported && tenant.is_none() {
        return Err(DsnError::Missing("tenant (the name of the API key that reports outcomes)"));
    }
    let as_tenant = |name: &str| is_tenant(name).then(|| name.to_owned());
    let door = Door {
        kind,
        name,
        tenant: parsed(tenant, as_tenant, "tenant (the name of an API key)")?,
        credentials: Credentials::take(kind, &mut dsn)?,
        fields: Fields::take(kind, &mut dsn)?,
        region: parsed(region, Region::parse, "region (a country such as DE)")?,
        locale: parsed(locale, Locale::parse, "locale (en, zh-CN or zh-Hant)")?,
        purpose: Purpose::parse(&purpose).ok_or(DsnError::Value("purpose"))?,
        is_reported,
        passes_text: word(&mut dsn, "text", "pass")?,
        pattern: parsed(pattern, |text| Regex::new(text).ok(), "pattern (a regular expression)")?,
    };
    dsn.finish()?;
    Ok(door)
}

fn parsed<T>(
    text: Option<String>,
    parse: impl Fn(&str) -> Option<T>,
    name: &'static str,
) -> Result<Option<T>, DsnError> {
    text.map(|text| parse(&text).ok_or(DsnError::Value(name))).transpose()
}

/// True if an option has its one word, false if it is not there.
fn word(dsn: &mut Dsn, name: &'static str, word: &str) -> Result<bool, DsnError> {
    match dsn.option::<String>(name)?.as_deref() {
        None => Ok(false),
        Some(given) if given == word => Ok(true),
        Some(_) => Err(DsnError::Value(name)),
    }
}

/// A name that may be shown: a secret in its place is not.
fn safe(name: &str) -> String {
    let is_plain = name.len() <= 16 && name.bytes().all(|byte| byte.is_ascii_lowercase());
    if is_plain { name.to_owned() } else { "without a kind".to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(list: &str) -> String {
        let error = Doors::parse(list).expect_err(list);
        let source = std::error::Error::source(&error).map(ToString::to_string);
        assert!(!error.to_string().contains("0123456789abcdef"), "{error}");
        source.unwrap_or_else(|| error.to_string())
    }

    #[test]
    fn a_list_of_doors_reads() {
        let token = "token=0123456789abcdef0123456789abcdef";
        let doors = Doors::parse(&format!(
            "supabase://?secret=v1,whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY= \
             logto://shop?{token}&purpose=login&outcome=reported&tenant=shop\n\
             authentik://?{token}&region=DE&text=pass generic://own?{token}&to=phone&code=otp \
             twilio://?{token}&pattern=code:%20([0-9]+)"
        ))
        .expect("a list");
        let names: Vec<_> = doors.0.iter().map(|door| door.name.as_str()).collect();
        assert_eq!(names, ["supabase", "shop", "authentik", "own", "twilio"]);
        assert!(doors.get("shop").is_some_and(|door| door.is_reported && !door.passes_text));
        assert!(doors.get("twilio").is_none() && doors.twilio().is_some(), "it has its own path");
        assert!(Doors::parse("").is_ok_and(|doors| doors.is_empty()));
    }

    #[test]
    fn what_is_wrong_with_a_door_is_told_without_its_secret() {
        let token = "token=0123456789abcdef0123456789abcdef";
        for (list, part) in [
            ("keycloak://?token=1".to_owned(), "unknown door keycloak: use supabase, logto"),
            ("0123456789abcdef0123456789abcdef".to_owned(), "unknown door without a kind"),
            ("logto://".to_owned(), "lacks token"),
            ("logto://?token=short".to_owned(), "wrong value for token"),
            ("supabase://?secret=0123456789abcdef".to_owned(), "wrong value for secret"),
            (format!("supabase://?{token}"), "lacks secret"),
            (format!("logto://?{token} logto://?{token}"), "has the door logto twice"),
            (format!("twilio://a?{token} twilio://b?{token}"), "has the door b twice"),
            (format!("logto://a.b?{token}"), "wrong value for its name"),
            (format!("logto://?{token}&region=Atlantis"), "wrong value for region"),
            (format!("logto://?{token}&outcome=maybe"), "wrong value for outcome"),
            (format!("logto://?{token}&outcome=reported"), "lacks tenant"),
            (format!("logto://?{token}&pattern=("), "wrong value for pattern"),
            (format!("logto://?{token}&to=phone"), "unknown option to"),
        ] {
            let error = error(&list);
            assert!(error.contains(part), "{list}: {error}");
        }
    }
}
