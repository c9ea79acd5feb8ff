//! The API's description, generated from the types and routes that it describes: a test compares it
//! with `openapi.json`, which is served. It is compiled for tests alone.
//!
//! Operations are described at their handlers, and bodies at their types. This module has the parts
//! that several operations share: parameters, headers, and responses with problems.
#![expect(dead_code, reason = "parameters and schemas are read by derives alone")]

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;
use serde_json::ser::PrettyFormatter;
use serde_json::{Serializer, Value};
use sms_app::challenge::{Challenge as Tasks, ChallengeTask};
use sms_domain::locale::Locale;
use sms_domain::phone::{Country, PhoneError, PhoneNumber};
use sms_domain::quota::Scope;
use sms_domain::refusal::{Exceeded, Refusal};
use sms_domain::secrets::Secrets;
use sms_domain::token::TokenKeys;
use sms_domain::verification::{DeliveryState, Policy, Status, Verification};
use sms_domain::verification_id::{Purpose, VerificationId};
use utoipa::openapi::example::ExampleBuilder;
use utoipa::openapi::extensions::Extensions;
use utoipa::openapi::header::{Header, HeaderBuilder};
use utoipa::openapi::link::{Link, LinkBuilder};
use utoipa::openapi::schema::{AdditionalProperties, SchemaFormat, SchemaType, Type};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{
    ContentBuilder, Object, ObjectBuilder, Ref, RefOr, Response, ResponseBuilder, Schema,
};
use utoipa::{IntoParams, OpenApi, ToResponse, ToSchema};

use crate::MAX_BODY;
use crate::problem::field_error::{BodyError, FieldError};
use crate::problem::{self, Document, Problem, Retcode, bad};
use crate::routes::check::{self, Approved as ApprovedBody};
use crate::routes::delivery_reports::{self, MAX_CALLBACK, acknowledgement};
use crate::routes::twilio_verify::{checks, create, services};
use crate::routes::{doors, health, meiduo, messages, openapi, pictures, verifications};
use crate::views::Body;

#[derive(OpenApi)]
#[openapi(
    info(
        title = "sms-verify",
        license(name = "MIT OR Apache-2.0", identifier = "MIT OR Apache-2.0"),
        description = "Request a code, check it. Requests and responses are JSON; errors are \
            RFC 9457 problems whose `code` and `errmsg` have the numbers and texts of the Meiduo \
            tutorial's table, in Chinese (simplified or traditional characters) or English by \
            `Accept-Language`. URLs of `/v1` never contain a phone number or a code.",
    ),
    servers((
        url = ".",
        description = "The address of this document, below any path that a proxy adds",
    )),
    tags(
        (name = "verifications", description = "Request and check codes"),
        (name = "products", description = "For products that build on the API"),
        (name = "tutorial", description = "For unchanged pages of the Meiduo tutorial"),
        (name = "messages", description = "Codes that somebody else makes and checks"),
        (name = "twilio verify", description = "For clients of Twilio Verify v2"),
        (name = "gateways", description = "Callbacks of SMS gateways"),
        (name = "health", description = "For load balancers"),
    ),
    paths(
        verifications::request,
        check::status,
        check::cancel,
        check::check,
        pictures::picture,
        check::keys,
        openapi::specification,
        messages::create,
        messages::status,
        messages::outcome,
        doors::receive,
        doors::receive_query,
        doors::receive_twilio,
        create::create,
        checks::check,
        checks::fetch,
        checks::update,
        services::list,
        services::fetch,
        services::rate_limits,
        meiduo::sms_codes,
        pictures::image_code,
        delivery_reports::receive,
        delivery_reports::receive_with_key,
        health::alive,
        health::ready,
    ),
    components(schemas(Document<'static>, PowTask, PictureTask, CaptchaTask, health::Health)),
)]
struct Api;

/// A code of the caller's own: 4 to 16 letters, digits and dashes
#[derive(ToSchema, serde::Deserialize)]
#[serde(untagged)]
pub(crate) enum CustomCode {
    #[schema(examples("012345"))]
    Text(String),
    Number(u64),
}

