//! Events of every sender, and the requests that routes get from them.

use axum::response::AppendHeaders;
use serde_json::{Value, json};
use sms_http::SPECIFICATION;

use super::*;

/// A function that answers with the request that it got.
fn echo(base_path: &str) -> Function {
    let app = Router::new().fallback(async |request: Request| {
        let peer = request.extensions().get().map(|SourceIp(ip)| ip.to_string());
        let (parts, body) = request.into_parts();
        let body = axum::body::to_bytes(body, usize::MAX).await.expect("a body");
        let header = |name: &str| {
            let values: Vec<_> = parts
                .headers
                .get_all(name)
                .iter()
                .map(|value| value.to_str().expect("text"))
                .collect();
            values.join("|")
        };
        let told = json!({
            "method": parts.method.as_str(),
            "uri": parts.uri.to_string(),
            "peer": peer,
            "forwarded": header("x-forwarded-for"),
            "trace": header("x-amzn-trace-id"),
            "accept": header("accept"),
            "body": String::from_utf8_lossy(&body),
        });
        axum::Json(told)
    });
    let base_path = if base_path.is_empty() {
        BasePath::default()
    } else {
        BasePath::parse(base_path).expect("a path")
    };
    Function::new(app, base_path)
}

async fn answer(function: &Function, event: &Value) -> Value {
    let event: Event = serde_json::from_str(&event.to_string()).expect("an event");
    let answer = function.answer(event, Some("Root=1".to_owned())).await;
    json!(answer.expect("an answer"))
}

async fn seen(event: &Value) -> Value {
    seen_behind("", event).await
}

async fn seen_behind(base_path: &str, event: &Value) -> Value {
    let answer = answer(&echo(base_path), event).await;
    serde_json::from_str(answer["body"].as_str().expect("a body")).unwrap_or(answer)
}

/// An event of a REST API, with the path in the event and the path behind the domain.
fn rest(resource: &str, proxy: &str, path: &str, whole: &str, stage: &str) -> Value {
    json!({
        "httpMethod": "GET",
        "resource": resource,
        "path": path,
        "pathParameters": { "proxy": proxy },
        "requestContext": {
            "stage": stage,
            "path": whole,
            "identity": { "sourceIp": "198.51.100.7" },
        },
    })
}

/// An event of an HTTP API.
fn two(route: &str, path: &str, stage: &str) -> Value {
    json!({
        "version": "2.0",
        "routeKey": route,
        "rawPath": path,
        "rawQueryString": "",
        "requestContext": {
            "stage": stage,
            "http": { "method": "GET", "path": path, "sourceIp": "198.51.100.7" },
        },
    })
}

fn load_balancer(path: &str) -> Value {
    let context = json!({ "elb": { "targetGroupArn": "arn" } });
    json!({ "httpMethod": "GET", "path": path, "requestContext": context })
}

const VERIFICATIONS: &str = "/v1/verifications";

