//! Futures that must finish after their caller has gone.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use sms_store::StoreError;
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tracing::{Instrument, Span};

/// Attempts of a detached call, with [`PAUSE`] between them: about 10 s while the store hangs.
const ATTEMPTS: u32 = 15;
const PAUSE: Duration = Duration::from_millis(200);

/// Upper bound on concurrent detached retries, so that a store outage cannot pile them up.
static MAX_DETACHED: Semaphore = Semaphore::const_new(1_000);

/// A future that is polled to its end: if it is dropped before, because its caller has hung up, it
/// continues in a task of its own. (Not in one from the beginning: the way through the scheduler
/// costs about 4,000 instructions, 2 to 3 % of a request.)
pub struct DetachOnDrop<F>(Option<Pin<Box<F>>>)
where
    F: Future<Output: Send> + Send + 'static;

impl<F: Future<Output: Send> + Send + 'static> DetachOnDrop<F> {
    /// Wraps a future that was not polled yet.
    pub fn new(call: F) -> Self {
        Self(Some(Box::pin(call)))
    }
}

impl<F: Future<Output: Send> + Send + 'static> Future for DetachOnDrop<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        // Taken out meanwhile, so that a call that panics is not continued.
        let Some(mut call) = self.0.take() else { return Poll::Pending };
        let result = call.as_mut().poll(context);
        if result.is_pending() {
            self.0 = Some(call);
        }
        result
    }
}

impl<F: Future<Output: Send> + Send + 'static> Drop for DetachOnDrop<F> {
    fn drop(&mut self) {
        if let (Some(call), Ok(runtime)) = (self.0.take(), Handle::try_current()) {
            runtime.spawn(call.instrument(Span::current()));
        }
    }
}

/// Repeats a call until the store answers, in a task that continues if the caller does not wait for
/// it. (On Lambda it continues while the function is invoked.) Returns `None` if the store did not
/// answer after all attempts.
pub fn retry_detached<T, F>(call: impl Fn() -> F + Send + 'static) -> JoinHandle<Option<T>>
where
    T: Send + 'static,
    F: Future<Output = Result<T, StoreError>> + Send,
{
    let calls = async move {
        let permit = MAX_DETACHED.try_acquire();
        let attempts = if permit.is_ok() { ATTEMPTS } else { 1 };
        for _ in 0..attempts {
            match call().await {
                Ok(answer) => return Some(answer),
                Err(_) => tokio::time::sleep(PAUSE).await,
            }
        }
        None
    };
    tokio::spawn(calls.instrument(Span::current()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Log lines then have the ID of their request.
    #[tokio::test]
    async fn a_detached_call_stays_in_the_span_that_it_began_in() {
        let _spans = tracing::subscriber::set_default(tracing_subscriber::registry());
        let span = tracing::error_span!("request");
        let called = span.in_scope(|| retry_detached(|| async { Ok(Span::current().id()) }));
        assert_eq!(called.await.expect("no panic"), Some(span.id()));
    }
}