/// The whole document, as it is served.
pub(crate) fn document() -> String {
    let mut api = Api::openapi();
    api.info.extensions = Some(extension("summary", "Phone verification by SMS"));
    let components = api.components.get_or_insert_default();
    let key = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .description(Some("One of `API_KEYS`, if they are configured"))
        .build();
    components.security_schemes.insert("apiKey".to_owned(), SecurityScheme::Http(key).into());
    let basic = HttpBuilder::new()
        .scheme(HttpAuthScheme::Basic)
        .description(Some("An account `AC…` of your choice, and one of `API_KEYS`"))
        .build();
    components.security_schemes.insert("basic".to_owned(), SecurityScheme::Http(basic).into());
    components.headers.extend(headers().map(|(name, header)| (name.to_owned(), header.into())));
    components.responses.extend(
        [Accepted::response(), Healthy::response(), Acknowledged::response()]
            .into_iter()
            .chain(RESPONSES.iter().map(|response| response()))
            .map(|(name, response)| (name.to_owned(), response)),
    );
    // Twilio Verify's have members that are null.
    for (name, schema) in &mut components.schemas {
        if name.starts_with("Twilio") {
            continue;
        }
        if let RefOr::T(Schema::Object(object)) = schema {
            object.properties.values_mut().for_each(without_null);
        }
    }
    for item in api.paths.paths.values_mut() {
        for operation in [&mut item.get, &mut item.post, &mut item.delete].into_iter().flatten() {
            for parameter in operation.parameters.iter_mut().flatten() {
                if let RefOr::T(parameter) = parameter {
                    parameter.schema.iter_mut().for_each(without_null);
                }
            }
        }
    }
    constrain(&mut Schemas(&mut api));
    // Indented by one space, since a function carries it.
    let mut text = Vec::new();
    let formatter = PrettyFormatter::with_indent(b" ");
    api.serialize(&mut Serializer::with_formatter(&mut text, formatter)).expect("JSON");
    // Comments are wrapped, descriptions are not.
    String::from_utf8(text).expect("UTF-8").replace("\\n", " ") + "\n"
}

/// Removes `null` from a schema: an optional member may be missing, and is never null.
fn without_null(schema: &mut RefOr<Schema>) {
    let schema_type = match schema {
        RefOr::T(Schema::Object(object)) => &mut object.schema_type,
        RefOr::T(Schema::Array(array)) => &mut array.schema_type,
        _ => return,
    };
    if let SchemaType::Array(types) = schema_type {
        types.retain(|one| *one != Type::Null);
        if let [one] = types.as_slice() {
            *schema_type = SchemaType::Type(one.clone());
        }
    }
}

struct Schemas<'a>(&'a mut utoipa::openapi::OpenApi);

impl Schemas<'_> {
    fn object(&mut self, name: &str) -> &mut Object {
        let components = self.0.components.as_mut().expect("components");
        match components.schemas.get_mut(name) {
            Some(RefOr::T(Schema::Object(object))) => object,
            _ => panic!("{name} is an object"),
        }
    }

    fn property(&mut self, schema: &str, name: &str) -> &mut Object {
        match self.object(schema).properties.get_mut(name) {
            Some(RefOr::T(Schema::Object(object))) => object,
            Some(RefOr::T(Schema::Array(array))) => match &mut array.items {
                utoipa::openapi::schema::ArrayItems::RefOrSchema(items) => match &mut **items {
                    RefOr::T(Schema::Object(object)) => object,
                    RefOr::T(_) | RefOr::Ref(_) => panic!("{schema}.{name} has plain items"),
                },
                utoipa::openapi::schema::ArrayItems::False => panic!("{schema}.{name} has items"),
            },
            _ => panic!("{schema}.{name} is a plain value"),
        }
    }

    /// Sets the allowed values of a property.
    fn one_of(&mut self, schema: &str, name: &str, values: impl IntoIterator<Item = &'static str>) {
        let values = values.into_iter().map(Value::from).collect();
        self.property(schema, name).enum_values = Some(values);
    }

    fn pattern(&mut self, schema: &str, name: &str, pattern: impl Into<String>) {
        self.property(schema, name).pattern = Some(pattern.into());
    }
}