#[tokio::test]
async fn a_path_is_found_wherever_it_stands() {
    let (any, proxy) = ("/{proxy+}", "v1/verifications");
    for (name, event) in [
        ("REST", rest(any, proxy, VERIFICATIONS, "/prod/v1/verifications", "prod")),
        ("REST, a stage called v1", rest(any, proxy, VERIFICATIONS, "/v1/v1/verifications", "v1")),
        (
            "REST, its stage is the API's v1",
            rest(any, "verifications", "/verifications", VERIFICATIONS, "v1"),
        ),
        (
            "REST, base path",
            rest(any, proxy, "/sms/v1/verifications", "/sms/v1/verifications", "prod"),
        ),
        (
            "REST, base path of two",
            rest("/v1/verifications", "", "/a/b/v1/verifications", "/a/b/v1/verifications", "p"),
        ),
        (
            "REST, base path and stage",
            rest(any, proxy, "/sms/prod/v1/verifications", "/sms/prod/v1/verifications", "p"),
        ),
        (
            "REST, base path v1",
            rest(any, proxy, "/v1/v1/verifications", "/v1/v1/verifications", "prod"),
        ),
        ("HTTP", two("POST /v1/verifications", VERIFICATIONS, "$default")),
        ("HTTP, stage", two("ANY /{proxy+}", "/prod/v1/verifications", "prod")),
        ("HTTP, stage and no route", two("$default", "/prod/v1/verifications", "prod")),
        ("HTTP, a stage called v1", two("$default", "/v1/v1/verifications", "v1")),
        ("HTTP, its stage is the API's v1", two("POST /verifications", VERIFICATIONS, "v1")),
        ("HTTP, its stage is the API's v1, no route", two("$default", VERIFICATIONS, "v1")),
        (
            "HTTP 1.0, stage",
            rest("$default", "", "/prod/v1/verifications", "/prod/v1/verifications", "prod"),
        ),
        (
            "HTTP 1.0, base path",
            rest(VERIFICATIONS, "", "/sms/v1/verifications", "/sms/v1/verifications", "$default"),
        ),
        ("load balancer", load_balancer(VERIFICATIONS)),
    ] {
        assert_eq!(seen(&event).await["uri"], VERIFICATIONS, "{name}");
    }
    let mut event =
        rest("/v1/verifications/{id}/check", "", "/sms/v1/verifications/a1/check", "", "prod");
    event["pathParameters"] = json!({ "id": "a1" });
    assert_eq!(seen(&event).await["uri"], "/v1/verifications/a1/check");
    let mut event = two("GET /sms_codes/{mobile+}", "/prod/sms_codes/13800138000/", "prod");
    event["pathParameters"] = json!({ "mobile": "13800138000" });
    assert_eq!(seen(&event).await["uri"], "/sms_codes/13800138000/");
}

#[tokio::test]
async fn only_what_the_event_or_base_path_names_is_taken_away() {
    let url = two("$default", "/sms/v1/verifications", "$default");
    assert_eq!(seen(&url).await["uri"], "/sms/v1/verifications");
    assert_eq!(seen_behind("/sms", &url).await["uri"], VERIFICATIONS);
    assert_eq!(
        seen_behind("/sms/", &two("$default", VERIFICATIONS, "$default")).await["uri"],
        VERIFICATIONS
    );
    assert_eq!(
        seen_behind("/sms", &two("$default", "/smsx/v1/a", "$default")).await["uri"],
        "/smsx/v1/a"
    );
    assert_eq!(
        seen_behind("/sms", &two("$default", "/prod/sms/v1/verifications", "prod")).await["uri"],
        VERIFICATIONS
    );
    assert_eq!(seen_behind("/sms", &load_balancer("/sms/healthz")).await["uri"], "/healthz");
    for wrong in ["sms", "/a b", "/a//b", "/a?b"] {
        assert_eq!(BasePath::parse(wrong), None, "{wrong}");
    }
}

/// Behind a stage, only paths that are listed in [`path::OWN`] are found.
#[test]
fn every_path_of_the_api_is_known() {
    let document: Value = serde_json::from_str(SPECIFICATION).expect("JSON");
    for path in document["paths"].as_object().expect("paths").keys() {
        assert!(path::OWN.iter().any(|own| path.starts_with(own)), "{path}");
    }
}

#[tokio::test]
async fn a_load_balancer_asks_whether_the_function_is_well() {
    let mut check = load_balancer("/");
    check["headers"] = json!({ "user-agent": "ELB-HealthChecker/2.0" });
    assert_eq!(seen(&check).await["uri"], "/healthz");
    check["headers"] = Value::Null;
    check["multiValueHeaders"] = json!({ "User-Agent": ["ELB-HealthChecker/2.0"] });
    assert_eq!(seen(&check).await["uri"], "/healthz");
    assert_eq!(seen(&load_balancer("/")).await["uri"], "/");
}

