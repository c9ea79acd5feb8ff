//! One TLS implementation for every client: rustls with ring.

use std::sync::Once;

/// Makes ring the cryptography of the process. Every adapter that may open a TLS connection calls this first.
pub fn install() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // An error means that the process has chosen one before; then that one serves.
        let _ = rustls::crypto::ring::default_provider().install_default();
    });
}
