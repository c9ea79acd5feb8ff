//! A code that somebody else made and will check, sealed for its job: no queue and no dead letter
//! holds it in clear.
//!
//! The key is derived by HKDF-SHA256 from the secret that the message's ID names, with a label of
//! its own; the cipher is AES-256-GCM with a random nonce. ID, number and time are associated data:
//! in another job a sealed code does not open.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::hkdf::{HKDF_SHA256, Prk, Salt};
use serde::{Deserialize, Serialize};

use crate::code::Code;
use crate::phone::PhoneNumber;
use crate::verification_id::VerificationId;

/// Most SMS that a text in place of ours may take.
pub const MAX_SEGMENTS: usize = 6;

/// A code that somebody else made.
#[derive(Clone)]
pub struct CustomCode {
    /// The code.
    pub code: Code,
    /// The whole text of its SMS, in place of ours.
    pub text: Option<String>,
    /// The time until which its maker accepts it, in milliseconds since 1970, if he has told it:
    /// then the text names the minutes.
    pub valid_until: Option<i64>,
}

impl fmt::Debug for CustomCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CustomCode(******)")
    }
}

/// A sealed [`CustomCode`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealedCode {
    /// The base64url of `nonce ‖ ciphertext ‖ tag`.
    pub text: String,
    /// The time at which it was sealed, in milliseconds since 1970.
    pub sealed_at: i64,
}

/// The reason why a sealed code does not open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// The secret of the ID is no longer in the list.
    #[error("CODE_SECRET does not hold the secret that the code was sealed with")]
    NoSecret,
    /// It was altered, or sealed for another job.
    #[error("the sealed code is not of this job")]
    NotOfThisJob,
}

#[derive(Serialize, Deserialize)]
struct Plain<'a> {
    code: &'a str,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    text: Option<std::borrow::Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    valid_until: Option<i64>,
}

/// The key of a secret that sealed codes are made with.
#[derive(Clone)]
pub(crate) struct SealingKey(Prk);

impl SealingKey {
    pub(crate) fn of(secret: &[u8]) -> Self {
        Self(Salt::new(HKDF_SHA256, b"sms-verify").extract(secret))
    }

    #[expect(clippy::expect_used, reason = "a key of 32 bytes is no too long output of HKDF")]
    fn key(&self) -> LessSafeKey {
        let output =
            self.0.expand(&[b"sms-verify sealed code"], &AES_256_GCM).expect("a short output");
        LessSafeKey::new(UnboundKey::from(output))
    }

    #[expect(clippy::expect_used, reason = "texts and numbers serialize, and a text is short")]
    pub(crate) fn seal(
        &self,
        custom: &CustomCode,
        (id, to): (&VerificationId, &PhoneNumber),
        sealed_at: i64,
        nonce: [u8; NONCE_LEN],
    ) -> SealedCode {
        let plain = Plain {
            code: custom.code.expose(),
            text: custom.text.as_deref().map(Into::into),
            valid_until: custom.valid_until,
        };
        let mut bytes = serde_json::to_vec(&plain).expect("texts and numbers serialize");
        let aad = Aad::from(associated(id, to, sealed_at));
        let nonce_of = Nonce::assume_unique_for_key(nonce);
        self.key().seal_in_place_append_tag(nonce_of, aad, &mut bytes).expect("a short text");
        let text = URL_SAFE_NO_PAD.encode([nonce.as_slice(), &bytes].concat());
        SealedCode { text, sealed_at }
    }

    pub(crate) fn open(
        &self,
        sealed: &SealedCode,
        (id, to): (&VerificationId, &PhoneNumber),
    ) -> Option<CustomCode> {
        let bytes = URL_SAFE_NO_PAD.decode(&sealed.text).ok()?;
        let (nonce, ciphertext) = bytes.split_first_chunk::<NONCE_LEN>()?;
        let mut ciphertext = ciphertext.to_vec();
        let aad = Aad::from(associated(id, to, sealed.sealed_at));
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let plain = self.key().open_in_place(nonce, aad, &mut ciphertext).ok()?;
        let Plain { code, text, valid_until } = serde_json::from_slice(plain).ok()?;
        let (code, text) = (Code::custom(code)?, text.map(Into::into));
        Some(CustomCode { code, text, valid_until })
    }
}

