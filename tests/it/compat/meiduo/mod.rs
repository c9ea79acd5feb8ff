//! The tutorial's pages and its register view, unchanged: what they call, and what they read from
//! Redis.

mod guide;

use redis::AsyncCommands;

use crate::support::number;
use crate::support::process::{Answer, Deployment, Environment, Process};
use crate::support::services::{Service, redis_url};

fn code(answer: &Answer) -> (u16, &str, &str) {
    let text = |name: &str| answer.body[name].as_str().unwrap_or_default();
    (answer.status, text("code"), text("errmsg"))
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_are_those_of_the_table() {
    let deployment = Deployment::whole(&Environment::embedded());
    let client = &deployment.client;
    let get = async |path: &str| client.get(path).await;
    let query = "?image_code=ABCD&uuid=0b4f2a54-9a53-4e43-8c2b-4c8f6e1f0a11";
    assert_eq!(
        code(&get(&format!("/sms_codes/13800138000/{query}")).await),
        (200, "0", "发送短信成功")
    );
    assert_eq!(code(&get("/sms_codes/13800138000/").await), (200, "4002", "发送短信过于频繁"));
    assert_eq!(code(&get("/sms_codes/13800138001").await).1, "0", "also without the slash");
    let pasted = "/sms_codes/%E2%80%AA%2B86%20138\u{2011}0013\u{2011}800%E0%A5%AD%E2%80%AC/";
    assert_eq!(code(&get(pasted).await).1, "0", "as it came out of a list of contacts");
    assert_eq!(code(&get("/sms_codes/12345/").await), (200, "4007", "手机号错误"));
    assert_eq!(code(&get("/sms_codes/%FF/").await), (200, "4007", "手机号错误"));
    client.code("+8613800138000").await;

    let head = client.send(client.request("HEAD", "/sms_codes/13800138003/")).await;
    assert_eq!(head.status, 405);

    // A page elsewhere that a visitor is lured to sends nobody an SMS.
    let lured =
        client.request("GET", "/sms_codes/13800138002/").header("sec-fetch-site", "cross-site");
    assert_eq!(code(&client.send(lured).await).1, "5006");
    let own =
        client.request("GET", "/sms_codes/13800138002/").header("sec-fetch-site", "same-origin");
    let english = client.send(own.header("accept-language", "en")).await;
    assert_eq!(code(&english), (200, "0", "OK"));
    client.code("+8613800138002").await;
    assert!(client.inbox("+8613800138003").await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_picture_is_asked_for_where_it_is_configured() {
    let environment = Environment::services().with("CHALLENGE", "picture://default?when=always");
    let deployment = Deployment::whole(&environment);
    let client = &deployment.client;
    let client_of = redis::Client::open(redis_url()).expect("a URL");
    let mut redis = client_of.get_multiplexed_async_connection().await.expect("Redis");
    let uuid = "0b4f2a54-9a53-4e43-8c2b-4c8f6e1f0a12";
    let send = async |query: String| client.get(&format!("/sms_codes/13800138000/{query}")).await;
    assert_eq!(code(&send(String::new()).await).1, "4001");
    assert_eq!(
        code(&send(format!("?uuid={uuid}&image_code=")).await),
        (200, "4003", "缺少必传参数")
    );
    // The tutorial's own view of pictures may have drawn it as well: the key is the same.
    assert_eq!(
        client.get(&format!("/image_codes/{uuid}/")).await.header("content-type"),
        "image/png"
    );
    let text: String = redis.get(format!("img_{uuid}")).await.expect("a text");
    assert_eq!(
        code(&send(format!("?uuid={uuid}&image_code=wrong")).await),
        (200, "4001", "图形验证码错误")
    );
    let _: () = redis.set_ex(format!("img_{uuid}"), &text, 300).await.expect("kept");
    assert_eq!(code(&send(format!("?uuid={uuid}&image_code={text}")).await).1, "0");
}

#[tokio::test(flavor = "multi_thread")]
async fn trouble_with_the_store_is_5000() {
    let redis = Service::redis();
    let deployment = Deployment::whole(&Environment::services().with("REDIS_URL", &redis.url));
    redis.kill();
    assert_eq!(
        code(&deployment.client.get("/sms_codes/13800138000/").await),
        (200, "5000", "数据库错误")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sites_own_views_go_on_reading_redis() {
    let environment = Environment::services().with("MEIDUO_KEYS", "1");
    let deployment = Deployment::whole(&environment);
    let client = redis::Client::open(environment.get("REDIS_URL")).expect("a URL");
    let mut redis = client.get_multiplexed_async_connection().await.expect("Redis");
    let to = number(sms_domain::random::random_u64() as u32 % 100_000_000);
    let (mobile, flag) = (to.national(), format!("send_flag_{}", to.national()));
    let answer = deployment.client.get(&format!("/sms_codes/{mobile}/")).await;
    assert_eq!(code(&answer), (200, "0", "发送短信成功"));
    let kept: String = redis.get(format!("sms_{mobile}")).await.expect("a code");
    assert_eq!(kept, deployment.client.code(to.e164()).await);
    let (sms, flag): (i64, i64) = (
        redis.ttl(format!("sms_{mobile}")).await.expect("seconds"),
        redis.ttl(flag).await.expect("seconds"),
    );
    assert!((290..=300).contains(&sms) && (50..=60).contains(&flag), "{sms} {flag}");
}

#[tokio::test(flavor = "multi_thread")]
async fn unless_asked_for_nothing_stands_in_redis_in_clear() {
    let environment = Environment::services();
    let deployment = Deployment::whole(&environment);
    let to = number(sms_domain::random::random_u64() as u32 % 100_000_000);
    assert_eq!(
        code(&deployment.client.get(&format!("/sms_codes/{}/", to.national())).await).1,
        "0"
    );
    let client = redis::Client::open(environment.get("REDIS_URL")).expect("a URL");
    let mut redis = client.get_multiplexed_async_connection().await.expect("Redis");
    let found: Vec<String> = redis.keys(format!("*{}*", to.national())).await.expect("keys");
    assert!(found.is_empty(), "{found:?}");
    let refused = Process::start(&[], &Environment::embedded().with("MEIDUO_KEYS", "1"));
    refused.logs("MEIDUO_KEYS needs REDIS_URL").await;
}
