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

#[tokio::test(flavor = "multi_thread")]
async fn servers_that_want_a_certificate_get_one() {
    for (variable, service) in
        [("REDIS_URL", Service::redis_mtls()), ("QUEUE_URL", Service::rabbitmq_mtls())]
    {
        let url = if variable == "REDIS_URL" {
            format!("{}?", service.url)
        } else {
            format!("{}&", with_own_queue(&service.url))
        };
        let file = |option: &str, name: &str| format!("{option}={}", service.file(name));
        let (ca, cert) = (file("ca", "ca.pem"), file("cert", "client.pem"));
        let key = file("key", "client.key");
        let with = |options: &[&str]| {
            Environment::services().with(variable, &format!("{url}{}", options.join("&")))
        };
        let stranger = Deployment::whole(&with(&[&ca]));
        assert_eq!(stranger.client.ask(TO).await.status, 503, "{variable} without a certificate");
        drop(stranger);
        works(&Deployment::whole(&with(&[&ca, &cert, &key]))).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_over_tls_is_joined_or_its_certificate_is_named() {
    let named = |cluster: &Service| {
        let url = format!("{}?ca={}", cluster.url, cluster.file("ca.pem"));
        Deployment::whole(&Environment::services().with("REDIS_URL", &url))
    };
    works(&named(&Service::redis_cluster_tls())).await;
    let misnamed = Service::redis_cluster_misnamed();
    let refused = named(&misnamed);
    eventually("the cause is named", || async {
        assert_eq!(refused.client.ask(TO).await.status, 503);
        refused.logs().contains("the address is not in the certificate").then_some(())
    })
    .await;
}

async fn works(deployment: &Deployment) {
    let accepted = eventually("an accepted request", || async {
        Some(deployment.client.ask(TO).await).filter(|answer| answer.status == 202)
    });
    let id = accepted.await.id();
    assert_eq!(deployment.client.check(&id, &deployment.client.code(TO).await).await.status, 200);
}

async fn is_used_by_those_who_trust_it(service: &Service, environment: &Environment) {
    let stranger = Deployment::whole(environment);
    assert_eq!(stranger.client.ask(TO).await.status, 503, "the authority is unknown");
    drop(stranger);
    let trusting =
        Deployment::whole(&environment.clone().with("SSL_CERT_FILE", &service.file("ca.pem")));
    works(&trusting).await;
}
