//! `OPS_TOKEN`.

use std::fmt;

use subtle::ConstantTimeEq;

/// `OPS_TOKEN`: the bearer token of operators. `Debug` hides it.
#[derive(Clone)]
pub struct OpsToken(pub(crate) String);

impl OpsToken {
    /// Compares with the token in constant time.
    #[must_use]
    pub fn is(&self, given: &str) -> bool {
        self.0.as_bytes().ct_eq(given.as_bytes()).into()
    }
}

impl fmt::Debug for OpsToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OpsToken(…)")
    }
}
