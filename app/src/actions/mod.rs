//! What the pages' forms send. Each function is a public endpoint: it names its permission first, then calls the one
//! engine function that REST and MCP call too. A fault goes back to the form; a lacking right answers as the pages do.

mod account;
mod agents;
mod audit;
mod data;
mod library;
mod members;
mod money;
mod retention;
mod security;
mod settings;
mod usage;
mod webhooks;

use agentframer::domain::field::FieldError;
use agentframer::domain::money::Usd;
use agentframer::engine::error::{Error, Result};
use http::{StatusCode, header};
use leptos::prelude::ServerFnError;

pub use self::account::*;
pub use self::agents::*;
pub use self::audit::*;
pub use self::data::*;
pub use self::library::*;
pub use self::members::*;
pub use self::money::*;
pub use self::retention::*;
pub use self::security::*;
pub use self::settings::*;
pub use self::usage::*;
pub use self::webhooks::*;
use crate::ask::{self, Ask};
use crate::flash::Flash;

type Answer = std::result::Result<(), ServerFnError>;

/// Where a form leads when all is well, and what the next page says.
struct Next {
    to: String,
    flash: Option<Flash>,
}

impl Next {
    fn page(to: impl Into<String>) -> Self {
        Self { to: to.into(), flash: None }
    }

    fn saying(to: impl Into<String>, flash: Flash) -> Self {
        Self { to: to.into(), flash: Some(flash) }
    }
}

fn here() -> std::result::Result<Ask, ServerFnError> {
    Ask::here().ok_or_else(|| ServerFnError::new("This form works only on the server's own pages."))
}

/// Sends the browser on; back to the form with what was typed where something was wrong.
fn answer(ask: &Ask, done: Result<Next>, kept: &[(&str, &str)]) -> Answer {
    answer_hiding(ask, done, kept, &[])
}

/// As [`answer`]; the page says of each secret that was typed that it has to be typed again.
fn answer_hiding(ask: &Ask, done: Result<Next>, kept: &[(&str, &str)], secrets: &[(&str, &str)]) -> Answer {
    match done {
        Ok(next) => {
            if let Some(flash) = next.flash {
                ask.header(header::SET_COOKIE, flash.cookie());
            }
            ask.redirect(&next.to);
        }
        Err(Error::Unauthenticated) => sign_in_first(ask, Flash::typed(kept).hiding(secrets)),
        Err(Error::NotFound | Error::Forbidden(_)) => ask.response.set_status(StatusCode::NOT_FOUND),
        Err(error) => {
            let flash = Flash::problem(&error, kept).hiding(secrets);
            ask.header(header::SET_COOKIE, flash.of_request(&error, &ask.info.request_id).cookie());
            ask.redirect(&form_before(ask));
        }
    }
    Ok(())
}

/// To the sign-in page, with what was typed: it is there again after signing in.
fn sign_in_first(ask: &Ask, typed: Flash) {
    let problem = "Your session has ended, so nothing was done. Sign in to go on.";
    let flash = Flash { problem: Some(problem.into()), ..Flash::default() };
    ask.header(header::SET_COOKIE, flash.keeping("kept", &typed.pack()).cookie());
    ask.redirect(&ask::login(&form_before(ask)));
}

/// The path of the page that the form was on; never another site's.
fn form_before(ask: &Ask) -> String {
    let referer = ask.parts.headers.get(header::REFERER).and_then(|value| value.to_str().ok());
    let url = referer.and_then(|referer| url::Url::parse(referer).ok());
    url.map_or_else(|| "/".into(), |url| url[url::Position::BeforePath..url::Position::AfterQuery].to_owned())
}

/// Only a path on this server: `//elsewhere` and `https://…` lead home.
fn own_path(next: Option<String>) -> String {
    let own = |next: &String| next.starts_with('/') && !next.starts_with("//") && !next.contains('\\');
    next.filter(own).unwrap_or_else(|| "/".into())
}

/// An amount as it is typed; `None` where the input is empty.
fn amount(field: &str, text: &str) -> Result<Option<Usd>> {
    if text.trim().is_empty() {
        return Ok(None);
    }
    let amount = text.parse::<Usd>().map_err(|error| FieldError::new(field, error.to_string()))?;
    Ok(Some(amount))
}

/// The engine's `field` is the form's `input`.
fn at_input(error: Error, field: &str, input: &str) -> Error {
    match error {
        Error::Field(fault) if fault.field == field => FieldError::new(input, fault.message).into(),
        error => error,
    }
}

fn read_json(text: &str) -> Result<serde_json::Value> {
    let broken = |error: serde_json::Error| FieldError::new("policy", format!("is not JSON: {error}"));
    Ok(serde_json::from_str(text).map_err(broken)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signing_in_leads_to_our_own_pages_only() {
        for foreign in ["//evil.example", "https://evil.example", "/\\evil.example", ""] {
            assert_eq!(own_path(Some(foreign.into())), "/", "{foreign}");
        }
        assert_eq!(own_path(Some("/w/x/audit?y=1".into())), "/w/x/audit?y=1");
    }
}
