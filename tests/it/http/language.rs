//! Languages: of problems by `Accept-Language`, of SMS by `locale`.

use serde_json::json;

use crate::support::process::{Deployment, Environment};

#[tokio::test(flavor = "multi_thread")]
async fn language_of_a_problem_is_the_callers() {
    let deployment = Deployment::whole(&Environment::embedded());
    let client = &deployment.client;
    client.ask("13800138000").await;
    for (accept, language, title, errmsg) in [
        ("zh-CN,zh;q=0.9", "zh-CN", "请求过于频繁", "发送短信过于频繁"),
        ("zh-TW,zh;q=0.9", "zh-Hant", "請求過於頻繁", "傳送簡訊過於頻繁"),
        ("zh-HK", "zh-Hant", "請求過於頻繁", "傳送簡訊過於頻繁"),
        ("en", "en", "Too many requests", "Too many requests"),
        ("fr", "en", "Too many requests", "Too many requests"),
    ] {
        let request = client.request("POST", "/v1/verifications").header("accept-language", accept);
        let answer = client.send(request.json(&json!({ "to": "13800138000" }))).await;
        assert_eq!((answer.status, &answer.body["errmsg"]), (429, &json!(errmsg)), "{accept}");
        assert_eq!(
            (&answer.body["title"], answer.header("content-language")),
            (&json!(title), language),
            "{accept}"
        );
    }
    let table = client.request("GET", "/sms_codes/13800138000/").header("accept-language", "zh-TW");
    assert_eq!(client.send(table).await.body["errmsg"], "傳送簡訊過於頻繁");
}

#[tokio::test(flavor = "multi_thread")]
async fn language_of_an_sms_falls_back() {
    let deployment = Deployment::whole(&Environment::embedded());
    let client = &deployment.client;
    for (index, (locale, accept, words)) in [
        ("zh-TW", "en", "您的驗證碼是"),
        ("zh-Hant-HK", "en", "您的驗證碼是"),
        ("zh-Hans-TW", "en", "您的验证码是"),
        ("fr", "zh-Hant", "您的驗證碼是"),
        ("fr", "en", "Your verification code is"),
        ("tlh", "fr", "您的验证码是"),
    ]
    .into_iter()
    .enumerate()
    {
        let to = crate::support::number(u32::try_from(index).expect("small"));
        let request = client.request("POST", "/v1/verifications").header("accept-language", accept);
        let answer = client.send(request.json(&json!({ "to": to.e164(), "locale": locale }))).await;
        assert_eq!(answer.status, 202, "{locale}");
        client.code(to.e164()).await;
        let text =
            client.inbox(to.e164()).await.remove(0)["text"].as_str().expect("text").to_owned();
        assert!(text.starts_with(words), "{locale}, {accept}: {text}");
    }
}
