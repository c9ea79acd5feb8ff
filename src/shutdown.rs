//! SIGTERM and Ctrl-C, as something that any part can wait for.

use std::io;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tracing::info;

/// Resolves once the process has been asked to stop, for whoever waits and however often.
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
            info!("stopping: finishing what is in hand; a second signal ends the process at once");
            sender.send_replace(true);
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            std::process::exit(1);
        });
        Ok(Self(receiver))
    }

    /// Waits for the signal, but no longer than this; says whether it came.
    pub async fn requested_within(&mut self, wait: Duration) -> bool {
        tokio::time::timeout(wait, self.requested()).await.is_ok()
    }

    /// Waits for the signal.
    pub async fn requested(&mut self) {
        // The sender ends only after it has sent.
        let _ = self.0.wait_for(|stop| *stop).await;
    }
}
