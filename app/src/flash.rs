//! What a form has to say on the page after it: an error at its field, or a secret that is shown once.
//!
//! It travels in a cookie that lives until the next page, so a secret is never stored on the server, any node can
//! answer, and nobody can make a link that puts words on our page.

use std::collections::BTreeMap;
use std::io::{Read, Write};

use agentframer::domain::field::FieldError;
use agentframer::domain::ids::RequestId;
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
    /// The inputs whose text is secret, and so not kept either.
    #[serde(default)]
    pub hidden: Vec<String>,
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

    /// With the request's id, where the error asks to tell it.
    #[must_use]
    pub fn of_request(self, error: &Error, id: &RequestId) -> Self {
        match error {
            Error::Internal => Self { problem: Some(format!("{error} It is {id}.")), ..self },
            _ => self,
        }
    }

    /// What was typed, as one input that is sent along.
    pub fn pack(mut self) -> String {
        self.shorten_to(LONGEST_PACKED);
        serde_json::to_string(&self).unwrap_or_default()
    }

    /// What was typed, and nothing to say.
    pub fn typed(kept: &[(&str, &str)]) -> Self {
        let kept = kept.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Self { kept: kept.collect(), ..Self::default() }
    }

    /// After signing in: what was typed before, where there is any.
    pub fn unpack(packed: &str) -> Option<Self> {
        let Self { kept, lost, hidden, .. } = serde_json::from_str(packed).ok()?;
        let problem = "Your session had ended, so nothing was done. What you typed is here again: look at it and send it once more.";
        let is_something = !kept.is_empty() || !lost.is_empty() || !hidden.is_empty();
        is_something.then(|| Self { problem: Some(problem.into()), kept, lost, hidden, ..Self::default() })
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

    /// With the names of what was typed too and is secret: the page asks for it again.
    #[must_use]
    pub fn hiding(mut self, secrets: &[(&str, &str)]) -> Self {
        let typed = secrets.iter().filter(|(_, text)| !text.is_empty());
        self.hidden.extend(typed.map(|(name, _)| (*name).to_owned()));
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

    /// What has to be typed again and why, as sentences.
    pub fn lost_words(&self) -> Option<String> {
        let (long, secret) = ("too long to come back", "not kept, being secret");
        let said: Vec<String> =
            [again(&self.lost, long), again(&self.hidden, secret)].into_iter().flatten().collect();
        (!said.is_empty()).then(|| said.join(" "))
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

fn again(inputs: &[String], why: &str) -> Option<String> {
    let names: Vec<String> = inputs.iter().map(|name| words::field(name)).collect();
    match names.as_slice() {
        [] => None,
        [one] => Some(format!("{one} was {why}: type it again.")),
        more => Some(format!("{} were {why}: type them again.", more.join(", "))),
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
        let packed = Flash::typed(&[("subject", "customer-42"), ("prompt_text", &noise)]).pack();
        let back = Flash::unpack(&packed).unwrap();
        assert_eq!((back.value("subject").as_str(), back.value("prompt_text").as_str()), ("customer-42", ""));
        assert_eq!(back.lost_words().unwrap(), "Prompt text was too long to come back: type it again.");
        assert!(Flash::unpack(&Flash::typed(&[]).pack()).is_none(), "nothing was typed");
    }

    #[test]
    fn a_secret_is_asked_for_again_and_never_travels() {
        let typed = Flash::typed(&[("url", "ftp://x")]).hiding(&[("token", "s3cret"), ("slack_url", "")]);
        let packed = typed.pack();
        assert!(!packed.contains("s3cret"), "{packed}");
        let again = "Token was not kept, being secret: type it again.";
        assert_eq!(Flash::unpack(&packed).unwrap().lost_words().unwrap(), again);
        let two = Flash { lost: vec!["people".into()], hidden: vec!["slack_url".into()], ..Flash::default() };
        let both =
            "List was too long to come back: type it again. Slack was not kept, being secret: type it again.";
        assert_eq!(two.lost_words().unwrap(), both);
    }

    #[test]
    fn the_request_is_named_where_the_error_asks_for_it() {
        let id: RequestId = "req_06h07rm19df1vqn4m3p3mq6kzc".parse().unwrap();
        let said = |error: &Error| Flash::problem(error, &[]).of_request(error, &id).headline().unwrap();
        assert!(said(&Error::Internal).ends_with("the request id. It is req_06h07rm19df1vqn4m3p3mq6kzc."));
        assert!(!said(&Error::NotFound).contains("req_"));
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
