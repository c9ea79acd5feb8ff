//! Work done in advance, so that the first request need not wait for it.

use tokio::runtime::Handle;
use tokio::task::spawn_blocking;

/// Runs `work` on a thread of its own, since reading many files would block a thread of the async
/// runtime. A panic is not reported: it recurs in the caller that needs the result.
pub async fn run_on_own_thread(work: impl Future + Send + 'static) {
    let runtime = Handle::current();
    let _ = spawn_blocking(move || {
        runtime.block_on(work);
    })
    .await;
}
