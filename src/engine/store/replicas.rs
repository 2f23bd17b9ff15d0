//! Copies of media in another cell's bucket.

use std::collections::BTreeSet;

use sqlx::Row;
use sqlx::any::AnyRow;

use crate::domain::ids::WorkspaceId;
use crate::domain::time::Time;
use crate::engine::error::Result;
use crate::engine::store::CellDb;
use crate::engine::store::books::parse;
use crate::engine::store::generations::{self, NewGeneration};
use crate::engine::store::sql::{self, Select, Statement, values};

const FORGET: &str = "DELETE FROM replicas WHERE generation_id IN";

/// A copy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replica {
    /// Of which generation.
    pub generation_id: String,
    /// Whose.
    pub workspace_id: String,
    /// The cell whose bucket holds it.
    pub cell: String,
    /// The first file's key, as in the source.
    pub object_key: String,
    /// How many files.
    pub files: u32,
    /// Whether all of it is copied; false while it is being made, and where that was broken off.
    pub is_made: bool,
}

/// What a workspace wants of copies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replicated {
    /// Which.
    pub workspace_id: WorkspaceId,
    /// The cell that copies go to; `None` where they are turned off.
    pub to: Option<String>,
    /// Everything made before this is copied.
    pub until: Time,
    /// Copies that were deleted because they were no longer wanted, and that the log does not tell of yet.
    pub deleted: i64,
}

/// Workspaces that want copies, have copies that they no longer want, or have to be told that these are deleted. A
/// suspended one was deleted: nobody is left to tell.
///
/// # Errors
/// The database's own.
pub async fn wanted(db: &CellDb) -> Result<Vec<WorkspaceId>> {
    let text = "SELECT workspace_id FROM accounts a WHERE replicate_to IS NOT NULL OR (copies_deleted > 0 AND suspended = 0) \
                OR EXISTS (SELECT 1 FROM replicas r WHERE r.workspace_id = a.workspace_id)";
    let rows = sqlx::query(text).fetch_all(&db.read).await?;
    rows.iter().map(|row| parse(row.try_get::<String, _>("workspace_id")?)).collect()
}

/// What a workspace wants now.
///
/// # Errors
/// The database's own.
pub async fn wanted_by(db: &CellDb, workspace: &WorkspaceId) -> Result<Option<Replicated>> {
    let text = "SELECT replicate_to, replicated_us, copies_deleted FROM accounts WHERE workspace_id = $1";
    let row = sqlx::query(text).bind(workspace.as_str()).fetch_optional(&db.read).await?;
    row.map(|row| {
        Ok(Replicated {
            workspace_id: workspace.clone(),
            to: row.try_get("replicate_to")?,
            until: Time(row.try_get("replicated_us")?),
            deleted: row.try_get("copies_deleted")?,
        })
    })
    .transpose()
}

/// Sets where a workspace's copies go; the work begins anew from the first file.
pub fn set(workspace: &WorkspaceId, cell: Option<&str>) -> Statement {
    let text = "UPDATE accounts SET replicate_to = $1, replicated_us = 0 WHERE workspace_id = $2";
    Statement::new(text, values![cell.map(str::to_owned), workspace.as_str()])
}

/// Generations made at or after `from` whose files are there, stay, and are not all copied to `cell`, the oldest first.
///
/// # Errors
/// The database's own.
pub async fn missing(
    db: &CellDb,
    workspace: &WorkspaceId,
    cell: &str,
    from: Time,
    limit: i64,
) -> Result<Vec<NewGeneration>> {
    let text = "SELECT g.* FROM generations g WHERE g.workspace_id = $1 AND g.created_us >= $2 AND g.deleted_us IS NULL \
                AND g.leaving_us IS NULL AND NOT EXISTS (SELECT 1 FROM replicas r WHERE r.generation_id = g.id AND r.cell = $3 \
                AND r.copied_us > 0) ORDER BY g.created_us, g.id";
    let select = Select::new(text, values![workspace.as_str(), from.micros(), cell]);
    select.limit(limit).all(&db.read).await?.iter().map(generations::generation).collect()
}

