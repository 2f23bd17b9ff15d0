//! Legal holds: placed and lifted by an Admin, each an act in the log.

use serde::Serialize;
use serde_json::json;

use crate::domain::field;
use crate::domain::holds::HoldTarget;
use crate::domain::ids::HoldId;
use crate::domain::time::Time;
use crate::engine::access::scope::Scope;
use crate::engine::error::{Error, Result};
use crate::engine::random;
use crate::engine::store::accounts;
use crate::engine::store::holds::{self, HoldRow};
use crate::engine::{CellNode, Engine};

/// A hold as people see it.
#[derive(Debug, Clone, Serialize)]
pub struct HoldView {
    /// Its id.
    pub id: HoldId,
    /// `workspace`, `agent` or `subject`.
    pub kind: &'static str,
    /// `agent.NAME`, or the subject's pseudonym; none for the workspace.
    pub target: Option<String>,
    /// Why.
    pub reason: String,
    /// By whom.
    pub placed_by: String,
    /// Since when.
    pub placed_at: Time,
    /// Who ended it.
    pub lifted_by: Option<String>,
    /// When it ended.
    pub lifted_at: Option<Time>,
    /// Why, where it was said.
    pub lift_reason: Option<String>,
}

impl From<HoldRow> for HoldView {
    fn from(row: HoldRow) -> Self {
        Self {
            id: row.id,
            kind: row.target.kind(),
            target: Some(row.target.target().to_owned()).filter(|target| !target.is_empty()),
            reason: row.reason,
            placed_by: row.placed_by,
            placed_at: row.placed_at,
            lifted_by: row.lifted_by,
            lifted_at: row.lifted_at,
            lift_reason: row.lift_reason,
        }
    }
}

impl Engine {
    /// Keeps data from purge and erasure until the hold is lifted. A subject's name is stored as a keyed hash only.
    ///
    /// # Errors
    /// The field `reason`; [`Error::Conflict`] where the workspace is being deleted.
    pub async fn place_hold(&self, scope: &Scope, target: HoldTarget, reason: &str) -> Result<HoldView> {
        let (now, cell) = (self.0.clock.now(), self.cell(&scope.workspace)?);
        let hold = HoldRow {
            id: random::id(now),
            workspace_id: scope.workspace.id.clone(),
            target: pseudonymous(cell, scope, target),
            reason: field::text("reason", reason, 1, 500)?,
            placed_by: scope.actor.clone(),
            placed_at: now,
            lifted_by: None,
            lifted_at: None,
            lift_reason: None,
        };
        let data = json!({ "hold_id": hold.id, "kind": hold.target.kind(), "target": hold.target.target() });
        let changes = vec![accounts::stays(&hold.workspace_id), holds::insert(&hold)];
        let act = self.act(scope, "hold.placed", data, changes).await?;
        self.submit_act(scope, act).await.map_err(|error| match error {
            Error::NotFound => being_deleted(),
            error => error,
        })?;
        Ok(hold.into())
    }

    /// Ends a hold: what it kept beyond its time goes with the next purge. Pages always give a reason.
    ///
    /// # Errors
    /// The field `lift_reason`; [`Error::NotFound`] where there is none, or it has ended.
    pub async fn lift_hold(&self, scope: &Scope, id: &HoldId, reason: Option<&str>) -> Result<()> {
        let reason = reason.map(|text| field::text("lift_reason", text, 1, 500)).transpose()?;
        let change = holds::lift(&scope.workspace.id, id, &scope.actor, reason, self.0.clock.now());
        let act = self.act(scope, "hold.lifted", json!({ "hold_id": id }), vec![change]).await?;
        self.submit_act(scope, act).await.map(|_| ())
    }

    /// A workspace's holds, the newest first, ended ones too.
    ///
    /// # Errors
    /// The database's own.
    pub async fn holds(&self, scope: &Scope) -> Result<Vec<HoldView>> {
        let rows = holds::list(&self.cell(&scope.workspace)?.db, &scope.workspace.id, false).await?;
        Ok(rows.into_iter().map(HoldView::from).collect())
    }
}

fn being_deleted() -> Error {
    let message = "This workspace is being deleted, which nothing stops any more. No hold was placed: what it would keep is gone, or goes now.";
    Error::Conflict(message.into())
}

fn pseudonymous(cell: &CellNode, scope: &Scope, target: HoldTarget) -> HoldTarget {
    match target {
        HoldTarget::Subject(name) => {
            HoldTarget::Subject(cell.sealer.subject_scope(&scope.workspace.id, &name))
        }
        other => other,
    }
}
