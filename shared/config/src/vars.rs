//! Single variables: reads and checks each, and collects the problems.

use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;
use std::time::Duration;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use sms_app::challenge::Challenge;
use sms_app::meiduo_keys::MeiduoKeys;
use sms_app::send_sms::DeliveryPolicy;
use sms_domain::budget::Budget;
use sms_domain::code::CodeLength;
use sms_domain::code_settings::CodeSettings;
use sms_domain::conversion_test::GuardMode;
use sms_domain::job_batch;
use sms_domain::limits::Limits;
use sms_domain::message::{AllowedAutofill, Autofill};
use sms_domain::phone::{Countries, Region};
use sms_domain::retry_schedule::Schedule;
use sms_domain::secrets::Secrets;
use sms_domain::test_numbers::TestNumbers;
use sms_domain::verification::Policy;
use sms_gateways::Gateways;
use sms_http::{
    AllowedOrigins, ApiKeys, BasePath, Callers, Doors, FailedCredentials, TrustedProxies,
    VerifyServices,
};
use sms_outbound::proxy;
use sms_telemetry::causes;

use crate::ops_token::OpsToken;
use crate::settings::{self, Setting};
use crate::{ConfigError, INBOX, Lookup};

/// A reader of variables, with the problems found so far.
pub(super) struct Vars<'a> {
    lookup: Lookup<'a>,
    problems: Vec<String>,
}

impl<'a> Vars<'a> {
    pub(super) fn new(lookup: Lookup<'a>, required: &[&Setting]) -> Self {
        let mut vars = Self { lookup, problems: Vec::new() };
        required.iter().for_each(|setting| vars.require(setting));
        vars
    }

    pub(super) fn get(&self, setting: &Setting) -> Option<String> {
        setting.read(self.lookup)
    }

    pub(super) fn require(&mut self, setting: &Setting) {
        if self.get(setting).is_none() {
            let what = format!("is not set; for example {}", setting.assignment());
            self.problem(setting, &what);
        }
    }

    pub(super) fn problem(&mut self, name: impl fmt::Display, what: &str) {
        self.problems.push(format!("{name} {what}"));
    }

    /// Returns the value if there are no problems. Missing variables were recorded before.
    pub(super) fn finish<T>(self, build: impl FnOnce() -> Option<T>) -> Result<T, ConfigError> {
        match build() {
            Some(value) if self.problems.is_empty() => Ok(value),
            _ => Err(ConfigError(self.problems)),
        }
    }

    pub(super) fn secrets(&mut self) -> Option<Secrets> {
        let parsed = Secrets::parse(&self.get(&settings::CODE_SECRET)?);
        parsed
            .inspect_err(|error| {
                self.problem(&settings::CODE_SECRET, &format!("is invalid: {error}"));
            })
            .ok()
    }

    pub(super) fn gateways(&mut self) -> Option<Gateways> {
        let dsn = self.get(&settings::SMS_DSN)?;
        if dsn == INBOX {
            return None;
        }
        if let Some(name) = proxy::unusable(self.lookup) {
            self.problem(
                name,
                "needs the URL of an HTTP proxy such as http://proxy.example:3128; \
                 SOCKS is not supported",
            );
        }
        Gateways::from_dsn(&dsn)
            .inspect_err(|error| self.problem(&settings::SMS_DSN, &error.to_string()))
            .ok()
    }

    /// Checks that codes of this length fit into the gateways' templates.
    pub(super) fn check_code_length(&mut self, gateways: Option<&Gateways>, length: CodeLength) {
        if let Some((gateway, max)) =
            gateways.and_then(|gateways| gateways.too_long_for(length.digits()))
        {
            let what = format!(
                "is more than {max}, the maximum of verification templates of {gateway}; \
                 for a template of another kind, set template_kind=notice in SMS_DSN"
            );
            self.problem(&settings::CODE_LENGTH, &what);
        }
    }

