//! Hash functions that several signature schemes share.

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

#[expect(clippy::expect_used, reason = "HMAC takes a key of any length")]
/// HMAC with SHA-256 (RFC 2104).
#[must_use]
pub fn hmac_sha256(key: &[u8], message: &[u8]) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes a key of any length");
    mac.update(message);
    mac.finalize().into_bytes().into()
}

/// SHA-256 in lower-case hexadecimal digits.
#[must_use]
pub fn sha256_hex(message: &[u8]) -> String {
    hex::encode(Sha256::digest(message))
}
