//! What goes on when nobody waits for it any more.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use sms_store::StoreError;
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tracing::{Instrument, Span};

/// How often it is tried, with a pause between: for about 10 s when the store hangs.
const ATTEMPTS: u32 = 15;
const PAUSE: Duration = Duration::from_millis(200);

/// As many as may be under way: while the store is down there is no end of them.
static MAX_DETACHED: Semaphore = Semaphore::const_new(1_000);

/// A call that is seen to its end: if it is dropped on the way, because its caller has hung up, it
/// goes on in a task of its own. (Not in one from the beginning: the way through the scheduler costs
/// about 4,000 instructions, which is 2 to 3 % of a request.)
pub struct DetachOnDrop<F>(Option<Pin<Box<F>>>)
where
    F: Future<Output: Send> + Send + 'static;

impl<F: Future<Output: Send> + Send + 'static> DetachOnDrop<F> {
    /// A call that has not begun yet.
    pub fn new(call: F) -> Self {
        Self(Some(Box::pin(call)))
    }
}

impl<F: Future<Output: Send> + Send + 'static> Future for DetachOnDrop<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        // Taken out meanwhile, so that a call that panics is not gone on with.
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

/// Makes a call until the store has answered it, in a task that goes on when nobody waits for it.
/// (On Lambda it goes on while the function is invoked.) Gives nothing if the store did not answer
/// for too long.
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

    /// Lines of a log have the names of the request that they are about.
    #[tokio::test]
    async fn what_goes_on_is_part_of_the_span_that_it_began_in() {
        let _spans = tracing::subscriber::set_default(tracing_subscriber::registry());
        let span = tracing::error_span!("request");
        let called = span.in_scope(|| retry_detached(|| async { Ok(Span::current().id()) }));
        assert_eq!(called.await.expect("no panic"), Some(span.id()));
    }
}
