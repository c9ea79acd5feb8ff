//! One TLS implementation for every client: rustls with ring. And the way of AWS's clients through a proxy.

use std::env;
use std::sync::Once;

use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};
use aws_smithy_http_client::{Builder, Connector};
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;

/// What is never reached through a proxy, as `NO_PROXY` has it.
const LOOPBACK: &str = "localhost,127.0.0.0/8,::1";

/// Makes ring the cryptography of the process. Every adapter that may open a TLS connection calls this first.
pub fn install() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // An error means that the process has chosen one before; then that one serves.
        let _ = rustls::crypto::ring::default_provider().install_default();
    });
}

/// The HTTP client of AWS's SDKs, by way of a proxy where the environment names one.
pub(crate) fn aws_http_client() -> SharedHttpClient {
    const TLS: Provider = Provider::Rustls(CryptoMode::Ring);
    let Some(proxy) = proxy() else { return Builder::new().tls_provider(TLS).build_https() };
    Builder::new().build_with_connector_fn(move |settings, components| {
        let mut connector = Connector::builder().tls_provider(TLS).proxy_config(proxy.clone());
        connector.set_connector_settings(settings.cloned());
        connector.set_sleep_impl(components.and_then(RuntimeComponents::sleep_impl));
        connector.build()
    })
}

/// The proxy for `https://`, by the variables that most programs know. What is `http://` is on this machine or on its host,
/// such as the address that hands out credentials: no proxy may see it.
fn proxy() -> Option<ProxyConfig> {
    let first = |names: &[&str]| names.iter().find_map(|name| env::var(name).ok().filter(|value| !value.is_empty()));
    let url = first(&["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"])?;
    let url = if url.contains("://") { url } else { format!("http://{url}") };
    let direct = first(&["NO_PROXY", "no_proxy"]).unwrap_or_default();
    Some(ProxyConfig::https(url).ok()?.no_proxy(format!("{direct},{LOOPBACK}")))
}
