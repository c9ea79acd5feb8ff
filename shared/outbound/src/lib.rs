//! Outgoing connections of all clients in this workspace: TLS, proxies, the HTTP client of vendors,
//! data source names (DSNs), signatures, and the transcript of a call.
//!
//! It may use HTTP and TLS libraries and the domain's values, and knows no vendor, no store and no
//! queue. The store, the queue, the gateways and the captchas of the application use it.

pub mod blocking;
pub mod dsn;
pub mod http_client;
pub mod proxy;
pub mod signing;
pub mod tls;
pub mod tls_files;
pub mod transcript;
