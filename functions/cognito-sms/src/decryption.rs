//! Decrypts a code of Cognito's: base64 of a message of the AWS Encryption SDK, whose data key is
//! encrypted under the user pool's key of KMS.
//!
//! Any keyring does, so that a test can use one with a key of its own.

use std::fmt;
use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region};
use aws_esdk::client::Client;
use aws_esdk::material_providers::client::Client as MaterialProviders;
use aws_esdk::material_providers::types::EsdkCommitmentPolicy::RequireEncryptAllowDecrypt;
use aws_esdk::material_providers::types::keyring::KeyringRef;
use aws_esdk::material_providers::types::material_providers_config::MaterialProvidersConfig;
use aws_esdk::types::aws_encryption_sdk_config::AwsEncryptionSdkConfig;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sms_config::KeyArn;
use sms_domain::code::Code;

/// Timeout of one attempt of a call to KMS, and of a connection to it.
const ATTEMPT: Duration = Duration::from_secs(1);

/// Timeout of all attempts together: store and queue have their time left of Lambda's five seconds.
const DEADLINE: Duration = Duration::from_millis(2_500);

/// Attempts of a call to KMS: the first may use a connection that died while the environment was
/// frozen.
const ATTEMPTS: u32 = 2;

/// Longest encrypted code, in characters of base64. Cognito's have less than a thousand.
const MAX_ENCRYPTED: usize = 16_384;

/// Longest reason of the library that an error repeats, in characters.
const MAX_REASON: usize = 400;

/// Decrypts codes with a keyring.
#[derive(Debug, Clone)]
pub struct Decryption {
    client: Client,
    keyring: KeyringRef,
}

/// A code was not decrypted. No variant shows anything of the message.
#[derive(Debug, thiserror::Error)]
pub enum DecryptionError {
    /// The text is empty, too long or not base64.
    #[error("the encrypted code is not base64")]
    NotBase64,
    /// It is no message under this key, it was altered, or KMS did not decrypt its data key.
    #[error("the code cannot be decrypted: {0}")]
    Refused(Reason),
    /// It was decrypted, and is no code: perhaps a temporary password with other signs.
    #[error("what was decrypted is no code of 4 to 16 letters, digits and dashes")]
    NotACode,
}

/// A reason in the library's words.
#[derive(Debug)]
pub struct Reason(String);

