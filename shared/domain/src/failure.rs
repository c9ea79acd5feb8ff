//! Whose trouble a failure is, and so what is done about it: docs/reference/gateway-codes.md.

/// What a failure means for the job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailureClass {
    /// The gateway could not take it now: try again.
    Transient,
    /// It refuses this number or this rate for now: do not try again there at once.
    Throttled,
    /// It does not serve this number or its country: try another gateway, and not this one again.
    NotHere,
    /// The number or the text is refused for good, wherever it is tried: never try again.
    Permanent,
    /// Something is wrong with the account or its settings: an operator must act.
    Configuration,
    /// It may have been accepted: the answer was lost or cannot be read.
    Ambiguous,
    /// It was not accepted, and what the gateway's code for it means is not known here: try again.
    Unlisted,
}

impl FailureClass {
    /// All of them.
    const ALL: [Self; 7] = [
        Self::Transient,
        Self::Throttled,
        Self::NotHere,
        Self::Permanent,
        Self::Configuration,
        Self::Ambiguous,
        Self::Unlisted,
    ];

    /// Reads what [`FailureClass::as_str`] gave.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|class| class.as_str() == word)
    }

    /// As metrics and dead letters have it.
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
