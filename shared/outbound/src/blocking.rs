//! What is done before it is needed, so that the first request need not wait for it.

use tokio::runtime::Handle;
use tokio::task::spawn_blocking;

/// Does it in a thread of its own: what reads many files would hold up a thread that the network
/// waits for. A panic in there is not told: it comes again with whoever needs the result.
pub async fn in_its_own_thread(work: impl Future + Send + 'static) {
    let runtime = Handle::current();
    let _ = spawn_blocking(move || {
        runtime.block_on(work);
    })
    .await;
}
