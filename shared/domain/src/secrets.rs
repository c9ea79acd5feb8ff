//! `CODE_SECRET`: the secrets that codes, number tags and token keys are derived from.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::code::{Code, CodeLength, truncate};
use crate::custom_code::{CustomCode, OpenError, SealedCode, SealingKey};
use crate::phone::PhoneNumber;
use crate::verification_id::{NumberTag, VerificationId};

/// Length of a keyed hash: 80 bits, as that of a number's tag.
const KEYED_HASH_BYTES: usize = 10;

/// `CODE_SECRET`: one secret, or several separated by commas with the newest first.
///
/// The newest derives new codes; the others serve codes that are still in flight. So a secret is
/// rotated by prepending a new one and removing the old one 10 minutes later. Phone numbers are
/// tagged with the *oldest* of the list: prepending a new one changes no cooldown.
#[derive(Clone)]
pub struct Secrets(Vec<Secret>);

#[derive(Clone)]
struct Secret {
    /// Key ID of the secret in a verification's id: the first byte of a hash of it.
    key_id: u8,
    code_key: Hmac<Sha256>,
    tag_key: Hmac<Sha256>,
    token_seed: [u8; 32],
    sealing_key: SealingKey,
}

/// An invalid `CODE_SECRET`. The error never quotes the secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SecretError {
    /// Too short to resist guessing.
    #[error(
        "each secret needs at least {} characters, such as from `openssl rand -hex 32`",
        Secrets::MIN_LENGTH
    )]
    TooShort,
    /// Two secrets with the same key ID (they are equal, or their one-byte key IDs collide).
    #[error("two of the secrets have the same key ID; replace one of them")]
    SameKeyId,
}

impl Secrets {
    /// Fewest characters of a secret: 32 hexadecimal digits are 128 bits, as many as an id's random
    /// part has.
    pub const MIN_LENGTH: usize = 32;

    /// Reads the list, newest first.
    ///
    /// # Errors
    /// [`SecretError`] for a secret that is too short, or two with the same key ID.
    pub fn parse(list: &str) -> Result<Self, SecretError> {
        let mut secrets: Vec<Secret> = Vec::new();
        for text in list.split(',').map(str::trim) {
            if text.len() < Self::MIN_LENGTH {
                return Err(SecretError::TooShort);
            }
            let secret = Secret::from_bytes(text.as_bytes());
            if secrets.iter().any(|other| other.key_id == secret.key_id) {
                return Err(SecretError::SameKeyId);
            }
            secrets.push(secret);
        }
        Ok(Self(secrets))
    }

    /// A single secret from random bytes, for a process that keeps everything in its own memory.
    #[must_use]
    pub fn from_random(bytes: [u8; 32]) -> Self {
        Self(vec![Secret::from_bytes(&bytes)])
    }

    /// Key ID of the newest secret, which goes into new ids.
    #[must_use]
    pub fn newest_key_id(&self) -> u8 {
        self.0[0].key_id
    }

    /// The keyed hash under which a number's state is stored.
    #[must_use]
    pub fn tag(&self, number: &PhoneNumber) -> NumberTag {
        let oldest = &self.0[self.0.len() - 1];
        let hash = finish(&oldest.tag_key, &[number.e164().as_bytes()]);
        NumberTag::from_hash(&hash)
    }

    /// A keyed hash, such as the store holds of an address: deterministic, and not reversible
    /// without the secret.
    #[must_use]
    pub fn keyed_hash(&self, of: &[u8]) -> String {
        let oldest = &self.0[self.0.len() - 1];
        let hash = finish(&oldest.tag_key, &[b"pseudonym", of]);
        URL_SAFE_NO_PAD.encode(&hash[..KEYED_HASH_BYTES])
    }

    /// HMAC of a message with the newest secret, to authenticate values that are issued here.
    #[must_use]
    pub fn mac(&self, message: &[u8]) -> [u8; 32] {
        self.0[0].mac(message)
    }

    /// HMACs of a message with each secret: one of them authenticates a value issued before a
    /// rotation.
    pub fn macs(&self, message: &[u8]) -> Vec<[u8; 32]> {
        self.0.iter().map(|secret| secret.mac(message)).collect()
    }

    /// Seeds of the keys that sign tokens, the newest first.
    pub fn token_seeds(&self) -> impl Iterator<Item = [u8; 32]> {
        self.0.iter().map(|secret| secret.token_seed)
    }

    /// The tag of a message with a code that somebody else made: the same for the same sender,
    /// number and code, so that a repetition is known.
    #[must_use]
    pub fn message_tag(&self, sender: &str, to: &PhoneNumber, code: &Code) -> NumberTag {
        let oldest = &self.0[self.0.len() - 1];
        let parts = ["message", sender, to.e164(), code.expose()];
        NumberTag::from_hash(&finish(&oldest.tag_key, &[parts.join("\0").as_bytes()]))
    }

    /// Seals a code that somebody else made, with the secret that the ID names; `None` if that is
    /// not in the list.
    #[must_use]
    pub fn seal(
        &self,
        custom: &CustomCode,
        id: &VerificationId,
        to: &PhoneNumber,
        now: i64,
        nonce: [u8; 12],
    ) -> Option<SealedCode> {
        let secret = self.0.iter().find(|secret| secret.key_id == id.key_id())?;
        Some(secret.sealing_key.seal(custom, (id, to), now, nonce))
    }

    /// Opens a sealed code.
    ///
    /// # Errors
    /// [`OpenError`]: its secret is no longer in the list, or it is of another job.
    pub fn open(
        &self,
        sealed: &SealedCode,
        id: &VerificationId,
        to: &PhoneNumber,
    ) -> Result<CustomCode, OpenError> {
        let secret = self.0.iter().find(|secret| secret.key_id == id.key_id());
        let key = &secret.ok_or(OpenError::NoSecret)?.sealing_key;
        key.open(sealed, (id, to)).ok_or(OpenError::NotOfThisJob)
    }

    /// Derives the code of a verification; `None` if its secret is no longer in the list.
    #[must_use]
    pub fn derive(&self, id: &VerificationId, length: CodeLength) -> Option<Code> {
        let secret = self.0.iter().find(|secret| secret.key_id == id.key_id())?;
        let hash = finish(&secret.code_key, &[id.fixed_part(), id.purpose().as_str().as_bytes()]);
        Some(truncate(&hash, length))
    }
}

impl Secret {
    fn from_bytes(bytes: &[u8]) -> Self {
        let secret = keyed(bytes);
        let key = |purpose: &[u8]| keyed(&finish(&secret, &[purpose]));
        Self {
            key_id: finish(&secret, &[b"sms-verify key id"])[0],
            code_key: key(b"sms-verify code"),
            tag_key: key(b"sms-verify number tag"),
            token_seed: finish(&secret, &[b"sms-verify token"]),
            sealing_key: SealingKey::of(bytes),
        }
    }

    fn mac(&self, message: &[u8]) -> [u8; 32] {
        finish(&self.tag_key, &[b"seal", message])
    }
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secrets({} of them)", self.0.len())
    }
}

/// HMAC with a key that is hashed already: half of the work of a short message.
#[expect(clippy::expect_used, reason = "HMAC takes a key of any length")]
fn keyed(key: &[u8]) -> Hmac<Sha256> {
    Hmac::new_from_slice(key).expect("HMAC takes a key of any length")
}

fn finish(key: &Hmac<Sha256>, parts: &[&[u8]]) -> [u8; 32] {
    let mut mac = key.clone();
    for part in parts {
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}
