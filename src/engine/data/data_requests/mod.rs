//! Requests of data subjects: filed by anybody in the workspace, decided by an Admin, executed in the background, proven
//! by a signed certificate. Names, notes and reasons are sealed; the log gets ids, states and counts only.

mod archive;
mod certificate;
mod deciding;
mod destroying;
mod discover;
mod execute;
mod filing;
mod marks;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::domain::access::{Permission, Role};
use crate::domain::data_requests::{Kind, State, Step, WrongStep, may_extend};
use crate::domain::ids::{DataRequestId, KeyId};
use crate::domain::time::Time;
use crate::engine::access::scope::Scope;
use crate::engine::error::{Error, Result, internal};
use crate::engine::log::reading::{Page, Paged, cursor_of};
use crate::engine::store::data_requests::{self as store, RequestRow};
use crate::engine::store::keys;
use crate::engine::{CellNode, Engine};

pub use self::archive::PREFIX as ARCHIVES;
pub use self::discover::Sample;
pub use self::execute::Progress;
pub use self::filing::{DataRequestPreview, NewDataRequest};
pub use crate::engine::store::data_requests::Matches;

/// A request as people see it.
#[derive(Debug, Clone, Serialize)]
pub struct DataRequestView {
    /// Its id.
    pub id: DataRequestId,
    /// What is asked.
    pub kind: Kind,
    /// Where it stands.
    pub state: State,
    /// What it is about, with a hash for the prompt, and after an erasure a pseudonym for the subject.
    #[serde(rename = "match")]
    pub criteria: Value,
    /// The subject's name, until it is erased.
    pub subject: Option<String>,
    /// The day of receipt.
    pub received_on: String,
    /// The day by which it has to be answered.
    pub due_on: String,
    /// Whether that day has passed and nothing was answered.
    pub overdue: bool,
    /// Why that day was extended.
    pub extension_reason: Option<String>,
    /// Whether it can still be extended.
    pub may_extend: bool,
    /// Who asked.
    pub requested_by: String,
    /// What helps whoever decides.
    pub note: Option<String>,
    /// Who filed it.
    pub filed_by: String,
    /// When.
    pub filed_at: Time,
    /// Who approved or rejected it.
    pub decided_by: Option<String>,
    /// When.
    pub decided_at: Option<Time>,
    /// How the subject's identity was verified, or why the request was rejected.
    pub decision: Option<String>,
    /// Whether two people stood behind it.
    pub four_eyes: bool,
    /// When it began to run.
    pub started_at: Option<Time>,
    /// When it ended.
    pub ended_at: Option<Time>,
    /// How much it was about when it was filed.
    pub matches: Matches,
    /// How far it is.
    pub progress: Option<Progress>,
    /// Whether there is a certificate.
    pub has_certificate: bool,
    /// Where the archive is fetched, while the link works; only for who may read prompts.
    pub archive_url: Option<String>,
    /// Until when.
    pub archive_until: Option<Time>,
}

/// What is sealed of a request.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
struct Private {
    requested_by: String,
    note: Option<String>,
    subject: Option<String>,
    extension_reason: Option<String>,
    decision: Option<String>,
}

impl Engine {
    /// The ids of the workspace's Admins.
    async fn admins(&self, scope: &Scope) -> Result<Vec<String>> {
        let members = self.members(scope).await?;
        Ok(members
            .into_iter()
            .filter(|member| member.role == Role::Admin)
            .map(|member| member.user_id.to_string())
            .collect())
    }

    /// The person who acts, also where a key acts for that person.
    async fn person_behind(&self, scope: &Scope) -> Result<String> {
        let Ok(key) = scope.actor.parse::<KeyId>() else { return Ok(scope.actor.clone()) };
        let held = keys::list(&self.cell(&scope.workspace)?.db, &scope.workspace.id).await?;
        let maker = held.into_iter().find(|row| row.id == key).map(|row| row.made_by.to_string());
        maker.ok_or(Error::NotFound)
    }

    /// Requests, the newest first.
    ///
    /// # Errors
    /// The field `limit` or `cursor`.
    pub async fn data_requests(&self, scope: &Scope, page: Page) -> Result<Paged<DataRequestView>> {
        let (limit, last) = (page.rows()?, page.time_and_id()?);
        let db = &self.cell(&scope.workspace)?.db;
        let rows = store::page(db, &scope.workspace.id, last, limit + 1).await?;
        let rows = Paged::new(rows, limit, |row| cursor_of(row.filed_at, row.id.as_str()));
        let mut items = Vec::with_capacity(rows.items.len());
        for row in rows.items {
            items.push(self.data_request_view(scope, row).await?);
        }
        Ok(Paged { items, next_cursor: rows.next_cursor })
    }

