//! Sees if a node stores what it is sent: one that is cut off from the others may accept
//! connections, answer questions, and neither confirm nor deliver a message.

use std::time::Duration;

use lapin::Connection;
use sms_telemetry::causes;
use tokio::time::{sleep, timeout};
use tracing::debug;

use super::RabbitMqQueue;
use crate::error::QueueError;

const INTERVAL: Duration = Duration::from_secs(5);

/// Timeout of one probe.
const TIMEOUT: Duration = Duration::from_secs(3);

/// Probes without a confirm, one after the other, after which a node stores nothing.
const MOST: u32 = 2;

/// Returns when a node confirms nothing. On a connection of its own: one that publishes is not read
/// from while an alarm for disk or memory is on, and acknowledgements go on then. What says nothing
/// about the node (an alarm, a missing right) does not count.
pub(super) async fn stores_nothing(queue: RabbitMqQueue, node: usize) {
    let (mut failed, mut open) = (0, None);
    while failed < MOST {
        sleep(INTERVAL).await;
        if open.as_ref().is_none_or(|open: &Connection| !open.status().connected()) {
            open = queue.nodes.connect(node, "watch").await.ok();
        }
        // (While it is blocked, each probe would wait in memory.)
        let Some(connection) = open.as_ref().filter(|open| !open.status().blocked()) else {
            continue;
        };
        match timeout(TIMEOUT, queue.probe(connection)).await {
            _ if connection.status().blocked() => {}
            Ok(Ok(())) => failed = 0,
            Ok(Err(QueueError::Nacked)) | Err(_) => {
                failed += 1;
                // What it left unanswered would be answered in the next one's place.
                open = None;
            }
            Ok(Err(error)) => debug!(error = causes(&error), "a node cannot be probed"),
        }
    }
}
