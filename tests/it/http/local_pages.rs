//! Inbox and pages are served to this machine alone.

use crate::support::process::{Deployment, Environment};

#[tokio::test(flavor = "multi_thread")]
async fn inbox_is_for_this_machine_only() {
    let deployment = Deployment::whole(&Environment::embedded());
    let client = &deployment.client;
    client.ask("13800138000").await;
    for path in ["/inbox.json", "/inbox", "/", "/ops", "/ops.json", "/metrics", "/docs/"] {
        let passed_on = client.request("GET", path).header("x-forwarded-for", "203.0.113.9");
        assert_eq!(client.send(passed_on).await.status, 421, "{path}");
        let rebound = client.request("GET", path).header("host", "attacker.example");
        assert_eq!(client.send(rebound).await.status, 421, "{path}");
        assert_eq!(client.get(path).await.status, 200, "{path}");
    }
    // What a proxy passes on may look like this machine's own.
    let environment =
        Environment::embedded().with("TRUSTED_PROXIES", "1").with("SMS_DSN", "null://default");
    let behind_a_proxy = Deployment::whole(&environment);
    for path in ["/inbox.json", "/inbox", "/", "/ops", "/ops.json", "/metrics"] {
        assert_eq!(behind_a_proxy.client.get(path).await.status, 404, "{path}");
    }
    let with_token = environment.with("OPS_TOKEN", &"t".repeat(32));
    assert_eq!(Deployment::whole(&with_token).client.get("/ops.json").await.status, 401);
}
