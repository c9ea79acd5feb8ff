//! Everything that is tested from outside, against real servers: one binary, one module for each
//! question.

#![expect(
    clippy::panic,
    clippy::expect_used,
    clippy::print_stderr,
    clippy::print_stdout,
    reason = "this is how a test speaks"
)]

mod support;

/// Do both stores keep the same promises?
mod store_contract;

/// Do memory and Redis answer alike, whatever is done and when?
mod differential;

/// Do the stores keep the same promises about limits?
mod limits_contract;

/// Do the stores keep the same promises about the conversion guard?
mod guard_contract;

/// Do the stores keep the same promises about budgets?
mod budget_contract;

/// Challenges: who has to solve one, and what is taken for a solution?
mod challenges;

/// The conversion guard: does it find what is abused, and that alone?
mod guard;

/// A simulated day of people and attackers.
mod simulate;

/// Limits and countries, as callers meet them.
mod limits;

/// Do both stores keep the same promises about the accounts at gateways?
mod account_contract;
mod alarms;

/// Do the queues keep the same promises?
mod queue_contract;

/// Does the producer for SQS do what SQS understands?
mod sqs;

/// The main job, word for word the same on every deployment.
mod main_job;

/// What a product builds on: tokens, pages of other origins, requests that are repeated.
mod product;

/// Backends that are brought a token.
mod samples;

/// The tutorial's pages and its register view, unchanged.
mod meiduo;

/// Answers that must not tell what is known of a number or of an id.
mod alike;

/// What is measured, and who may see it.
mod observed;

/// Traces, as a collector gets them.
mod traces;

/// The command line: what it says, to people and to programs.
mod command_line;

/// What is not a request: does it get a problem that names what is wrong?
mod bad_input;

/// Numbers, as the reference reads them in each region.
mod numbers;

/// Below a path, behind a proxy.
mod prefixed;

/// Input that somebody made up to do harm.
mod hostile;

/// Attempts, back-off, dead letters, and what is never sent.
mod delivery;

/// The gateways, the ways to them, and what they tell afterwards.
mod providers;

/// A batch from SQS or Amazon MQ, each message for itself.
mod batch;

/// A new release under load: APIs and workers that are replaced one after the other.
mod deploys;

/// Workers that are stopped, killed or cut off.
mod worker;

/// A store or a queue that is down.
mod outage;

/// A Redis that cannot do what is needed, or forgets: is it noticed, and said?
mod unfit;

/// Every part killed, cut off, slow or wrong in turn, and the books of what became of each request.
mod faults;

/// Load and random faults for a while, and the books at the end.
mod soak;

/// Where no code and no number may stand.
mod secrecy;

/// The functions under `cargo lambda watch`.
mod functions;

/// The release builds of the functions under Lambda's own runtime emulator.
mod runtime;

/// The release builds of the functions, and every event that there is a sample of.
mod events;
