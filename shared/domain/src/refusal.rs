//! What stands in the way of an SMS or of a check, and for how long.

use std::time::Duration;

use crate::quota::{Quota, Scope};

/// Why an SMS was not sent, or a code not looked at: all that stood in the way, each once and with
/// the time until it no longer does, the longest first.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Refusal(Vec<(Exceeded, Duration)>);

/// What stands in the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exceeded {
    /// The last SMS to this number is too recent.
    Cooldown,
    /// Too many wrong codes were typed for this number.
    Attempts,
    /// A limit has no room.
    Limit(Scope),
}

impl From<&Quota> for Exceeded {
    fn from(quota: &Quota) -> Self {
        Self::Limit(quota.scope)
    }
}

impl Exceeded {
    /// Its name in the `violated_policies` of an answer.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Cooldown => "cooldown",
            Self::Attempts => "attempts",
            Self::Limit(scope) => scope.as_str(),
        }
    }

    /// Reads what a store says of a number.
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Cooldown, Self::Attempts, Self::Limit(Scope::Number)]
            .into_iter()
            .find(|one| one.as_str() == word)
    }
}

impl Refusal {
    /// What stood in the way.
    #[must_use]
    pub fn exceeded(&self) -> Vec<Exceeded> {
        self.waits().map(|(exceeded, _)| exceeded).collect()
    }

    /// What stood in the way, and for how long each.
    pub fn waits(&self) -> impl Iterator<Item = (Exceeded, Duration)> {
        self.0.iter().copied()
    }

    /// The time until nothing of it does any more.
    #[must_use]
    pub fn retry_after(&self) -> Duration {
        self.0.first().map_or(Duration::ZERO, |(_, wait)| *wait)
    }

    /// Nothing stands in the way.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// One of the policies is this one.
    #[must_use]
    pub fn has(&self, exceeded: Exceeded) -> bool {
        self.0.iter().any(|(one, _)| *one == exceeded)
    }

    /// Something that stands in the way for so long.
    pub fn add(&mut self, exceeded: Exceeded, wait: Duration) {
        let known = self.0.iter().position(|(one, _)| *one == exceeded);
        let known = known.map_or(Duration::ZERO, |index| self.0.remove(index).1);
        let wait = wait.max(known);
        let index = self.0.partition_point(|(_, other)| *other >= wait);
        self.0.insert(index, (exceeded, wait));
    }

    /// Adds what stands in the way elsewhere.
    pub fn add_all(&mut self, other: &Self) {
        other.waits().for_each(|(exceeded, wait)| self.add(exceeded, wait));
    }

    /// The same without something that is not told.
    pub fn without(mut self, exceeded: Exceeded) -> Self {
        self.0.retain(|(one, _)| *one != exceeded);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_has_its_own_wait_and_the_longest_comes_first() {
        let seconds = Duration::from_secs;
        let (number, proof) = (Exceeded::Limit(Scope::Number), Exceeded::Limit(Scope::Proof));
        let mut refusal = Refusal::default();
        for (exceeded, wait) in [
            (Exceeded::Cooldown, 60),
            (number, 100),
            (proof, 900),
            (number, 3600),
            (number, 10),
            (Exceeded::Cooldown, 60),
        ] {
            refusal.add(exceeded, seconds(wait));
        }
        assert_eq!(
            (refusal.exceeded(), refusal.retry_after()),
            (vec![number, proof, Exceeded::Cooldown], seconds(3600))
        );
        let mut refusal = Refusal::default();
        refusal.add(Exceeded::Cooldown, seconds(60));
        refusal.add(proof, seconds(900));
        assert_eq!(
            refusal.without(proof).retry_after(),
            seconds(60),
            "what is not told is not waited for"
        );
        assert!(Refusal::default().without(proof).is_empty());
    }
}