/// Constraints from constants, which derives cannot name.
fn constrain(schemas: &mut Schemas<'_>) {
    for name in ["CreateMessage", "CreateVerification"] {
        schemas.property(name, "purpose").max_length = Some(Purpose::MAX_LENGTH);
        schemas.pattern(name, "purpose", "^[a-z0-9_-]*$");
        schemas.pattern(name, "locale", "^[A-Za-z]{2,8}([-_][A-Za-z0-9]{1,8})*$");
    }
    schemas.one_of("CreateMessage", "outcome", ["reported"]);
    schemas.one_of("ReportOutcome", "outcome", ["approved"]);
    schemas.one_of("Message", "delivery", DeliveryState::ALL.map(DeliveryState::as_str));
    schemas.pattern("Message", "to", r"^\+[0-9]+\*+[0-9]+$");
    let expires_in = schemas.property("CreateMessage", "expires_in");
    (expires_in.minimum, expires_in.maximum) =
        (Some(1_usize.into()), Some(messages::MAX_EXPIRES_IN.into()));

    let shortest = id("").as_str().len();
    schemas.pattern("Verification", "id", format!("^[A-Za-z0-9_-]{{{shortest},}}$"));
    schemas.pattern("Verification", "to", r"^\+[0-9]+\*+[0-9]+$");
    schemas.one_of(
        "Verification",
        "status",
        [Status::Pending, Status::Approved].map(Status::as_str),
    );
    schemas.one_of("Verification", "delivery", DeliveryState::ALL.map(DeliveryState::as_str));
    let longest = usize::try_from(Policy::MAX_LIFE.as_secs()).expect("small");
    schemas.property("Verification", "expires_in").maximum = Some(longest.into());
    schemas.one_of("Approved", "status", [Status::Approved.as_str()]);
    schemas.one_of("Health", "status", ["ok"]);
    schemas.pattern("Retcode", "code", "^[0-9]+$");

    let codes: BTreeSet<_> = problems().iter().map(|problem| problem.kind().code).collect();
    schemas.one_of("Problem", "code", codes);
    schemas.one_of("Problem", "violated_policies", policies());
    schemas.one_of("Problem", "down", [problem::STORE, problem::QUEUE, problem::CAPTCHA]);
    schemas.one_of("PowTask", "kind", ["pow"]);
    schemas.one_of("PictureTask", "kind", ["picture"]);
    schemas.one_of("CaptchaTask", "kind", CAPTCHAS);
    for closed in ["Verification", "Approved", "Retcode"] {
        let no_more = Some(Box::new(AdditionalProperties::FreeForm(false)));
        schemas.object(closed).additional_properties = no_more;
    }
}

/// Every policy that can refuse a request.
pub(crate) fn policies() -> impl Iterator<Item = &'static str> {
    let of_limits = Scope::ALL.into_iter().chain([Scope::Conversion, Scope::Budget]);
    [Exceeded::Cooldown, Exceeded::Attempts]
        .into_iter()
        .chain(of_limits.map(Exceeded::Limit))
        .map(Exceeded::as_str)
}

fn extension(name: &str, value: impl Into<Value>) -> Extensions {
    [(name, value)].into_iter().collect()
}

// Parameters.

#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
pub(crate) struct Id {
    /// The verification's ID
    #[param(min_length = 1, example = json!(id("").as_str()))]
    id: String,
}

#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
pub(crate) struct Uuid {
    #[param(format = "uuid")]
    uuid: String,
}

#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
pub(crate) struct Gateway {
    /// The scheme of the gateway's DSN
    #[param(min_length = 1, example = "ccp")]
    provider: String,
}

#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
pub(crate) struct PathSecret {
    #[param(min_length = 1)]
    key: String,
}

#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
pub(crate) struct Mobile {
    #[param(min_length = 1, example = "13800138000")]
    mobile: String,
}

#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct PictureAnswer {
    /// The UUID of a picture, with `CHALLENGE=picture`
    uuid: Option<String>,
    /// The characters read in the picture
    image_code: Option<String>,
}

#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
pub(crate) struct IdempotencyKey {
    /// A unique key of the request, such as a UUID; with or without double quotes, which is the
    /// same. Repeated with the same key and the same body within 600 s, a request that was accepted
    /// gets its first response, and no second SMS is sent
    #[param(
        rename = "Idempotency-Key",
        pattern = r#"^([!#-~][!-~]{0,254}|"([ !#-\[\]-~]|\\["\\]){1,255}")$"#
    )]
    idempotency_key: Option<String>,
}

