//! Classes of gateway failures, which decide on retries: docs/reference/gateway-codes.md.

/// Class of a gateway's failure, and what it means for the job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailureClass {
    /// The gateway could not take the message now: try again.
    Transient,
    /// The gateway refuses this number or this rate for now: do not try again there at once.
    Throttled,
    /// The gateway does not serve this number or its country: try another one, and not this one
    /// again.
    NotHere,
    /// The number or the text is refused for good, at any gateway: never try again.
    Permanent,
    /// The account or its settings are wrong: an operator must act.
    Configuration,
    /// The message may have been accepted: the response was lost or cannot be read.
    Ambiguous,
    /// The message was not accepted, and the gateway's error code is unknown here: try again.
    Unlisted,
}

impl FailureClass {
    /// Every class.
    const ALL: [Self; 7] = [
        Self::Transient,
        Self::Throttled,
        Self::NotHere,
        Self::Permanent,
        Self::Configuration,
        Self::Ambiguous,
        Self::Unlisted,
    ];

    /// Parses the output of [`FailureClass::as_str`].
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|class| class.as_str() == word)
    }

    /// Name of the class in metrics and dead letters.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Transient => "transient",
            Self::Throttled => "throttled",
            Self::NotHere => "not_here",
            Self::Permanent => "permanent",
            Self::Configuration => "configuration",
            Self::Ambiguous => "ambiguous",
            Self::Unlisted => "unlisted",
        }
    }
}
