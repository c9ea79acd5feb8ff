//! The demo page, the inbox and the API's documentation, served to users of this machine while
//! `LISTEN` is loopback.

use std::net::IpAddr;

use axum::Router;
use axum::extract::{Json, Request, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HOST, LOCATION};
use axum::http::{HeaderValue, StatusCode};
use axum::middleware::{Next, from_fn, map_response};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde_json::{Value, json};
use sms_config::LocalConfig;
use sms_gateways::{Inbox, InboxMessage};
use utoipa_swagger_ui::{Config, SwaggerUi};

/// Headers that proxies add.
const PASSED_ON: [&str; 3] = ["x-forwarded-for", "forwarded", "via"];

/// The content security policy of the pages: they load nothing from other origins.
const POLICY: HeaderValue =
    HeaderValue::from_static("default-src 'self'; img-src 'self' data:; frame-ancestors 'none'");

/// The content security policy of Swagger UI, which has inline styles and pictures.
const DOCS_POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; \
     frame-ancestors 'none'",
);

/// A file of `pages/`, served under its path.
macro_rules! files {
    ($($path:literal: $file:literal, $kind:literal;)*) => {
        Router::new()$(.route($path, get(async || {
            ([(CONTENT_TYPE, $kind)], include_str!(concat!("pages/", $file)))
        })))*
    };
}

/// The routes.
pub fn router(inbox: Inbox, config: &LocalConfig, ops_data: Router) -> Router {
    let settings = settings(config);
    let files: Router<Inbox> = files! {
        "/": "index.html", "text/html; charset=utf-8";
        "/inbox": "inbox.html", "text/html; charset=utf-8";
        "/page.css": "page.css", "text/css";
        "/page.js": "page.js", "text/javascript";
        "/texts.js": "texts.js", "text/javascript";
        "/countries.js": "countries.js", "text/javascript";
        "/challenge.js": "challenge.js", "text/javascript";
        "/inbox.js": "inbox.js", "text/javascript";
        "/favicon.ico": "favicon.svg", "image/svg+xml";
    };
    files
        .route("/page.json", get(async || Json(settings)))
        .route("/inbox.json", get(messages).post(keep))
        .with_state(inbox)
        .merge(docs())
        .merge(ops_files())
        .merge(ops_data)
        .layer(from_fn(only_for_this_machine))
}

/// The pages of `/ops` where `LISTEN` is not loopback: their data is behind a token.
pub fn ops() -> Router {
    let look: Router = files! { "/page.css": "page.css", "text/css"; };
    look.merge(ops_files()).layer(map_response(with_policy))
}

fn ops_files() -> Router {
    files! {
        "/ops": "ops.html", "text/html; charset=utf-8";
        "/ops.css": "ops.css", "text/css";
        "/ops.js": "ops.js", "text/javascript";
        "/favicon.svg": "favicon.svg", "image/svg+xml";
    }
}

async fn with_policy(mut response: Response) -> Response {
    response.headers_mut().entry(CONTENT_SECURITY_POLICY).or_insert(POLICY);
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// Swagger UI of `/openapi.json`, by relative addresses, so that it works below a proxy's path.
fn docs() -> Router {
    let policy = async |mut response: Response| {
        response.headers_mut().insert(CONTENT_SECURITY_POLICY, DOCS_POLICY);
        // The redirect from `/docs` to `/docs/`.
        if let Some(location) = response.headers_mut().get_mut(LOCATION) {
            *location = HeaderValue::from_static("docs/");
        }
        response
    };
    Router::from(SwaggerUi::new("/docs").config(Config::from("../openapi.json")))
        .layer(map_response(policy))
}

/// `/page.json`: the settings that the page needs.
fn settings(config: &LocalConfig) -> Value {
    json!({
        "region": config.http.region.code(),
        "countries": config.abuse.countries.codes(),
        "digits": config.codes.length.digits(),
    })
}

async fn messages(State(inbox): State<Inbox>) -> Json<Vec<InboxMessage>> {
    Json(inbox.messages())
}

/// Stores a message from a worker in another process (`SMS_DSN=inbox+http://…`).
async fn keep(State(inbox): State<Inbox>, Json(message): Json<InboxMessage>) -> StatusCode {
    inbox.push(message);
    StatusCode::NO_CONTENT
}

/// Refuses requests whose `Host` is not loopback, or that came through a proxy. It stops DNS
/// rebinding: a foreign page whose name resolves to 127.0.0.1 sends that name as `Host`.
pub async fn only_for_this_machine(request: Request, next: Next) -> Response {
    let host = request.headers().get(HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let name = host
        .rsplit_once(':')
        .filter(|(_, port)| port.parse::<u16>().is_ok())
        .map_or(host, |(name, _)| name);
    let address = name.trim_matches(['[', ']']).parse::<IpAddr>();
    // Requests through a proxy on this machine come from elsewhere.
    let passed_on = PASSED_ON.iter().any(|header| request.headers().contains_key(*header));
    if !passed_on && (name == "localhost" || address.is_ok_and(|address| address.is_loopback())) {
        with_policy(next.run(request).await).await
    } else {
        (
            StatusCode::MISDIRECTED_REQUEST,
            "open this page as http://127.0.0.1 or http://localhost\n",
        )
            .into_response()
    }
}
