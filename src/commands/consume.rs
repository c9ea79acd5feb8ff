//! The loop of both kinds of worker, that which sends and that which invokes a function.

use std::sync::Arc;

use futures_util::FutureExt;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Works on what `receive` gives, at most `concurrency` at a time, until `stop` is cancelled; then
/// waits for the work in hand. Nothing is received before there is room for it.
pub async fn consume<T, F>(
    mut receive: impl AsyncFnMut() -> T,
    work: impl Fn(T) -> F,
    concurrency: u16,
    stop: &CancellationToken,
) where
    F: Future<Output = ()> + Send + 'static,
{
    let free = Arc::new(Semaphore::new(usize::from(concurrency)));
    let in_hand = TaskTracker::new();
    loop {
        let next = async {
            let permit = Arc::clone(&free).acquire_owned().await;
            (receive().await, permit)
        };
        // Not `run_until_cancelled`, which goes on for as long as there is always a next one.
        let (received, permit) = tokio::select! {
            biased;
            () = stop.cancelled() => break,
            next = next => next,
        };
        // Not an `async` block, whose future would hold the work twice.
        in_hand.spawn(work(received).map(|()| drop(permit)));
    }
    in_hand.close();
    in_hand.wait().await;
}
