//! How a server shows that it is the one whose door is open: by a signature over its body, or by a
//! token in a header.

use std::time::Duration;

use axum::http::header::AUTHORIZATION;
use axum::http::{HeaderMap, HeaderName};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};
use sms_outbound::dsn::{Dsn, DsnError};
use sms_outbound::signing::hmac_sha256;
use subtle::ConstantTimeEq;

use super::DoorKind;

/// Shortest token or secret, in characters or bytes: 128 bits in hexadecimal digits, or in base64.
const SHORTEST: usize = 24;

/// Time for which a signature is accepted, after its own time and, since clocks differ, before it.
/// Messages are remembered for longer: [`Policy::MAX_LIFE`](sms_domain::verification::Policy).
const TOLERANCE: (Duration, Duration) = (Duration::from_secs(300), Duration::from_secs(60));

/// The credentials that a door takes.
#[derive(Clone)]
pub(crate) enum Credentials {
    /// Standard Webhooks, `v1`: one of these keys has signed ID, time and body.
    StandardWebhooks(Vec<Vec<u8>>),
    /// `ZITADEL-Signature`: the key has signed time and body.
    Zitadel(Vec<u8>),
    /// The hash of a token: as a bearer token, as the whole of `Authorization`, as the password of
    /// Basic authentication, or in a header of its own.
    Token { hash: [u8; 32], header: Option<HeaderName> },
}

impl Credentials {
    pub(super) fn take(kind: DoorKind, dsn: &mut Dsn) -> Result<Self, DsnError> {
        match kind {
            DoorKind::Supabase => {
                let secrets = dsn.required("secret")?;
                let keys = secrets.split('|').map(|secret| {
                    let secret = secret.strip_prefix("v1,").unwrap_or(secret);
                    let key = STANDARD.decode(secret.strip_prefix("whsec_")?).ok()?;
                    (key.len() >= SHORTEST).then_some(key)
                });
                let keys: Option<Vec<_>> = keys.collect();
                let value = "secret (v1,whsec_ and base64 of 24 bytes or more)";
                keys.map(Self::StandardWebhooks).ok_or(DsnError::Value(value))
            }
            DoorKind::Zitadel => {
                let secret = dsn.required("secret")?;
                let value = DsnError::Value("secret (24 characters or more)");
                if secret.len() < SHORTEST { Err(value) } else { Ok(Self::Zitadel(secret.into())) }
            }
            _ => {
                let token = dsn.required("token")?;
                if token.len() < SHORTEST {
                    return Err(DsnError::Value("token (24 characters or more)"));
                }
                let header: Option<HeaderName> = dsn.option("header")?;
                Ok(Self::Token { hash: Sha256::digest(token).into(), header })
            }
        }
    }

    /// Returns true if a request has credentials of this kind, right or wrong.
    pub(crate) fn are_in(&self, headers: &HeaderMap) -> bool {
        match self {
            Self::StandardWebhooks(_) => headers.contains_key("webhook-signature"),
            Self::Zitadel(_) => headers.contains_key("zitadel-signature"),
            Self::Token { header, .. } => {
                headers.contains_key(header.as_ref().unwrap_or(&AUTHORIZATION))
            }
        }
    }

    /// Returns true if a request has them. `now` is in seconds since 1970.
    pub(crate) fn match_request(&self, headers: &HeaderMap, body: &[u8], now: i64) -> bool {
        match self {
            Self::StandardWebhooks(keys) => {
                let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
                let (Some(id), Some(time), Some(signatures)) =
                    (text("webhook-id"), text("webhook-timestamp"), text("webhook-signature"))
                else {
                    return false;
                };
                // Of two secrets Supabase joins the signatures by ", ".
                let signatures = signatures.split_whitespace().filter_map(|one| {
                    let one = one.trim_matches(',').strip_prefix("v1,")?;
                    STANDARD.decode(one).ok()
                });
                let signatures: Vec<_> = signatures.collect();
                let signed = [id.as_bytes(), b".", time.as_bytes(), b".", body].concat();
                is_recent(time, now)
                    && keys.iter().any(|key| {
                        let own = hmac_sha256(key, &signed);
                        signatures.iter().any(|one| bool::from(own.as_slice().ct_eq(one)))
                    })
            }
            Self::Zitadel(key) => {
                let header = headers.get("zitadel-signature").and_then(|value| value.to_str().ok());
                let parts = header.unwrap_or_default().split(',').map(str::trim);
                let parts: Vec<_> = parts.filter_map(|part| part.split_once('=')).collect();
                let Some((_, time)) = parts.iter().find(|(name, _)| *name == "t") else {
                    return false;
                };
                let own = hmac_sha256(key, &[time.as_bytes(), b".", body].concat());
                let own = hex::encode(own);
                let is_own = |(name, value): &(&str, &str)| {
                    *name == "v1" && bool::from(own.as_bytes().ct_eq(value.as_bytes()))
                };
                is_recent(time, now) && parts.iter().any(is_own)
            }
            Self::Token { hash, header } => {
                let name = header.as_ref().unwrap_or(&AUTHORIZATION);
                let Some(value) = headers.get(name).and_then(|value| value.to_str().ok()) else {
                    return false;
                };
                let is_token = |text: &[u8]| bool::from(Sha256::digest(text).ct_eq(hash));
                is_token(value.as_bytes())
                    || bearer(value).is_some_and(|token| is_token(token.as_bytes()))
                    || basic_password(value).is_some_and(|password| is_token(&password))
            }
        }
    }
}