/// Notes a copy before its files are written; false where it is not wanted there, or its source went or is about to.
/// Whoever takes the source away waits for this row, and so deletes the copy too.
///
/// # Errors
/// The database's own.
pub async fn begin(db: &CellDb, made: &NewGeneration, cell: &str) -> Result<bool> {
    let text = format!(
        "INSERT INTO replicas (generation_id, workspace_id, cell, object_key, files, copied_us) \
         SELECT g.id, g.workspace_id, $2, g.object_key, g.files, 0 FROM generations g \
         WHERE g.id = $1 AND g.deleted_us IS NULL AND g.leaving_us IS NULL AND EXISTS \
         (SELECT 1 FROM accounts a WHERE a.workspace_id = g.workspace_id AND a.replicate_to = $2){} \
         ON CONFLICT (generation_id) DO UPDATE SET copied_us = 0 WHERE replicas.cell = excluded.cell",
        db.dialect.for_update()
    );
    let mut transaction = db.begin().await?;
    let rows = sql::run_text(&mut transaction, text, values![made.id.as_str(), cell]).await?;
    transaction.commit().await?;
    Ok(rows == 1)
}

/// Notes that all of a copy is there; false where somebody deleted it meanwhile.
///
/// # Errors
/// The database's own.
pub async fn finish(db: &CellDb, made: &NewGeneration, cell: &str, now: Time) -> Result<bool> {
    let text = "UPDATE replicas SET copied_us = $1 WHERE generation_id = $2 AND cell = $3";
    Ok(run(db, text, values![now.micros(), made.id.as_str(), cell]).await? == 1)
}

/// Copies whose source is gone, of any workspace.
///
/// # Errors
/// The database's own.
pub async fn without_source(db: &CellDb, limit: i64) -> Result<Vec<Replica>> {
    let text = "SELECT r.* FROM replicas r WHERE NOT EXISTS (SELECT 1 FROM generations g \
                WHERE g.id = r.generation_id AND g.deleted_us IS NULL)";
    Select::new(text, Vec::new()).limit(limit).all(&db.read).await?.iter().map(replica).collect()
}

/// A workspace's whole copies in `cell` after the one of generation `after`, the oldest first.
///
/// # Errors
/// The database's own.
pub async fn in_cell(
    db: &CellDb,
    workspace: &str,
    cell: &str,
    after: &str,
    limit: i64,
) -> Result<Vec<Replica>> {
    let text = "SELECT * FROM replicas WHERE workspace_id = $1 AND cell = $2 AND generation_id > $3 AND copied_us > 0 \
                ORDER BY generation_id";
    let select = Select::new(text, values![workspace, cell, after]);
    select.limit(limit).all(&db.read).await?.iter().map(replica).collect()
}

/// Forgets copies that are lost: they are made anew.
///
/// # Errors
/// The database's own.
pub async fn remove_lost(db: &CellDb, lost: &[Replica]) -> Result<()> {
    let workspaces: BTreeSet<String> = lost.iter().map(|copy| copy.workspace_id.clone()).collect();
    let workspaces: Vec<String> = workspaces.into_iter().collect();
    let mut transaction = db.begin().await?;
    sql::change_in(&mut transaction, FORGET, Vec::new(), &generations_of(lost)).await?;
    let head = "UPDATE accounts SET replicated_us = 0 WHERE workspace_id IN";
    sql::change_in(&mut transaction, head, Vec::new(), &workspaces).await?;
    Ok(transaction.commit().await?)
}

