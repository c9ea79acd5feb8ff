//! What the store must still be told when nobody waits for its answer any more.

use std::future::Future;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

use crate::store::StoreError;

/// How often it is tried, with a pause between: for about 10 s when the store hangs.
const ATTEMPTS: u32 = 15;
const PAUSE: Duration = Duration::from_millis(200);

/// As many as may be under way: while the store is down there is no end of them.
static UNDER_WAY: Semaphore = Semaphore::const_new(1_000);

/// Makes a call until the store has answered it, in a task that goes on when nobody waits for it. (On Lambda it goes on
/// while the function is invoked.) Gives nothing if the store did not answer for too long.
pub(crate) fn until_answered<T, F>(call: impl Fn() -> F + Send + 'static) -> JoinHandle<Option<T>>
where
    T: Send + 'static,
    F: Future<Output = Result<T, StoreError>> + Send,
{
    tokio::spawn(async move {
        let permit = UNDER_WAY.try_acquire();
        let attempts = if permit.is_ok() { ATTEMPTS } else { 1 };
        for _ in 0..attempts {
            match call().await {
                Ok(answer) => return Some(answer),
                Err(_) => tokio::time::sleep(PAUSE).await,
            }
        }
        None
    })
}
