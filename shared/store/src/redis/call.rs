//! Calls of scripts: the source is sent to a server that has not cached it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use redis::{Arg, Cmd, ErrorKind, FromRedisValue, RedisError, ServerErrorKind, ToRedisArgs};

use super::connection::Link;

/// A script, with the hash by which a server caches it.
pub(super) struct Script {
    source: String,
    hash: String,
    keys: usize,
    /// Held by the one call that sends the source; the others wait.
    sending: tokio::sync::Mutex<()>,
    /// How often the source was sent.
    sent: AtomicUsize,
}

impl Script {
    pub(super) fn new(source: String, keys: usize) -> Self {
        let hash = redis::Script::new(&source).get_hash().to_owned();
        let (sending, sent) = Default::default();
        Self { source, hash, keys, sending, sent }
    }

    pub(super) fn source(&self) -> &str {
        &self.source
    }

    /// A call with these keys, which must be on one shard or on a server without a cluster.
    pub(super) fn call(self: &Arc<Self>, keys: impl AsRef<[String]>) -> Call {
        debug_assert_eq!(self.keys, keys.as_ref().len(), "{:?}", keys.as_ref());
        // Enough for an admission.
        let mut cmd = Cmd::with_capacity(48, 512);
        cmd.arg("EVALSHA").arg(&self.hash).arg(keys.as_ref().len()).arg(keys.as_ref());
        Call { script: Arc::clone(self), cmd }
    }
}

/// A script with its arguments.
pub(super) struct Call {
    script: Arc<Script>,
    cmd: Cmd,
}

impl Call {
    pub(super) fn arg(mut self, value: impl ToRedisArgs) -> Self {
        self.cmd.arg(value);
        self
    }

    /// Number of parts of the command so far.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.cmd.args_iter().count()
    }

    /// Sends the call, with the script's source if the server has not cached it. (Loading it first
    /// would take one more round trip, and the cache may be flushed in between.)
    pub(super) async fn query<T: FromRedisValue>(&self, link: &mut Link) -> Result<T, RedisError> {
        let sent = self.script.sent.load(Ordering::Relaxed);
        match link.query(&self.cmd).await {
            Err(error) if is_not_cached(&error) => Box::pin(self.query_uncached(link, sent)).await,
            result => result,
        }
    }

    /// Sends the call with the source, unless another call has done so since the source was sent
    /// `sent` times: a thousand calls at once do not send it a thousand times to a server that has
    /// just started.
    async fn query_uncached<T: FromRedisValue>(
        &self,
        link: &mut Link,
        sent: usize,
    ) -> Result<T, RedisError> {
        let sending = self.script.sending.lock().await;
        if self.script.sent.load(Ordering::Relaxed) != sent {
            drop(sending);
            match link.query(&self.cmd).await {
                // The other call went to another server.
                Err(error) if is_not_cached(&error) => {}
                result => return result,
            }
        }
        let source = self.with_source();
        let result = match link.query(&source).await {
            // Some servers made for tests close a connection after the answer that they know no
            // such script: the source goes out on the next one.
            Err(error) if error.is_io_error() && !error.is_timeout() => link.query(&source).await,
            result => result,
        };
        if !matches!(&result, Err(error) if error.is_io_error()) {
            self.script.sent.fetch_add(1, Ordering::Relaxed);
        }
        result
    }

    fn with_source(&self) -> Cmd {
        let mut cmd = redis::cmd("EVAL");
        cmd.arg(&self.script.source);
        for arg in self.cmd.args_iter().skip(2) {
            if let Arg::Simple(bytes) = arg {
                cmd.arg(bytes);
            }
        }
        cmd
    }
}

/// Returns true if the keys of a call are on different shards, by the answer of a cluster or of a
/// proxy in front of one.
pub(super) fn is_cross_slot(error: &RedisError) -> bool {
    error.kind() == ErrorKind::Server(ServerErrorKind::CrossSlot) || is_cross_slot_of_proxy(error)
}

/// Tair and Redis of Alibaba Cloud say `ERR 'EVAL' command keys must in same slot`, or
/// `ERR eval/evalsha command keys must be in same slot`
/// (<https://www.alibabacloud.com/help/en/redis/support/usage-of-lua-scripts>).
pub(super) fn is_cross_slot_of_proxy(error: &RedisError) -> bool {
    error.detail().is_some_and(|text| text.contains("in same slot"))
}

/// Returns true if a server has not cached the script.
fn is_not_cached(error: &RedisError) -> bool {
    error.kind() == ErrorKind::Server(ServerErrorKind::NoScript)
}