#[tokio::test]
async fn the_caller_is_whom_the_event_names() {
    let with = |mut event: Value, forwarded: &str| {
        event["headers"] = json!({ "X-Forwarded-For": forwarded });
        event
    };
    let (http, edge) = (two("$default", "/", "$default"), rest("/", "", "/", "/prod", "prod"));
    for (name, event, peer, forwarded) in [
        ("without the header", http.clone(), "198.51.100.7", "198.51.100.7"),
        (
            "HTTP API",
            with(http.clone(), "203.0.113.9,198.51.100.7"),
            "198.51.100.7",
            "203.0.113.9, 198.51.100.7",
        ),
        ("edge", with(edge.clone(), "198.51.100.7, 130.176.0.1"), "198.51.100.7", "198.51.100.7"),
        (
            "made up",
            with(edge, "198.51.100.7, 198.51.100.7, 130.176.0.1"),
            "198.51.100.7",
            "198.51.100.7, 198.51.100.7",
        ),
        (
            "not in the header",
            with(http, "203.0.113.9"),
            "198.51.100.7",
            "203.0.113.9, 198.51.100.7",
        ),
        (
            "balancer",
            with(load_balancer("/"), "203.0.113.9, 198.51.100.8"),
            "198.51.100.8",
            "203.0.113.9, 198.51.100.8",
        ),
    ] {
        let seen = seen(&event).await;
        assert_eq!(
            (&seen["peer"], &seen["forwarded"]),
            (&json!(peer), &json!(forwarded)),
            "{name}"
        );
    }
    let mut console = rest("/", "", "/", "/", "test-invoke-stage");
    console["requestContext"]["identity"]["sourceIp"] = "test-invoke-source-ip".into();
    assert_eq!(seen(&console).await["peer"], Value::Null);
}

#[tokio::test]
async fn what_may_not_stand_in_a_url_is_encoded() {
    let seen_path =
        async |path: &str| seen(&two("$default", path, "$default")).await["uri"].clone();
    assert_eq!(seen_path("/v1/a b\u{e9}\"<%41?#").await, "/v1/a%20b%C3%A9%22%3C%41%3F%23");
    assert_eq!((seen_path("").await, seen_path("v1").await), (json!("/"), json!("/v1")));
    let mut event = two("$default", "/v1/a", "$default");
    event["rawQueryString"] = "a=1&b=%20&c=\u{e9} \"#".into();
    assert_eq!(seen(&event).await["uri"], "/v1/a?a=1&b=%20&c=%C3%A9%20%22%23");
    let mut event = rest("/", "", "/v1/a", "/v1/a", "prod");
    event["queryStringParameters"] = json!({ "a&b": "c=d e", "none": null });
    event["multiValueQueryStringParameters"] = json!({ "a&b": ["c=d e", "2"], "none": null });
    assert_eq!(seen(&event).await["uri"], "/v1/a?a%26b=c%3Dd+e&a%26b=2");
    let mut event = load_balancer("/v1/a");
    event["queryStringParameters"] = json!({ "a%26b": "c d" });
    assert_eq!(seen(&event).await["uri"], "/v1/a?a%26b=c%20d");
}

#[tokio::test]
async fn what_cannot_be_a_request_is_a_problem() {
    let with = |mut event: Value, member: &str, value: Value| {
        event[member] = value;
        event
    };
    let event = || load_balancer("/v1/a");
    for (event, kind) in [
        (with(event(), "httpMethod", "G T".into()), "bad-request"),
        (with(event(), "path", format!("/{}", "a".repeat(70_000)).into()), "bad-request"),
        (with(event(), "headers", json!({ "a b": "c" })), "bad-request"),
        (with(event(), "headers", json!({ "a": "b\nc" })), "bad-request"),
        (with(event(), "multiValueHeaders", json!({ "a": ["b", "c\u{0}"] })), "bad-request"),
        (with(with(event(), "body", "%".into()), "isBase64Encoded", true.into()), "bad-json"),
    ] {
        let answer = answer(&echo(""), &event).await;
        let body: Value =
            serde_json::from_str(answer["body"].as_str().expect("a body")).expect("JSON");
        assert_eq!(
            (&answer["statusCode"], &answer["statusDescription"]),
            (&json!(400), &json!("400 Bad Request"))
        );
        assert_eq!(body["type"], format!("urn:sms-verify:problem:{kind}"), "{event}");
    }
    let mut chinese = two("$default", "/v1/a", "$default");
    chinese["headers"] = json!({ "accept-language": "zh-CN", "a": "b\nc" });
    let answer = answer(&echo(""), &chinese).await;
    assert!(answer["body"].as_str().is_some_and(|body| body.contains("参数错误")), "{answer}");
    assert_eq!(
        (&answer["headers"]["cache-control"], &answer["statusDescription"]),
        (&json!("no-store"), &Value::Null)
    );
}

