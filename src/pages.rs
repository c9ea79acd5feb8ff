//! The demo page, the inbox and the API's documentation: for this machine's own user, while
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

/// Headers that proxies write.
const PASSED_ON: [&str; 3] = ["x-forwarded-for", "forwarded", "via"];

/// The pages load nothing from anywhere else.
const POLICY: HeaderValue =
    HeaderValue::from_static("default-src 'self'; img-src 'self' data:; frame-ancestors 'none'");

/// Swagger UI is drawn with inline styles, and pictures within them.
const DOCS_POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; frame-ancestors 'none'",
);

/// A file of `pages/`, served under its path.
macro_rules! files {
    ($($path:literal: $file:literal, $kind:literal;)*) => {
        Router::new()$(.route($path, get(async || ([(CONTENT_TYPE, $kind)], include_str!(concat!("pages/", $file))))))*
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

/// The operators' view where `LISTEN` is not loopback: its data is behind a token.
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

/// Swagger UI, on `/openapi.json`, wherever a proxy may have both.
fn docs() -> Router {
    let policy = async |mut response: Response| {
        response.headers_mut().insert(CONTENT_SECURITY_POLICY, DOCS_POLICY);
        // Of `/docs`, whose page stands at `/docs/`.
        if let Some(location) = response.headers_mut().get_mut(LOCATION) {
            *location = HeaderValue::from_static("docs/");
        }
        response
    };
    Router::from(SwaggerUi::new("/docs").config(Config::from("../openapi.json")))
        .layer(map_response(policy))
}

/// What the page has to know of the configuration.
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

/// For the senders of other processes: `SMS_DSN=inbox+http://…`.
async fn keep(State(inbox): State<Inbox>, Json(message): Json<InboxMessage>) -> StatusCode {
    inbox.push(message);
    StatusCode::NO_CONTENT
}

/// A web page from elsewhere that resolves its own name to 127.0.0.1 gets nothing of the inbox: it
/// cannot help sending its name as Host.
pub async fn only_for_this_machine(request: Request, next: Next) -> Response {
    let host = request.headers().get(HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let name = host
        .rsplit_once(':')
        .filter(|(_, port)| port.parse::<u16>().is_ok())
        .map_or(host, |(name, _)| name);
    let address = name.trim_matches(['[', ']']).parse::<IpAddr>();
    // What a proxy on this machine passes on came from elsewhere.
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
