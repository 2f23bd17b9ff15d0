//! Requests of data subjects: filed by anybody in the workspace, decided by an Admin, executed in the background, proven
//! by a signed certificate. Names, notes and reasons are sealed; the log gets ids, states and counts only.

mod archive;
mod certificate;
mod discover;
mod execute;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use self::discover::Criteria;
use crate::domain::access::{Permission, Role};
use crate::domain::data_requests::{Kind, Match, State, Step, WrongStep, due_on, may_extend, received_on};
use crate::domain::field;
use crate::domain::ids::{DataRequestId, KeyId};
use crate::domain::time::Time;
use crate::engine::access::scope::Scope;
use crate::engine::error::{Error, Result, internal};
use crate::engine::log::reading::{Page, Paged, cursor_of};
use crate::engine::random;
use crate::engine::store::data_requests::{self as store, RequestRow};
use crate::engine::store::keys;
use crate::engine::store::sql::Statement;
use crate::engine::{CellNode, Engine};

pub use self::archive::PREFIX as ARCHIVES;
pub use self::discover::Sample;
pub use self::execute::Progress;
pub use crate::engine::store::data_requests::Matches;

/// A request as it is filed (contract §3).
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewDataRequest {
    /// `access` or `erasure`.
    pub kind: String,
    /// What it is about.
    #[serde(rename = "match")]
    pub matching: Match,
    /// The day of receipt, such as `2026-01-31`.
    pub received_on: String,
    /// Who asked.
    pub requested_by: String,
    /// Anything that helps whoever decides.
    #[serde(default)]
    pub note: Option<String>,
}

/// What a request would be about. Looking stores nothing.
#[derive(Debug, Clone, Serialize)]
pub struct DataRequestPreview {
    /// Always `preview`.
    pub state: State,
    /// What is asked.
    pub kind: Kind,
    /// By when it has to be answered.
    pub due_on: String,
    /// How much it is about.
    pub matches: Matches,
    /// Of these, generations that a legal hold keeps from erasure.
    pub held: i64,
    /// Whether it is about every call of the workspace.
    pub everything: bool,
    /// Some of the calls, the newest first.
    pub samples: Vec<Sample>,
    /// Whether the workspace has one Admin only, who then decides alone.
    pub one_admin: bool,
}

/// A request as people see it.
#[derive(Debug, Clone, Serialize)]
pub struct DataRequestView {
    /// Its id.
    pub id: DataRequestId,
    /// What is asked.
    pub kind: Kind,
    /// Where it stands.
    pub state: State,
    /// What it is about, with a pseudonym for the subject and a hash for the prompt.
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
    /// What a request would be about, without filing it.
    ///
    /// # Errors
    /// Names the field.
    pub async fn preview_data_request(
        &self,
        scope: &Scope,
        new: NewDataRequest,
    ) -> Result<DataRequestPreview> {
        let checked = self.check_data_request(new)?;
        let cell = self.cell(&scope.workspace)?;
        let criteria = self.criteria(cell, scope, &checked.matching).await?;
        let found = discover::count(&cell.db, &scope.workspace.id, &criteria).await?;
        Ok(DataRequestPreview {
            state: State::Preview,
            kind: checked.kind,
            due_on: due_on(checked.received_on, false).to_string(),
            everything: discover::is_everything(&cell.db, &scope.workspace.id, &criteria, found).await?,
            held: discover::count_held(&cell.db, &scope.workspace.id, &criteria).await?,
            samples: discover::samples(&cell.db, &scope.workspace.id, &criteria).await?,
            matches: found,
            one_admin: self.admins(scope).await?.len() == 1,
        })
    }

