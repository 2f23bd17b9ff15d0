//! What went wrong, as a sentence that says what to do.

use std::{fmt, io};

/// The result of every task.
pub type Result<T> = std::result::Result<T, Failure>;

/// One sentence for the person at the terminal.
#[derive(Debug)]
pub struct Failure(String);

impl Failure {
    /// Takes the sentence as it is shown.
    pub fn new(sentence: impl Into<String>) -> Self {
        Self(sentence.into())
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

/// Says what was being done when the operating system refused.
pub trait During<T> {
    /// `action` completes “could not …”.
    fn during(self, action: impl fmt::Display) -> Result<T>;
}

impl<T> During<T> for io::Result<T> {
    fn during(self, action: impl fmt::Display) -> Result<T> {
        self.map_err(|error| Failure(format!("could not {action}: {error}")))
    }
}
