//! Times in answers: RFC 3339, in one form everywhere.

use serde_json::json;

use super::idempotency::ask;
use crate::support::process::{Deployment, Environment};
use crate::support::unique;

#[tokio::test(flavor = "multi_thread")]
async fn timestamps_have_one_form() {
    for environment in [Environment::embedded(), Environment::services()] {
        let deployment = Deployment::whole(&environment);
        let (client, key, body) =
            (&deployment.client, unique("key"), json!({ "to": "13800138000" }));
        let asked = ask(client, &key, &body).await;
        let (replayed, seen) = (ask(client, &key, &body).await, client.status(&asked.id()).await);
        let expires_at = asked.body["expires_at"].as_str().expect("a time");
        for answer in [&replayed, &seen] {
            assert_eq!(answer.body["expires_at"], expires_at);
        }
        client.code("+8613800138000").await;
        let at = client.inbox("+8613800138000").await.remove(0)["at"]
            .as_str()
            .expect("a time")
            .to_owned();
        for time in [expires_at, &at] {
            let digits =
                time.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect::<String>();
            assert_eq!(digits, "0000-00-00T00:00:00.000Z");
        }
    }
}
