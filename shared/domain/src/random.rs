//! Random numbers from the operating system, which callers draw and pass to the domain.

/// `N` random bytes.
#[must_use]
#[expect(clippy::expect_used, reason = "a process without random numbers can only stop")]
pub fn random_bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).expect("the operating system gives random numbers");
    bytes
}

/// A random number, as an identifier of a call.
#[must_use]
pub fn random_u64() -> u64 {
    u64::from_ne_bytes(random_bytes())
}