fn is_recent(time: &str, now: i64) -> bool {
    let (after, before) = TOLERANCE;
    let seconds = |one: Duration| i64::try_from(one.as_secs()).unwrap_or_default();
    time.parse().is_ok_and(|time: i64| {
        now.saturating_sub(time) <= seconds(after) && time.saturating_sub(now) <= seconds(before)
    })
}

fn bearer(value: &str) -> Option<&str> {
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

fn basic_password(value: &str) -> Option<Vec<u8>> {
    let (scheme, encoded) = value.split_once(' ')?;
    let decoded = STANDARD.decode(encoded.trim()).ok()?;
    let colon = decoded.iter().position(|byte| *byte == b':')?;
    scheme.eq_ignore_ascii_case("basic").then(|| decoded[colon + 1..].to_vec())
}

#[cfg(test)]
mod tests {
    use sms_domain::verification::Policy;

    use super::*;

    const NOW: i64 = 1_700_000_000;

    fn credentials(kind: DoorKind, dsn: &str) -> Credentials {
        Credentials::take(kind, &mut Dsn::parse(dsn).expect("a DSN")).expect("credentials")
    }

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| {
                (HeaderName::from_static(name), value.parse().expect("a header's value"))
            })
            .collect()
    }

    #[test]
    fn a_token_may_stand_where_servers_put_it() {
        let token = "0123456789abcdef0123456789abcdef";
        let plain = credentials(DoorKind::Logto, &format!("logto://?token={token}"));
        let own = credentials(DoorKind::Novu, &format!("novu://?token={token}&header=X-Api-Key"));
        // `printf anybody:0123456789abcdef0123456789abcdef | base64`
        let basic = "Basic YW55Ym9keTowMTIzNDU2Nzg5YWJjZGVmMDEyMzQ1Njc4OWFiY2RlZg==";
        for value in [token, &format!("Bearer {token}"), &format!("bearer  {token}"), basic] {
            assert!(
                plain.match_request(&headers(&[("authorization", value)]), b"", NOW),
                "{value}"
            );
        }
        for value in ["", "Bearer", &format!("Bearer {token}0"), &format!("Token {token}")] {
            assert!(!plain.match_request(&headers(&[("authorization", value)]), b"", NOW));
        }
        assert!(own.match_request(&headers(&[("x-api-key", token)]), b"", NOW));
        assert!(!own.match_request(&headers(&[("authorization", token)]), b"", NOW));
    }

    #[test]
    fn a_message_is_remembered_for_longer_than_a_signature_is_accepted() {
        assert!(TOLERANCE.0 + TOLERANCE.1 < Policy::MAX_LIFE);
    }

    #[test]
    fn a_signature_is_of_its_body_and_of_its_time() {
        let zitadel =
            credentials(DoorKind::Zitadel, "zitadel://?secret=0123456789abcdef0123456789abcdef");
        // `printf '1700000000.{}' | openssl dgst -sha256 -hmac 0123456789abcdef0123456789abcdef`
        let signed = "t=1700000000,v1=ZITADEL";
        let own = hex::encode(hmac_sha256(b"0123456789abcdef0123456789abcdef", b"1700000000.{}"));
        let signed = headers(&[("zitadel-signature", &signed.replace("ZITADEL", &own))]);
        for (now, accepted) in [
            (NOW, true),
            (NOW + 300, true),
            (NOW + 301, false),
            (NOW - 60, true),
            (NOW - 61, false),
        ] {
            assert_eq!(zitadel.match_request(&signed, b"{}", now), accepted, "{now}");
        }
        assert!(!zitadel.match_request(&signed, b"{ }", NOW), "another body");
    }
}