#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
pub(crate) struct AcceptLanguage {
    /// The language of problems, and of the SMS unless `locale` says otherwise: English, or Chinese
    /// in simplified or traditional (`zh-Hant`, `zh-TW`, `zh-HK`) characters
    #[param(rename = "Accept-Language")]
    accept_language: Option<String>,
}

// Headers of responses.

fn headers() -> [(&'static str, Header); 6] {
    let text = || ObjectBuilder::new().schema_type(Type::String);
    let word = |word: &str| text().enum_values(Some([word])).build();
    let header = |schema: Object, description: &str| {
        HeaderBuilder::new().schema(Some(schema)).description(Some(description))
    };
    let required = || Some(extension("required", true));
    let seconds = ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(0)).build();
    [
        (
            "Location",
            header(
                text().format(Some(SchemaFormat::Custom("uri-reference".to_owned()))).build(),
                "The verification's address, relative to the request's path",
            )
            .build(),
        ),
        (
            "RateLimit",
            header(
                text().build(),
                "draft-ietf-httpapi-ratelimit-headers: for each policy that refuses the request, \
                 the remaining quota (`r`) and the seconds until there is more (`t`); the longest \
                 wait first",
            )
            .example(Some("\"cooldown\";r=0;t=47".into()))
            .build(),
        ),
        (
            "Idempotent-Replayed",
            header(
                word("true"),
                "`true` if it is the response to an earlier request with the same key",
            )
            .build(),
        ),
        (
            "Retry-After",
            header(seconds, "Seconds after which a retry may succeed")
                .extensions(required())
                .build(),
        ),
        ("WWW-Authenticate", HeaderBuilder::new().schema(Some(word("Bearer"))).build()),
        (
            "Accept-Encoding",
            HeaderBuilder::new().schema(Some(word("identity"))).extensions(required()).build(),
        ),
    ]
}

// Bodies without a Rust type.

/// A PNG
#[derive(ToSchema)]
#[schema(value_type = String, format = Binary)]
pub(crate) struct Picture(Vec<u8>);

/// A JWK Set. A key of another type has other members
#[derive(ToSchema)]
pub(crate) struct Keys {
    #[schema(min_items = 1)]
    keys: Vec<Key>,
}

/// A public key (RFC 7517)
#[derive(ToSchema)]
pub(crate) struct Key {
    /// The key type; today `OKP` (RFC 8037)
    #[schema(examples("OKP"))]
    kty: String,
    /// The curve, of an `OKP` key
    #[schema(required = false, examples("Ed25519"))]
    crv: String,
    /// The public key, of an `OKP` key
    #[schema(required = false)]
    x: String,
    /// The thumbprint (RFC 7638), which a token's header names
    kid: String,
    #[schema(examples("sig"))]
    r#use: String,
    /// The algorithm of tokens signed with it
    #[schema(examples("EdDSA"))]
    alg: String,
}

/// The task to solve. Its members depend on its `kind`
#[derive(ToSchema, Serialize)]
#[serde(untagged)]
#[schema(discriminator(property_name = "kind", mapping(
    ("pow" = "#/components/schemas/PowTask"),
    ("picture" = "#/components/schemas/PictureTask"),
    ("turnstile" = "#/components/schemas/CaptchaTask"),
    ("hcaptcha" = "#/components/schemas/CaptchaTask"),
    ("recaptcha" = "#/components/schemas/CaptchaTask"),
)))]
pub(crate) enum Challenge {
    Pow(PowTask),
    Picture(PictureTask),
    Captcha(CaptchaTask),
}

/// Proof of work, in the format of ALTCHA's first version: find the number from 0 to `maxnumber`
/// for which SHA-256(`salt` ‖ number) is `challenge`
#[derive(ToSchema, Serialize)]
pub(crate) struct PowTask {
    kind: String,
    /// `SHA-256`
    algorithm: String,
    /// The hash in lower-case hexadecimal
    challenge: String,
    /// The largest possible number
    maxnumber: u64,
    /// The salt, with the time of expiry and the number that the task is for
    salt: String,
    /// The signature of the task, returned unchanged with the solution
    signature: String,
}

