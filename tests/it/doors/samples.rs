//! The samples that make codes themselves and have them sent: a site with django-allauth, and one
//! with Better Auth, as they are in the documents.

use std::collections::BTreeMap;
use std::process::Command;

use reqwest::StatusCode;
use reqwest::header::{COOKIE, LOCATION, REFERER, SET_COOKIE};
use serde_json::json;

use super::{KEY, with_keys};
use crate::support::process::{Answer, Client, Deployment, Environment, Process, wrong};

/// A number gets two SMS.
fn deployment() -> Deployment {
    Deployment::whole(&with_keys(Environment::embedded()).with("LIMITS", "number=2/hour"))
}

/// A sample, and where it listens.
fn start(command: &[&str], deployment: &Deployment) -> (Process, String) {
    let mut process = Command::new(command[0]);
    process
        .args(&command[1..])
        .env("SMS_VERIFY_KEY", KEY)
        .env("SMS_VERIFY_URL", &deployment.client.base)
        .env("NO_PROXY", "127.0.0.1")
        .env("LISTEN", "127.0.0.1:0");
    let process = Process::spawn(process).announces("listening on");
    let at = process.announced.trim().rsplit(' ').next().expect("an address").to_owned();
    (process, at)
}

/// Somebody with a browser: keeps cookies, follows redirects, and sends Django's token with forms.
struct Visitor {
    http: reqwest::Client,
    site: String,
    cookies: BTreeMap<String, String>,
}

impl Visitor {
    async fn at(site: &str, path: &str) -> Self {
        let http = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .expect("a client");
        let mut visitor = Self { http, site: site.to_owned(), cookies: BTreeMap::new() };
        visitor.get(path).await;
        visitor
    }

    async fn get(&mut self, path: &str) -> (StatusCode, String, String) {
        let request = self.http.get(format!("{}{path}", self.site));
        self.send(request, path).await
    }

    /// Status, path and text of the page that the form leads to.
    async fn submit(
        &mut self,
        path: &str,
        fields: &[(&str, &str)],
    ) -> (StatusCode, String, String) {
        let mut form = url::form_urlencoded::Serializer::new(String::new());
        form.extend_pairs(fields).append_pair("csrfmiddlewaretoken", &self.cookies["csrftoken"]);
        let url = format!("{}{path}", self.site);
        let request = self.http.post(&url).header(REFERER, &url);
        let request = request.header("content-type", "application/x-www-form-urlencoded");
        let answer = self.send(request.body(form.finish()), path).await;
        if !answer.0.is_redirection() {
            return answer;
        }
        let there = answer.1;
        self.get(&there).await
    }