    pub(super) fn policy(&mut self) -> Policy {
        let default = Policy::default();
        Policy {
            ttl: self.seconds(&settings::CODE_TTL, default.ttl, Policy::MAX_LIFE.as_secs()),
            resend_interval: self.seconds(
                &settings::RESEND_INTERVAL,
                default.resend_interval,
                3600,
            ),
            max_attempts: self.number(&settings::MAX_ATTEMPTS, default.max_attempts, 1, 100),
            max_life: default.max_life,
            remember: if self.get(&settings::BUDGET).is_some() {
                Policy::REMEMBER
            } else {
                default.remember
            },
        }
    }

    pub(super) fn jobs_per_message(&mut self) -> u8 {
        self.number(&settings::JOBS_PER_MESSAGE, job_batch::MOST, 1, job_batch::MOST)
    }

    pub(super) fn code_length(&mut self) -> CodeLength {
        let digits = self.number(&settings::CODE_LENGTH, 6, 4, 10);
        CodeLength::new(digits).unwrap_or_default()
    }

    pub(super) fn schedule(&mut self) -> Schedule {
        let default = Schedule::default();
        Schedule {
            backoff: self.seconds(&settings::RETRY_BACKOFF, default.backoff, 300),
            max_retries: self.number(&settings::MAX_RETRIES, default.max_retries, 0, 10),
        }
    }

    pub(super) fn delivery_policy(&mut self) -> DeliveryPolicy {
        let Some(word) = self.get(&settings::DELIVERY_POLICY) else {
            return DeliveryPolicy::default();
        };
        DeliveryPolicy::parse(&word).unwrap_or_else(|| {
            self.problem(&settings::DELIVERY_POLICY, "needs at_least_once or at_most_once");
            DeliveryPolicy::default()
        })
    }

    pub(super) fn region(&mut self) -> Region {
        let Some(text) = self.get(&settings::DEFAULT_REGION) else { return Region::default() };
        Region::parse(&text).unwrap_or_else(|| {
            self.problem(&settings::DEFAULT_REGION, "needs a two-letter country code such as CN");
            Region::default()
        })
    }

    /// `ALLOWED_COUNTRIES`: unless set, the default region alone.
    pub(super) fn countries(&mut self, region: Region) -> Countries {
        let Some(text) = self.get(&settings::ALLOWED_COUNTRIES) else {
            return Countries::only(region);
        };
        Countries::parse(&text).unwrap_or_else(|| {
            self.problem(
                &settings::ALLOWED_COUNTRIES,
                "needs a list of country codes such as CN,HK or all, and of networks such as +881",
            );
            Countries::only(region)
        })
    }

    pub(super) fn limits(&mut self) -> Limits {
        let parsed = Limits::parse(&self.get(&settings::LIMITS).unwrap_or_default());
        parsed
            .inspect_err(|error| self.problem(&settings::LIMITS, &format!("is invalid: {error}")))
            .unwrap_or_default()
    }

    pub(super) fn guard(&mut self) -> GuardMode {
        let Some(word) = self.get(&settings::GUARD) else { return GuardMode::default() };
        GuardMode::parse(&word).unwrap_or_else(|| {
            self.problem(&settings::GUARD, "needs off, observe or enforce");
            GuardMode::default()
        })
    }

    /// `CHALLENGE`: unless set, proof of work for what is suspicious.
    pub(super) fn challenge(&mut self) -> Option<Challenge> {
        let Some(text) = self.get(&settings::CHALLENGE) else { return Some(Challenge::default()) };
        let parsed = Challenge::parse(&text);
        parsed
            .inspect_err(|error| self.problem(&settings::CHALLENGE, &error.to_string()))
            .ok()
            .flatten()
    }

    /// `BUDGET` and `PRICES`.
    pub(super) fn budget(&mut self) -> Budget {
        let (budget, prices) = (
            self.get(&settings::BUDGET).unwrap_or_default(),
            self.get(&settings::PRICES).unwrap_or_default(),
        );
        let parsed = Budget::parse(&budget, &prices);
        parsed
            .inspect_err(|error| self.problem(error.variable(), &format!("is invalid: {error}")))
            .unwrap_or_default()
    }

