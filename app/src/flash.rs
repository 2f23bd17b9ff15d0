//! What a form has to say on the page after it: an error at its field, or a secret that is shown once.
//!
//! It travels in a cookie that lives until the next page, so a secret is never stored on the server, any node can
//! answer, and nobody can make a link that puts words on our page.

use std::collections::BTreeMap;
use std::io::{Read, Write};

use agentframer::domain::field::FieldError;
use agentframer::engine::error::Error;
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use flate2::Compression;
use flate2::read::DeflateDecoder;
use flate2::write::DeflateEncoder;
use http::request::Parts;
use serde::{Deserialize, Serialize};

use crate::{ask, words};

const NAME: &str = "af_flash";
/// Browsers drop a cookie above 4096 bytes.
const LONGEST: usize = 3_800;
/// What was typed before a session ended travels once more, with what signing in has to say.
const LONGEST_PACKED: usize = 3_000;
/// What a deflated cookie begins with; base64 never does.
const DEFLATED: &str = "~";
/// The most that a deflated cookie may hold.
const LARGEST: u64 = 256 * 1024;

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
    /// The inputs whose text was too long to be kept.
    #[serde(default)]
    pub lost: Vec<String>,
}

impl Flash {
    /// The error, with what was typed.
    pub fn problem(error: &Error, kept: &[(&str, &str)]) -> Self {
        let (field, problem) = match error {
            Error::Field(FieldError { field, message }) => (Some(field.clone()), message.clone()),
            error => (None, error.to_string()),
        };
        Self { problem: Some(problem), field, ..Self::typed(kept) }
    }

    /// What was typed, as one input that is sent along.
    pub fn pack(kept: &[(&str, &str)]) -> String {
        let mut packed = Self::typed(kept);
        packed.shorten_to(LONGEST_PACKED);
        serde_json::to_string(&packed).unwrap_or_default()
    }

    fn typed(kept: &[(&str, &str)]) -> Self {
        let kept = kept.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Self { kept: kept.collect(), ..Self::default() }
    }

    /// After signing in: what was typed before, where there is any.
    pub fn unpack(packed: &str) -> Option<Self> {
        let Self { kept, lost, .. } = serde_json::from_str(packed).ok()?;
        let problem = "Your session had ended, so nothing was done. What you typed is here again: look at it and send it once more.";
        let is_something = !kept.is_empty() || !lost.is_empty();
        is_something.then(|| Self { problem: Some(problem.into()), kept, lost, ..Self::default() })
    }

    /// For a form that its function cannot read.
    pub fn unreadable() -> Self {
        let problem = "The server could not read this form; the page may be older than the server’s last update. Nothing was done and no money moved: fill it in once more.";
        Self { problem: Some(problem.into()), ..Self::default() }
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

    /// The error for the head of the page.
    pub fn headline(&self) -> Option<String> {
        let problem = self.problem.as_deref()?;
        Some(match &self.field {
            Some(field) => format!("{} {problem}.", words::field(input(field))),
            None => problem.to_owned(),
        })
    }

    /// Where the head's error leads: the input that is wrong.
    pub fn wrong_input(&self) -> Option<String> {
        self.problem.as_ref()?;
        self.field.as_deref().map(|field| format!("#{}", input(field)))
    }

    /// Whether the form with these inputs comes back, and is to be open.
    pub fn is_about(&self, inputs: &[&str]) -> bool {
        let has = |name: &&str| self.field.as_deref() == Some(name) || self.kept.contains_key(*name);
        self.problem.is_some() && inputs.iter().any(has)
    }

    /// What was typed into `field`.
    pub fn value(&self, field: &str) -> String {
        self.kept.get(field).cloned().unwrap_or_default()
    }

    /// The cookie.
    pub fn cookie(mut self) -> String {
        self.shorten_to(LONGEST);
        format!("{NAME}={}; Path=/; HttpOnly; SameSite=Strict", self.encode())
    }

    /// Leaves out the longest of what was typed until the rest fits.
    fn shorten_to(&mut self, limit: usize) {
        while self.encode().len() > limit {
            let longest = self.kept.iter().max_by_key(|(_, value)| value.len());
            let Some(name) = longest.map(|(name, _)| name.clone()) else { return };
            self.kept.remove(&name);
            self.lost.push(name);
        }
    }

    /// What has to be typed again, as a sentence.
    pub fn lost_words(&self) -> Option<String> {
        let names: Vec<String> = self.lost.iter().map(|name| words::field(name)).collect();
        let too_long = "too long to come back: type";
        match names.as_slice() {
            [] => None,
            [one] => Some(format!("{one} was {too_long} it again.")),
            more => Some(format!("{} were {too_long} them again.", more.join(", "))),
        }
    }

    /// Whether what was typed fits.
    pub fn fits(&self) -> bool {
        self.encode().len() <= LONGEST
    }

    /// Lists and policies, which are long, deflate well.
    fn encode(&self) -> String {
        let json = serde_json::to_vec(self).unwrap_or_default();
        let text = BASE64_URL_SAFE_NO_PAD.encode(&json);
        if text.len() <= LONGEST {
            return text;
        }
        let mut deflated = DeflateEncoder::new(Vec::new(), Compression::best());
        // Writing to memory does not fail.
        let _ = deflated.write_all(&json);
        format!("{DEFLATED}{}", BASE64_URL_SAFE_NO_PAD.encode(deflated.finish().unwrap_or_default()))
    }

    /// What the browser brought.
    pub fn read(parts: &Parts) -> Option<Self> {
        let text = ask::cookie(parts, NAME)?;
        let Some(deflated) = text.strip_prefix(DEFLATED) else {
            return serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(text).ok()?).ok();
        };
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(deflated).ok()?;
        serde_json::from_reader(DeflateDecoder::new(&*bytes).take(LARGEST)).ok()
    }

