//! Tokens: a browser presents one to a product's own backend, as proof that a number was verified.
//!
//! A token is a JWT (RFC 7519), signed with Ed25519 (RFC 8037). The keys come from `CODE_SECRET`
//! and are rotated with it; a verifier reads the public keys from a JWK Set (RFC 7517), whose key
//! IDs are thumbprints (RFC 7638).

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::signature::{Ed25519KeyPair, KeyPair};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::phone::PhoneNumber;
use crate::secrets::Secrets;
use crate::verification_id::VerificationId;

/// Lifetime of a token: enough for a browser to pass it on.
pub const LIFETIME: Duration = Duration::from_secs(300);

/// Seconds by which a token is backdated, so that a verifier whose clock is a little behind does
/// not reject it as issued in the future.
const BACKDATED: i64 = 5;

/// Issuer of the tokens (`iss`).
const ISSUER: &str = "sms-verify";

/// Signing keys of all secrets, the newest first. `Debug` shows the public keys only.
#[derive(Debug)]
pub struct TokenKeys(Vec<Ed25519KeyPair>);

impl TokenKeys {
    /// The keys of these secrets.
    #[must_use]
    #[expect(clippy::expect_used, reason = "any 32 bytes are a seed")]
    pub fn new(secrets: &Secrets) -> Self {
        let pair = |seed: [u8; 32]| {
            Ed25519KeyPair::from_seed_unchecked(&seed).expect("any 32 bytes are a seed")
        };
        Self(secrets.token_seeds().map(pair).collect())
    }

    /// Issues a token, signed with the newest key, that the number was verified at `now` (seconds
    /// since 1970). Its audience is the tenant, if callers have API keys.
    #[must_use]
    pub fn sign(
        &self,
        id: &VerificationId,
        number: &PhoneNumber,
        tenant: Option<&str>,
        now: i64,
    ) -> String {
        let key = &self.0[0];
        let header = json!({ "alg": "EdDSA", "typ": "JWT", "kid": thumbprint(key) });
        let mut claims = json!({
            "iss": ISSUER,
            "sub": number.e164(),
            "purpose": id.purpose().as_str(),
            "jti": id.as_str(),
            "iat": now.saturating_sub(BACKDATED),
            "exp": now.saturating_add_unsigned(LIFETIME.as_secs()),
        });
        if let Some(tenant) = tenant {
            claims["aud"] = tenant.into();
        }
        let signed = format!("{}.{}", encode(header.to_string()), encode(claims.to_string()));
        let signature = encode(key.sign(signed.as_bytes()));
        format!("{signed}.{signature}")
    }

    /// The public keys as a JWK Set.
    #[must_use]
    pub fn set(&self) -> Value {
        let keys = self.0.iter().map(|key| {
            let (x, kid) = (encode(key.public_key()), thumbprint(key));
            let (kty, crv) = ("OKP", "Ed25519");
            json!({ "kty": kty, "crv": crv, "x": x, "kid": kid, "use": "sig", "alg": "EdDSA" })
        });
        json!({ "keys": keys.collect::<Vec<_>>() })
    }
}

/// JWK thumbprint: the hash of the key's required members, in lexicographic order without spaces.
fn thumbprint(key: &Ed25519KeyPair) -> String {
    let members = format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{}"}}"#, encode(key.public_key()));
    encode(Sha256::digest(members))
}

fn encode(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 8037, appendices A.2 and A.3: a key, and its thumbprint.
    #[test]
    fn a_key_is_named_by_its_thumbprint() {
        let seed = URL_SAFE_NO_PAD
            .decode("nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A")
            .expect("base64url");
        let key = Ed25519KeyPair::from_seed_unchecked(&seed).expect("a seed");
        assert_eq!(encode(key.public_key()), "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo");
        assert_eq!(thumbprint(&key), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
    }

    #[test]
    fn a_token_is_dated_a_little_back_and_lives_as_long_as_it_is_said() {
        use crate::verification_id::{NumberTag, Purpose};
        let id =
            VerificationId::new(1, NumberTag::from_hash(&[2; 32]), [3; 16], &Purpose::default());
        let number = PhoneNumber::from_e164("+8613800138000").expect("a number");
        let token =
            TokenKeys::new(&Secrets::from_random([1; 32])).sign(&id, &number, None, 1_000_000);
        let claims =
            URL_SAFE_NO_PAD.decode(token.split('.').nth(1).expect("claims")).expect("base64url");
        let claims: Value = serde_json::from_slice(&claims).expect("JSON");
        assert_eq!((&claims["iat"], &claims["exp"]), (&json!(999_995), &json!(1_000_300)));
    }
}