    async fn send(
        &mut self,
        request: reqwest::RequestBuilder,
        path: &str,
    ) -> (StatusCode, String, String) {
        let cookies = self.cookies.iter().map(|(name, value)| format!("{name}={value}"));
        let cookies = cookies.collect::<Vec<_>>().join("; ");
        let answer = request.header(COOKIE, cookies).send().await.expect("an answer");
        for cookie in answer.headers().get_all(SET_COOKIE) {
            let pair = cookie.to_str().expect("text").split(';').next().unwrap_or_default();
            let (name, value) = pair.split_once('=').expect("a cookie");
            self.cookies.insert(name.to_owned(), value.to_owned());
        }
        let leads_to = answer.headers().get(LOCATION).map(|to| to.to_str().expect("text"));
        let (status, path) = (answer.status(), leads_to.unwrap_or(path).to_owned());
        (status, path, answer.text().await.expect("a page"))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sample_with_django_allauth_signs_up_by_a_code() {
    const SIGN_UP: &str = "/accounts/signup/";
    const VERIFY: &str = "/accounts/phone/verify/";
    let deployment = deployment();
    let (_sample, site) = start(&["python", "samples/django-allauth/app.py"], &deployment);
    let (client, to) = (&deployment.client, "+8613800138000");
    let mut visitor = Visitor::at(&site, SIGN_UP).await;
    let (_, path, page) = visitor.submit(SIGN_UP, &[("phone", to)]).await;
    assert_eq!(path, VERIFY, "{page}");
    let first = client.code(to).await;
    let text = client.inbox(to).await.remove(0)["text"].to_string();
    assert!(text.contains(&format!("注册验证码是{first}。")), "of the sign-up, no minutes: {text}");

    let (_, _, page) = visitor.submit(VERIFY, &[("action", "resend")]).await;
    assert!(page.contains("A verification code has been sent"), "{page}");
    let second = client.codes(to, 2).await.remove(0);
    let (_, _, page) = visitor.submit(VERIFY, &[("action", "resend")]).await;
    assert!(page.contains("you are sending too many requests"), "{page}");
    let (_, path, page) = visitor.submit(VERIFY, &[("code", &first)]).await;
    assert!(path == VERIFY && page.contains("Incorrect code"), "another one was sent: {page}");
    let (_, _, page) = visitor.submit(VERIFY, &[("code", &second)]).await;
    assert!(page.contains("You have verified phone number"), "though one was refused: {page}");

    // Who has an account already is not told so, and gets nothing.
    let mut another = Visitor::at(&site, SIGN_UP).await;
    assert_eq!(another.submit(SIGN_UP, &[("phone", to)]).await.1, VERIFY);
    assert_eq!(client.inbox(to).await.len(), 2);
    // Who has only typed a number does not keep it.
    for _ in 0..2 {
        let mut other = Visitor::at(&site, SIGN_UP).await;
        assert_eq!(other.submit(SIGN_UP, &[("phone", "+8613800138001")]).await.1, VERIFY);
    }
    client.codes("+8613800138001", 2).await;
    let mut third = Visitor::at(&site, SIGN_UP).await;
    let (status, _, page) = third.submit(SIGN_UP, &[("phone", "+8613800138001")]).await;
    assert!(status == 429 && page.contains("try again in"), "{page}");
    let (status, _, page) = third.submit(SIGN_UP, &[("phone", "+860000000000")]).await;
    assert!(status == 422 && page.contains("not a valid phone number"), "{page}");
}

#[tokio::test(flavor = "multi_thread")]
async fn sample_with_better_auth_signs_up_and_reports_the_outcome() {
    let deployment = deployment();
    let (_sample, site) = start(&["node", "samples/better-auth/server.mjs"], &deployment);
    let (client, to) = (&deployment.client, "+8613800138000");
    let auth = Client::new(&format!("{site}/api/auth/phone-number"));
    let send = async |to: &str| auth.post("/send-otp", &json!({ "phoneNumber": to })).await;
    let verify = async |to: &str, code: &str| {
        auth.post("/verify", &json!({ "phoneNumber": to, "code": code })).await
    };
    let refused = |answer: Answer| (answer.status, answer.body["message"].to_string());

    assert_eq!(send(to).await.status, 200);
    let first = client.code(to).await;
    let text = client.inbox(to).await.remove(0)["text"].to_string();
    assert!(text.contains(&format!("登录验证码是{first}，5分钟内有效")), "{text}");
    assert_eq!(verify(to, &wrong(&first)).await.status, 400);
    assert_eq!(send(to).await.status, 200);
    let second = client.codes(to, 2).await.remove(0);
    let approved = verify(to, &second).await;
    assert_eq!((approved.status, &approved.body["user"]["phoneNumber"]), (200, &json!(to)));
    deployment.api.logs("its code was brought to its sender").await;

    let (status, message) = refused(send(to).await);
    assert!(status == 429 && message.contains("try again in"), "{message}");
    let (status, message) = refused(send("+860000000000").await);
    assert!(status == 422 && message.contains("not a valid phone number"), "{message}");
    assert_eq!(send("13800138000").await.status, 400, "its own check");
}
