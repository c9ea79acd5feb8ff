//! `GET /openapi.json`: the specification of this API, which tests hold against the code.

use axum::Router;
use axum::http::header::CONTENT_TYPE;
use axum::routing::get;

/// OpenAPI 3.1.
pub const SPECIFICATION: &str = include_str!("../../openapi.json");

/// The route.
pub fn router() -> Router {
    Router::new()
        .route("/openapi.json", get(async || ([(CONTENT_TYPE, "application/json")], SPECIFICATION)))
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};
    use std::time::Duration;

    use serde::Serialize;
    use serde_json::Value;

    use super::super::check::{Approved, CheckBody};
    use super::super::flaw::{BodyError, FieldError};
    use super::super::problem::{Problem, bad};
    use super::super::request::CreateVerification;
    use super::super::verification::Body;
    use super::*;
    use crate::challenge::Challenge;
    use crate::code::Secrets;
    use crate::limits::{Exceeded, Refusal, Scope};
    use crate::message::Locale;
    use crate::phone::{Country, PhoneError, PhoneNumber};

    fn document() -> Value {
        serde_json::from_str(SPECIFICATION).expect("JSON")
    }

    fn names(object: &Value) -> BTreeSet<&str> {
        object.as_object().expect("an object").keys().map(String::as_str).collect()
    }

    /// The first argument of each `kind(…)`, where it is a text.
    fn names_of_kinds(source: &str) -> BTreeSet<&str> {
        let calls = source
            .split(": ProblemKind =")
            .skip(1)
            .filter_map(|rest| rest.split_once("kind(")?.1.trim().strip_prefix('"'));
        calls.filter_map(|rest| rest.split_once('"')).map(|(name, _)| name).collect()
    }

    #[test]
    fn it_has_every_route_and_no_other() {
        let sources = [
            include_str!("check.rs"),
            include_str!("health.rs"),
            include_str!("pictures.rs"),
            include_str!("receipts.rs"),
            include_str!("request.rs"),
            "/openapi.json\", get(", // This file's own would be found in this test, too.
        ];
        let mut routes = BTreeSet::new();
        for (path, rest) in sources
            .iter()
            .flat_map(|source| source.split(".route(\""))
            .filter_map(|route| route.split_once("\", "))
        {
            let method = rest.split('(').next().expect("a method");
            // Those that work without the slash at their end, too.
            if path.starts_with('/')
                && path != "/sms_codes/{mobile}"
                && path != "/image_codes/{uuid}"
            {
                routes.insert((path, method));
            }
        }
        let document = document();
        let paths = document["paths"].as_object().expect("paths");
        let described: BTreeSet<_> = paths
            .iter()
            .flat_map(|(path, item)| {
                names(item).into_iter().map(move |method| (path.as_str(), method))
            })
            .filter(|(_, method)| *method != "parameters")
            .collect();
        assert_eq!(described, routes);
    }

    #[test]
    fn it_has_the_fields_of_every_body() {
        fn of(body: &impl Serialize) -> Value {
            serde_json::to_value(body).expect("JSON")
        }
        let document = document();
        let mut approved = Approved::default();
        approved.token = Some(String::new());
        let mut locked = Body::default();
        locked.locked_for = Some(0);
        for (schema, body) in [
            ("Request", of(&CreateVerification::default())),
            ("Typed", of(&CheckBody::default())),
            ("Verification", of(&locked)),
            ("Approved", of(&approved)),
        ] {
            assert_eq!(
                names(&document["components"]["schemas"][schema]["properties"]),
                names(&body),
                "{schema}"
            );
        }
    }

    /// One of each kind, such as the document's examples are of.
    fn problems() -> Vec<Problem> {
        let secrets = Secrets::from_random([1; 32]);
        let to = PhoneNumber::from_e164("+8613800138000").expect("a number");
        let task = Challenge::default().task(&secrets, &to, 0, [1; 16]);
        let mut refusal = Refusal::default();
        refusal.add(Exceeded::Cooldown, Duration::from_secs(47));
        vec![
            Problem::BadJson(BodyError::InvalidJson { line: 1, column: 7 }),
            bad("region", FieldError::InvalidCountry),
            Problem::MissingField("to"),
            Problem::BadNumber(PhoneError::Invalid),
            Problem::NotJson,
            Problem::TooLarge(super::super::MAX_BODY),
            Problem::TooSlow,
            Problem::WrongCode { attempts_left: 4, locked_for: Duration::ZERO },
            Problem::Encoded,
            Problem::NotFound,
            Problem::InvalidSignature,
            Problem::Unauthorized,
            Problem::BadIdempotencyKey,
            Problem::IdempotencyKeyReused,
            Problem::IdempotencyInProgress,
            Problem::NoSuchPath,
            Problem::TooManyRequests(refusal),
            Problem::Challenge { task: task.clone(), wrong: false },
            Problem::Challenge { task, wrong: true },
            Problem::Country(Country::parse("US").expect("a country")),
            Problem::Unavailable(vec!["store"]),
        ]
    }

    #[tokio::test]
    async fn it_has_an_example_of_every_problem() {
        // Those of no operation: what is no request, a wrong method or host, and what a GET of the
        // tutorial answers with 200.
        let elsewhere = ["no-such-method", "bad-host", "cross-site", "bad-request"];
        let document = document();
        let mut examples: BTreeMap<&str, Vec<&Value>> = BTreeMap::new();
        collect(&document, &mut examples);
        let mut kinds = names_of_kinds(include_str!("kinds.rs"));
        kinds.insert("quota-exceeded");
        kinds.retain(|kind| !elsewhere.contains(kind));
        assert_eq!(examples.keys().copied().collect::<BTreeSet<_>>(), kinds);

        for problem in problems() {
            let response = problem.document(Locale::En);
            let body = axum::body::to_bytes(response.into_body(), 65_536).await.expect("a body");
            let answer: Value = serde_json::from_slice(&body).expect("JSON");
            let name = answer["type"]
                .as_str()
                .and_then(|kind| kind.rsplit([':', '#']).next())
                .expect("a type");
            let fixed = ["type", "title", "status", "code", "errmsg"];
            for example in &examples[name] {
                assert!(
                    fixed.iter().all(|member| answer[member] == example[member]),
                    "{example} is none of {answer}"
                );
                assert_eq!(names(&answer), names(example), "{name}");
            }
            let words = ["detail", "field", "attempts_left", "retry_after"];
            let told =
                |example: &&Value| words.iter().all(|member| answer[member] == example[member]);
            assert!(examples[name].iter().any(told), "{answer}");
        }
    }

    /// All examples of problems, by the ends of their types.
    fn collect<'a>(value: &'a Value, examples: &mut BTreeMap<&'a str, Vec<&'a Value>>) {
        match value {
            Value::Object(members) => {
                if let (Some(kind), true) =
                    (members.get("type").and_then(Value::as_str), members.contains_key("errmsg"))
                {
                    examples
                        .entry(kind.rsplit([':', '#']).next().unwrap_or_default())
                        .or_default()
                        .push(value);
                }
                members.values().for_each(|member| collect(member, examples));
            }
            Value::Array(items) => items.iter().for_each(|item| collect(item, examples)),
            _ => {}
        }
    }

    #[test]
    fn it_has_every_limit_and_this_version() {
        let document = document();
        assert_eq!(document["info"]["version"], env!("CARGO_PKG_VERSION"));
        let described = &document["components"]["schemas"]["Problem"]["properties"]["violated_policies"]
            ["items"]["enum"];
        let described: BTreeSet<&str> =
            described.as_array().expect("a list").iter().filter_map(Value::as_str).collect();
        let (own, of_limits) =
            ([Exceeded::Cooldown, Exceeded::Attempts], Scope::ALL.map(Exceeded::Limit));
        let all = own
            .into_iter()
            .chain(of_limits)
            .chain([Exceeded::Limit(Scope::Conversion), Exceeded::Limit(Scope::Budget)]);
        assert_eq!(described, all.map(Exceeded::as_str).collect());
    }

    /// Pages that try calls out fill in what there is an example of: a key that was used before, or
    /// a field that is not for everybody, would have a good request refused.
    #[test]
    fn it_fills_in_nothing_that_does_harm() {
        let document = document();
        let parameters =
            document["components"]["parameters"].as_object().expect("parameters").values();
        for parameter in parameters.filter(|parameter| parameter["in"] != "path") {
            let schema = &parameter["schema"];
            let filled_in = [
                &parameter["example"],
                &parameter["examples"],
                &schema["example"],
                &schema["examples"],
            ];
            assert!(filled_in.iter().all(|example| example.is_null()), "{parameter}");
        }
        let fields = &document["components"]["schemas"]["Request"]["properties"];
        for field in ["origin", "app_hash", "proof", "uuid", "image_code"] {
            assert!(fields[field]["examples"].is_null(), "{field}");
        }
    }

    #[test]
    fn every_problem_speaks_every_language() {
        let is_chinese = |text: &str| text.chars().any(|c| ('\u{4e00}'..='\u{9fff}').contains(&c));
        for problem in problems() {
            let words = |locale| {
                let Value::Object(words) = problem.as_in_the_table(locale) else {
                    panic!("an object")
                };
                [
                    problem.title(locale).to_owned(),
                    problem.detail(locale),
                    words["errmsg"].to_string(),
                ]
            };
            assert!(words(Locale::En).iter().all(|text| !is_chinese(text)), "{problem:?}");
            for locale in [Locale::ZhCn, Locale::ZhHant] {
                assert!(
                    words(locale).iter().all(|text| is_chinese(text)),
                    "{locale:?} {problem:?}"
                );
            }
            assert_ne!(words(Locale::ZhCn)[1], words(Locale::ZhHant)[1], "{problem:?}");
        }
    }
}
