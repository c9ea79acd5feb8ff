//! Requests as others write them, and hosts as they are reached.

use serde_json::json;

use super::{
    ACCOUNT, LANGUAGES, LOGIN, Language, Official, SHOP, TO, create, facade, fetch, is_error, raw,
    text,
};
use crate::support::number;
use crate::support::process::{Deployment, Environment};

#[tokio::test(flavor = "multi_thread")]
async fn calls_as_others_write_them_reach_twilios_facade() {
    let deployment = Deployment::whole(&facade(&Environment::embedded()));
    let client = &deployment.client;
    let service = format!("/v2/Services/{LOGIN}");
    let encoded = "%2B86+138+0013+8000";
    // With spaces, and parameters that change nothing here.
    let body = format!("To={encoded}&Channel=sms&Tags=%7B%7D&RiskCheck=enable&CustomCode=");
    let created = raw(client, "POST", &format!("{service}/Verifications"), SHOP, &body).await;
    assert_eq!((created.status, text(&created.body, "to")), (201, TO), "{created:?}");
    assert_eq!(created.header("cache-control"), "no-store");
    let sid = text(&created.body, "sid");
    let upper = format!("VE{}", sid[2..].to_uppercase());
    let names =
        ["+8613800138000", "%2B8613800138000", "%2b8613800138000", "+86%20138%200013%208000"];
    for name in names.into_iter().chain([sid, &upper]) {
        let fetched =
            raw(client, "GET", &format!("{service}/Verifications/{name}"), SHOP, "").await;
        assert_eq!((fetched.status, text(&fetched.body, "sid")), (200, sid), "{name}: {fetched:?}");
        let path = format!("{service}/Verifications/{name}");
        assert_eq!(raw(client, "HEAD", &path, SHOP, "").await.status, 200, "{name}");
    }
    for name in ["8613800138000", "%FF", "+", "VE1", "+86%00138", "a".repeat(5000).as_str()] {
        let fetched =
            raw(client, "GET", &format!("{service}/Verifications/{name}"), SHOP, "").await;
        is_error(&fetched, 404, 20404);
    }
    let checks = format!("{service}/VerificationCheck");
    // Its content type is not asked for.
    let request = client.request("POST", &checks).basic_auth(ACCOUNT, Some(SHOP));
    let request = request.header("content-type", "text/plain");
    let answer = client.send(request.body(format!("To={encoded}&Code=000001"))).await;
    assert_eq!(answer.status, 201, "{answer:?}");
    for body in [
        r#"{"To":"+8613800138000","Code":"123456"}"#,
        "Code=123456",
        "To=%2B8613800138000",
        "To=%2B8613800138000&Code=",
        "To=&Code=123456",
        "To=8613800138000&Code=123456",
        "To=%2B8613800138000&Code=123456&Amount=1",
        "%FF=%FF",
        "",
        "a".repeat(20_000).as_str(),
    ] {
        is_error(&raw(client, "POST", &checks, SHOP, body).await, 400, 60200);
    }
    let encoded = client.request("POST", &checks).basic_auth(ACCOUNT, Some(SHOP));
    let encoded = client.send(encoded.header("content-encoding", "gzip").body("To=1")).await;
    is_error(&encoded, 400, 60200);
    // A user that is no account, a token in place of a password, and none.
    for request in [
        client.request("GET", &service).basic_auth("shop", Some(SHOP)),
        client.request("GET", &service).basic_auth(ACCOUNT, None::<&str>),
        client.request("GET", &service).bearer_auth(SHOP),
        client.request("GET", &service).header("authorization", "Basic !"),
        client.request("GET", &service),
    ] {
        is_error(&client.send(request).await, 401, 20003);
    }
    // A page of another site, in a browser that was told the password once.
    for path in
        [&checks, &format!("{service}/Verifications"), &format!("{service}/Verifications/{sid}")]
    {
        let request = client.request("POST", path).basic_auth(ACCOUNT, Some(SHOP));
        let request = request.header("sec-fetch-site", "cross-site");
        let form = "To=%2B8613800138001&Channel=sms&Status=canceled&Code=123456";
        is_error(&client.send(request.body(form)).await, 401, 20003);
    }
    // SIDs are hexadecimal, in whatever letters.
    let path = format!("/v2/Services/VA{}", LOGIN[2..].to_uppercase());
    assert_eq!(raw(client, "GET", &path, SHOP, "").await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_of_twilio_reach_a_host_below_a_path() {
    let environment = facade(&Environment::embedded()).with("BASE_PATH", "/sms");
    let deployment = Deployment::whole(&environment);
    for (index, language) in (0..).zip(LANGUAGES) {
        let base = format!("{}/sms/", deployment.client.base);
        let mut twilio = Official::new(language, &base, SHOP);
        let to = number(index).e164().to_owned();
        assert_eq!(twilio.ok(&create(LOGIN, &to))["status"], "pending");
        assert_eq!(twilio.ok(&fetch(LOGIN, &to))["status"], "pending");
        // What docs/guide/from-twilio.md says of hosts.
        let mut host = |name: &str| twilio.ok(&json!({ "call": "host", "name": name }));
        for name in [
            "http://127.0.0.1:8080/",
            "http://localhost:8080/",
            "https://a.b.c/sms",
            "https://a.b.c.d.e/",
        ] {
            assert_eq!(host(name), name, "{language:?}");
        }
        for (name, in_node) in
            [("https://b.c/", "https://b.c.b.c/"), ("https://a.b.c.d.e.f/", "https://a.b.c.e.f/")]
        {
            assert_eq!(host(name), if language == Language::Node { in_node } else { name });
        }
    }
}