fn associated(id: &VerificationId, to: &PhoneNumber, sealed_at: i64) -> Vec<u8> {
    [id.as_str(), to.e164(), &sealed_at.to_string()].join("\n").into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secrets::Secrets;
    use crate::verification_id::Purpose;

    const OLD: &str = "0123456789abcdef0123456789abcdef";
    const NEW: &str = "fedcba9876543210fedcba9876543210";

    fn number(text: &str) -> PhoneNumber {
        PhoneNumber::from_e164(text).expect("a number")
    }

    fn id(secrets: &Secrets, random: u8) -> VerificationId {
        let tag = secrets.tag(&number("+8613800138000"));
        VerificationId::new(secrets.newest_key_id(), tag, [random; 16], &Purpose::default())
    }

    #[test]
    fn a_sealed_code_opens_in_its_own_job_alone() {
        let secrets = Secrets::parse(OLD).expect("valid");
        let (to, id) = (number("+8613800138000"), id(&secrets, 1));
        let custom = CustomCode {
            code: Code::custom("WBPP-MJGR").expect("a code"),
            text: Some("\"WBPP-MJGR\"\n是您的驗證碼".to_owned()),
            valid_until: Some(7),
        };
        let sealed = secrets.seal(&custom, &id, &to, 5, [9; NONCE_LEN]).expect("its secret");
        let opened = secrets.open(&sealed, &id, &to).expect("opens");
        assert_eq!((opened.code.expose(), opened.valid_until), ("WBPP-MJGR", Some(7)));
        assert_eq!(opened.text, custom.text);
        assert!(!sealed.text.contains("WBPP") && !format!("{opened:?}").contains("WBPP"));

        let refused = |sealed: &SealedCode, id: &VerificationId, to: &PhoneNumber| {
            secrets.open(sealed, id, to).expect_err("of another job")
        };
        assert_eq!(refused(&sealed, &self::id(&secrets, 2), &to), OpenError::NotOfThisJob);
        assert_eq!(refused(&sealed, &id, &number("+8613800138001")), OpenError::NotOfThisJob);
        let later = SealedCode { sealed_at: 6, ..sealed.clone() };
        assert_eq!(refused(&later, &id, &to), OpenError::NotOfThisJob);
        for text in ["", "AAAA", &sealed.text[4..], &sealed.text.replace(&sealed.text[..1], "-")] {
            let altered = SealedCode { text: text.to_owned(), ..sealed.clone() };
            assert_eq!(refused(&altered, &id, &to), OpenError::NotOfThisJob, "{text}");
        }
    }

    #[test]
    fn a_rotated_secret_opens_what_it_has_sealed_until_it_is_taken_away() {
        let (old, new) = (Secrets::parse(OLD).expect("valid"), Secrets::parse(NEW).expect("valid"));
        let both = Secrets::parse(&format!("{NEW},{OLD}")).expect("valid");
        let (to, id) = (number("+8613800138000"), id(&old, 1));
        let custom = CustomCode {
            code: Code::custom("4711").expect("a code"),
            text: None,
            valid_until: None,
        };
        let sealed = old.seal(&custom, &id, &to, 5, [9; NONCE_LEN]).expect("its secret");
        assert_eq!(both.open(&sealed, &id, &to).expect("opens").code.expose(), "4711");
        assert_eq!(new.open(&sealed, &id, &to).expect_err("taken away"), OpenError::NoSecret);
        assert_eq!(new.seal(&custom, &id, &to, 5, [9; NONCE_LEN]), None);
    }
}
