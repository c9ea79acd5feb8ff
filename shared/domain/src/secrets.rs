//! `CODE_SECRET`: the secrets that codes, tags of numbers and keys of tokens are derived from.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::code::{Code, CodeLength, truncate};
use crate::phone::PhoneNumber;
use crate::verification_id::{NumberTag, VerificationId};

/// 80 bits, as of a number's tag.
const KEYED_HASH_BYTES: usize = 10;

/// `CODE_SECRET`: one secret, or several separated by commas with the newest first.
///
/// The newest signs new ids; the others answer for codes that are still in flight, so that a secret
/// is rotated by putting a new one in front and taking the old one away 10 minutes later. Phone
/// numbers are tagged with the
/// *oldest* of the list: putting a new one in front changes no cooldown.
#[derive(Clone)]
pub struct Secrets(Vec<Secret>);

#[derive(Clone)]
struct Secret {
    /// Names this secret inside an id: the first byte of a hash of it.
    key_id: u8,
    code_key: [u8; 32],
    tag_key: [u8; 32],
    token_seed: [u8; 32],
}

/// What is wrong with a `CODE_SECRET`. It never quotes the secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SecretError {
    /// Too short to resist guessing.
    #[error(
        "each secret needs at least {} characters, such as from `openssl rand -hex 32`",
        Secrets::MIN_LENGTH
    )]
    TooShort,
    /// Two of the list cannot be told apart (they are equal, or the one byte that names each
    /// collides).
    #[error("two of the secrets have the same key ID; replace one of them")]
    SameKeyId,
}

impl Secrets {
    /// Fewest characters of a secret: 32 hexadecimal digits are 128 bits, as much as an id holds.
    pub const MIN_LENGTH: usize = 32;

    /// Reads the list, newest first.
    ///
    /// # Errors
    /// [`SecretError`] for a secret that is too short, or two that cannot be told apart.
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

    /// The name of the newest secret, which goes into new ids.
    #[must_use]
    pub fn newest_key_id(&self) -> u8 {
        self.0[0].key_id
    }

    /// The keyed hash under which a number's state is stored.
    #[must_use]
    pub fn tag(&self, number: &PhoneNumber) -> NumberTag {
        let oldest = &self.0[self.0.len() - 1];
        let hash = hmac(&oldest.tag_key, &[number.e164().as_bytes()]);
        NumberTag::from_hash(&hash)
    }

    /// What stands in the store for an address: the same for the same one, and nothing that it
    /// could be read from.
    #[must_use]
    pub fn keyed_hash(&self, of: &[u8]) -> String {
        let oldest = &self.0[self.0.len() - 1];
        let hash = hmac(&oldest.tag_key, &[b"pseudonym", of]);
        URL_SAFE_NO_PAD.encode(&hash[..KEYED_HASH_BYTES])
    }

    /// Something's seal: that it was made here, nobody else can claim.
    #[must_use]
    pub fn mac(&self, what: &[u8]) -> [u8; 32] {
        self.0[0].mac(what)
    }

    /// The seals of all secrets of the list: one of them is that of something made here lately.
    pub fn macs(&self, what: &[u8]) -> Vec<[u8; 32]> {
        self.0.iter().map(|secret| secret.mac(what)).collect()
    }

    /// What the keys that sign tokens come from, the newest first.
    pub fn token_seeds(&self) -> impl Iterator<Item = [u8; 32]> {
        self.0.iter().map(|secret| secret.token_seed)
    }

    /// The code of a verification, or nothing when its secret is no longer in the list.
    #[must_use]
    pub fn derive(&self, id: &VerificationId, length: CodeLength) -> Option<Code> {
        let secret = self.0.iter().find(|secret| secret.key_id == id.key_id())?;
        let hash = hmac(&secret.code_key, &[id.random_part(), id.purpose().as_str().as_bytes()]);
        Some(truncate(&hash, length))
    }
}

impl Secret {
    fn from_bytes(bytes: &[u8]) -> Self {
        Self {
            key_id: hmac(bytes, &[b"sms-verify key id"])[0],
            code_key: hmac(bytes, &[b"sms-verify code"]),
            tag_key: hmac(bytes, &[b"sms-verify number tag"]),
            token_seed: hmac(bytes, &[b"sms-verify token"]),
        }
    }

    fn mac(&self, what: &[u8]) -> [u8; 32] {
        hmac(&self.tag_key, &[b"seal", what])
    }
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secrets({} of them)", self.0.len())
    }
}

#[expect(clippy::expect_used, reason = "HMAC takes a key of any length")]
fn hmac(key: &[u8], parts: &[&[u8]]) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes a key of any length");
    for part in parts {
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}