    /// Files a request; an Admin decides on it.
    ///
    /// # Errors
    /// Names the field.
    pub async fn file_data_request(&self, scope: &Scope, new: NewDataRequest) -> Result<DataRequestView> {
        let checked = self.check_data_request(new)?;
        let (cell, now) = (self.cell(&scope.workspace)?, self.0.clock.now());
        let criteria = self.criteria(cell, scope, &checked.matching).await?;
        let private = Private {
            requested_by: checked.requested_by,
            note: checked.note,
            subject: checked.matching.subject,
            ..Private::default()
        };
        let mut row = RequestRow {
            id: random::id(now),
            workspace_id: scope.workspace.id.clone(),
            kind: checked.kind,
            state: step(State::Preview, Step::File)?,
            matches: discover::count(&cell.db, &scope.workspace.id, &criteria).await?,
            criteria: serde_json::to_string(&criteria).map_err(|error| internal("criteria", error))?,
            key_id: String::new(),
            sealed: Vec::new(),
            received_on: checked.received_on.to_string(),
            due_on: due_on(checked.received_on, false).to_string(),
            extended: false,
            filed_by: scope.actor.clone(),
            filed_person: self.person_behind(scope).await?,
            filed_at: now,
            decided_by: None,
            decided_at: None,
            four_eyes: false,
            started_at: None,
            ended_at: None,
            progress: None,
            certificate: None,
            archive_until: None,
        };
        seal(cell, &mut row, &private, Own::Filed, now).await?;
        let act = self.act(scope, "data_request.filed", about(&row), vec![store::insert(&row)]).await?;
        self.submit_act(scope, act).await?;
        self.data_request_view(scope, row).await
    }

    fn check_data_request(&self, new: NewDataRequest) -> Result<Checked> {
        Ok(Checked {
            kind: new.kind.parse()?,
            matching: new.matching.checked()?,
            received_on: received_on(&new.received_on, self.0.clock.now())?,
            requested_by: field::text("requested_by", &new.requested_by, 1, 200)?,
            note: new.note.map(|note| field::text("note", &note, 0, 2_000)).transpose()?,
        })
    }

    async fn criteria(&self, cell: &CellNode, scope: &Scope, matching: &Match) -> Result<Criteria> {
        let salt = self.account(&scope.workspace).await?.salt;
        Ok(Criteria::new(&cell.sealer, &scope.workspace.id, &salt, matching))
    }

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

    /// Approves a request; it is executed within seconds. `identity` says how the subject's identity was verified.
    ///
    /// # Errors
    /// [`Error::Conflict`] where it is not open to a decision, or another Admin has to decide (four eyes).
    pub async fn approve_data_request(
        &self,
        scope: &Scope,
        id: &DataRequestId,
        identity: Option<&str>,
    ) -> Result<DataRequestView> {
        let row = self.data_request_row(scope, id).await?;
        let person = self.person_behind(scope).await?;
        let is_alone = person == row.filed_person;
        if is_alone && self.admins(scope).await?.iter().any(|admin| *admin != person) {
            let message =
                "Whoever filed a request does not approve it. Nothing was changed; ask another Admin.";
            return Err(Error::Conflict(message.into()));
        }
        let decision = identity.map(|text| field::text("identity", text, 1, 500)).transpose()?;
        let decided = RequestRow { four_eyes: !is_alone, ..row.clone() };
        self.decide(scope, row.state, decided, Step::Approve, "data_request.approved", decision).await
    }

    /// Rejects a request with a reason.
    ///
    /// # Errors
    /// The field `reason`; [`Error::Conflict`] where it is not open to a decision.
    pub async fn reject_data_request(
        &self,
        scope: &Scope,
        id: &DataRequestId,
        reason: &str,
    ) -> Result<DataRequestView> {
        let reason = field::text("reason", reason, 1, 2_000)?;
        let row = self.data_request_row(scope, id).await?;
        let ended = RequestRow { ended_at: Some(self.0.clock.now()), ..row.clone() };
        self.decide(scope, row.state, ended, Step::Reject, "data_request.rejected", Some(reason)).await
    }

    async fn decide(
        &self,
        scope: &Scope,
        from: State,
        mut row: RequestRow,
        way: Step,
        event: &str,
        decision: Option<String>,
    ) -> Result<DataRequestView> {
        let cell = self.cell(&scope.workspace)?;
        row.state = step(from, way)?;
        row.decided_by = Some(scope.actor.clone());
        let now = self.0.clock.now();
        row.decided_at = Some(now);
        let private = Private { decision, ..unseal(cell, &row).await? };
        seal(cell, &mut row, &private, Own::Filed, now).await?;
        self.keep_data_request(scope, &row, vec![store::update(&row, from)], event).await?;
        self.data_request_view(scope, row).await
    }