impl Reason {
    fn of(error: &dyn fmt::Display) -> Self {
        let text = error.to_string();
        let signs = text.chars().filter(|sign| sign.is_ascii_graphic() || *sign == ' ');
        Self(signs.take(MAX_REASON).collect())
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Decryption {
    /// Decrypts with a key of KMS. Credentials are found where AWS's SDK always finds them: a
    /// function has them from its role, which needs `kms:Decrypt`.
    ///
    /// # Errors
    /// If the library refuses the key's name.
    pub async fn by_kms(key: &KeyArn) -> Result<Self, DecryptionError> {
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(ATTEMPT)
            .operation_attempt_timeout(ATTEMPT)
            .operation_timeout(DEADLINE);
        let config = aws_config::defaults(BehaviorVersion::latest())
            .http_client(sms_outbound::tls::aws_http_client())
            .region(Region::new(key.region().to_owned()))
            .retry_config(RetryConfig::standard().with_max_attempts(ATTEMPTS))
            .timeout_config(timeouts.build())
            .load()
            .await;
        let keyring = material_providers()?
            .create_aws_kms_keyring()
            .kms_key_id(key.as_str())
            .kms_client(aws_sdk_kms::Client::new(&config))
            .send()
            .await;
        Self::by(keyring.map_err(|error| refused(&error))?)
    }

    /// Decrypts with a keyring.
    ///
    /// # Errors
    /// If the library refuses its settings.
    pub fn by(keyring: KeyringRef) -> Result<Self, DecryptionError> {
        // As in the sample code of Cognito's documentation, whose messages may have no commitment.
        let config = AwsEncryptionSdkConfig::builder()
            .commitment_policy(RequireEncryptAllowDecrypt)
            .build()
            .map_err(|error| refused(&error))?;
        let client = Client::from_conf(config).map_err(|error| refused(&error))?;
        Ok(Self { client, keyring })
    }

    /// Decrypts a code.
    ///
    /// # Errors
    /// [`DecryptionError`], without anything of the message.
    pub async fn code(&self, encrypted: &str) -> Result<Code, DecryptionError> {
        let encrypted = encrypted.trim();
        if encrypted.is_empty() || encrypted.len() > MAX_ENCRYPTED {
            return Err(DecryptionError::NotBase64);
        }
        let message = STANDARD.decode(encrypted).map_err(|_| DecryptionError::NotBase64)?;
        let call = self.client.decrypt().ciphertext(message).keyring(self.keyring.clone());
        // Boxed: the library's futures are large.
        let output = Box::pin(call.send()).await.map_err(|error| refused(&error))?;
        let plaintext = output.plaintext.unwrap_or_default().into_inner();
        str::from_utf8(&plaintext).ok().and_then(Code::custom).ok_or(DecryptionError::NotACode)
    }
}

fn material_providers() -> Result<MaterialProviders, DecryptionError> {
    let config = MaterialProvidersConfig::builder().build().map_err(|error| refused(&error))?;
    MaterialProviders::from_conf(config).map_err(|error| refused(&error))
}

fn refused(error: &dyn fmt::Display) -> DecryptionError {
    DecryptionError::Refused(Reason::of(error))
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use aws_esdk::material_providers::types::AesWrappingAlg;
    use serde_json::Value;

    use super::*;

    const KEY: [u8; 32] = [0xab; 32];

    /// Each code in every suite, encrypted by AWS's Encryption SDK for Python.
    fn encrypted(codes: &[&str]) -> Vec<(String, String)> {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/encrypted_codes.py");
        let output = Command::new("python")
            .args([script, "raw", &"ab".repeat(KEY.len())])
            .args(codes)
            .output()
            .expect("python, as tests/run installs it");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let printed: Value = serde_json::from_slice(&output.stdout).expect("JSON");
        let messages = serde_json::from_value(printed["messages"].clone());
        messages.expect("pairs of a suite and a message")
    }

    async fn decryption(key: [u8; 32]) -> Decryption {
        let keyring = material_providers()
            .expect("its settings")
            .create_raw_aes_keyring()
            .key_namespace("sms-verify")
            .key_name("test")
            .wrapping_key(key.to_vec())
            .wrapping_alg(AesWrappingAlg::AlgAes256GcmIv12Tag16)
            .send()
            .await;
        Decryption::by(keyring.expect("a keyring")).expect("its settings")
    }

    /// The error of a text that is no code's, which must show nothing of it.
    async fn error(decryption: &Decryption, text: &str) -> String {
        let error = decryption.code(text).await.expect_err("no code");
        let shown = format!("{error} {error:?}");
        let windows = text.as_bytes().windows(12);
        let shows = windows.map(String::from_utf8_lossy).any(|part| shown.contains(&*part));
        assert!(!shows && !shown.contains("s3cret"), "{shown}");
        error.to_string()
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn what_another_implementation_encrypted_is_decrypted_in_every_suite() {
        let (decryption, codes) = (decryption(KEY).await, ["012345", "WBPP-MJGR"]);
        let messages = encrypted(&codes);
        assert_eq!(messages.len(), 8);
        for (index, (suite, message)) in messages.iter().enumerate() {
            let code = decryption.code(message).await.expect(suite);
            assert_eq!(code.expose(), codes[index / 4], "{suite}");
            let wrapped = format!(" {message}\n");
            assert!(decryption.code(&wrapped).await.expect(suite).matches(&code));
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_message_that_was_altered_is_an_error_wherever_it_was() {
        let decryption = decryption(KEY).await;
        for (suite, message) in encrypted(&["s3cret"]) {
            let bytes = STANDARD.decode(&message).expect("base64");
            for index in (0..bytes.len()).step_by(7) {
                let mut altered = bytes.clone();
                altered[index] ^= 0x10;
                let told = error(&decryption, &STANDARD.encode(&altered)).await;
                assert!(told.starts_with("the code cannot be decrypted: "), "{suite} {index}");
            }
            for length in [0, 1, bytes.len() / 2, bytes.len() - 1] {
                let cut = STANDARD.encode(&bytes[..length]);
                decryption.code(&cut).await.expect_err(&suite);
            }
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn another_key_is_an_error_that_says_so() {
        let mut key = KEY;
        key[31] = 0;
        let decryption = decryption(key).await;
        for (_, message) in encrypted(&["s3cret"]) {
            let told = error(&decryption, &message).await;
            assert!(told.starts_with("the code cannot be decrypted: "), "{told}");
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn what_is_no_base64_or_no_code_is_an_error_without_it() {
        let decryption = decryption(KEY).await;
        let long = "A".repeat(MAX_ENCRYPTED + 4);
        for text in ["", "  ", "s3cret s3cret!", "AgV4\u{fffd}", long.as_str()] {
            let error = decryption.code(text).await.expect_err("no base64");
            assert!(matches!(error, DecryptionError::NotBase64), "{text}: {error}");
        }
        for (_, message) in encrypted(&["s3cret!<>", "123", ""]) {
            let told = error(&decryption, &message).await;
            assert!(told.contains("no code of 4 to 16 letters, digits and dashes"), "{told}");
        }
    }
}
