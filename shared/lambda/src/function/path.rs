//! The path of this API that an event asks for.
//!
//! The prefix before it depends on the sender of the event, as far as AWS documents it and others
//! have observed it:
//!
//! - REST API: without the stage; on a custom domain with the base path, and with the stage if the
//!   mapping has none.
//! - HTTP API, payload 1.0: behind the stage, unless it is `$default`; on a custom domain behind
//!   the mapping's path.
//! - HTTP API, payload 2.0: behind the stage, unless it is `$default`; never with the mapping's
//!   path.
//! - Function URL, load balancer: as it was called.
//!
//! The route that matched (`resource`, `routeKey`) shows the length of the API's own path, and so
//! the prefix. `BASE_PATH` names a prefix that the event does not show, because a proxy in front or
//! the rule of a load balancer added it.
//!
//! <https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html>,
//! <https://github.com/aws-powertools/powertools-lambda-python/pull/579>,
//! <https://github.com/CodeGenieApp/serverless-express/issues/465>.

use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use sms_http::BasePath;
use url::form_urlencoded::Serializer;

use super::event::{Form, HttpEvent, Single};

/// The beginnings of all paths of this API.
pub(super) const OWN: [&str; 8] = [
    "/v1/",
    "/sms_codes/",
    "/image_codes/",
    "/v2/Services",
    "/healthz",
    "/readyz",
    "/openapi.json",
    "/.well-known/",
];

/// Characters that are escaped in a query.
const QUERY: &AsciiSet =
    &CONTROLS.add(b' ').add(b'"').add(b'#').add(b'<').add(b'>').add(b'\\').add(b'^').add(b'`');

/// Characters that are escaped in a path.
const PATH: &AsciiSet = &QUERY.add(b'?').add(b'{').add(b'|').add(b'}');

/// Path and query of the request.
pub(super) fn uri(event: &HttpEvent, base: &BasePath) -> String {
    let path = path(event, base);
    let mut uri = utf8_percent_encode(path, PATH).to_string();
    if !uri.starts_with('/') {
        uri.insert(0, '/');
    }
    let query = query(event);
    if !query.is_empty() {
        uri.push('?');
        uri.push_str(&query);
    }
    uri
}

fn path<'a>(event: &'a HttpEvent, base: &BasePath) -> &'a str {
    let path = event.raw_path.as_deref().or(event.path.as_deref()).unwrap_or_default();
    let context = &event.request_context;
    if path == "/" && is_health_check(event) {
        return "/healthz";
    }
    let stage = context.stage.as_deref().filter(|stage| *stage != "$default");
    let candidates = [
        matched(event, path),
        stage.and_then(|stage| behind(path, &format!("/{stage}"))),
        Some(path),
        // For a stage that is a part of the API's own path: `v1`.
        context.path.as_deref(),
    ];
    let candidates =
        candidates.into_iter().flatten().map(|path| behind(path, base.as_str()).unwrap_or(path));
    let mut own = candidates.filter(|path| OWN.iter().any(|own| path.starts_with(own)));
    own.next().unwrap_or(path)
}

/// Returns true for a load balancer's health check, whose path is `/` unless another is configured.
fn is_health_check(event: &HttpEvent) -> bool {
    let single =
        event.headers.iter().flatten().filter_map(|(name, value)| Some((name, value.as_ref()?)));
    let multiple = event.multi_value_headers.iter().flatten();
    let multiple = multiple.filter_map(|(name, values)| Some((name, values.as_ref()?.first()?)));
    let checker = |(name, value): (&String, &String)| {
        name.eq_ignore_ascii_case("user-agent") && value.starts_with("ELB-HealthChecker/")
    };
    matches!(event.form(), Form::LoadBalancer { .. }) && single.chain(multiple).any(checker)
}

/// The part of a path that the route matched.
fn matched<'a>(event: &HttpEvent, path: &'a str) -> Option<&'a str> {
    let route = event
        .resource
        .as_deref()
        .or(event.route_key.as_deref())
        .filter(|route| *route != "$default")?;
    let route = route.split_once(' ').map_or(route, |(_, route)| route);
    let none = Single::new();
    let parameters = event.path_parameters.as_ref().unwrap_or(&none);
    let length =
        |segment: &str| match segment.strip_prefix('{').and_then(|name| name.strip_suffix("+}")) {
            Some(name) => Some(segments(parameters.get(name)?.as_deref()?).count()),
            None => Some(1),
        };
    let length: usize = segments(route).map(length).sum::<Option<usize>>()?;
    let (start, _) = path.trim_end_matches('/').rmatch_indices('/').nth(length.checked_sub(1)?)?;
    Some(&path[start..])
}

fn segments(path: &str) -> impl Iterator<Item = &str> {
    path.trim_matches('/').split('/')
}

/// The rest behind a prefix of whole segments.
fn behind<'a>(path: &'a str, prefix: &str) -> Option<&'a str> {
    path.strip_prefix(prefix).filter(|rest| rest.starts_with('/'))
}

/// The query as it was sent, as far as the event shows it: gateways decode parameters, load
/// balancers do not.
fn query(event: &HttpEvent) -> String {
    if let Some(query) = &event.raw_query_string {
        return utf8_percent_encode(query, QUERY).to_string();
    }
    let single = event.query_string_parameters.iter().flatten();
    let single = single.map(|(name, value)| (name.as_str(), value.as_deref().unwrap_or_default()));
    let multiple = event.multi_value_query_string_parameters.iter().flatten();
    let multiple = multiple.flat_map(|(name, values)| {
        values.iter().flatten().map(|value| (name.as_str(), value.as_str()))
    });
    let mut pairs: Vec<(&str, &str)> = multiple.collect();
    if pairs.is_empty() {
        pairs = single.collect();
    }
    if let Form::LoadBalancer { .. } = event.form() {
        let pairs: Vec<String> =
            pairs.iter().map(|(name, value)| format!("{name}={value}")).collect();
        return utf8_percent_encode(&pairs.join("&"), QUERY).to_string();
    }
    Serializer::new(String::new()).extend_pairs(pairs).finish()
}
