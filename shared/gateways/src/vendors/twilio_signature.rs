//! Verification of Twilio's callback signatures, equivalent to that of its own libraries.
//!
//! `X-Twilio-Signature` is an HMAC over the configured URL and each parameter's name and value,
//! sorted by name: SHA-1 with the account's token, or SHA-256 with a shared key, which a separate
//! header names.

use std::collections::{BTreeSet, HashMap};
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use sha1::Sha1;
use sha2::Sha256;
use url::{Position, Url, form_urlencoded};

/// Header that names the shared key and its algorithm: `key=ID,algorithm=HMAC_SHA256`. It is not
/// covered by the signature.
const SETTINGS: &str = "x-twilio-webhooks-signature-settings";

/// The only algorithm accepted with shared keys, whatever the header asks for.
const ALGORITHM: &str = "HMAC_SHA256";

/// Characters to percent-encode: all but those that Node's `querystring` leaves as they are.
const NODE: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'!')
    .remove(b'~')
    .remove(b'*')
    .remove(b'\'')
    .remove(b'(')
    .remove(b')');

/// Keys that may sign an account's callbacks.
pub(crate) struct Keys {
    pub(crate) auth_token: Option<String>,
    pub(crate) shared: SharedKeys,
}

/// Shared keys: `ID:SECRET`, or several separated by commas during a rotation.
#[derive(Default)]
pub(crate) struct SharedKeys(Vec<(String, String)>);

impl FromStr for SharedKeys {
    type Err = ();

    fn from_str(list: &str) -> Result<Self, ()> {
        let key = |text: &str| {
            let (id, secret) =
                text.split_once(':').filter(|(id, secret)| !id.is_empty() && !secret.is_empty())?;
            Some((id.to_owned(), secret.to_owned()))
        };
        list.split(',').map(key).collect::<Option<_>>().map(Self).ok_or(())
    }
}

impl SharedKeys {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The configured secret that the header selects, if it asks for the accepted algorithm.
    fn secret(&self, settings: &str) -> Option<&str> {
        let parts = settings.split(',').filter_map(|part| part.split_once('='));
        let parts: HashMap<&str, &str> =
            parts.map(|(name, value)| (name.trim(), value.trim())).collect();
        if !parts.get("algorithm")?.eq_ignore_ascii_case(ALGORITHM) {
            return None;
        }
        let id = parts.get("key")?;
        self.0.iter().find(|(known, _)| known == id).map(|(_, secret)| secret.as_str())
    }
}

/// Returns true if a callback is signed by Twilio. A name that is there twice counts with each of
/// its values.
pub(crate) fn is_authentic(
    keys: &Keys,
    url: &Url,
    form: &BTreeSet<(String, String)>,
    headers: &HashMap<String, String>,
) -> bool {
    let signature =
        headers.get("x-twilio-signature").and_then(|signature| STANDARD.decode(signature).ok());
    let Some(signature) = signature else { return false };
    let form: String =
        form.iter().flat_map(|(name, value)| [name.as_str(), value.as_str()]).collect();
    let right =
        |url: String| match headers.get(SETTINGS).filter(|settings| !settings.trim().is_empty()) {
            None => keys
                .auth_token
                .as_ref()
                .is_some_and(|key| verify::<Hmac<Sha1>>(key, &[&url, &form], &signature)),
            Some(settings) => {
                let secret = keys.shared.secret(settings);
                secret.is_some_and(|key| verify::<Hmac<Sha256>>(key, &[&url, &form], &signature))
            }
        };
    forms(url).into_iter().any(right)
}

fn verify<M: Mac + KeyInit>(key: &str, message: &[&str], signature: &[u8]) -> bool {
    let Ok(mut mac) = <M as KeyInit>::new_from_slice(key.as_bytes()) else { return false };
    message.iter().for_each(|part| mac.update(part.as_bytes()));
    mac.verify_slice(signature).is_ok()
}

/// Variants of a URL that Twilio may have signed: with and without the port, and with the query as
/// it is or as Node encodes it.
fn forms(url: &Url) -> Vec<String> {
    let (head, path) =
        (&url[..Position::AfterHost], &url[Position::BeforePath..Position::AfterPath]);
    let port = url.port_or_known_default().unwrap_or(443);
    let queries = match url.query() {
        None => vec![String::new()],
        Some(query) => vec![format!("?{query}"), format!("?{}", as_node(query))],
    };
    queries
        .iter()
        .flat_map(|query| [format!("{head}{path}{query}"), format!("{head}:{port}{path}{query}")])
        .collect()
}

/// Parses and encodes a query as Node's `querystring` does.
fn as_node(query: &str) -> String {
    let encode = |text: &str| utf8_percent_encode(text, NODE).to_string();
    let pairs = form_urlencoded::parse(query.as_bytes());
    pairs
        .map(|(name, value)| format!("{}={}", encode(&name), encode(&value)))
        .collect::<Vec<_>>()
        .join("&")
}

