//! What a form has to say on the page after it: an error at its field, or a secret that is shown once.
//!
//! It travels in a cookie that lives until the next page, so a secret is never stored on the server, any node can
//! answer, and nobody can make a link that puts words on our page.

use std::collections::BTreeMap;

use agentframer::domain::field::FieldError;
use agentframer::engine::error::Error;
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use http::request::Parts;
use serde::{Deserialize, Serialize};

use crate::ask;

const NAME: &str = "af_flash";
/// Browsers drop a cookie above 4096 bytes.
const LONGEST: usize = 3_800;

/// What is said once.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Flash {
    /// What went wrong; without the field's name where there is one.
    #[serde(default)]
    pub problem: Option<String>,
    /// Where it went wrong.
    #[serde(default)]
    pub field: Option<String>,
    /// What went right.
    #[serde(default)]
    pub done: Option<String>,
    /// Shown once.
    #[serde(default)]
    pub secret: Option<String>,
    /// What was typed, except passwords.
    #[serde(default)]
    pub kept: BTreeMap<String, String>,
}

impl Flash {
    /// The error, with what was typed.
    pub fn problem(error: &Error, kept: &[(&str, &str)]) -> Self {
        let (field, problem) = match error {
            Error::Field(FieldError { field, message }) => (Some(field.clone()), message.clone()),
            error => (None, error.to_string()),
        };
        let kept = kept.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Self { problem: Some(problem), field, kept, ..Self::default() }
    }

    /// A sentence about what was done.
    pub fn done(text: impl Into<String>) -> Self {
        Self { done: Some(text.into()), ..Self::default() }
    }

    /// With an input to be shown again.
    #[must_use]
    pub fn keeping(mut self, name: &str, value: &str) -> Self {
        self.kept.insert(name.to_owned(), value.to_owned());
        self
    }

    /// A secret, and what it is.
    pub fn secret(text: impl Into<String>, secret: String) -> Self {
        Self { done: Some(text.into()), secret: Some(secret), ..Self::default() }
    }

    /// The error of the input `name`, whose label begins the sentence.
    pub fn error_at(&self, name: &str, label: &str) -> Option<String> {
        let problem = self.problem.as_deref().filter(|_| self.field.as_deref() == Some(name))?;
        Some(format!("{label} {problem}."))
    }

    /// The error for the head of the page; `None` where it stands at an input that was typed into.
    pub fn headline(&self) -> Option<String> {
        let problem = self.problem.as_deref()?;
        match &self.field {
            Some(field) if self.kept.contains_key(field) || field == "password" => None,
            Some(field) => Some(format!("{field} {problem}.")),
            None => Some(problem.to_owned()),
        }
    }

    /// What was typed into `field`.
    pub fn value(&self, field: &str) -> String {
        self.kept.get(field).cloned().unwrap_or_default()
    }

    /// The cookie. What was typed is dropped where it would not fit.
    pub fn cookie(mut self) -> String {
        let mut text = self.encode();
        if text.len() > LONGEST {
            self.kept.clear();
            text = self.encode();
        }
        format!("{NAME}={text}; Path=/; HttpOnly; SameSite=Strict")
    }

    /// Whether what was typed fits.
    pub fn fits(&self) -> bool {
        self.encode().len() <= LONGEST
    }

    fn encode(&self) -> String {
        BASE64_URL_SAFE_NO_PAD.encode(serde_json::to_vec(self).unwrap_or_default())
    }

    /// What the browser brought.
    pub fn read(parts: &Parts) -> Option<Self> {
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(ask::cookie(parts, NAME)?).ok()?;
        serde_json::from_slice(&bytes).ok()
    }

    /// Ends the cookie.
    pub fn cleared() -> String {
        format!("{NAME}=; Path=/; HttpOnly; SameSite=Strict; Max-Age=0")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_survives_the_cookie_and_stays_small() {
        let error = Error::Field(FieldError::new("email", "is missing"));
        let flash = Flash::problem(&error, &[("email", "a"), ("policy", &"x".repeat(5_000))]);
        let cookie = flash.cookie();
        assert!(cookie.len() < 4_096);
        let (parts, ()) = http::Request::builder().header("cookie", &cookie).body(()).unwrap().into_parts();
        let read = Flash::read(&parts).unwrap();
        assert_eq!((read.field.as_deref(), read.value("policy").as_str()), (Some("email"), ""));
    }
}
