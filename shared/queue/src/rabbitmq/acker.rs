//! Acknowledgements, one frame for as many messages as possible: "all up to this one".
//!
//! Messages are settled in any order. Those that close up with what is acknowledged already go out
//! together; those that lie behind a message still in hand wait for the next round, and then go out
//! one by one.

use std::collections::BTreeMap;

use lapin::Channel;
use lapin::options::{BasicAckOptions, BasicNackOptions};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tracing::{debug, warn};

use super::in_time;

/// Most messages that are settled in one round.
const ROUND: usize = 1_000;

/// Settles the messages of one channel.
#[derive(Debug, Clone)]
pub(super) struct Acker(mpsc::UnboundedSender<Settled>);

#[derive(Debug)]
enum Settled {
    Done(u64),
    GivenBack(u64),
}

impl Acker {
    /// The task ends with the last clone of what it is given by, when all is settled.
    pub(super) fn start(channel: Channel) -> (Self, JoinHandle<()>) {
        let (sender, receiver) = mpsc::unbounded_channel();
        (Self(sender), tokio::spawn(run(channel, receiver)))
    }

    /// Removes a message from the queue.
    pub(super) fn ack(&self, tag: u64) {
        self.settle(Settled::Done(tag));
    }

    /// Returns a message to the queue.
    pub(super) fn give_back(&self, tag: u64) {
        self.settle(Settled::GivenBack(tag));
    }

    fn settle(&self, settled: Settled) {
        if self.0.send(settled).is_err() {
            debug!("not acknowledged: the message will be handed out again");
        }
    }
}

async fn run(channel: Channel, mut settled: mpsc::UnboundedReceiver<Settled>) {
    let (mut window, mut round) = (Window::default(), Vec::with_capacity(ROUND));
    while settled.recv_many(&mut round, ROUND).await > 0 {
        for settled in round.drain(..) {
            match settled {
                Settled::Done(tag) => window.done(tag),
                Settled::GivenBack(tag) => {
                    give_back(&channel, tag).await;
                    window.told(tag);
                }
            }
        }
        send(&channel, window.acks()).await;
    }
    send(&channel, window.rest()).await;
}

async fn send(channel: &Channel, acks: Vec<Ack>) {
    for Ack { tag, multiple } in acks {
        if let Err(error) = in_time(channel.basic_ack(tag, BasicAckOptions { multiple })).await {
            // On a lost connection they all fail alike.
            return warn!(%error, "not acknowledged: the messages will be handed out again");
        }
    }
}

async fn give_back(channel: &Channel, tag: u64) {
    let options = BasicNackOptions { requeue: true, ..BasicNackOptions::default() };
    if let Err(error) = in_time(channel.basic_nack(tag, options)).await {
        debug!(%error, "not returned: the lost connection has done so");
    }
}

/// A message to be acknowledged, with `multiple` all before it too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Ack {
    tag: u64,
    multiple: bool,
}

/// What is settled and what is not. A channel numbers its messages from 1.
#[derive(Debug, Default)]
struct Window {
    /// The broker knows of everything up to here.
    closed: u64,
    /// What is settled beyond that, and whether the broker knows.
    beyond: BTreeMap<u64, bool>,
}

impl Window {
    fn done(&mut self, tag: u64) {
        self.beyond.insert(tag, false);
    }

    /// Settled without an acknowledgement.
    fn told(&mut self, tag: u64) {
        self.beyond.insert(tag, true);
    }

    /// What is to be sent now.
    fn acks(&mut self) -> Vec<Ack> {
        let before = self.closed;
        let mut last = None;
        while let Some(told) = self.beyond.remove(&(self.closed + 1)) {
            self.closed += 1;
            // The broker does not take a number that it has been told already.
            if !told {
                last = Some(self.closed);
            }
        }
        match last {
            Some(tag) => vec![Ack { tag, multiple: true }],
            None if self.closed == before => self.rest(),
            None => Vec::new(),
        }
    }

    /// What lies behind a message in hand, one by one.
    fn rest(&mut self) -> Vec<Ack> {
        let untold = self.beyond.iter_mut().filter(|(_, told)| !**told);
        untold
            .map(|(tag, told)| {
                *told = true;
                Ack { tag: *tag, multiple: false }
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(window: &mut Window, done: &[u64]) -> Vec<(u64, bool)> {
        done.iter().for_each(|tag| window.done(*tag));
        window.acks().into_iter().map(|ack| (ack.tag, ack.multiple)).collect()
    }

    #[test]
    fn what_closes_up_goes_out_together_and_the_rest_a_round_later() {
        let mut window = Window::default();
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
        assert_eq!(after(&mut window, &[5]), [(5, true)], "up to 7 the broker has been told");
        window.told(8);
        assert_eq!(after(&mut window, &[]), [], "9 too");
        assert_eq!(after(&mut window, &[10, 12]), [(10, true)]);
        assert_eq!(
            window.rest(),
            [Ack { tag: 12, multiple: false }],
            "at the end nothing is kept back"
        );
        assert_eq!(after(&mut window, &[11]), [(11, true)]);
        assert_eq!((window.closed, window.beyond.len()), (12, 0));
    }
}
