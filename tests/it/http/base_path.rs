//! Below a path: behind a proxy that takes a prefix away, as API gateways and reverse proxies do.

use std::collections::BTreeSet;

use axum::Router;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use reqwest::Url;
use serde_json::json;

use crate::support::process::{Answer, Client, Deployment, Environment};

/// A proxy that has an API below `/auth/`, and nothing elsewhere.
async fn proxy(target: &str) -> Url {
    let (target, client) = (target.to_owned(), Client::new(target));
    let forward = async move |request: Request| {
        let (parts, body) = request.into_parts();
        let body = axum::body::to_bytes(body, 65_536).await.expect("a body");
        let path = parts.uri.path_and_query().map(ToString::to_string).unwrap_or_default();
        let Some(path) = path.strip_prefix("/auth") else {
            return StatusCode::NOT_FOUND.into_response();
        };
        let mut headers = parts.headers;
        headers.remove("host");
        let request = client.request(parts.method.as_str(), path).headers(headers).body(body);
        let http = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .build();
        let answer = http
            .expect("a client")
            .execute(request.build().expect("a request"))
            .await
            .expect("an answer");
        assert!(answer.url().as_str().starts_with(&target), "{}", answer.url());
        let (status, headers) = (answer.status(), answer.headers().clone());
        (status, headers, answer.bytes().await.expect("a body")).into_response()
    };
    let app = Router::new().fallback(forward);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let base = format!("http://{}/auth/", listener.local_addr().expect("an address"));
    tokio::spawn(async move { axum::serve(listener, app).await });
    base.parse().expect("a URL")
}

async fn get(url: &Url) -> Answer {
    Answer::of(reqwest::get(url.clone()).await.expect("an answer")).await
}

/// References that a page or a script of this product loads or leads to.
fn references(text: &str) -> Vec<&str> {
    let starts = ["href=\"", "src=\"", "from \"", "fetch(\"", "get(\"", "url\": \""];
    let after = starts.iter().flat_map(|start| text.split(start).skip(1));
    after
        .filter_map(|rest| rest.split('"').next())
        .filter(|reference| !reference.starts_with("data:"))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn base_path_links_lead_back_through_the_proxy() {
    sms_outbound::tls::install();
    let deployment = Deployment::whole(&Environment::embedded());
    let base = proxy(&deployment.client.base).await;
    let at = |url: &Url, reference: &str| url.join(reference).expect("a URL");

    let asking = at(&base, "v1/verifications");
    let asked = reqwest::Client::new().post(asking.clone()).json(&json!({ "to": "13800138000" }));
    let asked = Answer::of(asked.send().await.expect("an answer")).await;
    assert_eq!(asked.status, 202, "{asked:?}");
    let verification = get(&at(&asking, asked.header("location"))).await;
    assert_eq!((verification.status, verification.id()), (200, asked.id()));

    let specification = at(&base, "openapi.json");
    let server =
        get(&specification).await.body["servers"][0]["url"].as_str().expect("a URL").to_owned();
    assert_eq!(at(&specification, &server), base);

    // All that the pages load and lead to, and what that loads and leads to.
    let mut known: BTreeSet<Url> =
        ["", "inbox", "ops", "docs", "docs/"].map(|page| at(&base, page)).into();
    let mut next: Vec<Url> = known.iter().cloned().collect();
    while let Some(url) = next.pop() {
        let response = reqwest::get(url.clone()).await.expect("an answer");
        let (status, end) = (response.status().as_u16(), response.url().clone());
        let text = response.text().await.expect("text");
        assert_eq!(status, 200, "{url}");
        assert!(end.as_str().starts_with(base.as_str()), "{url} leads to {end}");
        // Swagger UI's own script is not this product's.
        if !end.path().contains("swagger-ui") {
            let found = references(&text).into_iter().map(|reference| at(&end, reference));
            next.extend(found.filter(|url| known.insert(url.clone())));
        }
    }
    for expected in [
        "page.css",
        "texts.js",
        "page.json",
        "inbox.json",
        "metrics",
        "ops/dead.json",
        "favicon.svg",
    ] {
        assert!(known.contains(&at(&base, expected)), "{expected}: {known:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn base_path_serves_the_api() {
    let deployment = Deployment::whole(&Environment::embedded().with("BASE_PATH", "/apps/sms/"));
    let client = &deployment.client;
    let asked = client.post("/apps/sms/v1/verifications", &json!({ "to": "13800138000" })).await;
    assert_eq!((asked.status, client.status(&asked.id()).await.status), (202, 200));
    let unknown = client.get("/apps/sms/v1/unknown").await;
    assert_eq!(
        (unknown.status, &unknown.body["type"]),
        (404, &json!("urn:sms-verify:problem:no-such-path"))
    );
    assert_eq!(client.get("/apps/v1/verifications").await.status, 404);
}
