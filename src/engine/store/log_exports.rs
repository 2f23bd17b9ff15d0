//! Which logs are exported each day, or were and have files left, and how far.

use sqlx::Row;
use sqlx::any::AnyRow;

use crate::domain::ids::WorkspaceId;
use crate::domain::time::Time;
use crate::engine::error::Result;
use crate::engine::store::CellDb;
use crate::engine::store::books::parse;
use crate::engine::store::sql::{Statement, values};

/// An export that is turned on, or was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExportRow {
    /// Whose log.
    pub workspace_id: WorkspaceId,
    /// The first moment of the day that comes next.
    pub next: Time,
    /// The last day that became a file: `2026-11-22`.
    pub last_day: Option<String>,
    /// Why the last try failed.
    pub fault: Option<String>,
    /// Whether it is turned on.
    pub is_on: bool,
}

/// Turns it on, beginning with the day of `next`; changes nothing where it is on.
pub fn start(workspace: &WorkspaceId, next: Time) -> Statement {
    let text = "INSERT INTO log_exports (workspace_id, next_us) VALUES ($1, $2) ON CONFLICT (workspace_id) DO UPDATE \
                SET next_us = excluded.next_us, ended_us = NULL WHERE log_exports.ended_us IS NOT NULL";
    Statement::new(text, values![workspace.as_str(), next.micros()])
}

/// Turns it off; changes nothing where it is off.
pub fn end(workspace: &WorkspaceId, now: Time) -> Statement {
    let text =
        "UPDATE log_exports SET ended_us = $2, fault = NULL WHERE workspace_id = $1 AND ended_us IS NULL";
    Statement::new(text, values![workspace.as_str(), now.micros()])
}

/// Forgets one that is turned off; call it when its last file is gone.
///
/// # Errors
/// The database's own.
pub async fn forget(db: &CellDb, workspace: &WorkspaceId) -> Result<()> {
    let mut transaction = db.begin().await?;
    let text = "DELETE FROM log_exports WHERE workspace_id = $1 AND ended_us IS NOT NULL";
    Statement::new(text, values![workspace.as_str()]).run(&mut transaction).await?;
    Ok(transaction.commit().await?)
}

/// Notes that the days before `next` are exported; `day` is the last that became a file.
///
/// # Errors
/// The database's own.
pub async fn exported(db: &CellDb, workspace: &WorkspaceId, day: Option<String>, next: Time) -> Result<()> {
    let text = "UPDATE log_exports SET last_day = COALESCE($1, last_day), next_us = $2, fault = NULL \
                WHERE workspace_id = $3";
    let mut transaction = db.begin().await?;
    Statement::new(text, values![day, next.micros(), workspace.as_str()]).run(&mut transaction).await?;
    Ok(transaction.commit().await?)
}

/// Notes why a day was not exported.
///
/// # Errors
/// The database's own.
pub async fn failed(db: &CellDb, workspace: &WorkspaceId, fault: &str) -> Result<()> {
    let mut transaction = db.begin().await?;
    let text = "UPDATE log_exports SET fault = $1 WHERE workspace_id = $2";
    Statement::new(text, values![fault, workspace.as_str()]).run(&mut transaction).await?;
    Ok(transaction.commit().await?)
}

/// A workspace's export, where it is turned on or was.
///
/// # Errors
/// The database's own.
pub async fn get(db: &CellDb, workspace: &WorkspaceId) -> Result<Option<ExportRow>> {
    let text = "SELECT * FROM log_exports WHERE workspace_id = $1";
    let found = sqlx::query(text).bind(workspace.as_str()).fetch_optional(&db.read).await?;
    found.as_ref().map(read).transpose()
}

/// Exports of which the day before `today` is not made yet.
///
/// # Errors
/// The database's own.
pub async fn due(db: &CellDb, today: Time) -> Result<Vec<ExportRow>> {
    let text =
        "SELECT * FROM log_exports WHERE next_us < $1 AND ended_us IS NULL ORDER BY next_us, workspace_id";
    let rows = sqlx::query(text).bind(today.micros()).fetch_all(&db.read).await?;
    rows.iter().map(read).collect()
}

fn read(row: &AnyRow) -> Result<ExportRow> {
    Ok(ExportRow {
        workspace_id: parse(row.try_get::<String, _>("workspace_id")?)?,
        next: Time(row.try_get("next_us")?),
        last_day: row.try_get("last_day")?,
        fault: row.try_get("fault")?,
        is_on: row.try_get::<Option<i64>, _>("ended_us")?.is_none(),
    })
}