/// The characters of a picture, to be read by a person: `/v1/pictures/{uuid}`
#[derive(ToSchema, Serialize)]
pub(crate) struct PictureTask {
    kind: String,
    /// The picture's ID, returned with the characters
    #[schema(format = "uuid")]
    uuid: String,
}

/// A captcha of a third party, whose widget returns the token for `proof`
#[derive(ToSchema, Serialize)]
pub(crate) struct CaptchaTask {
    kind: String,
    /// The public key of the site at the captcha's vendor
    sitekey: String,
}

const CAPTCHAS: [&str; 3] = ["turnstile", "hcaptcha", "recaptcha"];

/// A task of each kind.
pub(crate) fn tasks() -> Vec<ChallengeTask> {
    let captchas = CAPTCHAS.map(|vendor| format!("{vendor}://0x4AAAAAAAkey:secret@default"));
    let settings = ["pow".to_owned(), "picture".to_owned()].into_iter().chain(captchas);
    let task = |setting: String| {
        let challenge = Tasks::parse(&setting).expect("a challenge").expect("one that is asked");
        challenge.task(&secrets(), &number(), 1_767_268_500, [7; 16])
    };
    settings.map(task).collect()
}

// Examples.

fn secrets() -> Secrets {
    Secrets::from_random([1; 32])
}

fn number() -> PhoneNumber {
    PhoneNumber::from_e164("+8613800138000").expect("a number")
}

fn id(purpose: &str) -> VerificationId {
    let purpose = Purpose::parse(purpose).expect("a purpose");
    VerificationId::new(1, secrets().tag(&number()), [5; 16], &purpose)
}

fn verification(delivery: DeliveryState, since: u64) -> Body {
    Verification {
        id: id(""),
        to: number().masked(),
        status: Status::Pending,
        delivery,
        expires_at: "2026-01-01T12:05:00Z".parse::<Timestamp>().expect("a time"),
        expires_in: Duration::from_secs(300 - since),
        resend_in: Duration::from_secs(60 - since),
        waits_for: Exceeded::Cooldown,
        attempts_left: 5,
        locked_for: Duration::ZERO,
    }
    .into()
}

pub(crate) fn sent() -> Body {
    verification(DeliveryState::Sent, 9)
}

pub(crate) fn approved() -> ApprovedBody {
    ApprovedBody {
        id: id("login").as_str().to_owned(),
        status: Status::Approved.as_str(),
        purpose: "login".to_owned(),
        token: Some("eyJhbGciOiJFZERTQSIsImtpZCI6Ij…".to_owned()),
    }
}

pub(crate) fn keys() -> Value {
    TokenKeys::new(&secrets()).set()
}

/// The tutorial's `code` and `errmsg` for a problem of this type.
pub(crate) fn retcode(table: &str) -> Retcode {
    let problems = problems();
    let of_it = problems.iter().find(|problem| problem.kind().table() == table);
    of_it.expect("a problem").retcode(Locale::ZhCn)
}

fn cooldown() -> Problem {
    let mut refusal = Refusal::default();
    refusal.add(Exceeded::Cooldown, Duration::from_secs(47));
    Problem::TooManyRequests(refusal)
}

fn challenge(kind: usize, wrong: bool) -> Problem {
    Problem::Challenge { task: tasks().swap_remove(kind), wrong }
}

fn syntax_error() -> Problem {
    Problem::BadJson(BodyError::InvalidJson { line: 1, column: 7 })
}

fn wrong_keys() -> Problem {
    Problem::TooManyFailures(Duration::from_secs(60))
}