#[tokio::test]
async fn members_may_be_null() {
    let nothing = json!({
        "httpMethod": "GET",
        "path": "/healthz",
        "requestContext": { "identity": null, "http": null },
        "headers": null,
        "multiValueHeaders": { "a": null },
        "pathParameters": null,
        "body": null,
        "resource": null,
        "isBase64Encoded": null,
        "queryStringParameters": null,
        "multiValueQueryStringParameters": null,
    });
    assert_eq!(seen(&nothing).await["uri"], "/healthz");
    let mut event = load_balancer("/v1/a");
    event["headers"] = json!({ "accept": null });
    event["body"] = "aGk=".into();
    event["isBase64Encoded"] = true.into();
    let seen = seen(&event).await;
    assert_eq!(
        (&seen["body"], &seen["accept"], &seen["trace"]),
        (&json!("hi"), &json!(""), &json!("Root=1"))
    );
}

#[tokio::test]
async fn headers_with_several_values_go_both_ways() {
    let app = Router::new()
        .fallback(async || (AppendHeaders([("vary", "a"), ("vary", "b")]), vec![0x89_u8, 1]));
    let function = Function::new(app, BasePath::default());
    let mut event = load_balancer("/v1/a");
    let single = answer(&function, &event).await;
    event["multiValueHeaders"] = json!({ "Accept": ["a", "b"] });
    event["headers"] = json!({ "accept": "b" });
    assert_eq!(seen(&event).await["accept"], "a|b");
    let multiple = answer(&function, &event).await;
    let one = answer(&function, &rest("/", "", "/", "/", "prod")).await;
    let two = answer(&function, &two("$default", "/", "$default")).await;
    assert_eq!(single["headers"]["vary"], "a, b");
    assert_eq!(multiple["multiValueHeaders"]["vary"], json!(["a", "b"]));
    assert_eq!(one["multiValueHeaders"], multiple["multiValueHeaders"]);
    assert_eq!(two["headers"], single["headers"]);
    assert_eq!((&two["body"], &two["isBase64Encoded"]), (&json!("iQE="), &json!(true)));
}

#[tokio::test]
async fn what_is_no_request_is_answered_as_such() {
    assert_eq!(answer(&echo(""), &json!({ "key1": "value1" })).await, json!({ "status": "ok" }));
    let authorizer =
        json!({ "type": "REQUEST", "methodArn": "arn", "httpMethod": "GET", "path": "/v1/a" });
    let socket =
        json!({ "httpMethod": "GET", "path": "/v1/a", "requestContext": { "connectionId": "a" } });
    for (event, came) in [
        (json!({ "Records": [{ "eventSource": "aws:sqs" }] }), "records of aws:sqs"),
        (authorizer, "the members httpMethod, methodArn, path, type"),
        (socket, "the members httpMethod, path, requestContext"),
        (json!({ "httpMethod": 1, "path": "/" }), "the members httpMethod, path"),
    ] {
        let event: Event = serde_json::from_str(&event.to_string()).expect("an event");
        let error = echo("").answer(event, None).await.expect_err("no request").to_string();
        assert!(error.contains(came) && error.contains("takes HTTP requests"), "{error}");
    }
}