    /// One request.
    ///
    /// # Errors
    /// [`Error::NotFound`] where the workspace has none of this id.
    pub async fn data_request(&self, scope: &Scope, id: &DataRequestId) -> Result<DataRequestView> {
        let row = self.data_request_row(scope, id).await?;
        self.data_request_view(scope, row).await
    }

    async fn data_request_row(&self, scope: &Scope, id: &DataRequestId) -> Result<RequestRow> {
        let db = &self.cell(&scope.workspace)?.db;
        store::get(db, &scope.workspace.id, id).await?.ok_or(Error::NotFound)
    }

    /// The signed certificate of a request that ended.
    ///
    /// # Errors
    /// [`Error::NotFound`] while there is none.
    pub async fn data_request_certificate(&self, scope: &Scope, id: &DataRequestId) -> Result<Value> {
        let row = self.data_request_row(scope, id).await?;
        let json = row.certificate.ok_or(Error::NotFound)?;
        serde_json::from_str(&json).map_err(|error| internal("stored certificate", error))
    }

    async fn data_request_view(&self, scope: &Scope, row: RequestRow) -> Result<DataRequestView> {
        let cell = self.cell(&scope.workspace)?;
        let (private, today) = (unseal(cell, &row).await?, self.0.clock.now().date());
        // The archive holds prompts: its link is for who may read them.
        let may_open = scope.role.may(Permission::ReadPrompts);
        let archive_until = row.archive_until.filter(|until| may_open && self.0.clock.now() < *until);
        let key = archive::link_key(&row);
        let url = archive_until.map(|until| self.0.urls.sign(&self.base_url(&scope.workspace), &key, until));
        Ok(DataRequestView {
            criteria: named(&row, private.subject.as_deref()),
            subject: private.subject,
            overdue: row.state.is_open() && stored_day(&row.due_on)? < today,
            extension_reason: private.extension_reason,
            may_extend: may_extend(stored_day(&row.received_on)?, row.extended, row.state, today),
            requested_by: private.requested_by,
            note: private.note,
            decision: private.decision,
            progress: row.progress.as_deref().and_then(|json| serde_json::from_str(json).ok()),
            has_certificate: row.certificate.is_some(),
            archive_url: url,
            archive_until,
            id: row.id,
            kind: row.kind,
            state: row.state,
            received_on: row.received_on,
            due_on: row.due_on,
            filed_by: row.filed_by,
            filed_at: row.filed_at,
            decided_by: row.decided_by,
            decided_at: row.decided_at,
            four_eyes: row.four_eyes,
            started_at: row.started_at,
            ended_at: row.ended_at,
            matches: row.matches,
        })
    }
}

/// What a request is about, with the subject as it was filed until its name is erased.
fn named(row: &RequestRow, subject: Option<&str>) -> Value {
    let mut criteria: Value = serde_json::from_str(&row.criteria).unwrap_or_default();
    if let Some(subject) = subject {
        criteria["subject"] = subject.into();
    }
    criteria
}

/// What the log tells of a request: nothing that names a person or a prompt.
fn about(row: &RequestRow) -> Value {
    json!({
        "data_request_id": row.id, "kind": row.kind, "state": row.state, "due_on": row.due_on,
        "four_eyes": row.four_eyes, "admins_at_filing": row.admins.len(), "matches": row.matches,
    })
}

fn step(from: State, way: Step) -> Result<State> {
    Ok(from.after(way)?)
}

fn stored_day(text: &str) -> Result<jiff::civil::Date> {
    text.parse().map_err(|error| internal("stored day", error))
}

/// A request's own keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Own {
    /// The one that it is filed with.
    Filed,
    /// The one after an erasure, under which the subject's name never stood.
    Erased,
}

impl Own {
    fn scope(self, id: &DataRequestId) -> String {
        match self {
            Self::Filed => format!("request:{id}"),
            Self::Erased => format!("request:{id}:erased"),
        }
    }
}

/// Seals what is private of a request under one of its own keys.
async fn seal(cell: &CellNode, row: &mut RequestRow, private: &Private, own: Own, now: Time) -> Result<()> {
    let plain = serde_json::to_vec(private).map_err(|error| internal("data request", error))?;
    let (key, place) = (own.scope(&row.id), row.id.as_str());
    (row.key_id, row.sealed) = cell.sealer.seal_in(&row.workspace_id, &key, place, &plain, now).await?;
    Ok(())
}

async fn unseal(cell: &CellNode, row: &RequestRow) -> Result<Private> {
    let plain = cell.sealer.open_prompt(&row.workspace_id, &row.key_id, row.id.as_str(), &row.sealed).await?;
    Ok(plain.and_then(|json| serde_json::from_str(&json).ok()).unwrap_or_default())
}

impl From<WrongStep> for Error {
    fn from(wrong: WrongStep) -> Self {
        Self::Conflict(wrong.to_string())
    }
}
