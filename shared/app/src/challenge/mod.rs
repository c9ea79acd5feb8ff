//! Challenges: a task that a request has to solve before it is sent an SMS, always or when it is
//! suspicious.
//!
//! A request without the answer to a task is given one in place of an SMS, and comes again with the
//! answer. Which kind of task, `CHALLENGE` says: proof of work, a picture, or a captcha of a third
//! party.

mod captcha;
mod picture;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use sms_domain::phone::PhoneNumber;
use sms_domain::picture_id::PictureId;
use sms_domain::proof_of_work;
use sms_domain::quota::{Quota, QuotaRule, Scope, Window};
use sms_domain::secrets::Secrets;
use sms_outbound::blocking::in_its_own_thread;
use sms_outbound::dsn::{Dsn, DsnError};
use sms_outbound::http_client::CallError;
use sms_store::{Store, StoreError};

use self::captcha::Captcha;

/// Hashes that a proof of work takes at most, and half of them on average. A laptop's browser does
/// it within a second.
const EFFORT: u64 = 100_000;

/// More than that is no use to anybody.
const MOST_EFFORT: u64 = 1_000_000_000;

/// An answer to a proof of work is remembered for twice its lifetime, so that it is used once.
const USED: Duration = Duration::from_secs(2 * proof_of_work::LIFETIME.unsigned_abs());

/// `CHALLENGE`: what a request has to solve, and when.
#[derive(Debug, Clone)]
pub struct Challenge {
    kind: Arc<ChallengeKind>,
    /// Every request, not only a suspicious one.
    pub always: bool,
}

#[derive(Debug)]
enum ChallengeKind {
    Pow { effort: u64 },
    Picture,
    Captcha(Captcha),
}

/// A task, as a caller is told of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ChallengeTask {
    kind: &'static str,
    #[serde(flatten)]
    details: Details,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
enum Details {
    Pow(proof_of_work::PowChallenge),
    Picture { uuid: PictureId },
    Captcha { sitekey: String },
}

impl ChallengeTask {
    /// Whether a picture has to be read.
    pub fn is_picture(&self) -> bool {
        matches!(self.details, Details::Picture { .. })
    }

    /// Does the work, as a page does it; nothing if it is a task for people.
    #[must_use]
    pub fn solve(&self) -> Option<Proof> {
        match &self.details {
            Details::Pow(task) => task.solve().map(Proof::Token),
            _ => None,
        }
    }
}

/// What came with a request as the answer to a task.
#[derive(Clone)]
pub enum Proof {
    /// Of a proof of work, or of a captcha.
    Token(String),
    /// Of a picture.
    Picture {
        /// Which picture.
        uuid: PictureId,
        /// What somebody read in it.
        text: String,
    },
}

impl fmt::Debug for Proof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Proof(…)")
    }
}

/// Why an answer to a task cannot be judged.
#[derive(Debug, thiserror::Error)]
pub enum ChallengeError {
    /// The store cannot be asked for what a picture shows.
    #[error("the store cannot be asked")]
    Store(#[from] StoreError),
    /// The captcha's vendor cannot be asked, or does not know us.
    #[error("the captcha cannot be verified")]
    Vendor(#[from] VendorError),
}

/// What went wrong at a captcha's vendor.
#[derive(Debug, thiserror::Error)]
pub enum VendorError {
    /// No response came.
    #[error("{vendor}: {source}")]
    Call {
        /// The vendor.
        vendor: &'static str,
        /// The call's failure.
        source: CallError,
    },
    /// The response cannot be read, or refuses our secret.
    #[error("{vendor}: {reason}")]
    Response {
        /// The vendor.
        vendor: &'static str,
        /// The vendor's code, or what is wrong.
        reason: &'static str,
    },
}

/// Why a `CHALLENGE` cannot be used. It names parts, never their secret values.
#[derive(Debug, thiserror::Error)]
pub enum ChallengeDsnError {
    /// The DSN.
    #[error(transparent)]
    Dsn(#[from] DsnError),
    /// No challenge of this name.
    #[error(
        "is an unknown challenge: use off, pow, picture, turnstile://, hcaptcha:// or recaptcha://"
    )]
    Unknown,
}

impl Challenge {
    /// Reads beforehand what a captcha's first verification would otherwise wait for: the system's
    /// certificates.
    pub async fn warm_up(&self) {
        let kind = Arc::clone(&self.kind);
        in_its_own_thread(async move {
            if let ChallengeKind::Captcha(captcha) = &*kind {
                captcha.warm_up().await;
            }
        })
        .await;
    }

