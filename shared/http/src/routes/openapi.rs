//! `GET /openapi.json`: the API's description, which tests compare with the code.

use axum::Router;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;

/// The API's description, OpenAPI 3.1.
pub const SPECIFICATION: &str = include_str!("../../openapi.json");

/// The route.
pub fn router() -> Router {
    routes()
}

routes! {
    ();
    "/openapi.json": get(specification);
}

/// This document
#[cfg_attr(test, utoipa::path(
    get,
    path = "/openapi.json",
    operation_id = "getSpecification",
    tag = "products",
    responses((status = 200, description = "OpenAPI 3.1.", body = Object)),
))]
pub(crate) async fn specification() -> impl IntoResponse {
    ([(CONTENT_TYPE, "application/json")], SPECIFICATION)
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use serde_json::Value;
    use sms_domain::locale::Locale;

    use super::*;
    use crate::document::{self, problems};
    use crate::problem::texts::tests::read as texts;
    use crate::routes::{
        check, delivery_reports, doors, health, meiduo, messages, pictures, twilio_verify,
        verifications,
    };

    fn document() -> Value {
        serde_json::from_str(SPECIFICATION).expect("JSON")
    }

    fn names(object: &Value) -> BTreeSet<&str> {
        object.as_object().expect("an object").keys().map(String::as_str).collect()
    }

    /// `UPDATE_DOCS=1 cargo test --workspace --lib it_is_made_of_the_code` writes it.
    #[test]
    #[expect(clippy::disallowed_methods, reason = "an order to the test, and no setting")]
    fn it_is_made_of_the_code() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/openapi.json");
        let expected = document::document();
        if std::env::var_os("UPDATE_DOCS").is_some() {
            std::fs::write(path, &expected).expect("a file");
        } else {
            assert!(
                std::fs::read_to_string(path).is_ok_and(|written| written == expected),
                "openapi.json is older than the code: UPDATE_DOCS=1 writes it anew"
            );
        }
    }

    #[test]
    fn it_has_every_route_and_no_other() {
        let routes = [
            check::ROUTES,
            health::ROUTES,
            pictures::ROUTES,
            delivery_reports::ROUTES,
            meiduo::ROUTES,
            verifications::ROUTES,
            messages::ROUTES,
            doors::ROUTES,
            twilio_verify::create::ROUTES,
            twilio_verify::checks::ROUTES,
            ROUTES,
        ];
        // Those that work without the slash at their end, too.
        let twice = ["/sms_codes/{mobile}", "/image_codes/{uuid}"];
        let routes: BTreeSet<_> = routes
            .into_iter()
            .flatten()
            .map(|(method, path)| (*path, *method))
            .filter(|(path, _)| !twice.contains(path))
            .collect();
        let document = document();
        let paths = document["paths"].as_object().expect("paths");
        let described: BTreeSet<_> = paths
            .iter()
            .flat_map(|(path, item)| {
                names(item).into_iter().map(move |method| (path.as_str(), method))
            })
            .collect();
        assert_eq!(described, routes);
    }

    #[test]
    fn it_has_the_task_of_every_kind_of_challenge() {
        let document = document();
        let challenge = &document["components"]["schemas"]["Challenge"];
        let mapping = &challenge["discriminator"]["mapping"];
        let mut kinds = BTreeSet::new();
        for task in document::tasks() {
            let task = serde_json::to_value(&task).expect("JSON");
            let kind = task["kind"].as_str().expect("a kind").to_owned();
            let schema = mapping[&kind].as_str().expect("a schema").to_owned();
            let name = schema.rsplit('/').next().expect("a name");
            let schema = &document["components"]["schemas"][name];
            assert_eq!(names(&schema["properties"]), names(&task), "{kind}");
            let kinds_of_schema = schema["properties"]["kind"]["enum"].as_array();
            assert!(kinds_of_schema.is_some_and(|kinds| kinds.contains(&task["kind"])), "{kind}");
            kinds.insert(kind);
        }
        assert_eq!(names(mapping), kinds.iter().map(String::as_str).collect());
    }

    #[test]
    fn it_has_the_members_of_every_key() {
        let document = document();
        let members = &document["components"]["schemas"]["Key"]["properties"];
        assert_eq!(names(members), names(&document::keys()["keys"][0]));
    }

    /// Each type of problem, by the end of its type.
    #[test]
    fn it_has_an_example_of_every_problem() {
        // Those of no operation: what is no request, a wrong method or host, and what a GET of the
        // tutorial answers with 200.
        let elsewhere = ["no-such-method", "bad-host", "cross-site", "bad-request"];
        let document = document();
        let responses = document["components"]["responses"].as_object().expect("responses");
        let examples: BTreeSet<&str> = responses
            .values()
            .filter_map(|response| response.pointer("/content/application~1problem+json/examples"))
            .flat_map(names)
            .collect();
        let texts = texts(Locale::En);
        let kinds = texts.keys().map(String::as_str).filter(|kind| !elsewhere.contains(kind));
        assert_eq!(examples, kinds.collect());
    }

    #[test]
    fn it_has_this_version() {
        assert_eq!(document()["info"]["version"], env!("CARGO_PKG_VERSION"));
    }

    /// Documentation pages fill in examples when they try a call: an idempotency key that was used
    /// before, or a field that is not configured, would make a valid request fail.
    #[test]
    fn it_fills_in_nothing_that_does_harm() {
        let document = document();
        let operations =
            document["paths"].as_object().expect("paths").values().filter_map(Value::as_object);
        let parameters = operations
            .flat_map(serde_json::Map::values)
            .filter_map(|operation| operation["parameters"].as_array())
            .flatten();
        let mut looked_at = 0;
        for parameter in parameters.filter(|parameter| parameter["in"] != "path") {
            let schema = &parameter["schema"];
            let filled_in = [
                &parameter["example"],
                &parameter["examples"],
                &schema["example"],
                &schema["examples"],
            ];
            assert!(filled_in.iter().all(|example| example.is_null()), "{parameter}");
            looked_at += 1;
        }
        assert!(looked_at > 4, "{looked_at}");
        let fields = &document["components"]["schemas"]["CreateVerification"]["properties"];
        for field in ["origin", "app_hash", "proof", "uuid", "image_code"] {
            assert!(fields[field].is_object() && fields[field]["examples"].is_null(), "{field}");
        }
    }

    #[test]
    fn every_text_is_of_a_problem() {
        let mut used: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for problem in problems() {
            let keys = used.entry(problem.kind().table().to_owned()).or_default();
            keys.extend(["title".to_owned(), problem.key().to_owned()]);
        }
        let texts = texts(Locale::En).into_iter();
        let written = texts.map(|(table, texts)| (table, texts.into_keys().collect()));
        assert_eq!(used, written.collect());
    }

    #[test]
    fn every_problem_speaks_every_language() {
        let is_chinese = |text: &str| text.chars().any(|c| ('\u{4e00}'..='\u{9fff}').contains(&c));
        let is_filled_in = |text: &str| !text.is_empty() && !text.contains(['{', '}']);
        for problem in problems() {
            let words = |locale| {
                [
                    problem.kind().title(locale).to_owned(),
                    problem.detail(locale).into_owned(),
                    problem.retcode(locale).errmsg.to_owned(),
                ]
            };
            for locale in Locale::ALL {
                assert!(words(locale).iter().all(|text| is_filled_in(text)), "{problem:?}");
            }
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
