//! The application: the three use cases (request code, check code, send SMS), what protects them
//! (challenges, the conversion guard), and the metrics that count them.
//!
//! It uses the store, the queue and the gateways through their ports, and knows no HTTP and no
//! events: the edges (`sms-http`, `sms-lambda` and the server) call it.

pub mod abuse_settings;
pub mod challenge;
pub mod check_code;
pub mod conversion_guard;
pub mod custom_message;
pub mod detached;
pub mod event_source;
pub mod eviction_watch;
pub mod meiduo_keys;
pub mod metrics;
pub mod request_code;
pub mod send_sms;
