//! Legal holds of a cell.

use sqlx::any::AnyRow;
use sqlx::{AnyConnection, Row};

use crate::domain::holds::HoldTarget;
use crate::domain::ids::{DataRequestId, HoldId, WorkspaceId};
use crate::domain::time::Time;
use crate::engine::error::{Result, internal};
use crate::engine::store::books::parse;
use crate::engine::store::data_keys::has_scope;
use crate::engine::store::sql::{Select, Statement, values};
use crate::engine::store::{CellDb, Dialect};

/// True in SQL where the hold `h` keeps the generation `g` of its workspace.
macro_rules! keeps {
    () => {
        concat!(
            "(h.kind = 'workspace' OR (h.kind = 'agent' AND h.target = g.user_id) \
             OR (h.kind = 'subject' AND EXISTS (SELECT 1 FROM prompts p JOIN data_keys k ON k.id = p.key_id \
             WHERE p.request_id = g.request_id AND ",
            has_scope!("h.target"),
            ")))"
        )
    };
}

/// True in SQL for a generation `g` that a hold keeps. `OFFSET 0` has PostgreSQL look it up for each generation: as a join
/// it may read and sort everything that is due for each batch of it.
pub const KEEPS_GENERATION: &str = concat!(
    "EXISTS (SELECT 1 FROM legal_holds h WHERE h.workspace_id = g.workspace_id AND h.lifted_us IS NULL AND ",
    keeps!(),
    " LIMIT 1 OFFSET 0)"
);

/// True in SQL for a row of `attempts` that a hold keeps. No refused or failed call tells its subject: it is taken for
/// that of whoever else has the prompt.
pub const KEEPS_ATTEMPT: &str = concat!(
    "EXISTS (SELECT 1 FROM legal_holds h WHERE h.workspace_id = attempts.workspace_id \
     AND h.lifted_us IS NULL AND (h.kind = 'workspace' OR (h.kind = 'agent' AND h.target = attempts.user_id) \
     OR (h.kind = 'subject' AND EXISTS (SELECT 1 FROM log_entries e JOIN prompts p ON p.request_id = e.request_id \
     JOIN data_keys k ON k.id = p.key_id WHERE e.workspace_id = attempts.workspace_id \
     AND e.prompt_hash = attempts.prompt_hash AND ",
    has_scope!("h.target"),
    "))))"
);

/// A hold as it is stored; a subject is its keyed hash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HoldRow {
    /// Its id.
    pub id: HoldId,
    /// Whose.
    pub workspace_id: WorkspaceId,
    /// What it keeps.
    pub target: HoldTarget,
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

/// Places a hold.
pub fn insert(hold: &HoldRow) -> Statement {
    let text = "INSERT INTO legal_holds (id, workspace_id, kind, target, reason, placed_by, placed_us) \
                VALUES ($1, $2, $3, $4, $5, $6, $7)";
    let values = values![
        hold.id.as_str(),
        hold.workspace_id.as_str(),
        hold.target.kind(),
        hold.target.target(),
        hold.reason.as_str(),
        hold.placed_by.as_str(),
        hold.placed_at.micros()
    ];
    Statement::new(text, values)
}

/// Ends a hold; changes nothing where it has ended.
pub fn lift(
    workspace: &WorkspaceId,
    id: &HoldId,
    actor: &str,
    reason: Option<String>,
    now: Time,
) -> Statement {
    let text = "UPDATE legal_holds SET lifted_by = $1, lifted_us = $2, lift_reason = $3 \
                WHERE workspace_id = $4 AND id = $5 AND lifted_us IS NULL";
    Statement::new(text, values![actor, now.micros(), reason, workspace.as_str(), id.as_str()])
}

/// The holds of a workspace, the newest first; with `active` only those in force.
///
/// # Errors
/// The database's own.
pub async fn list(db: &CellDb, workspace: &WorkspaceId, active: bool) -> Result<Vec<HoldRow>> {
    let select =
        Select::new("SELECT * FROM legal_holds WHERE workspace_id = $1", values![workspace.as_str()]);
    let select = if active { select.tail("AND lifted_us IS NULL") } else { select };
    select.tail("ORDER BY placed_us DESC, id DESC").all(&db.read).await?.iter().map(hold).collect()
}

/// Whether a hold keeps anything of a workspace; one that is about to be placed is waited for.
///
/// # Errors
/// The database's own.
pub async fn any(db: &CellDb, workspace: &WorkspaceId) -> Result<bool> {
    let mut transaction = db.begin().await?;
    let any = any_under_lock(&mut transaction, db.dialect, workspace).await?;
    transaction.commit().await?;
    Ok(any)
}

/// As [`any`], inside somebody's transaction: until that has ended no hold is placed, for holds are placed under their
/// account's lock.
pub(super) async fn any_under_lock(
    on: &mut AnyConnection,
    dialect: Dialect,
    workspace: &WorkspaceId,
) -> Result<bool> {
    let lock = format!("SELECT workspace_id FROM accounts WHERE workspace_id = $1{}", dialect.for_update());
    Select::new(&lock, values![workspace.as_str()]).all(&mut *on).await?;
    let text = "SELECT id FROM legal_holds WHERE workspace_id = $1 AND lifted_us IS NULL";
    Ok(!Select::new(text, values![workspace.as_str()]).all(&mut *on).await?.is_empty())
}

/// The holds in force that keep results which a data request is about, the newest first.
///
/// # Errors
/// The database's own.
pub async fn keeping(db: &CellDb, workspace: &WorkspaceId, request: &DataRequestId) -> Result<Vec<HoldRow>> {
    const TEXT: &str = concat!(
        "SELECT h.* FROM legal_holds h WHERE h.workspace_id = $1 AND h.lifted_us IS NULL AND EXISTS \
         (SELECT 1 FROM data_request_items i JOIN generations g ON g.request_id = i.request_id \
         WHERE i.data_request_id = $2 AND i.state = 'held' AND g.workspace_id = h.workspace_id \
         AND g.deleted_us IS NULL AND ",
        keeps!(),
        ") ORDER BY h.placed_us DESC, h.id DESC"
    );
    let select = Select::new(TEXT, values![workspace.as_str(), request.as_str()]);
    select.all(&db.read).await?.iter().map(hold).collect()
}

fn hold(row: &AnyRow) -> Result<HoldRow> {
    let target: String = row.try_get("target")?;
    let target = match row.try_get::<&str, _>("kind")? {
        "workspace" => HoldTarget::Workspace,
        "agent" => HoldTarget::Agent(target),
        "subject" => HoldTarget::Subject(target),
        other => return Err(internal("stored hold", other)),
    };
    Ok(HoldRow {
        id: parse(row.try_get::<String, _>("id")?)?,
        workspace_id: parse(row.try_get::<String, _>("workspace_id")?)?,
        target,
        reason: row.try_get("reason")?,
        placed_by: row.try_get("placed_by")?,
        placed_at: Time(row.try_get("placed_us")?),
        lifted_by: row.try_get("lifted_by")?,
        lifted_at: row.try_get::<Option<i64>, _>("lifted_us")?.map(Time),
        lift_reason: row.try_get("lift_reason")?,
    })
}
