//! Redis and RabbitMQ over TLS, with verified certificates.

use crate::support::eventually;
use crate::support::process::{Deployment, Environment};
use crate::support::services::{Service, with_own_queue};

const TO: &str = "+8613800138000";

#[tokio::test(flavor = "multi_thread")]
async fn redis_over_tls_needs_a_trusted_certificate() {
    let redis = Service::redis_tls();
    is_used_by_those_who_trust_it(&redis, &Environment::services().with("REDIS_URL", &redis.url))
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rabbitmq_over_tls_needs_a_trusted_certificate() {
    let rabbitmq = Service::rabbitmq_tls();
    let url = with_own_queue(&rabbitmq.url);
    is_used_by_those_who_trust_it(&rabbitmq, &Environment::services().with("QUEUE_URL", &url))
        .await;
}

async fn is_used_by_those_who_trust_it(service: &Service, environment: &Environment) {
    let stranger = Deployment::whole(environment);
    assert_eq!(stranger.client.ask(TO).await.status, 503, "the authority is unknown");
    drop(stranger);
    let trusting =
        Deployment::whole(&environment.clone().with("SSL_CERT_FILE", &service.file("ca.pem")));
    let accepted = eventually("an accepted request", || async {
        Some(trusting.client.ask(TO).await).filter(|answer| answer.status == 202)
    });
    let id = accepted.await.id();
    assert_eq!(trusting.client.check(&id, &trusting.client.code(TO).await).await.status, 200);
}