    /// `BASE_PATH`: unless set, the API's paths begin at the root.
    pub(super) fn base_path(&mut self) -> BasePath {
        let Some(text) = self.get(&settings::BASE_PATH) else { return BasePath::default() };
        BasePath::parse(&text).unwrap_or_else(|| {
            self.problem(&settings::BASE_PATH, "needs the path before /v1, such as /sms");
            BasePath::default()
        })
    }

    /// `TRUSTED_PROXIES`, where on Lambda API Gateway is one, and `API_KEYS`.
    pub(super) fn callers(&mut self) -> Callers {
        let default = u8::from(self.get(&settings::AWS_LAMBDA_FUNCTION_NAME).is_some());
        let proxies = TrustedProxies(self.number(&settings::TRUSTED_PROXIES, default, 0, 9));
        let keys = self.get(&settings::API_KEYS).unwrap_or_default();
        let keys = ApiKeys::parse(&keys).unwrap_or_else(|| {
            self.problem(
                &settings::API_KEYS,
                "needs a list such as shop=HASH,app=HASH, \
                 with the SHA-256 of each key in hexadecimal",
            );
            ApiKeys::default()
        });
        Callers { proxies, keys, failed: FailedCredentials::default() }
    }

    /// `DOORS`.
    pub(super) fn doors(&mut self, keys: &ApiKeys) -> Doors {
        let list = self.get(&settings::DOORS).unwrap_or_default();
        let doors = Doors::parse(&list);
        let checked = doors.and_then(|doors| doors.check_tenants(keys).map(|()| doors));
        checked.unwrap_or_else(|error| {
            self.problem(&settings::DOORS, &causes(&error));
            Doors::default()
        })
    }

    /// `TWILIO_VERIFY_SERVICES`, which do not exist without `API_KEYS`.
    pub(super) fn verify_services(&mut self) -> VerifyServices {
        let list = self.get(&settings::TWILIO_VERIFY_SERVICES).unwrap_or_default();
        VerifyServices::parse(&list).unwrap_or_else(|| {
            self.problem(
                &settings::TWILIO_VERIFY_SERVICES,
                "needs a list such as VA0123456789abcdef0123456789abcdef=login, \
                 with a purpose for each service; it may be empty",
            );
            VerifyServices::default()
        })
    }

    /// `EVICTION`: true if a Redis that evicts is accepted.
    pub(super) fn accepts_eviction(&mut self) -> bool {
        let Some(word) = self.get(&settings::EVICTION) else { return false };
        if word != "accept" {
            self.problem(&settings::EVICTION, "needs accept, or must not be set");
        }
        true
    }

    /// `OPS_TOKEN`, which must be as long as a secret.
    pub(super) fn ops_token(&mut self) -> Option<OpsToken> {
        let token = self.get(&settings::OPS_TOKEN)?;
        if token.len() < Secrets::MIN_LENGTH {
            self.problem(
                &settings::OPS_TOKEN,
                "needs at least 32 characters, such as from `openssl rand -hex 32`",
            );
        }
        Some(OpsToken(token))
    }

    /// `MEIDUO_KEYS`: off unless it is 1.
    pub(super) fn meiduo_keys(&mut self, codes: Option<&CodeSettings>) -> Option<MeiduoKeys> {
        match self.get(&settings::MEIDUO_KEYS).as_deref() {
            None | Some("0") => return None,
            Some("1") if self.get(&settings::REDIS_URL).is_none() => {
                let what = "needs REDIS_URL: no other program reads this process's memory";
                self.problem(&settings::MEIDUO_KEYS, what);
            }
            Some("1") => {}
            Some(_) => self.problem(&settings::MEIDUO_KEYS, "needs 0 or 1"),
        }
        let CodeSettings { length, test_numbers, .. } = codes?.clone();
        Some(MeiduoKeys { code_length: length, test_numbers })
    }

