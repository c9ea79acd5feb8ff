//! Answers that must not tell what is known of a number or of an id. (That their time does not is
//! measured by `bench/run 3 timing`.)

use sms_domain::random::random_bytes;
use sms_domain::verification_id::{Purpose, VerificationId};

use crate::support::process::{Answer, Client, Deployment, Environment};
use crate::support::{eventually, number};

/// All of an answer but its own id, number and time.
fn told(answer: &Answer) -> (u16, Vec<(String, String)>, String) {
    let mut headers: Vec<_> = answer
        .headers
        .iter()
        .filter(|(name, _)| {
            !["date", "location", "content-length", "x-request-id"].contains(&name.as_str())
        })
        .map(|(name, value)| (name.to_string(), value.to_str().expect("text").to_owned()))
        .collect();
    headers.sort();
    let mut body = answer.body.clone();
    for own in ["id", "to", "expires_at"] {
        if let Some(value) = body.get_mut(own) {
            *value = "its own".into();
        }
    }
    (answer.status, headers, body.to_string())
}

/// Asks for a code and types it back; again, if it expired meanwhile.
async fn verify(client: &Client, to: &str) -> String {
    eventually("an approval", || async {
        let before = client.inbox(to).await.len();
        let asked = client.ask(to).await;
        let id = (asked.status == 202).then(|| asked.id())?;
        let code = client.codes(to, before + 1).await.remove(0);
        (client.check(&id, &code).await.status == 200).then_some(id)
    })
    .await
}

/// An id like this one that no verification has.
fn unknown_id(id: &str) -> String {
    let id = VerificationId::parse(id).expect("an id");
    VerificationId::new(id.key_id(), id.tag(), random_bytes(), &Purpose::default()).to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn enumeration_of_numbers_and_ids_learns_nothing() {
    for environment in [Environment::embedded(), Environment::services()] {
        let environment = environment
            .with("RESEND_INTERVAL", "1")
            .with("CODE_TTL", "2")
            .with("BUDGET", "9999/day");
        let deployment = Deployment::whole(&environment);
        let client = &deployment.client;
        let [verified, replaced, new] = [1, 2, 3].map(|index| number(index).e164().to_owned());

        let used = verify(client, &verified).await;
        let expired = client.ask(&replaced).await.id();
        let checked = told(&client.check(&used, "000000").await);
        assert_eq!(checked.0, 404);
        assert_eq!(told(&client.check(&unknown_id(&used), "000000").await), checked, "unknown");
        eventually("the expiry", || async {
            (client.status(&expired).await.status == 404).then_some(())
        })
        .await;
        assert_eq!(told(&client.check(&expired, "000000").await), checked, "expired");
        for over in [&expired, &used, &unknown_id(&used)] {
            let path = format!("/v1/verifications/{over}");
            assert_eq!(
                told(&client.send(client.request("DELETE", &path)).await),
                checked,
                "deleted"
            );
        }
        assert_eq!(
            told(&client.status(&expired).await),
            told(&client.status(&unknown_id(&used)).await)
        );
        let again = client.ask(&replaced).await;
        assert_ne!(again.id(), expired);
        assert_eq!(told(&client.check(&expired, "000000").await), checked, "replaced");

        let asked = told(&client.ask(&new).await);
        assert_eq!(asked.0, 202);
        assert_eq!(told(&client.ask(&verified).await), asked, "a number that was verified before");
        assert_eq!(told(&again), asked, "a number whose code was never typed back");
    }
}
