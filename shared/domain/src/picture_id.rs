//! The UUID of a picture challenge.

use std::fmt;
use std::time::Duration;

use serde::{Serialize, Serializer};
use uuid::fmt::Hyphenated;
use uuid::{Builder, Uuid};

/// Lifetime of a picture.
pub const LIFETIME: Duration = Duration::from_secs(300);

/// The UUID of a picture, in the form of RFC 9562.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct PictureId(Uuid);

impl PictureId {
    /// Reads a UUID of five groups with hyphens between them; `None` for every other text.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        text.parse().ok().map(|uuid: Hyphenated| Self(uuid.into_uuid()))
    }

    /// A random UUID, version 4.
    #[must_use]
    pub fn random(bytes: [u8; 16]) -> Self {
        Self(Builder::from_random_bytes(bytes).into_uuid())
    }
}

/// In lower case.
impl fmt::Display for PictureId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.hyphenated().fmt(f)
    }
}

impl Serialize for PictureId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_has_a_uuid() {
        let id = PictureId::random([0xff; 16]);
        assert_eq!(id.to_string(), "ffffffff-ffff-4fff-bfff-ffffffffffff");
        assert_eq!(PictureId::parse(&id.to_string().to_uppercase()), Some(id));
        for text in [
            "",
            "ffffffff-ffff-4fff-bfff-fffffffffff",
            "fffffffff-fff-4fff-bfff-ffffffffffff",
            "ffffffffffff4fffbfffffffffffffff",
            "{ffffffff-ffff-4fff-bfff-ffffffffffff}",
            "urn:uuid:ffffffff-ffff-4fff-bfff-ffffffffffff",
            " fffffff-ffff-4fff-bfff-ffffffffffff",
            "../../etc/passwd",
            "zfffffff-ffff-4fff-bfff-ffffffffffff",
        ] {
            assert_eq!(PictureId::parse(text), None, "{text}");
        }
    }
}