    /// Ends the cookie.
    pub fn cleared() -> String {
        format!("{NAME}=; Path=/; HttpOnly; SameSite=Strict; Max-Age=0")
    }
}

/// The input behind a field's name, which may lie deeper: `caps.day_usd`, `ip_allowlist[1]`.
fn input(field: &str) -> &str {
    let field = field.split('[').next().unwrap_or(field);
    field.rsplit('.').next().unwrap_or(field)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_survives_the_cookie_and_stays_small() {
        let error = Error::Field(FieldError::new("email", "is missing"));
        let people = |count: u32| {
            let number = |n: u32| n.wrapping_mul(2_654_435_761);
            (0..count).map(|n| format!("person{:x}@example.com,developer\n", number(n))).collect::<String>()
        };
        for (list, kept) in
            [(people(2), people(2)), (people(100), people(100)), (people(2_000), String::new())]
        {
            let cookie = Flash::problem(&error, &[("email", "a"), ("people", &list)]).cookie();
            assert!(cookie.len() < 4_096);
            let (parts, ()) =
                http::Request::builder().header("cookie", &cookie).body(()).unwrap().into_parts();
            let read = Flash::read(&parts).unwrap();
            assert_eq!((read.field.as_deref(), &read.value("people")), (Some("email"), &kept));
            let lost = kept.is_empty().then(|| "List was too long to come back: type it again.".to_owned());
            assert_eq!((read.value("email"), read.lost_words()), ("a".to_owned(), lost));
        }
    }

    #[test]
    fn what_was_typed_before_a_session_ended_comes_back_but_for_what_is_too_long() {
        let noise: String = (0..9_000u32).map(|n| format!("{:x}", n.wrapping_mul(2_654_435_761))).collect();
        let packed = Flash::pack(&[("subject", "customer-42"), ("prompt_text", &noise)]);
        let back = Flash::unpack(&packed).unwrap();
        assert_eq!((back.value("subject").as_str(), back.value("prompt_text").as_str()), ("customer-42", ""));
        assert_eq!(back.lost_words().unwrap(), "Prompt text was too long to come back: type it again.");
        assert!(Flash::unpack(&Flash::pack(&[])).is_none(), "nothing was typed");
    }

    #[test]
    fn the_summary_names_the_input_and_leads_to_it() {
        let said = |field: &str| {
            let flash = Flash::problem(&Error::Field(FieldError::new(field, "is wrong")), &[]);
            (flash.headline().unwrap(), flash.wrong_input().unwrap())
        };
        assert_eq!(said("amount_usd"), ("Amount is wrong.".into(), "#amount_usd".into()));
        assert_eq!(said("caps.day_usd"), ("Cap a day is wrong.".into(), "#day_usd".into()));
        assert_eq!(said("ip_allowlist[1]"), ("Network is wrong.".into(), "#ip_allowlist".into()));
    }
}
