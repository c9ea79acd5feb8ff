//! Whole deployments.

/// The happy path, the same on every deployment.
mod happy_path;

/// The functions under `cargo lambda watch`.
mod cargo_lambda;

/// The release builds of the functions under Lambda's runtime emulator.
mod runtime_emulator;

/// Codes of Amazon Cognito, by the function that is its custom SMS sender.
mod cognito;

/// The release builds of the functions, and every event that there is a sample of.
mod lambda_events;

/// The library inside another program.
mod embedded;