/// One problem for each text.
pub(crate) fn problems() -> Vec<Problem> {
    use BodyError::{ExpectedObject, NotADeliveryReport, TrailingData, Unreadable};
    use PhoneError::{ArgentinaWithoutNine, BrazilWithoutNine, Invalid, NotMobile};
    let bodies = [ExpectedObject, NotADeliveryReport, TrailingData, Unreadable];
    let fields = [
        FieldError::InvalidCountry,
        FieldError::Unknown,
        FieldError::Duplicate,
        FieldError::ExpectedString,
        FieldError::InvalidLanguage,
        FieldError::InvalidPurpose,
        FieldError::InvalidPicture,
        FieldError::InvalidCode { digits: 6 },
        FieldError::Excludes("uuid"),
        FieldError::NotConfigured,
        FieldError::OtherNumber,
        FieldError::InvalidCustomCode,
        FieldError::NoCodeInText,
        FieldError::TooLong { most: 6 },
        FieldError::NoCountry,
        FieldError::InvalidOutcome,
        FieldError::InvalidLifetime,
        FieldError::InvalidAddress,
    ];
    let numbers = [Invalid, NotMobile, ArgentinaWithoutNine, BrazilWithoutNine];
    let mut problems = vec![
        syntax_error(),
        Problem::MissingField("to"),
        Problem::NotARequest,
        Problem::NotJson,
        Problem::Encoded,
        Problem::TooLarge(MAX_BODY),
        Problem::TooSlow,
        Problem::WrongCode { attempts_left: 4, locked_for: Duration::ZERO },
        Problem::NotFound,
        Problem::InvalidSignature,
        Problem::Unauthorized,
        Problem::WrongCredentials,
        wrong_keys(),
        Problem::BadIdempotencyKey,
        Problem::IdempotencyKeyReused,
        Problem::IdempotencyInProgress,
        Problem::BadHost,
        Problem::NoSuchPath,
        Problem::NoSuchMethod,
        Problem::CrossSite,
        cooldown(),
        challenge(0, false),
        challenge(1, true),
        Problem::Country(Country::parse("US").expect("a country")),
        Problem::Unavailable(vec![problem::STORE]),
    ];
    problems.extend(bodies.map(Problem::BadJson));
    problems.extend(fields.map(|error| bad("region", error)));
    problems.extend(numbers.map(Problem::BadNumber));
    problems
}

// Responses.

fn schema(name: &str) -> RefOr<Schema> {
    Ref::from_schema_name(name).into()
}

fn header(name: &str) -> Ref {
    Ref::new(format!("#/components/headers/{name}"))
}

fn example(value: impl Serialize) -> RefOr<utoipa::openapi::example::Example> {
    let value = serde_json::to_value(value).expect("JSON");
    ExampleBuilder::new().value(Some(value)).into()
}

/// An SMS is on its way.
pub(crate) struct Accepted;

impl ToResponse<'static> for Accepted {
    fn response() -> (&'static str, RefOr<Response>) {
        let link = |operation: &str| -> Link {
            LinkBuilder::new().operation_id(operation).parameter("id", "$response.body#/id").build()
        };
        let content = ContentBuilder::new()
            .schema(Some(schema("Verification")))
            .examples_from_iter([("pending", example(verification(DeliveryState::Queued, 0)))])
            .build();
        let response = ResponseBuilder::new()
            .description("An SMS is on its way.")
            .header_ref("Location", header("Location"))
            .header_ref("RateLimit", header("RateLimit"))
            .header_ref("Idempotent-Replayed", header("Idempotent-Replayed"))
            .content("application/json", content)
            .link("check", link("checkCode"))
            .link("status", link("getVerification"))
            .link("end", link("endVerification"));
        ("Accepted", response.build().into())
    }
}

pub(crate) struct Healthy;

impl ToResponse<'static> for Healthy {
    fn response() -> (&'static str, RefOr<Response>) {
        let content = ContentBuilder::new()
            .schema(Some(schema("Health")))
            .examples_from_iter([("ok", example(health::Health::OK))])
            .build();
        let response =
            ResponseBuilder::new().description("Healthy.").content("application/json", content);
        ("Healthy", response.build().into())
    }
}

pub(crate) struct Acknowledged;

impl ToResponse<'static> for Acknowledged {
    fn response() -> (&'static str, RefOr<Response>) {
        let content = ContentBuilder::new()
            .schema(Some(ObjectBuilder::new().schema_type(Type::Object).build()))
            .examples_from_iter([("acknowledgement", example(acknowledgement()))])
            .build();
        let response = ResponseBuilder::new()
            .description("Recorded. The body satisfies every vendor's expected acknowledgement.")
            .content("application/json", content);
        ("Acknowledged", response.build().into())
    }
}

