//! The domain of phone verification: numbers, codes, verifications, limits, budgets, jobs and
//! texts, as values and rules that are the same wherever they run.
//!
//! It may use libraries that parse, hash or format, and nothing that does I/O: no runtime, no
//! store, no queue, no HTTP. Time is an argument, and so is randomness ([`random`] draws it for
//! the callers). Every other crate of this workspace uses it.

pub mod budget;
pub mod code;
pub mod code_settings;
pub mod conversion_test;
pub mod custom_code;
pub mod failure;
pub mod job;
pub mod job_batch;
pub mod limits;
pub mod locale;
pub mod message;
pub mod phone;
pub mod picture_id;
pub mod proof_of_work;
pub mod quota;
pub mod random;
pub mod refusal;
pub mod retry_schedule;
pub mod secrets;
pub mod sync;
pub mod test_numbers;
pub mod times;
pub mod token;
pub mod trace_context;
pub mod verification;
pub mod verification_id;
