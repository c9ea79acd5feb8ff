//! One TLS implementation for every client: rustls with ring.

use std::sync::Once;

use aws_smithy_http_client::Builder;
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};
use aws_smithy_runtime_api::client::http::SharedHttpClient;

/// Makes ring the cryptography of the process. Every adapter that may open a TLS connection calls this first.
pub fn install() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // An error means that the process has chosen one before; then that one serves.
        let _ = rustls::crypto::ring::default_provider().install_default();
    });
}

/// The HTTP client of AWS's SDKs.
pub(crate) fn aws_http_client() -> SharedHttpClient {
    Builder::new().tls_provider(Provider::Rustls(CryptoMode::Ring)).build_https()
}
