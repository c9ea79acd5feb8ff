//! Captchas of a third party: the page's token is verified by the vendor's siteverify API.
//! Turnstile, hCaptcha and reCAPTCHA answer in the same form.
//!
//! The caller's address is not passed on. The vendors make sure that a token is used once.

use std::fmt;
use std::time::Duration;

use reqwest::header::CONTENT_TYPE;
use serde::Deserialize;
use sms_outbound::dsn::{Dsn, DsnError};
use sms_outbound::http_client::{HttpClient, call};
use url::{Url, form_urlencoded};

use super::{ChallengeError, VendorError};

/// Timeout of a call to a vendor: a person waits for it, and a function's timeout is 5 s.
const TIMEOUT: Duration = Duration::from_secs(3);

/// Default minimum score of a reCAPTCHA v3 token, as Google recommends.
const MIN_SCORE: f64 = 0.5;

/// Maximum length of a token: Turnstile's have up to 2048 characters, those of the others about
/// 4000.
const MAX_TOKEN: usize = 8192;

/// Error codes of siteverify that a caller cannot cause: the secret or the vendor is at fault.
const OUR_FAULT: [&str; 3] = ["missing-input-secret", "invalid-input-secret", "internal-error"];

/// A site's account at a captcha vendor.
pub(super) struct Captcha {
    pub(super) vendor: &'static str,
    pub(super) sitekey: String,
    secret: String,
    url: Url,
    hostname: Option<String>,
    min_score: f64,
    http: HttpClient,
}

/// A response of siteverify.
#[derive(Deserialize)]
struct SiteverifyResponse {
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
            min_score: dsn.option("score")?.unwrap_or(MIN_SCORE),
            http: HttpClient::default(),
        }))
    }

    pub(super) async fn warm_up(&self) {
        self.http.warm_up().await;
    }

    /// Returns true if the vendor accepts a token as a person's.
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
        let response = call(request).await.map_err(failed)?;
        let response: SiteverifyResponse = serde_json::from_slice(&response.body)
            .map_err(|_| VendorError::Response { vendor, reason: "its response cannot be read" })?;
        let mut codes = response.error_codes.iter();
        if let Some(code) = codes.find_map(|code| OUR_FAULT.iter().find(|fault| *fault == code)) {
            return Err(VendorError::Response { vendor, reason: code }.into());
        }
        let hostname = self.hostname.is_none() || self.hostname == response.hostname;
        // Other vendors' scores mean something else: hCaptcha's is a risk.
        let score = self.vendor != "recaptcha"
            || response.score.is_none_or(|score| score >= self.min_score);
        Ok(response.success && hostname && score)
    }
}

impl fmt::Debug for Captcha {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}({})", self.vendor, self.sitekey)
    }
}
