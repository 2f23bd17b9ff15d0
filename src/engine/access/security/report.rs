//! The SOC 2 Type II report: given out under a confidentiality text that the reader accepts first.

use std::path::Path;

use serde_json::json;
use sha2::{Digest, Sha256};

use crate::domain::ids::UserId;
use crate::engine::Engine;
use crate::engine::access::scope::Scope;
use crate::engine::access::security::stamp::{Reader, stamp};
use crate::engine::error::{Error, Result};
use crate::engine::store::nda::{self, Acceptance};

/// What is accepted where the operator names no other text.
const NDA: &str = include_str!("nda.txt");

/// The report as the panel offers it.
#[derive(Debug, Clone)]
pub struct ReportView {
    /// What has to be accepted.
    pub text: String,
    /// The SHA-256 of the text, in hex.
    pub text_sha256: String,
    /// Who accepted which text, the newest first.
    pub acceptances: Vec<Acceptance>,
    /// Whether the reader accepted the text as it stands.
    pub accepted: bool,
}

/// A reader's own copy.
#[derive(Debug, Clone)]
pub struct Report {
    /// Carries the reader's name.
    pub file_name: String,
    /// The PDF.
    pub bytes: Vec<u8>,
}

impl Engine {
    /// The report and its text; `None` where the operator names none (`security.soc2_report`).
    ///
    /// # Errors
    /// [`Error::Unavailable`] where the text's file cannot be read.
    pub async fn report(&self, scope: &Scope) -> Result<Option<ReportView>> {
        if self.config().security.soc2_report.is_none() {
            return Ok(None);
        }
        let text = self.nda_text().await?;
        let (text_sha256, acceptances) = (sha256(&text), self.acceptances(scope).await?);
        let is_own =
            |made: &Acceptance| made.user_id.as_str() == scope.actor && made.text_sha256 == text_sha256;
        Ok(Some(ReportView { accepted: acceptances.iter().any(is_own), text, text_sha256, acceptances }))
    }

    /// Accepts the text of this SHA-256 for the person who acts.
    ///
    /// # Errors
    /// [`Error::Conflict`] where the text is another by now; [`Error::NotFound`] where there is no report, or the actor
    /// is no person.
    pub async fn accept_nda(&self, scope: &Scope, text_sha256: &str) -> Result<()> {
        let view = self.report(scope).await?.ok_or(Error::NotFound)?;
        if view.text_sha256 != text_sha256 {
            let message = "The text was changed while you read it. Nothing was accepted; read it again.";
            return Err(Error::Conflict(message.into()));
        }
        if view.accepted {
            return Ok(());
        }
        let made = Acceptance {
            user_id: reader_id(scope)?,
            text_sha256: view.text_sha256,
            accepted_at: self.0.clock.now(),
        };
        let data = json!({ "document": "soc2_type2_report", "text_sha256": made.text_sha256 });
        let change = nda::insert(&scope.workspace.id, &made, &view.text);
        let act = self.act(scope, "nda.accepted", data, vec![change]).await?;
        self.submit_act(scope, act).await.map(|_| ())
    }

    /// The reader's own copy, with the name on each page; the log says who took it.
    ///
    /// # Errors
    /// [`Error::Conflict`] before the text is accepted, [`Error::Unavailable`] where the operator's file is no PDF that
    /// can be stamped.
    pub async fn download_report(&self, scope: &Scope) -> Result<Report> {
        let view = self.report(scope).await?.ok_or(Error::NotFound)?;
        if !view.accepted {
            let message = "Accept the confidentiality text first. Nothing was downloaded.";
            return Err(Error::Conflict(message.into()));
        }
        let person = self.user(&reader_id(scope)?).await?.ok_or(Error::NotFound)?;
        let file_name = file_name(&person.name);
        let reader = Reader {
            name: person.name,
            email: person.email,
            workspace: scope.workspace.name.clone(),
            at: self.0.clock.now(),
            text_sha256: view.text_sha256,
        };
        let bytes = self.stamped(reader).await?;
        let data =
            json!({ "document": "soc2_type2_report", "copy_sha256": hex::encode(Sha256::digest(&bytes)) });
        let act = self.act(scope, "report.downloaded", data, Vec::new()).await?;
        self.submit_act(scope, act).await?;
        Ok(Report { file_name, bytes })
    }

    async fn stamped(&self, reader: Reader) -> Result<Vec<u8>> {
        let file = self.config().security.soc2_report.clone().ok_or(Error::NotFound)?;
        let stamped = tokio::task::spawn_blocking(move || {
            let bytes = std::fs::read(&file).map_err(|error| error.to_string())?;
            stamp(&bytes, &reader).map_err(|error| error.to_string())
        });
        let stamped = stamped.await.unwrap_or_else(|error| Err(error.to_string()));
        stamped.map_err(|error| {
            tracing::error!(%error, "the file of security.soc2_report cannot be given out");
            unreadable("The report")
        })
    }

    async fn nda_text(&self) -> Result<String> {
        match &self.config().security.nda {
            Some(file) => read_text(file).await,
            None => Ok(NDA.to_owned()),
        }
    }
}

async fn read_text(file: &Path) -> Result<String> {
    tokio::fs::read_to_string(file).await.map_err(|error| {
        tracing::error!(%error, "the file of security.nda cannot be read");
        unreadable("The confidentiality text")
    })
}

fn unreadable(what: &str) -> Error {
    Error::Unavailable(format!("{what} cannot be read on this server. Ask its operator to look at the log."))
}

/// A program cannot sign.
fn reader_id(scope: &Scope) -> Result<UserId> {
    scope.actor.parse().map_err(|_| Error::NotFound)
}

fn sha256(text: &str) -> String {
    hex::encode(Sha256::digest(text))
}

/// Letters and digits of any script; what a header or a folder could stumble over becomes a hyphen.
fn file_name(reader: &str) -> String {
    let plain = |c: char| if c.is_alphanumeric() { c } else { '-' };
    let name: String = reader.chars().map(plain).take(60).collect();
    format!("soc2-type2-report-{}.pdf", name.trim_matches('-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_name_holds_the_reader_and_nothing_that_breaks_out() {
        assert_eq!(file_name("Ada Lovelace"), "soc2-type2-report-Ada-Lovelace.pdf");
        assert_eq!(file_name("a\"; x=\r\n../é"), "soc2-type2-report-a---x------é.pdf");
    }
}
