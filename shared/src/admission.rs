//! Admission: a request for a code, decided in one step and queued in one call.

use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tracing::{info, warn};

use crate::code::Secrets;
use crate::job::Job;
use crate::message::Locale;
use crate::phone::PhoneNumber;
use crate::queue::{Delay, Queue, QueueError};
use crate::store::{Candidate, Decision, Store, StoreError};
use crate::verification::{Purpose, Verification, VerificationId};

/// How long a caller who gets a 503 anyway waits for the admission to be taken back.
const RELEASE_WAIT: Duration = Duration::from_millis(80);
const RELEASE_WAIT_LONG: Duration = Duration::from_millis(300);

/// How often an admission is tried to be taken back, with a pause between: for about 10 s when the store hangs.
const RELEASE_ATTEMPTS: u32 = 15;
const RELEASE_PAUSE: Duration = Duration::from_millis(200);

/// As many as may be under way: while the store is down there is nothing to take back, and no end of requests.
static RELEASES: Semaphore = Semaphore::const_new(1_000);

/// The use case: everything that an admission needs.
#[derive(Debug, Clone)]
pub struct Admissions {
    /// Decides.
    pub store: Store,
    /// Takes the job.
    pub queue: Queue,
    /// Name the number's place in the store.
    pub secrets: Secrets,
}

/// Why no code is on its way.
#[derive(Debug, thiserror::Error)]
pub enum AdmissionError {
    /// The last SMS to this number is too recent.
    #[error("too frequent")]
    Cooldown {
        /// The time until another may be asked for.
        retry_after: Duration,
    },
    /// Too many wrong codes were typed for this number.
    #[error("locked after too many wrong codes")]
    Locked {
        /// The time until they are forgotten.
        retry_after: Duration,
    },
    /// The store did not decide: nothing is sent.
    #[error("the store cannot be asked")]
    Store(#[from] StoreError),
    /// The job was not queued, and the number is usable at once.
    #[error("the job cannot be queued")]
    Queue(#[from] QueueError),
}

impl Admissions {
    /// Admits a request for a code and queues its SMS, or says why not. `random` comes from the operating system's
    /// generator.
    ///
    /// # Errors
    /// [`AdmissionError`]: no SMS is on its way because of this call. (Should the queue have the job and its confirm be
    /// lost, the sender drops it, unless it is faster than the admission is taken back.)
    pub async fn request(
        &self,
        to: PhoneNumber,
        locale: Locale,
        purpose: &Purpose,
        random: [u8; 16],
    ) -> Result<Verification, AdmissionError> {
        let id = VerificationId::new(self.secrets.newest_key_id(), self.secrets.tag(&to), random, purpose);
        let candidate = Candidate { id, to: to.masked() };
        let (verification, send) = match self.store.admit(&candidate).await {
            Ok(Decision::Admitted { verification, send }) => (verification, send),
            Ok(Decision::Cooldown { retry_after }) => return Err(AdmissionError::Cooldown { retry_after }),
            Ok(Decision::Locked { retry_after }) => return Err(AdmissionError::Locked { retry_after }),
            Err(error) => {
                // The store may have admitted it and its answer be lost: taken back when the store answers again. On
                // Lambda the task runs only while somebody waits.
                let _ = tokio::time::timeout(RELEASE_WAIT_LONG, self.release(candidate)).await;
                return Err(error.into());
            }
        };
        info!(id = %verification.id, to = %to, send, "admitted");
        let job = Job { id: verification.id.clone(), send, to, locale, attempts: 0 };
        if let Err(error) = self.queue.send(&job, Delay::NONE).await {
            // A healthy store has done this long before the wait is over, and the number is usable at once.
            let _ = tokio::time::timeout(RELEASE_WAIT, self.release(candidate)).await;
            return Err(error.into());
        }
        Ok(verification)
    }

    /// Takes an admission back, in a task that goes on when nobody waits for it, and tries again while the store is
    /// slow: what it was too late to answer it may still carry out. Should the job have been queued after all, the
    /// sender finds its admission gone and drops it.
    fn release(&self, candidate: Candidate) -> JoinHandle<()> {
        let store = self.store.clone();
        tokio::spawn(async move {
            let permit = RELEASES.try_acquire();
            let attempts = if permit.is_ok() { RELEASE_ATTEMPTS } else { 1 };
            for _ in 0..attempts {
                match store.release(&candidate).await {
                    Ok(()) => return,
                    Err(_) => tokio::time::sleep(RELEASE_PAUSE).await,
                }
            }
            warn!(id = %candidate.id, "the admission could not be taken back: the number stays in its cooldown");
        })
    }
}
