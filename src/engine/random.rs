//! The operating system's randomness: new ids and secrets.

use sha2::{Digest, Sha256};

use crate::domain::ids::{Id, base32};
use crate::domain::time::Time;

/// `N` random bytes.
#[expect(
    clippy::disallowed_methods,
    clippy::expect_used,
    reason = "the one source of randomness; without it nothing may go on"
)]
pub fn bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).expect("the operating system gives randomness");
    bytes
}

/// A new id that sorts by `now`.
pub fn id<I: Id>(now: Time) -> I {
    I::new(now.millis(), bytes())
}

/// A secret of 256 bits behind `prefix`, such as `af_agent_`; the prefix lets scanners find a leak.
pub fn secret(prefix: &str) -> String {
    format!("{prefix}{}", base32(&bytes::<32>()))
}

/// How a secret of 256 bits is stored: a fast hash is right, because it cannot be guessed.
pub fn fingerprint(secret: &str) -> String {
    hex::encode(Sha256::digest(secret.as_bytes()))
}
