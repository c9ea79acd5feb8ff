//! The UUID of a picture challenge.

use std::time::Duration;

use serde::{Serialize, Serializer};

/// Lifetime of a picture.
pub const LIFETIME: Duration = Duration::from_secs(300);

/// The UUID of a picture, in the form of RFC 9562.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct PictureId(String);

impl PictureId {
    /// Reads a UUID; `None` if it is not one.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let groups: Vec<&str> = text.split('-').collect();
        let lengths = groups.iter().map(|group| group.len());
        let fits = lengths.eq([8, 4, 4, 4, 12])
            && groups.concat().bytes().all(|byte| byte.is_ascii_hexdigit());
        fits.then(|| Self(text.to_ascii_lowercase()))
    }

    /// A random UUID, version 4.
    #[must_use]
    pub fn random(mut bytes: [u8; 16]) -> Self {
        bytes[6] = bytes[6] & 0x0f | 0x40;
        bytes[8] = bytes[8] & 0x3f | 0x80;
        let hex = hex::encode(bytes);
        Self(format!(
            "{}-{}-{}-{}-{}",
            &hex[..8],
            &hex[8..12],
            &hex[12..16],
            &hex[16..20],
            &hex[20..]
        ))
    }

    /// The UUID, in lower case.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Serialize for PictureId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_has_a_uuid() {
        let id = PictureId::random([0xff; 16]);
        assert_eq!(id.as_str(), "ffffffff-ffff-4fff-bfff-ffffffffffff");
        assert_eq!(PictureId::parse(&id.as_str().to_uppercase()), Some(id));
        for text in [
            "",
            "ffffffff-ffff-4fff-bfff-fffffffffff",
            "fffffffff-fff-4fff-bfff-ffffffffffff",
            "../../etc/passwd",
            "zfffffff-ffff-4fff-bfff-ffffffffffff",
        ] {
            assert_eq!(PictureId::parse(text), None, "{text}");
        }
    }
}
