//! Filing a request, and looking beforehand at what it would be about.

use serde::{Deserialize, Serialize};

use super::discover::{self, Criteria, Sample};
use super::{DataRequestView, Own, Private, about, seal, step};
use crate::domain::data_requests::{Kind, Match, State, Step, due_on, received_on};
use crate::domain::field;
use crate::engine::access::scope::Scope;
use crate::engine::error::{Result, internal};
use crate::engine::random;
use crate::engine::store::data_requests::{self as store, Matches, RequestRow};
use crate::engine::{CellNode, Engine};

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

/// A request whose fields are right.
struct Checked {
    kind: Kind,
    matching: Match,
    received_on: jiff::civil::Date,
    requested_by: String,
    note: Option<String>,
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
            admins: self.admins(scope).await?,
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
}
