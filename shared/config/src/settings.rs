//! The table of settings: every environment variable that is read, in one place.
//!
//! `Vars` reads a variable by its row here. docs/reference/configuration.md,
//! `--help` and the warning of misspelt names are generated from it, and tests compare
//! template.yaml and deploy/ with it.

use std::fmt;

use self::Group::{Abuse, Codes, Connections, Http, Operations, Sending, Standard};
use self::Program::{CheckCode, CognitoSms, RequestCode, SendSms, SmsVerify};
use self::Unset::{Means, Value};
use crate::Lookup;

/// One environment variable.
#[derive(Debug)]
pub struct Setting {
    /// The variable's name.
    pub name: &'static str,
    /// The part of the system that it configures.
    pub group: Group,
    /// One sentence, in Markdown.
    pub about: &'static str,
    /// The effect of leaving it out.
    pub unset: Unset,
    /// A value that is accepted.
    pub example: &'static str,
    /// The programs that read it.
    pub read_by: &'static [Program],
    /// True if the value is, or may contain, a credential, and must not be shown.
    pub is_secret: bool,
    /// A link within docs/ to details; empty if there are none.
    pub details: &'static str,
}

/// Settings that belong together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Group {
    /// Servers that are connected to.
    Connections,
    /// Codes and their checks.
    Codes,
    /// Phone numbers, and the delivery of SMS.
    Sending,
    /// Limits of abuse and of cost.
    Abuse,
    /// The HTTP API.
    Http,
    /// Logs and the operators' pages.
    Operations,
    /// Variables that other tools define and read, too.
    Standard,
}

/// A program that reads settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Program {
    /// The function `request-code`.
    RequestCode,
    /// The function `check-code`.
    CheckCode,
    /// The function `send-sms`.
    SendSms,
    /// The function `cognito-sms`.
    CognitoSms,
    /// The program `sms-verify` with its commands.
    SmsVerify,
}

/// The effect of leaving a setting out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unset {
    /// This value is the default.
    Value(&'static str),
    /// A description of the effect; empty where nothing happens.
    Means(&'static str),
}

impl Setting {
    /// Reads the variable; empty counts as not set.
    #[must_use]
    pub fn read(&self, lookup: Lookup<'_>) -> Option<String> {
        lookup(self.name).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty())
    }

    /// An assignment with the example, as a shell takes it.
    #[must_use]
    pub fn assignment(&self) -> String {
        let quote = if self.example.contains(['&', '?']) { "'" } else { "" };
        format!("{}={quote}{}{quote}", self.name, self.example)
    }
}

impl fmt::Display for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

impl Group {
    /// All groups, in the order in which they are shown.
    pub const ALL: [Self; 7] = [Connections, Codes, Sending, Abuse, Http, Operations, Standard];

    /// The heading of the group.
    #[must_use]
    pub fn title(self) -> &'static str {
        match self {
            Self::Connections => "Connections",
            Self::Codes => "Codes",
            Self::Sending => "Numbers and sending",
            Self::Abuse => "Abuse and cost",
            Self::Http => "HTTP",
            Self::Operations => "Operations",
            Self::Standard => "Standard variables of other tools",
        }
    }

    /// The group's settings.
    pub fn settings(self) -> impl Iterator<Item = &'static Setting> {
        SETTINGS.iter().copied().filter(move |setting| setting.group == self)
    }
}

impl Program {
    /// The name of the executable.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::RequestCode => "request-code",
            Self::CheckCode => "check-code",
            Self::SendSms => "send-sms",
            Self::CognitoSms => "cognito-sms",
            Self::SmsVerify => "sms-verify",
        }
    }
}

impl fmt::Display for Unset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Self::Value(text) | Self::Means(text)) = self;
        f.write_str(text)
    }
}

const ALL: &[Program] = &[RequestCode, CheckCode, SendSms, CognitoSms, SmsVerify];
const OWN_CODES: &[Program] = &[RequestCode, CheckCode, SendSms, SmsVerify];
const HTTP: &[Program] = &[RequestCode, CheckCode, SmsVerify];
const LIMITED: &[Program] = &[RequestCode, CheckCode, CognitoSms, SmsVerify];
const ADMIT: &[Program] = &[RequestCode, CognitoSms, SmsVerify];
const QUEUE: &[Program] = &[RequestCode, SendSms, CognitoSms, SmsVerify];
const REQUEST: &[Program] = &[RequestCode, SmsVerify];
const SEND: &[Program] = &[SendSms, SmsVerify];
const LOCAL: &[Program] = &[SmsVerify];