    /// Reads `pow`, `picture`, a captcha's DSN, or `off`. A word alone is a DSN without options.
    ///
    /// # Errors
    /// [`ChallengeDsnError`] says what is missing or wrong.
    pub fn parse(text: &str) -> Result<Option<Self>, ChallengeDsnError> {
        let dsn = if text.contains("://") { text.to_owned() } else { format!("{text}://default") };
        let mut dsn = Dsn::parse(&dsn)?;
        let kind = match Captcha::from_dsn(&mut dsn)? {
            Some(captcha) => ChallengeKind::Captcha(captcha),
            None => match dsn.scheme() {
                "off" => return Ok(None),
                "picture" => ChallengeKind::Picture,
                "pow" => match dsn.option("effort")?.unwrap_or(EFFORT) {
                    effort @ 1..=MOST_EFFORT => ChallengeKind::Pow { effort },
                    _ => return Err(DsnError::Value("effort").into()),
                },
                _ => return Err(ChallengeDsnError::Unknown),
            },
        };
        let always = match dsn.option::<String>("when")?.as_deref() {
            None | Some("suspicious") => false,
            Some("always") => true,
            Some(_) => return Err(DsnError::Value("when").into()),
        };
        dsn.finish()?;
        Ok(Some(Self { kind: Arc::new(kind), always }))
    }

    /// Whether pictures have to be read.
    pub fn is_picture(&self) -> bool {
        matches!(*self.kind, ChallengeKind::Picture)
    }

    /// A task for whoever asks for a code for this number. `now` is in seconds since 1970; `random`
    /// is drawn for this call.
    #[must_use]
    pub fn task(
        &self,
        secrets: &Secrets,
        to: &PhoneNumber,
        now: i64,
        random: [u8; 16],
    ) -> ChallengeTask {
        match &*self.kind {
            ChallengeKind::Pow { effort } => ChallengeTask {
                kind: "pow",
                details: Details::Pow(proof_of_work::task(*effort, secrets, to, now, random)),
            },
            ChallengeKind::Picture => ChallengeTask {
                kind: "picture",
                details: Details::Picture { uuid: PictureId::random(random) },
            },
            ChallengeKind::Captcha(captcha) => ChallengeTask {
                kind: captcha.vendor,
                details: Details::Captcha { sitekey: captcha.sitekey.clone() },
            },
        }
    }

    /// Judges an answer: nothing if it is wrong, else what it counts on, so that it is used once.
    ///
    /// # Errors
    /// When nobody can say whether it is right.
    pub async fn judge(
        &self,
        proof: &Proof,
        store: &Store,
        secrets: &Secrets,
        to: &PhoneNumber,
    ) -> Result<Option<Vec<Quota>>, ChallengeError> {
        let right = match (&*self.kind, proof) {
            (ChallengeKind::Pow { .. }, Proof::Token(token)) => {
                let now = store.clock().micros() / 1_000_000;
                return Ok(proof_of_work::verify(token, secrets, to, now)
                    .map(|task| vec![single_use_quota(task)]));
            }
            (ChallengeKind::Picture, Proof::Picture { uuid, text }) => {
                store.take_picture(uuid).await?.is_some_and(|shown| picture::is_right(text, &shown))
            }
            (ChallengeKind::Captcha(captcha), Proof::Token(token)) => captcha.verify(token).await?,
            _ => false,
        };
        Ok(right.then(Vec::new))
    }

    /// Draws a picture, and keeps what it shows; nothing if pictures are not what is to be solved
    /// here.
    ///
    /// # Errors
    /// When the store cannot keep it.
    pub async fn picture(
        &self,
        uuid: &PictureId,
        store: &Store,
    ) -> Result<Option<Vec<u8>>, StoreError> {
        let ChallengeKind::Picture = &*self.kind else { return Ok(None) };
        let Some((text, png)) = picture::draw() else { return Ok(None) };
        store.keep_picture(uuid, &text).await?;
        Ok(Some(png))
    }
}

/// The default: proof of work, for what is suspicious.
impl Default for Challenge {
    fn default() -> Self {
        Self { kind: Arc::new(ChallengeKind::Pow { effort: EFFORT }), always: false }
    }
}

/// A limit of one, for a task that was solved.
fn single_use_quota(task: String) -> Quota {
    Quota {
        scope: Scope::Proof,
        subject: task,
        rule: QuotaRule::Rate(Window { max: 1, period: USED }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_challenge_is_named_by_a_word_or_a_dsn() {
        let shown = |text| format!("{:?}", Challenge::parse(text).expect(text));
        assert_eq!(shown("off"), "None");
        assert_eq!(shown("pow"), format!("{:?}", Some(Challenge::default())));
        assert!(shown("pow://default?effort=7&when=always").contains("effort: 7 }, always: true"));
        assert!(shown("picture://default?when=suspicious").contains("Picture, always: false"));
        let captcha = shown("turnstile://0x4AAA:hunter2@default");
        assert!(captcha.contains("turnstile(0x4AAA)") && !captcha.contains("hunter2"), "{captcha}");
        for (text, problem) in [
            ("", "is not a URL"),
            ("captcha", "is an unknown challenge"),
            ("turnstile", "lacks the user"),
            ("hcaptcha://key@default", "lacks the password"),
            ("pow://default?when=sometimes", "wrong value for when"),
            ("pow://default?bits=20", "unknown option bits"),
            ("pow://default?effort=0", "wrong value for effort"),
            ("pow://default?effort=18446744073709551615", "wrong value for effort"),
            ("recaptcha://key:hunter2@example.com?tls=false", "on this machine only"),
        ] {
            let error = Challenge::parse(text).map(|_| ()).expect_err(text).to_string();
            assert!(error.contains(problem) && !error.contains("hunter2"), "{text}: {error}");
        }
    }
}