#[cfg(test)]
mod tests {
    use super::*;

    const URL: &str = "https://mycompany.com/myapp.php?foo=1&bar=2";

    fn keys() -> Keys {
        let shared =
            "webhooks_sharedkey_1:another,webhooks_sharedkey_2:12345".parse().expect("keys");
        Keys { auth_token: Some("12345".to_owned()), shared }
    }

    fn form(pairs: &[(&str, &str)]) -> BTreeSet<(String, String)> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    fn call() -> BTreeSet<(String, String)> {
        form(&[
            ("CallSid", "CA1234567890ABCDE"),
            ("Caller", "+14158675309"),
            ("Digits", "1234"),
            ("From", "+14158675309"),
            ("To", "+18005551212"),
        ])
    }

    fn authentic(
        url: &str,
        form: &BTreeSet<(String, String)>,
        signature: &str,
        settings: Option<&str>,
    ) -> bool {
        let signature = ("x-twilio-signature".to_owned(), signature.to_owned());
        let settings = settings.map(|settings| (SETTINGS.to_owned(), settings.to_owned()));
        let headers = std::iter::once(signature).chain(settings).collect();
        is_authentic(&keys(), &url.parse().expect("a URL"), form, &headers)
    }

    /// Signatures of the tests of twilio-python (commit 306691e7) and twilio-node (45d3d65a).
    #[test]
    fn what_twilios_own_validators_take_is_authentic() {
        assert!(authentic(URL, &call(), "RSOYDt4T1cUTdK1PDd93/VVr8B8=", None));
        assert!(authentic(
            "https://mycompany.com:1234/myapp.php?foo=1&bar=2",
            &call(),
            "RSOYDt4T1cUTdK1PDd93/VVr8B8=",
            None
        ));
        assert!(
            authentic(URL, &call(), "kvajT1Ptam85bY51eRf/AJRuM3w=", None),
            "signed with the port 443"
        );
        let http = URL.replace("https", "http");
        assert!(
            authentic(&http, &call(), "0ZXoZLH/DfblKGATFgpif+LLRf4=", None),
            "signed with the port 80"
        );
        let twice = [
            ("Sid", "CA123"),
            ("SidAccount", "AC123"),
            ("Digits", "5678"),
            ("Digits", "1234"),
            ("Digits", "1234"),
        ];
        assert!(
            authentic(URL, &form(&twice), "IK+Dwps556ElfBT0I3Rgjkr1wJU=", None),
            "each value of a name, once"
        );
        let quoted = format!("{URL}&Body=It's+amazing");
        assert!(
            authentic(&quoted, &call(), "TfZzewPq8wqrGlMfyAud8+/IvJ0=", None),
            "as Node writes a query"
        );
        let mut other = call();
        other.insert(("Digits".to_owned(), "1235".to_owned()));
        assert!(!authentic(URL, &other, "RSOYDt4T1cUTdK1PDd93/VVr8B8=", None));
        assert!(!authentic(
            "https://mycompany.com/other.php",
            &call(),
            "RSOYDt4T1cUTdK1PDd93/VVr8B8=",
            None
        ));
    }

    /// Signatures made with twilio-python 9.13.0, whose own tests have none.
    #[test]
    fn a_shared_key_signs_with_sha_256_and_nothing_else() {
        let signature = "033hgUJA9M/hXIZsYjwkerEP/DBm35nEri5FhCYjA5s=";
        let right = "key=webhooks_sharedkey_2,algorithm=HMAC_SHA256";
        assert!(authentic(URL, &call(), signature, Some(right)));
        assert!(authentic(
            URL,
            &call(),
            "grxRoa/VNtXxd524NGLxIdev83nh23xhrRUVm50Umq4=",
            Some(" algorithm=hmac_sha256 , key=webhooks_sharedkey_2 ")
        ));
        assert!(
            !authentic(URL, &call(), signature, None),
            "without the header it is SHA-1 with the token"
        );
        let sha1 = "RSOYDt4T1cUTdK1PDd93/VVr8B8=";
        for settings in [
            "key=webhooks_sharedkey_1,algorithm=HMAC_SHA256",
            "key=webhooks_sharedkey_3,algorithm=HMAC_SHA256",
            "key=webhooks_sharedkey_2,algorithm=HMAC_SHA1",
            "key=webhooks_sharedkey_2,algorithm=none",
            "key=webhooks_sharedkey_2",
            "algorithm=HMAC_SHA256",
            "x",
        ] {
            assert!(!authentic(URL, &call(), signature, Some(settings)), "{settings}");
            assert!(
                !authentic(URL, &call(), sha1, Some(settings)),
                "the header is no way back to another secret: {settings}"
            );
        }
    }

    #[test]
    fn what_is_no_list_of_shared_keys_is_an_error() {
        for text in ["", "secret", "id:", ":secret", "id:secret,"] {
            assert!(text.parse::<SharedKeys>().is_err(), "{text:?}");
        }
    }
}