    /// `ALLOW_ORIGINS`: unless set, pages of this origin alone.
    pub(super) fn origins(&mut self) -> AllowedOrigins {
        AllowedOrigins::parse(&self.get(&settings::ALLOW_ORIGINS).unwrap_or_default())
            .unwrap_or_else(|| {
                self.problem(
                    &settings::ALLOW_ORIGINS,
                    "needs * or a list of origins such as https://shop.example",
                );
                AllowedOrigins::default()
            })
    }

    /// `WEBOTP_ORIGINS` and `ANDROID_APP_HASHES`.
    pub(super) fn autofill(&mut self) -> AllowedAutofill {
        let origins = self.list(
            &settings::WEBOTP_ORIGINS,
            Autofill::origin,
            "host names such as example.com",
        );
        let hashes = self.list(
            &settings::ANDROID_APP_HASHES,
            Autofill::app_hash,
            "app hashes of 11 characters",
        );
        origins.into_iter().chain(hashes).collect()
    }

    fn list<T>(
        &mut self,
        setting: &Setting,
        read: impl Fn(&str) -> Option<T>,
        what: &str,
    ) -> Vec<T> {
        let text = self.get(setting).unwrap_or_default();
        let items: Option<Vec<T>> =
            text.split(',').map(str::trim).filter(|item| !item.is_empty()).map(read).collect();
        items.unwrap_or_else(|| {
            self.problem(setting, &format!("needs a list of {what}, separated by commas"));
            Vec::new()
        })
    }

    /// `TEST_NUMBERS`, `TEST_NUMBERS_UNTIL` and, on Lambda, `TEST_NUMBERS_ON_LAMBDA`.
    pub(super) fn test_numbers(&mut self, length: CodeLength) -> TestNumbers {
        let Some(list) = self.get(&settings::TEST_NUMBERS) else { return TestNumbers::default() };
        if self.get(&settings::AWS_LAMBDA_FUNCTION_NAME).is_some()
            && self.get(&settings::TEST_NUMBERS_ON_LAMBDA).as_deref() != Some("true")
        {
            self.problem(
                &settings::TEST_NUMBERS,
                "lets in anybody who knows such a number: \
                 on Lambda, it requires TEST_NUMBERS_ON_LAMBDA=true",
            );
        }
        let until = self.get(&settings::TEST_NUMBERS_UNTIL).and_then(|text| end_of(&text));
        if until.is_none() {
            self.problem(
                &settings::TEST_NUMBERS_UNTIL,
                "needs the last day of the test numbers such as 2026-12-31",
            );
        }
        TestNumbers::parse(&list, length, until.unwrap_or_default()).unwrap_or_else(|| {
            let digits = length.digits();
            self.problem(
                &settings::TEST_NUMBERS,
                &format!(
                    "needs a list such as +8613800138000=012345: international numbers of 7 to 15 \
                     digits, each with a code of {digits} digits"
                ),
            );
            TestNumbers::default()
        })
    }

    pub(super) fn listen(&mut self) -> SocketAddr {
        let default = SocketAddr::from(([127, 0, 0, 1], 8080));
        let Some(text) = self.get(&settings::LISTEN) else { return default };
        text.parse().unwrap_or_else(|_| {
            self.problem(&settings::LISTEN, "needs an address and a port such as 127.0.0.1:8080");
            default
        })
    }

    fn seconds(&mut self, setting: &Setting, default: Duration, max: u64) -> Duration {
        Duration::from_secs(self.number(setting, default.as_secs(), 1, max))
    }

    fn number<T: FromStr + PartialOrd + fmt::Display + Copy>(
        &mut self,
        setting: &Setting,
        default: T,
        min: T,
        max: T,
    ) -> T {
        let Some(text) = self.get(setting) else { return default };
        match text.parse() {
            Ok(number) if (min..=max).contains(&number) => number,
            _ => {
                self.problem(setting, &format!("needs a whole number from {min} to {max}"));
                default
            }
        }
    }
}

/// The end of a day, in UTC.
fn end_of(day: &str) -> Option<Timestamp> {
    let day: Date = day.parse().ok()?;
    Some(day.tomorrow().ok()?.to_zoned(TimeZone::UTC).ok()?.timestamp())
}
