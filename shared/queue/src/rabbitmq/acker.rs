//! Batched acknowledgements: one frame with `multiple` acknowledges all messages up to a tag.
//!
//! Messages are done in any order. Those that follow the acknowledged ones without a gap are
//! acknowledged together; those behind a message that is still being processed wait for the next
//! round, and are then acknowledged one by one.

use std::collections::BTreeMap;

use lapin::Channel;
use lapin::options::{BasicAckOptions, BasicNackOptions};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tracing::{debug, warn};

use super::with_end_timeout;

/// Maximum number of messages in one round.
const ROUND: usize = 1_000;

/// Acknowledges and requeues the messages of one channel.
#[derive(Debug, Clone)]
pub(super) struct Acker(mpsc::UnboundedSender<Settled>);

#[derive(Debug)]
enum Settled {
    Acked(u64),
    Requeued(u64),
}

impl Acker {
    /// Starts the task. It ends when the last clone of the `Acker` is dropped and all messages are
    /// settled.
    pub(super) fn start(channel: Channel) -> (Self, JoinHandle<()>) {
        let (sender, receiver) = mpsc::unbounded_channel();
        (Self(sender), tokio::spawn(run(channel, receiver)))
    }

    /// Removes a message from the queue.
    pub(super) fn ack(&self, tag: u64) {
        self.settle(Settled::Acked(tag));
    }

    /// Returns a message to the queue.
    pub(super) fn requeue(&self, tag: u64) {
        self.settle(Settled::Requeued(tag));
    }

    fn settle(&self, settled: Settled) {
        if self.0.send(settled).is_err() {
            debug!("not acknowledged: the message will be redelivered");
        }
    }
}

async fn run(channel: Channel, mut settled: mpsc::UnboundedReceiver<Settled>) {
    let (mut window, mut round) = (AckWindow::default(), Vec::with_capacity(ROUND));
    while settled.recv_many(&mut round, ROUND).await > 0 {
        for settled in round.drain(..) {
            match settled {
                Settled::Acked(tag) => window.mark_done(tag),
                Settled::Requeued(tag) => {
                    requeue(&channel, tag).await;
                    window.mark_sent(tag);
                }
            }
        }
        send(&channel, window.next_acks()).await;
    }
    send(&channel, window.unsent_acks()).await;
}

async fn send(channel: &Channel, acks: Vec<Ack>) {
    for Ack { tag, multiple } in acks {
        if let Err(error) =
            with_end_timeout(channel.basic_ack(tag, BasicAckOptions { multiple })).await
        {
            // On a lost connection the others would fail, too.
            return warn!(%error, "not acknowledged: the messages will be redelivered");
        }
    }
}

async fn requeue(channel: &Channel, tag: u64) {
    let options = BasicNackOptions { requeue: true, ..BasicNackOptions::default() };
    if let Err(error) = with_end_timeout(channel.basic_nack(tag, options)).await {
        debug!(%error, "not requeued: the lost connection has done so");
    }
}

/// An acknowledgement of one message, or with `multiple` of all up to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Ack {
    tag: u64,
    multiple: bool,
}

/// State of the channel's delivery tags, which count from 1.
#[derive(Debug, Default)]
struct AckWindow {
    /// Last tag up to which the broker knows the outcome of every message.
    settled_up_to: u64,
    /// Settled tags beyond that; true if the broker knows the outcome.
    out_of_order: BTreeMap<u64, bool>,
}

impl AckWindow {
    fn mark_done(&mut self, tag: u64) {
        self.out_of_order.insert(tag, false);
    }

    /// Records a message whose outcome the broker knows, as after a `nack`.
    fn mark_sent(&mut self, tag: u64) {
        self.out_of_order.insert(tag, true);
    }

    /// Acknowledgements to send now.
    fn next_acks(&mut self) -> Vec<Ack> {
        let before = self.settled_up_to;
        let mut last = None;
        while let Some(sent) = self.out_of_order.remove(&(self.settled_up_to + 1)) {
            self.settled_up_to += 1;
            // The broker rejects a tag that was acknowledged before.
            if !sent {
                last = Some(self.settled_up_to);
            }
        }
        match last {
            Some(tag) => vec![Ack { tag, multiple: true }],
            None if self.settled_up_to == before => self.unsent_acks(),
            None => Vec::new(),
        }
    }

    /// Acknowledgements of tags behind a message that is still being processed, one each.
    fn unsent_acks(&mut self) -> Vec<Ack> {
        let unsent = self.out_of_order.iter_mut().filter(|(_, sent)| !**sent);
        unsent
            .map(|(tag, sent)| {
                *sent = true;
                Ack { tag: *tag, multiple: false }
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(window: &mut AckWindow, done: &[u64]) -> Vec<(u64, bool)> {
        done.iter().for_each(|tag| window.mark_done(*tag));
        window.next_acks().into_iter().map(|ack| (ack.tag, ack.multiple)).collect()
    }

    #[test]
    fn what_closes_up_goes_out_together_and_the_rest_a_round_later() {
        let mut window = AckWindow::default();
        assert_eq!(after(&mut window, &[3, 1, 2]), [(3, true)]);
        assert_eq!(
            after(&mut window, &[4, 6, 7]),
            [(4, true)],
            "5 is in hand; 6 and 7 wait a round"
        );
        assert_eq!(
            after(&mut window, &[9]),
            [(6, false), (7, false), (9, false)],
            "5 is still in hand"
        );
        assert_eq!(after(&mut window, &[5]), [(5, true)], "the broker knows the outcome up to 7");
        window.mark_sent(8);
        assert_eq!(after(&mut window, &[]), [], "9 too");
        assert_eq!(after(&mut window, &[10, 12]), [(10, true)]);
        assert_eq!(
            window.unsent_acks(),
            [Ack { tag: 12, multiple: false }],
            "at the end nothing is kept back"
        );
        assert_eq!(after(&mut window, &[11]), [(11, true)]);
        assert_eq!((window.settled_up_to, window.out_of_order.len()), (12, 0));
    }
}
