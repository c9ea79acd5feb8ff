//! SIGTERM and Ctrl-C as a future that every component can await.

use std::io;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tracing::info;

/// A signal to stop the process. Every clone can await it any number of times.
#[derive(Debug, Clone)]
pub struct Shutdown(watch::Receiver<bool>);

impl Shutdown {
    /// Listens for the signals from now on.
    pub fn on_signals() -> io::Result<Self> {
        let (sender, receiver) = watch::channel(false);
        let (mut terminate, mut interrupt) =
            (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        tokio::spawn(async move {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            info!("stopping: finishing work in progress; a second signal ends the process at once");
            sender.send_replace(true);
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            std::process::exit(1);
        });
        Ok(Self(receiver))
    }

    /// Waits for the signal for at most this time. Returns true if it came.
    pub async fn requested_within(&mut self, wait: Duration) -> bool {
        tokio::time::timeout(wait, self.requested()).await.is_ok()
    }

    /// Waits for the signal.
    pub async fn requested(&mut self) {
        // An error is impossible: the sender is dropped only after it has sent.
        let _ = self.0.wait_for(|stop| *stop).await;
    }
}
