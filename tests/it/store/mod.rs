//! The store: its contract on every backend, and Redis alone.

/// Cooldown, resend, purpose, release, approval, expiry, cancellation, pictures, readiness.
mod verifications;

/// Attempts and lockout.
mod lockout;

/// The lease on an SMS, and what is recorded of it.
mod leases;

/// Idempotency keys.
mod idempotency;

/// Rate limits and their windows.
mod limits;

/// The conversion guard.
mod conversion_guard;

/// Budgets.
mod budget;

/// The circuit breaker of a gateway.
mod gateway_circuits;

/// The rate limit of a gateway.
mod gateway_rate;

/// Messages with a code of somebody else.
mod messages;

/// Delivery reports.
mod delivery_reports;

/// A Redis that cannot do what is needed, or forgets: `/readyz` and the log.
mod readiness;

/// A Redis whose memory is full.
mod full_memory;

/// Memory and Redis compared over random operations.
mod differential;

/// Commands that an accepted request costs.
mod round_trips;

/// Memory that a number takes.
mod footprint;

/// Counts and refusals that a process keeps.
mod kept_by_a_process;

use std::time::Duration;

use sms_domain::refusal::Exceeded;
use sms_domain::verification::{Policy, Verification};
use sms_store::{AdmissionRequest, CheckResult, Decision, Lease, SendOutcome, Store};

/// Sent, by a gateway that has no name for the message.
const SENT: SendOutcome = SendOutcome::Sent { message_id: None };

const LEASE: Duration = Duration::from_secs(10);

/// A time that a store's own clock is moved by: Redis forgets by its own, and a slow machine needs
/// less.
const SOON: Duration = Duration::from_secs(100);

fn wrong(attempts_left: u32) -> CheckResult {
    CheckResult::Wrong { attempts_left, locked_for: Duration::ZERO }
}

/// No cooldown to speak of.
fn impatient() -> Policy {
    Policy { resend_interval: Duration::from_millis(1), ..Policy::default() }
}

async fn admitted(store: &Store, candidate: &AdmissionRequest) -> (Verification, u32) {
    match store.admit(candidate).await.expect("an answer") {
        Decision::Admitted { verification, sms_number, .. } => (verification, sms_number),
        refused => panic!("not admitted: {refused:?}"),
    }
}

async fn admitted_later(store: &Store, candidate: &AdmissionRequest) -> (Verification, u32) {
    store.clock().advance(Duration::from_millis(3));
    admitted(store, candidate).await
}

async fn is_refused(store: &Store, candidate: &AdmissionRequest, by: Exceeded) -> bool {
    let decision = store.admit(candidate).await;
    matches!(decision, Ok(Decision::Refused(refusal)) if refusal.exceeded() == [by])
}

async fn check(store: &Store, verification: &Verification, right: bool) -> CheckResult {
    store
        .check(&verification.id, right, sms_domain::random::random_u64(), &[])
        .await
        .expect("an answer")
}

async fn begin(store: &Store, verification: &Verification, sms_number: u32, worker: u64) -> Lease {
    store.acquire_lease(&verification.id, sms_number, LEASE, worker).await.expect("an answer")
}
