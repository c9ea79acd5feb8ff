//! Captchas of a third party: the page's token is shown to the vendor's siteverify, which says
//! whether it is a person's. Turnstile, hCaptcha and reCAPTCHA answer in the same form.
//!
//! The caller's address is not passed on. A token can be used once: the vendors see to it.

use std::fmt;
use std::time::Duration;

use reqwest::header::CONTENT_TYPE;
use serde::Deserialize;
use sms_outbound::dsn::{Dsn, DsnError};
use sms_outbound::http_client::{HttpClient, call};
use url::{Url, form_urlencoded};

use super::{ChallengeError, VendorError};

/// Longest time that a vendor may take: a person waits for it, and a function ends after 5 s.
const TIMEOUT: Duration = Duration::from_secs(3);

/// The least score of a reCAPTCHA v3 token, unless told otherwise: Google's own recommendation.
const SCORE: f64 = 0.5;

/// Longest token that is shown to a vendor: Turnstile's have up to 2048 characters, those of the
/// others up to about 4000.
const MAX_TOKEN: usize = 8192;

/// What a vendor says when not the token is at fault, but the secret or the vendor: nothing that a
/// caller can bring about.
const OUR_FAULT: [&str; 3] = ["missing-input-secret", "invalid-input-secret", "internal-error"];

/// An account at a vendor.
pub(super) struct Captcha {
    pub(super) vendor: &'static str,
    pub(super) sitekey: String,
    secret: String,
    url: Url,
    hostname: Option<String>,
    score: f64,
    http: HttpClient,
}

#[derive(Deserialize)]
struct Answer {
    success: bool,
    #[serde(rename = "error-codes", default)]
    error_codes: Vec<String>,
    hostname: Option<String>,
    score: Option<f64>,
}

impl Captcha {
    /// Reads `turnstile://SITEKEY:SECRET@default`, and so for the others; nothing if it is of none
    /// of them.
    pub(super) fn from_dsn(dsn: &mut Dsn) -> Result<Option<Self>, DsnError> {
        let (vendor, host, path) = match dsn.scheme() {
            "turnstile" => ("turnstile", "challenges.cloudflare.com", "turnstile/v0/siteverify"),
            "hcaptcha" => ("hcaptcha", "api.hcaptcha.com", "siteverify"),
            "recaptcha" => ("recaptcha", "www.google.com", "recaptcha/api/siteverify"),
            _ => return Ok(None),
        };
        Ok(Some(Self {
            vendor,
            sitekey: dsn.user()?,
            secret: dsn.password()?,
            url: dsn.base_url(host)?.join(path)?,
            hostname: dsn.option("hostname")?,
            score: dsn.option("score")?.unwrap_or(SCORE),
            http: HttpClient::default(),
        }))
    }

    pub(super) async fn warm_up(&self) {
        self.http.warm_up().await;
    }

    /// Asks the vendor whether a token is a person's.
    pub(super) async fn verify(&self, token: &str) -> Result<bool, ChallengeError> {
        if token.is_empty() || token.len() > MAX_TOKEN {
            return Ok(false);
        }
        let form = [("secret", self.secret.as_str()), ("response", token)];
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
        let vendor = self.vendor;
        let failed = |source| VendorError::Call { vendor, source };
        let request = self.http.post(self.url.clone()).map_err(failed)?;
        let request = request
            .timeout(TIMEOUT)
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(body);
        let answer = call(request).await.map_err(failed)?;
        let answer: Answer = serde_json::from_slice(&answer.body)
            .map_err(|_| VendorError::Response { vendor, reason: "its answer cannot be read" })?;
        if let Some(code) =
            answer.error_codes.iter().find_map(|code| OUR_FAULT.iter().find(|fault| *fault == code))
        {
            return Err(VendorError::Response { vendor, reason: code }.into());
        }
        let hostname = self.hostname.is_none() || self.hostname == answer.hostname;
        // Of the others a score is something else, such as hCaptcha's, which is that of a risk.
        let score =
            self.vendor != "recaptcha" || answer.score.is_none_or(|score| score >= self.score);
        Ok(answer.success && hostname && score)
    }
}

impl fmt::Debug for Captcha {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}({})", self.vendor, self.sitekey)
    }
}
