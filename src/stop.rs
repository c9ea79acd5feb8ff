//! SIGTERM and Ctrl-C, as something that any part can wait for.

use std::io;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tracing::info;

/// Resolves once the process has been asked to stop, for whoever waits and however often.
#[derive(Debug, Clone)]
pub struct Stop(watch::Receiver<bool>);

impl Stop {
    /// Listens for the signals from now on.
    pub fn on_signals() -> io::Result<Self> {
        let (sender, receiver) = watch::channel(false);
        let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        tokio::spawn(async move {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            info!("stopping: finishing what is in hand");
            sender.send_replace(true);
        });
        Ok(Self(receiver))
    }

    /// Waits for the signal.
    pub async fn requested(&mut self) {
        // The sender ends only after it has sent.
        let _ = self.0.wait_for(|stop| *stop).await;
    }
}
