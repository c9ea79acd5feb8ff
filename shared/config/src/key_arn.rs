//! `COGNITO_KEY_ARN`: a name that KMS would refuse is an error at start, not one for each code.

use std::fmt;

use crate::settings;
use crate::vars::Vars;

/// The ARN of a key of KMS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyArn(String);

impl KeyArn {
    /// Reads `arn:PARTITION:kms:REGION:ACCOUNT:key/ID`. (A message names the key by its ARN: an
    /// alias would never match.)
    fn parse(text: &str) -> Option<Self> {
        let parts: Vec<&str> = text.split(':').collect();
        let ["arn", partition, "kms", region, account, key] = parts[..] else { return None };
        let is_name = |text: &str| {
            !text.is_empty()
                && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        };
        let is_account = account.len() == 12 && account.bytes().all(|byte| byte.is_ascii_digit());
        let is_key = key.strip_prefix("key/").is_some_and(is_name);
        (is_name(partition) && is_name(region) && is_account && is_key)
            .then(|| Self(text.to_owned()))
    }

    /// The ARN.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The region that the key is in.
    #[must_use]
    pub fn region(&self) -> &str {
        self.0.split(':').nth(3).unwrap_or_default()
    }
}

impl fmt::Display for KeyArn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Vars<'_> {
    /// `COGNITO_KEY_ARN`.
    pub(super) fn key_arn(&mut self) -> Option<KeyArn> {
        let setting = &settings::COGNITO_KEY_ARN;
        let key = KeyArn::parse(&self.get(setting)?);
        if key.is_none() {
            let what = format!("needs the ARN of a key, and no alias, such as {}", setting.example);
            self.problem(setting, &what);
        }
        key
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_arn_of_a_key_is_taken_and_no_other() {
        for text in [
            "arn:aws:kms:us-east-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab",
            "arn:aws-cn:kms:cn-north-1:123456789012:key/mrk-1234abcd12ab34cd56ef1234567890ab",
        ] {
            let key = KeyArn::parse(text).expect(text);
            assert_eq!(key.as_str(), text);
            assert!(["us-east-1", "cn-north-1"].contains(&key.region()), "{key}");
        }
        for text in [
            "",
            "1234abcd-12ab-34cd-56ef-1234567890ab",
            "alias/cognito",
            "arn:aws:kms:us-east-1:123456789012:alias/cognito",
            "arn:aws:kms:us-east-1:12345678901:key/1234abcd",
            "arn:aws:kms::123456789012:key/1234abcd",
            "arn:aws:kms:us-east-1:123456789012:key/",
            "arn:aws:kms:us-east-1:123456789012:key/1234abcd:x",
            "arn:aws:s3:us-east-1:123456789012:key/1234abcd",
        ] {
            assert_eq!(KeyArn::parse(text), None, "{text}");
        }
    }
}
