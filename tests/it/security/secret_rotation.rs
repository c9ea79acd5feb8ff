//! Rotation of `CODE_SECRET` with codes in flight.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sms_domain::secrets::Secrets;

use crate::support::gateway::{Gateway, Reply};
use crate::support::process::{Client, Deployment, Environment, Process, base_url, wrong};
use crate::support::{number, unique};

#[tokio::test(flavor = "multi_thread")]
async fn secret_rotation_with_codes_in_flight() {
    let gateway = Gateway::start(&[], Reply::Accept).await;
    let old = Environment::services().with("SMS_DSN", &gateway.dsn());
    let secret = old.get("CODE_SECRET").to_owned();
    // One code has arrived, another job waits for its sender, and one number has guesses against
    // it.
    let before = Deployment::whole(&old);
    let arrived = before.client.ask(number(1).e164()).await.id();
    let code = gateway.got(1).await.remove(0).code;
    assert_eq!(before.client.check(&arrived, &wrong(&code)).await.status, 422);
    drop(before);
    let queued = {
        let api = Process::start(&["api"], &old).announces("/inbox\n");
        Client::new(&base_url(&api.announced)).ask(number(2).e164()).await.id()
    };

    // One in 256 cannot be told apart from the old one by the byte that names it, and is refused at
    // start.
    let lists =
        std::iter::repeat_with(|| format!("{},{secret}", unique("the-new-secret-of-this-test")));
    let list = lists.into_iter().find(|list| Secrets::parse(list).is_ok()).expect("one that can");
    let both = old.clone().with("CODE_SECRET", &list);
    let after = Deployment::whole(&both);
    let client = &after.client;
    assert_eq!(client.ask(number(1).e164()).await.status, 429, "the cooldown goes on");
    assert_eq!(client.status(&arrived).await.body["attempts_left"], 4, "and so do the guesses");
    assert_eq!(client.check(&arrived, &code).await.status, 200);
    let call = gateway.got(2).await.remove(1);
    assert_eq!(client.check(&queued, &call.code).await.status, 200);
    let fresh = client.ask(number(3).e164()).await.id();
    let call = gateway.got(3).await.remove(2);
    assert_eq!(client.check(&fresh, &call.code).await.status, 200);
    let key = |id: &str| URL_SAFE_NO_PAD.decode(&id[..4]).expect("base64")[0];
    assert_ne!(key(&fresh), key(&queued), "the new secret is in use");
    assert_eq!(key(&arrived), key(&queued));
}
