//! The edges of the functions: HTTP events become requests for the routers of `sms-http`, messages
//! of SQS and Amazon MQ become jobs for `sms-app`. Warm-ups and foreign events are recognised.
//!
//! It knows the events of AWS, and decides nothing about a verification. The three functions use
//! it.

pub mod batch;
pub mod flush;
pub mod function;
pub mod invocation;
