//! From the queue to the gateway, and what goes wrong on the way.

/// Attempts, back-off, dead letters, and what is never sent.
mod retries;

/// Batches from SQS and Amazon MQ.
mod batch;

/// Workers that are stopped, killed or cut off.
mod worker;

/// A store that is down or hangs.
mod outage;

/// A new release under load.
mod rolling_deploys;