/// Notes that everything made before `until` is copied to `cell`, where copies still go there.
///
/// # Errors
/// The database's own.
pub async fn copied_until(db: &CellDb, workspace: &WorkspaceId, cell: &str, until: Time) -> Result<()> {
    let text = "UPDATE accounts SET replicated_us = $1 WHERE workspace_id = $2 AND replicate_to = $3";
    run(db, text, values![until.micros(), workspace.as_str(), cell]).await.map(|_| ())
}

/// Copies that their workspace does not want in that cell.
///
/// # Errors
/// The database's own.
pub async fn unwanted(
    db: &CellDb,
    workspace: &WorkspaceId,
    wanted: Option<&str>,
    limit: i64,
) -> Result<Vec<Replica>> {
    let text = "SELECT * FROM replicas WHERE workspace_id = $1 AND cell <> $2";
    let select = Select::new(text, values![workspace.as_str(), wanted.unwrap_or_default()]);
    select.limit(limit).all(&db.read).await?.iter().map(replica).collect()
}

/// The copies of these generations.
///
/// # Errors
/// The database's own.
pub async fn of(db: &CellDb, generations: &[String]) -> Result<Vec<Replica>> {
    let mut connection = db.read.acquire().await?;
    let rows =
        sql::select_in(&mut connection, "SELECT * FROM replicas WHERE generation_id IN", generations, "");
    rows.await?.iter().map(replica).collect()
}

/// Forgets copies that are deleted.
///
/// # Errors
/// The database's own.
pub async fn remove(db: &CellDb, deleted: &[Replica]) -> Result<()> {
    let mut transaction = db.begin().await?;
    sql::change_in(&mut transaction, FORGET, Vec::new(), &generations_of(deleted)).await?;
    Ok(transaction.commit().await?)
}

/// As [`remove`] for copies that a workspace no longer wants: counts them for the log.
///
/// # Errors
/// The database's own.
pub async fn remove_unwanted(db: &CellDb, workspace: &WorkspaceId, deleted: &[Replica]) -> Result<()> {
    let mut transaction = db.begin().await?;
    let rows = sql::count_changed_in(&mut transaction, FORGET, &generations_of(deleted)).await?;
    let text = "UPDATE accounts SET copies_deleted = copies_deleted + $1 WHERE workspace_id = $2";
    Statement::new(text, values![rows as i64, workspace.as_str()]).run(&mut transaction).await?;
    Ok(transaction.commit().await?)
}

/// Notes that the log tells of the copies that were deleted, to run with its entry: where another run told of them, that
/// is refused.
pub fn told(wanted: &Replicated) -> Statement {
    let text = "UPDATE accounts SET copies_deleted = 0 WHERE workspace_id = $1 AND copies_deleted = $2";
    Statement::new(text, values![wanted.workspace_id.as_str(), wanted.deleted])
}

/// How many copies a workspace has, with those that are being made.
///
/// # Errors
/// The database's own.
pub async fn count(db: &CellDb, workspace: &WorkspaceId) -> Result<i64> {
    let text = "SELECT COUNT(*) FROM replicas WHERE workspace_id = $1";
    Ok(sqlx::query_scalar(text).bind(workspace.as_str()).fetch_one(&db.read).await?)
}

fn generations_of(copies: &[Replica]) -> Vec<String> {
    copies.iter().map(|copy| copy.generation_id.clone()).collect()
}

fn replica(row: &AnyRow) -> Result<Replica> {
    Ok(Replica {
        generation_id: row.try_get("generation_id")?,
        workspace_id: row.try_get("workspace_id")?,
        cell: row.try_get("cell")?,
        object_key: row.try_get("object_key")?,
        files: row.try_get::<i64, _>("files")?.unsigned_abs() as u32,
        is_made: row.try_get::<i64, _>("copied_us")? > 0,
    })
}

async fn run(db: &CellDb, text: &'static str, values: Vec<sql::Value>) -> Result<u64> {
    let mut transaction = db.begin().await?;
    let rows = Statement::new(text, values).run(&mut transaction).await?;
    transaction.commit().await?;
    Ok(rows)
}