/// A response with one of these problems. Headers that all of them have are required.
fn problem_response(description: &str, problems: &[Problem]) -> Response {
    let kind = |problem: &Problem| problem.kind().table();
    let examples =
        problems.iter().map(|problem| (kind(problem), example(problem.document(Locale::En))));
    let content =
        ContentBuilder::new().schema(Some(schema("Problem"))).examples_from_iter(examples).build();
    let mut response = ResponseBuilder::new()
        .description(description)
        .content("application/problem+json", content);
    for (name, described) in headers() {
        let with = problems.iter().filter(|problem| problem.headers().contains_key(name)).count();
        if with == problems.len() {
            response = response.header_ref(name, header(name));
        } else if with > 0 {
            let mut described = described;
            described.extensions = None;
            response = response.header(name, described);
        }
    }
    response.build()
}

macro_rules! problem_responses {
    ($($name:ident: $description:literal, [$($problem:expr),+ $(,)?];)+) => {
        $(
            pub(crate) struct $name;

            impl ToResponse<'static> for $name {
                fn response() -> (&'static str, RefOr<Response>) {
                    (stringify!($name), problem_response($description, &[$($problem),+]).into())
                }
            }
        )+

        const RESPONSES: &[fn() -> (&'static str, RefOr<Response>)] = &[$($name::response),+];
    };
}

problem_responses! {
    BadRequest: "The body is not a JSON object, or the idempotency key is not valid.",
        [syntax_error(), Problem::BadIdempotencyKey];
    InvalidJson: "The body is not a JSON object.", [syntax_error()];
    NotADeliveryReport: "The body is not a delivery report of this gateway.",
        [Problem::BadJson(BodyError::NotADeliveryReport)];
    Unauthorized: "The call has none of the API keys.",
        [Problem::Unauthorized];
    ChallengeRequired: "A challenge has to be solved first.",
        [challenge(0, false), challenge(1, true)];
    InvalidSignature: "The signature, or the secret in the path, is not valid.",
        [Problem::InvalidSignature];
    NotFound: "Unknown, expired, replaced or used: one identical answer.", [Problem::NotFound];
    NoPicture: "Pictures are not configured, or it is not a UUID.", [Problem::NoSuchPath];
    NoDeliveryReports: "The gateway has no delivery reports.", [Problem::NoSuchPath];
    RequestTimeout: "The body did not arrive in time.", [Problem::TooSlow];
    IdempotencyInProgress: "The first request with this idempotency key is in progress.",
        [Problem::IdempotencyInProgress];
    ContentTooLarge: "The body is too large.", [Problem::TooLarge(MAX_BODY)];
    CallbackTooLarge: "More than 256 KiB.", [Problem::TooLarge(MAX_CALLBACK)];
    UnsupportedMediaType: "The content type is not JSON, or the body has a `Content-Encoding`: \
        then with `Accept-Encoding: identity`.",
        [Problem::NotJson, Problem::Encoded];
    UnsupportedEncoding: "The body has a `Content-Encoding`.", [Problem::Encoded];
    Unprocessable: "A field is wrong, or the idempotency key was used for another request.",
        [
            Problem::MissingField("to"),
            bad("region", FieldError::InvalidCountry),
            Problem::BadNumber(PhoneError::Invalid),
            Problem::Country(Country::parse("US").expect("a country")),
            Problem::IdempotencyKeyReused,
        ];
    NotApproved: "The code or a field is wrong. A wrong code costs an attempt, and so does a \
        number that is not the verification's.",
        [
            Problem::WrongCode { attempts_left: 4, locked_for: Duration::ZERO },
            Problem::MissingField("code"),
            bad("to", FieldError::OtherNumber),
            Problem::BadNumber(PhoneError::Invalid),
        ];
    TooManyRequests: "Limits are exceeded, or too many keys of this address were wrong.",
        [cooldown(), wrong_keys()];
    TooManyWrongKeys: "Too many keys of this address were wrong.", [wrong_keys()];
    ServiceUnavailable: "A part is down: no SMS is on its way.",
        [Problem::Unavailable(vec![problem::STORE])];
}