/// Declares each setting under its own name, and the list of all.
macro_rules! settings {
    ($($name:ident: $group:ident, $about:literal, {
        unset: $unset:expr, example: $example:literal, read_by: $programs:expr
        $(, secret: $secret:literal)? $(, details: $details:literal)? $(,)?
    })*) => {
        $(
            #[doc = $about]
            pub static $name: Setting = Setting {
                name: stringify!($name),
                group: $group,
                about: $about,
                unset: $unset,
                example: $example,
                read_by: $programs,
                is_secret: false $(|| $secret)?,
                details: concat!($($details)?),
            };
        )*

        /// Every setting, group by group.
        pub static SETTINGS: &[&Setting] = &[$(&$name),*];
    };
}

settings! {
    REDIS_URL: Connections,
        "Redis or Valkey: `redis://` or `rediss://[user:password@]host[:port][/db]`", {
        unset: Means("memory"), example: "redis://127.0.0.1:6379", read_by: ALL, secret: true,
        details: "../operations/servers.md#redis_url",
    }
    QUEUE_URL: Connections,
        "RabbitMQ (`amqp://`, `amqps://`), or the `https://` URL of an SQS queue", {
        unset: Means("memory"), example: "amqp://user:password@127.0.0.1:5672/%2f",
        read_by: QUEUE, secret: true,
        details: "../operations/servers.md#several-nodes-of-rabbitmq",
    }
    DEAD_QUEUE_URL: Connections, "URL of the dead-letter queue, with SQS alone", {
        unset: Means(""), example: "https://sqs.eu-central-1.amazonaws.com/123456789012/dead",
        read_by: SEND,
    }
    JOBS_PER_MESSAGE: Connections, "Jobs, 1 to 8, that concurrent requests put into one message", {
        unset: Value("8"), example: "1", read_by: LOCAL, details: "#jobs_per_message",
    }
    COGNITO_KEY_ARN: Connections, "ARN of the KMS key that Amazon Cognito encrypts codes with", {
        unset: Means(""),
        example: "arn:aws:kms:eu-central-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab",
        read_by: &[CognitoSms], details: "../guide/from-cognito.md",
    }
    SMS_DSN: Connections, "The SMS gateway, or several with failover and by country", {
        unset: Means("the inbox"),
        example: "ccp://SID:TOKEN@app.cloopen.com:8883?app_id=A&template=1",
        read_by: &[CheckCode, SendSms, SmsVerify], secret: true, details: "gateways.md",
    }

    CODE_SECRET: Codes, "Secret that codes are derived from, at least 32 characters", {
        unset: Means("random"), example: "$(openssl rand -hex 32)", read_by: ALL, secret: true,
        details: "#rotating-code_secret",
    }
    CODE_TTL: Codes, "Seconds for which a code is accepted, 1 to 600", {
        unset: Value("300"), example: "120", read_by: ALL,
    }
    CODE_LENGTH: Codes, "Digits of a code, 4 to 10", {
        unset: Value("6"), example: "6", read_by: OWN_CODES,
    }
    RESEND_INTERVAL: Codes, "Seconds between two SMS to the same number, 1 to 3600", {
        unset: Value("60"), example: "90", read_by: ALL,
    }
    MAX_ATTEMPTS: Codes, "Wrong codes, 1 to 100, before a number is locked for ten minutes", {
        unset: Value("5"), example: "3", read_by: ALL,
    }
    WEBOTP_ORIGINS: Codes, "Hosts of pages that may have codes filled in (WebOTP)", {
        unset: Means(""), example: "shop.example,www.shop.example", read_by: REQUEST,
    }
    ANDROID_APP_HASHES: Codes, "Apps that may have codes filled in (SMS Retriever)", {
        unset: Means(""), example: "FA+9qCX9VSu", read_by: REQUEST,
    }
    TEST_NUMBERS: Codes, "Numbers with a fixed code, to which nothing is sent", {
        unset: Means(""), example: "+8613800138000=012345", read_by: OWN_CODES, secret: true,
        details: "gateways.md#test-numbers",
    }
    TEST_NUMBERS_UNTIL: Codes, "Last day of the test numbers, needed with `TEST_NUMBERS`", {
        unset: Means(""), example: "2999-12-31", read_by: OWN_CODES,
        details: "gateways.md#test-numbers",
    }
    TEST_NUMBERS_ON_LAMBDA: Codes, "`true` permits test numbers on Lambda", {
        unset: Value("false"), example: "true", read_by: OWN_CODES,
        details: "gateways.md#test-numbers",
    }

    DEFAULT_REGION: Sending, "Country in which a number without `+` is read", {
        unset: Value("CN"), example: "HK", read_by: LIMITED,
    }
    RETRY_BACKOFF: Sending, "Seconds before the second attempt, 1 to 300; then doubled", {
        unset: Value("3"), example: "5", read_by: SEND,
    }
    MAX_RETRIES: Sending, "Delivery attempts after the first, 0 to 10", {
        unset: Value("3"), example: "5", read_by: SEND,
    }
    DELIVERY_POLICY: Sending, "`at_least_once` or `at_most_once`, for SMS perhaps sent", {
        unset: Value("at_least_once"), example: "at_most_once", read_by: SEND,
        details: "#delivery_policy",
    }

    ALLOWED_COUNTRIES: Abuse, "Countries to which codes are sent, or `all`", {
        unset: Means("`DEFAULT_REGION`"), example: "CN,HK", read_by: ADMIT,
        details: "../operations/abuse.md#countries",
    }
    LIMITS: Abuse, "Limits of SMS and wrong codes; those not named keep their default", {
        unset: Value("number=5/hour,10/day ip=100/hour prefix=300/hour wrong-ip=100/hour"),
        example: "ip=50/hour total=20000/day", read_by: LIMITED, details: "../operations/abuse.md",
    }
    GUARD: Abuse, "Conversion guard: `enforce`, `observe` or `off`", {
        unset: Value("enforce"), example: "observe", read_by: REQUEST,
        details: "../operations/abuse.md#the-conversion-guard",
    }
    CHALLENGE: Abuse,
        "Challenge for suspicious requests: `pow`, `picture`, a captcha DSN or `off`", {
        unset: Value("pow"), example: "picture", read_by: HTTP, secret: true,
        details: "../operations/abuse.md#challenges",
    }
    BUDGET: Abuse, "Most that the SMS of an hour and of a day may cost in USD", {
        unset: Means("no budget"), example: "20/hour,100/day", read_by: ALL,
        details: "../operations/abuse.md#the-budget",
    }
    PRICES: Abuse, "Price of an SMS in USD, by country or network", {
        unset: Means("list prices"), example: "CN=0.008,+881=2.50,other=0.10", read_by: ADMIT,
        details: "../operations/abuse.md#the-budget",
    }

    LISTEN: Http, "Address and port on which `sms-verify` serves the API", {
        unset: Value("127.0.0.1:8080"), example: "127.0.0.1:8081", read_by: LOCAL,
        details: "#listen",
    }
    BASE_PATH: Http, "Path in front of the API's own paths that a proxy leaves in place", {
        unset: Means(""), example: "/sms", read_by: HTTP,
        details: "../guide/deploy.md#in-front-of-the-functions",
    }
    TRUSTED_PROXIES: Http, "Proxies in front, 0 to 9, that append to `X-Forwarded-For`", {
        unset: Means("1 on Lambda, else 0"), example: "1", read_by: HTTP,
        details: "../operations/abuse.md#the-callers-address",
    }
    ALLOW_ORIGINS: Http, "Origins whose pages may call the API (CORS), or `*`", {
        unset: Means("none"), example: "https://shop.example,http://localhost:5173", read_by: HTTP,
    }
    API_KEYS: Http, "Callers, each with the SHA-256 of its key, sent as a bearer token", {
        unset: Means("anybody may call"),
        example: "shop=e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        read_by: HTTP,
    }
    TWILIO_VERIFY_SERVICES: Http, "Services of Twilio Verify, `VA…=purpose` each", {
        unset: Means("none"), example: "VA0123456789abcdef0123456789abcdef=login", read_by: HTTP,
        details: "../guide/from-twilio.md",
    }
    DOORS: Http, "Identity servers that send codes of their own, `KIND://?token=…` each", {
        unset: Means("none"), example: "logto://?token=0123456789abcdef0123456789abcdef",
        read_by: REQUEST, secret: true, details: "../guide/doors.md",
    }
    MEIDUO_KEYS: Http, "`1` writes codes in clear text into Redis for the Meiduo tutorial", {
        unset: Value("0"), example: "1", read_by: REQUEST, details: "../guide/from-meiduo.md",
    }

    LOG_LEVEL: Operations,
        "`error`, `warn`, `info`, `debug`, `trace`, or a list of `target=level`", {
        unset: Value("info"), example: "debug", read_by: ALL,
        details: "../operations/observability.md#logs",
    }
    OPS_TOKEN: Operations, "Bearer token of `/metrics` and `/ops`, at least 32 characters", {
        unset: Means("loopback only"), example: "$(openssl rand -hex 32)", read_by: LOCAL,
        secret: true, details: "../operations/observability.md",
    }
    EVICTION: Operations, "`accept` silences the warning of a Redis that evicts entries", {
        unset: Means("warn"), example: "accept", read_by: ALL,
        details: "../operations/reliability.md#when-redis-is-full",
    }

    HTTPS_PROXY: Standard, "HTTP proxy for gateways, captcha vendors and AWS", {
        unset: Means("none"), example: "http://proxy.example:3128", read_by: ALL,
        details: "gateways.md#through-a-proxy",
    }
    NO_PROXY: Standard, "Hosts that are reached without the proxy", {
        unset: Means("none"), example: "internal.example", read_by: ALL,
        details: "gateways.md#through-a-proxy",
    }
    SSL_CERT_FILE: Standard, "Certificates of authorities to trust in place of the system's", {
        unset: Means("the system's"), example: "/etc/ssl/private-ca.pem", read_by: ALL,
    }
    OTEL_EXPORTER_OTLP_ENDPOINT: Standard, "Collector that traces are exported to", {
        unset: Means("no export"), example: "http://127.0.0.1:4318", read_by: LOCAL,
        details: "../operations/observability.md#traces",
    }
    AWS_REGION: Standard, "Region of AWS, with SQS at a server that is not AWS's", {
        unset: Means("from the URL"), example: "eu-central-1", read_by: ALL,
    }
    AWS_ENDPOINT_URL_SQS: Standard, "Address of an SQS server that is not AWS's", {
        unset: Means("AWS"), example: "http://127.0.0.1:4566",
        read_by: QUEUE,
    }
    AWS_ENDPOINT_URL_KMS: Standard, "Address of a KMS server that is not AWS's", {
        unset: Means("AWS"), example: "http://127.0.0.1:4566", read_by: &[CognitoSms],
    }
    AWS_ENDPOINT_URL: Standard, "Address of a server in place of all services of AWS", {
        unset: Means("AWS"), example: "http://127.0.0.1:4566",
        read_by: QUEUE,
    }
    AWS_LAMBDA_FUNCTION_NAME: Standard, "Set by Lambda: marks a function", {
        unset: Means(""), example: "request-code", read_by: ALL,
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::collections::{BTreeMap, BTreeSet};
    use std::fmt::Write;

    use super::*;
    use crate::{CheckConfig, CognitoConfig, LocalConfig, RequestConfig, Role, SendConfig};

    /// The example of a setting, after the expansion by a shell.
    fn expanded(setting: &Setting) -> String {
        if setting.example.starts_with("$(") {
            return "0123456789abcdef".repeat(4);
        }
        setting.example.to_owned()
    }

    /// Runs `read` with the example of every setting. Returns the names that it reads, and its
    /// result as text.
    fn names_read_by<T: fmt::Debug>(read: impl Fn(Lookup<'_>) -> T) -> (BTreeSet<String>, String) {
        let examples: BTreeMap<&str, String> =
            SETTINGS.iter().map(|setting| (setting.name, expanded(setting))).collect();
        let names = RefCell::new(BTreeSet::new());
        let result = read(&|name| {
            names.borrow_mut().insert(name.to_owned());
            examples.get(name).cloned()
        });
        (names.into_inner(), format!("{result:?}"))
    }

    #[test]
    fn each_program_reads_the_settings_that_the_table_says() {
        let programs = [
            (RequestCode, names_read_by(RequestConfig::read)),
            (CheckCode, names_read_by(CheckConfig::read)),
            (SendSms, names_read_by(SendConfig::read)),
            (CognitoSms, names_read_by(CognitoConfig::read)),
            (SmsVerify, names_read_by(|lookup| LocalConfig::read(lookup, Role::All))),
        ];
        for (program, (names, result)) in programs {
            assert!(result.starts_with("Ok("), "{program:?} with the examples: {result}");
            let ours = |name: &str| {
                SETTINGS.iter().any(|setting| setting.name == name && setting.group != Standard)
            };
            // Logs begin before anything else is read: sms_telemetry reads their level.
            let read: BTreeSet<String> = names
                .into_iter()
                .chain(["LOG_LEVEL".to_owned()])
                .filter(|name| ours(name))
                .collect();
            let table = SETTINGS.iter().filter(|setting| setting.read_by.contains(&program));
            let table: BTreeSet<String> =
                table.map(|setting| setting.name.to_owned()).filter(|name| ours(name)).collect();
            assert_eq!(read, table, "{program:?}");
        }
    }

    #[test]
    fn a_default_in_the_table_is_that_of_the_code() {
        // Maps show their entries in any order.
        let read = |lookup: Lookup<'_>| {
            let text = format!("{:?}", LocalConfig::read(lookup, Role::All));
            let mut words: Vec<String> =
                text.split([' ', ',', '{', '}']).map(ToOwned::to_owned).collect();
            words.sort();
            words
        };
        let unset = read(&|_| None);
        assert!(unset.contains(&"Ok(LocalConfig".to_owned()), "{unset:?}");
        for setting in SETTINGS {
            if let Value(value) = setting.unset {
                let set = read(&|name| (name == setting.name).then(|| value.to_owned()));
                assert_eq!(set, unset, "{setting}");
            }
        }
    }

    #[test]
    fn a_row_is_short_and_its_group_is_one_block() {
        let mut groups: Vec<Group> = SETTINGS.iter().map(|setting| setting.group).collect();
        groups.dedup();
        assert_eq!(groups, Group::ALL);
        for setting in SETTINGS {
            assert!(setting.about.len() <= 76 && !setting.about.ends_with('.'), "{setting}");
        }
    }

    /// `UPDATE_DOCS=1 cargo test --workspace --lib settings` writes the document.
    #[test]
    #[expect(clippy::disallowed_methods, reason = "an order to the test, and no setting")]
    fn the_document_of_settings_has_the_table() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/reference/configuration.md");
        let written = std::fs::read_to_string(path).expect("docs/reference/configuration.md");
        let expected = Group::ALL
            .into_iter()
            .fold(written.clone(), |document, group| with_table(&document, group));
        if std::env::var_os("UPDATE_DOCS").is_some() {
            std::fs::write(path, &expected).expect("a file");
        } else {
            assert!(
                written == expected,
                "docs/reference/configuration.md is older than the table of settings: \
                 UPDATE_DOCS=1 writes it"
            );
        }
    }

    /// The document with the group's table between the group's markers.
    fn with_table(document: &str, group: Group) -> String {
        let (begin, end) = (format!("<!-- settings: {group:?} -->\n"), "<!-- end -->");
        let (before, rest) = document.split_once(&begin).expect(&begin);
        let (_, after) = rest.split_once(end).expect(end);
        format!("{before}{begin}{}{end}{after}", table(group))
    }

    fn table(group: Group) -> String {
        let mut text = "| variable | default | description |\n|---|---|---|\n".to_owned();
        for setting in group.settings() {
            let Setting { name, about, details, .. } = setting;
            let unset = match setting.unset {
                Value(value) => format!("`{value}`"),
                Means(words) => words.to_owned(),
            };
            let more = match *details {
                "" => String::new(),
                link => format!(": [more]({link})"),
            };
            let _ = writeln!(text, "| `{name}` | {unset} | {about}{more} |");
        }
        text
    }
}
