//! Passwords: argon2id with the OWASP parameters, on blocking threads, few at a time (ASVS 6.2, security reference).

use std::sync::Arc;

use argon2::password_hash::phc::PasswordHash;
use argon2::{Argon2, PasswordHasher, PasswordVerifier};
use tokio::sync::Semaphore;

use crate::domain::field::FieldError;
use crate::engine::error::{Result, internal};

/// Shortest password (ASVS 6.2.1).
const SHORTEST: usize = 8;
/// Longest password in bytes: an error, never a cut (ASVS 6.2.9).
const LONGEST: usize = 1_024;
/// The most common passwords of eight letters and more (ASVS 6.2.4).
const COMMON: &str = include_str!("common_passwords.txt");

/// Hashes and verifies. Each hash holds 19 MiB, so unbounded hashing would be a way to bring the server down.
#[derive(Debug, Clone)]
pub struct Passwords {
    places: Arc<Semaphore>,
    /// What an unknown person's password is compared with, so that the time tells nothing (ASVS 6.3.8).
    dummy: Arc<str>,
}

impl Passwords {
    /// At most `at_a_time` hashes run beside each other.
    ///
    /// # Errors
    /// When hashing does not work at all.
    pub async fn new(at_a_time: usize) -> Result<Self> {
        let made = Self { places: Arc::new(Semaphore::new(at_a_time.max(1))), dummy: "".into() };
        let dummy = made.hash(&hex::encode(crate::engine::random::bytes::<16>())).await?;
        Ok(Self { dummy: dummy.into(), ..made })
    }

    /// The hash to store: algorithm, parameters, salt and hash in one text.
    ///
    /// # Errors
    /// Internal ones only.
    pub async fn hash(&self, password: &str) -> Result<String> {
        let password = password.to_owned();
        self.blocking(move || {
            let hash = Argon2::default().hash_password(password.as_bytes());
            hash.map(|hash| hash.to_string()).map_err(|error| internal("hash", error))
        })
        .await?
    }

    /// Whether `password` is the one of `stored`; an unknown person costs the same time.
    ///
    /// # Errors
    /// Internal ones only.
    pub async fn verify(&self, password: &str, stored: Option<&str>) -> Result<bool> {
        let known = stored.is_some();
        let (password, stored) = (password.to_owned(), stored.unwrap_or(&self.dummy).to_owned());
        let right = self.blocking(move || {
            let Ok(hash) = PasswordHash::new(&stored) else { return false };
            Argon2::default().verify_password(password.as_bytes(), &hash).is_ok()
        });
        Ok(right.await? && known)
    }

    async fn blocking<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
        let _place = self.places.acquire().await.map_err(|error| internal("hash", error))?;
        tokio::task::spawn_blocking(work).await.map_err(|error| internal("hash", error))
    }
}

/// Checks a new password: length only, and that it is not one that everybody tries first.
///
/// # Errors
/// Names the field `password`.
pub fn check(password: &str) -> std::result::Result<(), FieldError> {
    let refuse = |message: String| Err(FieldError::new("password", message));
    if password.chars().count() < SHORTEST {
        return refuse(format!("needs at least {SHORTEST} characters; 15 or more are better"));
    }
    if password.len() > LONGEST {
        return refuse(format!("is longer than {LONGEST} bytes"));
    }
    if COMMON.lines().any(|common| common == password.to_lowercase()) {
        return refuse("is one of the passwords that everybody tries first; choose another".into());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_right_password_verifies_and_an_unknown_person_does_not() {
        let passwords = Passwords::new(2).await.unwrap();
        let stored = passwords.hash("correct horse battery").await.unwrap();
        assert!(stored.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{stored}");
        assert!(passwords.verify("correct horse battery", Some(&stored)).await.unwrap());
        assert!(!passwords.verify("correct horse batterY", Some(&stored)).await.unwrap());
        assert!(!passwords.verify("correct horse battery", None).await.unwrap());
    }

    #[test]
    fn a_weak_password_is_refused_with_its_field() {
        for weak in ["short", "password123", "12345678", &"x".repeat(1_025)] {
            assert_eq!(check(weak).unwrap_err().field, "password");
        }
        assert!(check("пароль из четырёх слов").is_ok());
    }
}
