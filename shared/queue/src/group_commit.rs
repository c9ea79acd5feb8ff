//! Group commit: jobs of requests that wait at the same time go to the queue together.
//!
//! A job goes at once unless a round of calls is under way. Then it gathers with others, and all of
//! them go in the next round, each call with as many as it takes: so a job waits for one round trip
//! at most, and a slow queue is given more at a time.
//!
//! Rounds run in tasks of their own. A request that gives up leaves the others alone.

use std::sync::{Arc, Mutex};

use futures_util::future::join_all;
use sms_domain::sync::lock;
use sms_domain::trace_context::TraceParent;
use tokio::sync::oneshot;

use crate::error::QueueError;

/// The jobs that wait, and the rounds under way.
#[derive(Clone)]
pub(crate) struct GroupCommit {
    /// Maximum number of jobs in a call.
    most: usize,
    /// Number of rounds under way from which on jobs gather.
    rounds: usize,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    waiting: Vec<Pending>,
    rounds: usize,
}

/// A job whose request waits for the queue's answer.
pub(crate) struct Pending {
    pub(crate) body: String,
    pub(crate) trace: Option<TraceParent>,
    /// Where the queue distinguishes tenants, that of the job.
    pub(crate) tenant: Option<String>,
    answer: oneshot::Sender<Result<(), QueueError>>,
}

/// The jobs of one call.
pub(crate) struct Batch(Vec<Pending>);

/// A round under way, until it is dropped.
struct Round(Arc<Mutex<State>>);

impl GroupCommit {
    pub(crate) fn new(most: usize, rounds: usize) -> Self {
        Self { most, rounds, state: Arc::default() }
    }

    /// Sends a job, by itself or with others, by `call`, which answers the jobs of a batch.
    pub(crate) async fn send<F: Future<Output = ()> + Send + 'static>(
        &self,
        body: String,
        trace: Option<TraceParent>,
        tenant: Option<String>,
        call: impl Fn(Batch) -> F + Send + Sync + 'static,
    ) -> Result<(), QueueError> {
        let (answer, answered) = oneshot::channel();
        lock(&self.state).waiting.push(Pending { body, trace, tenant, answer });
        if let Some(first) = self.next() {
            let group = self.clone();
            tokio::spawn(async move {
                let mut next = Some(first);
                while let Some((round, jobs)) = next {
                    join_all(group.batches(jobs).map(&call)).await;
                    drop(round);
                    next = group.next();
                }
            });
        }
        // A call that ended without an answer has panicked.
        answered.await.unwrap_or(Err(QueueError::Timeout))
    }

    /// Begins a round with all jobs that wait, if there is room for one.
    fn next(&self) -> Option<(Round, Vec<Pending>)> {
        let mut state = lock(&self.state);
        if state.rounds >= self.rounds || state.waiting.is_empty() {
            return None;
        }
        state.rounds += 1;
        Some((Round(Arc::clone(&self.state)), std::mem::take(&mut state.waiting)))
    }

    /// The batches of a round.
    fn batches(&self, jobs: Vec<Pending>) -> impl Iterator<Item = Batch> {
        let mut jobs = jobs.into_iter().peekable();
        let most = self.most;
        std::iter::from_fn(move || {
            jobs.peek()?;
            Some(Batch(jobs.by_ref().take(most).collect()))
        })
    }
}

impl Batch {
    /// The jobs whose requests still wait. A job is not queued for a request that was answered.
    pub(crate) fn jobs(&mut self) -> &[Pending] {
        self.0.retain(|job| !job.answer.is_closed());
        &self.0
    }

    /// Answers all requests.
    pub(crate) fn answer(self, result: &Result<(), QueueError>) {
        self.answer_each(|_| result.clone());
    }

    /// Answers each request, by the index of its job.
    pub(crate) fn answer_each(self, result: impl Fn(usize) -> Result<(), QueueError>) {
        for (index, job) in self.0.into_iter().enumerate() {
            // A request that gave up meanwhile needs no answer.
            let _ = job.answer.send(result(index));
        }
    }
}

impl Drop for Round {
    fn drop(&mut self) {
        lock(&self.0).rounds -= 1;
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures_util::future::join_all;
    use tokio::sync::{Semaphore, mpsc};
    use tokio::time::timeout;

    use super::*;

    /// Sends jobs named by their numbers. Each call waits for a permit, and tells its jobs.
    struct Sender {
        group: GroupCommit,
        permits: Arc<Semaphore>,
        calls: mpsc::UnboundedSender<Vec<String>>,
    }

    impl Sender {
        fn new(most: usize) -> (Self, mpsc::UnboundedReceiver<Vec<String>>) {
            let (calls, called) = mpsc::unbounded_channel();
            (
                Self {
                    group: GroupCommit::new(most, 1),
                    permits: Arc::new(Semaphore::new(0)),
                    calls,
                },
                called,
            )
        }

        fn send(&self, job: usize) -> impl Future<Output = Result<(), QueueError>> {
            let (permits, calls) = (Arc::clone(&self.permits), self.calls.clone());
            self.group.send(job.to_string(), None, None, move |mut batch| {
                let (permits, calls) = (Arc::clone(&permits), calls.clone());
                async move {
                    permits.acquire().await.expect("open").forget();
                    let jobs: Vec<String> =
                        batch.jobs().iter().map(|job| job.body.clone()).collect();
                    calls.send(jobs.clone()).expect("the test listens");
                    batch.answer_each(|index| match jobs[index].as_str() {
                        "13" => Err(QueueError::Refused("it is 13")),
                        _ => Ok(()),
                    });
                }
            })
        }
    }

    #[tokio::test]
    async fn lone_job_goes_at_once() {
        let (sender, mut called) = Sender::new(8);
        sender.permits.add_permits(2);
        for job in 0..2 {
            sender.send(job).await.expect("sent");
            assert_eq!(called.recv().await.expect("a call"), [job.to_string()]);
        }
    }

    #[tokio::test]
    async fn jobs_gather_while_a_call_is_under_way() {
        let (sender, mut called) = Sender::new(8);
        let results = join_all((0..20).map(|job| sender.send(job)));
        let permit = async { sender.permits.add_permits(4) };
        let (results, ()) = tokio::join!(results, permit);
        let failed: Vec<usize> = (0..20).filter(|job| results[*job].is_err()).collect();
        assert_eq!(failed, [13], "the error is that of its own request");
        let mut calls = Vec::new();
        while let Ok(call) = called.try_recv() {
            calls.push(call.len());
        }
        calls.sort_unstable();
        assert_eq!(calls, [1, 3, 8, 8], "the first alone, then eights, and what is left");
    }

    #[tokio::test]
    async fn request_that_gives_up_leaves_the_others_alone() {
        let (sender, mut called) = Sender::new(8);
        let first = timeout(Duration::ZERO, sender.send(0)).await;
        assert!(first.is_err(), "nothing answers yet");
        let second = timeout(Duration::ZERO, sender.send(1)).await;
        assert!(second.is_err(), "it waits behind the first");
        let permit = async { sender.permits.add_permits(2) };
        let (third, ()) = tokio::join!(sender.send(2), permit);
        third.expect("sent");
        assert_eq!(called.recv().await.expect("a call"), Vec::<String>::new());
        assert_eq!(called.recv().await.expect("a call"), ["2"]);
    }
}