    /// Withdraws a request that has not begun. An Admin may withdraw any, others their own.
    ///
    /// # Errors
    /// [`Error::Conflict`] where it has begun or ended; [`Error::Forbidden`] where it is another's.
    pub async fn cancel_data_request(&self, scope: &Scope, id: &DataRequestId) -> Result<DataRequestView> {
        let row = self.data_request_row(scope, id).await?;
        if scope.role != Role::Admin && self.person_behind(scope).await? != row.filed_person {
            return Err(Error::Forbidden(Permission::DecideDataRequests));
        }
        let ended = RequestRow { ended_at: Some(self.0.clock.now()), ..row.clone() };
        self.move_data_request(scope, ended, Step::Cancel, "data_request.cancelled").await
    }

    /// Lets a request run once more that failed, ended in part or was blocked by a hold.
    ///
    /// # Errors
    /// [`Error::Conflict`] in any other state.
    pub async fn retry_data_request(&self, scope: &Scope, id: &DataRequestId) -> Result<DataRequestView> {
        let row = self.data_request_row(scope, id).await?;
        let (from, state) = (row.state, step(row.state, Step::Retry)?);
        let progress = Some(Progress { earlier: certificate::runs(&row), ..Progress::default() }.json());
        let next = RequestRow { state, started_at: None, ended_at: None, progress, ..row };
        let changes = vec![store::update(&next, from), store::clear_items(id)];
        self.keep_data_request(scope, &next, changes, "data_request.retried").await?;
        self.data_request_view(scope, next).await
    }

    /// Moves the due date by two calendar months, of which the subject has to be told with the reason (GDPR article 12(3)).
    ///
    /// # Errors
    /// The field `reason`; [`Error::Conflict`] after the first month, a second time, or where the request has ended.
    pub async fn extend_data_request(
        &self,
        scope: &Scope,
        id: &DataRequestId,
        reason: &str,
    ) -> Result<DataRequestView> {
        let (reason, cell) = (field::text("reason", reason, 1, 2_000)?, self.cell(&scope.workspace)?);
        let mut row = self.data_request_row(scope, id).await?;
        let received = stored_day(&row.received_on)?;
        if !may_extend(received, row.extended, row.state, self.0.clock.now().date()) {
            let message = "A request is extended once, within its first month. Nothing was changed.";
            return Err(Error::Conflict(message.into()));
        }
        (row.extended, row.due_on) = (true, due_on(received, true).to_string());
        let private = Private { extension_reason: Some(reason), ..unseal(cell, &row).await? };
        seal(cell, &mut row, &private, Own::Filed, self.0.clock.now()).await?;
        let changes = vec![store::update(&row, row.state)];
        self.keep_data_request(scope, &row, changes, "data_request.extended").await?;
        self.data_request_view(scope, row).await
    }

    async fn move_data_request(
        &self,
        scope: &Scope,
        mut row: RequestRow,
        way: Step,
        event: &str,
    ) -> Result<DataRequestView> {
        let from = row.state;
        row.state = step(from, way)?;
        self.keep_data_request(scope, &row, vec![store::update(&row, from)], event).await?;
        self.data_request_view(scope, row).await
    }

    /// Keeps a request's change with its log entry. Of two who change at once, one does.
    async fn keep_data_request(
        &self,
        scope: &Scope,
        row: &RequestRow,
        changes: Vec<Statement>,
        event: &str,
    ) -> Result<()> {
        let act = self.act(scope, event, about(row), changes).await?;
        self.submit_act(scope, act).await.map(|_| ()).map_err(|error| match error {
            Error::NotFound => {
                Error::Conflict("Somebody else was faster. Look again; nothing was changed.".into())
            }
            error => error,
        })
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
            criteria: serde_json::from_str(&row.criteria).unwrap_or_default(),
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

struct Checked {
    kind: Kind,
    matching: Match,
    received_on: jiff::civil::Date,
    requested_by: String,
    note: Option<String>,
}

/// What the log tells of a request: nothing that names a person or a prompt.
fn about(row: &RequestRow) -> Value {
    json!({
        "data_request_id": row.id, "kind": row.kind, "state": row.state, "due_on": row.due_on,
        "four_eyes": row.four_eyes, "matches": row.matches,
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
