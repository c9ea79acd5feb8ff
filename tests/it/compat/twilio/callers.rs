//! Whose verifications a caller reaches, and who is no caller.

use serde_json::json;

use super::{
    ACCOUNT, APP, LANGUAGES, LOGIN, Language, Official, PAY, SHOP, TO, check, check_sid, create,
    facade, fetch, is_error, raw, text, update, with_keys,
};
use crate::support::eventually;
use crate::support::process::{Deployment, Environment};
use crate::support::services::{Service, redis_cli};

/// Calls of the store's scripts so far.
fn questions(redis: &Service) -> u32 {
    let port = redis.url.rsplit(':').next().expect("a port");
    let stats = redis_cli(port, &["info", "commandstats"]);
    let calls = ["cmdstat_evalsha:calls=", "cmdstat_eval:calls="].map(|name| {
        let (_, rest) = stats.split_once(name)?;
        rest.split(',').next()?.parse::<u32>().ok()
    });
    calls.into_iter().flatten().sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_and_services_of_twilio_do_not_see_each_others_verifications() {
    let redis = Service::redis();
    let environment = facade(&Environment::services())
        .with("REDIS_URL", &redis.url)
        // (The guard writes its counts by itself.)
        .with("GUARD", "off");
    for environment in [facade(&Environment::embedded()), environment] {
        let on_redis = environment.variables().any(|(name, _)| name == "REDIS_URL");
        let mut deployment = match on_redis {
            true => Deployment::split(&environment),
            false => Deployment::whole(&environment),
        };
        let mut owner = Official::new(Language::Python, &deployment.client.base, SHOP);
        let sid = text(&owner.ok(&create(LOGIN, TO)), "sid").to_owned();
        let code = deployment.client.code(TO).await;
        // Workers have questions of their own.
        for worker in &mut deployment.workers {
            worker.terminate();
            worker.ended().await;
        }
        let unknown = "+8613900139000";
        let unknown_sid = format!("VE{}", "0".repeat(32));
        for language in LANGUAGES {
            for (key, service) in [(APP, LOGIN), (SHOP, PAY), (APP, PAY)] {
                let mut other = Official::new(language, &deployment.client.base, key);
                for (name, of_nobody) in [(TO, unknown), (&*sid, &*unknown_sid)] {
                    let calls = |name: &str| {
                        let check = match name.starts_with('+') {
                            true => check(service, name, &code),
                            false => check_sid(service, name, &code),
                        };
                        let updates = ["canceled", "approved"].map(|to| update(service, name, to));
                        let [cancel, approve] = updates;
                        [check, fetch(service, name), cancel, approve]
                    };
                    for (call, unknown) in calls(name).iter().zip(calls(of_nobody)) {
                        // The first question of all has its script loaded.
                        other.error(&unknown);
                        let before = questions(&redis);
                        assert_eq!(other.error(call), (20404, 404), "{call}");
                        let between = questions(&redis);
                        assert_eq!(other.error(&unknown), (20404, 404), "{unknown}");
                        let asked = [between - before, questions(&redis) - between];
                        assert_eq!(asked, [u32::from(on_redis); 2], "{call}");
                    }
                }
                // Their requests meet the number's cooldown, as those for another purpose.
                assert_eq!(other.error(&create(service, TO)), (20429, 429));
            }
        }
        // Nothing of that has changed anything.
        assert_eq!(owner.ok(&fetch(LOGIN, TO))["sid"], sid.as_str());
        assert_eq!(owner.ok(&check(LOGIN, TO, &code))["status"], "approved");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_verification_of_twilio_is_replaced_by_one_of_another_owner() {
    let environment = facade(&Environment::embedded()).with("RESEND_INTERVAL", "1");
    let deployment = Deployment::whole(&environment);
    let client = &deployment.client;
    let mut twilio = Official::new(Language::Node, &client.base, SHOP);
    let sid = text(&twilio.create(LOGIN, TO).await, "sid").to_owned();
    let codes = client.codes(TO, 1).await;
    // `/v1` neither continues it nor finds it: it begins another one, as for another purpose.
    let asked = eventually("the end of the cooldown", || async {
        let request = client.request("POST", "/v1/verifications").bearer_auth(SHOP);
        let answer = client.send(request.json(&json!({ "to": TO, "purpose": "login" }))).await;
        (answer.status == 202).then_some(answer)
    })
    .await;
    let code = client.codes(TO, 2).await.remove(0);
    for call in [fetch(LOGIN, &sid), fetch(LOGIN, TO), check(LOGIN, TO, &codes[0])] {
        assert_eq!(twilio.error(&call), (20404, 404), "{call}");
    }
    assert_eq!(twilio.error(&update(LOGIN, TO, "canceled")), (20404, 404));
    let path = format!("/v1/verifications/{}/check", asked.id());
    let typed = client.request("POST", &path).bearer_auth(SHOP).json(&json!({ "code": code }));
    assert_eq!(client.send(typed).await.body["status"], "approved");
}

#[tokio::test(flavor = "multi_thread")]
async fn twilios_paths_do_not_exist_without_keys_or_services() {
    let services = Environment::embedded().with("TWILIO_VERIFY_SERVICES", &format!("{LOGIN}="));
    let keys = with_keys(&Environment::embedded());
    let unserved = Deployment::whole(&services);
    unserved.api.logs("not served without API_KEYS").await;
    for environment in [Environment::embedded(), services, keys] {
        let deployment = Deployment::whole(&environment);
        let service = format!("/v2/Services/{LOGIN}");
        for (method, path) in [
            ("GET", "/v2/Services".to_owned()),
            ("GET", service.clone()),
            ("POST", format!("{service}/Verifications")),
            ("POST", format!("{service}/VerificationCheck")),
            ("GET", format!("{service}/Verifications/{TO}")),
            ("POST", format!("{service}/Verifications/{TO}")),
            ("GET", format!("{service}/RateLimits")),
        ] {
            let form = "To=%2B8613800138000&Channel=sms&Code=123456";
            let body = if method == "POST" { form } else { "" };
            let answer = raw(&deployment.client, method, &path, SHOP, body).await;
            assert_eq!(answer.status, 404, "{path}: {answer:?}");
            assert_eq!(answer.body["type"], "urn:sms-verify:problem:no-such-path", "{path}");
        }
        assert!(deployment.client.inbox(TO).await.is_empty());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_with_wrong_keys_is_refused_before_its_key_is_looked_at() {
    let environment = facade(&Environment::embedded())
        .with("TRUSTED_PROXIES", "1")
        .with("SMS_DSN", "null://default");
    let deployment = Deployment::whole(&environment);
    let client = &deployment.client;
    let twilio = async |key: &str, ip: &str| {
        let request = client.request("GET", "/v2/Services").basic_auth(ACCOUNT, Some(key));
        client.send(request.header("x-forwarded-for", ip)).await
    };
    let v1 = async |key: Option<&str>, ip: &str| {
        let request = client.request("GET", "/v1/verifications/of-nobody");
        let request = request.header("x-forwarded-for", ip);
        client
            .send(
                key.map_or(request.try_clone(), |key| Some(request.bearer_auth(key)))
                    .expect("no stream"),
            )
            .await
    };
    // Calls without a key guess none.
    for _ in 0..30 {
        assert_eq!(v1(None, "198.51.100.7").await.status, 401);
    }
    for attempt in 0..20 {
        let status = match attempt % 2 {
            0 => twilio("key-of-nobody", "198.51.100.7").await.status,
            _ => v1(Some("key-of-nobody"), "198.51.100.7").await.status,
        };
        assert_eq!(status, 401, "{attempt}");
    }
    // A right key is refused, too: none is looked at.
    let refused = twilio(SHOP, "198.51.100.7").await;
    is_error(&refused, 429, 20429);
    assert!(
        refused.header("retry-after").parse::<u64>().is_ok_and(|wait| (1..=60).contains(&wait))
    );
    let refused = v1(Some(SHOP), "198.51.100.7").await;
    assert_eq!(
        (refused.status, &refused.body["type"]),
        (429, &json!("urn:sms-verify:problem:too-many-wrong-keys"))
    );
    assert_eq!(twilio(SHOP, "198.51.100.8").await.status, 200, "another address");
    assert_eq!(v1(Some(SHOP), "198.51.100.8").await.status, 404, "another address");
    assert!(!deployment.logs().contains("key-of"));
}
