//! Signed checkpoints of the logs of a cell.

use sqlx::Row;
use sqlx::any::AnyRow;

use crate::domain::checkpoint::Checkpoint;
use crate::domain::ids::WorkspaceId;
use crate::domain::time::Time;
use crate::engine::error::{Result, internal};
use crate::engine::store::CellDb;
use crate::engine::store::books::parse;
use crate::engine::store::sql::{Select, Statement, values};

/// Every workspace of the cell that has an account, and since when.
///
/// # Errors
/// The database's own.
pub async fn logs(db: &CellDb) -> Result<Vec<(WorkspaceId, Time)>> {
    let rows = sqlx::query("SELECT workspace_id, created_us FROM accounts ORDER BY workspace_id");
    let rows = rows.fetch_all(&db.read).await?;
    rows.iter()
        .map(|row| Ok((parse(row.try_get::<String, _>("workspace_id")?)?, Time(row.try_get("created_us")?))))
        .collect()
}

/// Place and hash of the last row before `to`; where retention took it, of the last row that it took.
///
/// # Errors
/// The database's own.
pub async fn log_end(db: &CellDb, workspace: &WorkspaceId, to: Time) -> Result<(i64, String)> {
    // The writer's times never go back. By time, for after a long downtime months of rows may stand behind `to`.
    let text = "SELECT seq, hash FROM log_entries WHERE workspace_id = $1 AND ts_us < $2 \
                ORDER BY ts_us DESC, seq DESC LIMIT 1";
    let row = sqlx::query(text).bind(workspace.as_str()).bind(to.micros()).fetch_optional(&db.read).await?;
    let row = match row {
        Some(row) => row,
        None => {
            let text =
                "SELECT log_floor_seq AS seq, log_floor_hash AS hash FROM accounts WHERE workspace_id = $1";
            sqlx::query(text).bind(workspace.as_str()).fetch_one(&db.read).await?
        }
    };
    Ok((row.try_get("seq")?, row.try_get("hash")?))
}

/// Keeps a checkpoint with its signature; changes nothing where another node was first.
pub fn insert(checkpoint: &Checkpoint, signed: &str) -> Statement {
    let text = "INSERT INTO log_checkpoints (workspace_id, number, last_seq, head_hash, to_us, body) \
                VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (workspace_id, number) DO NOTHING";
    let values = values![
        checkpoint.workspace_id.as_str(),
        checkpoint.number,
        checkpoint.last_seq,
        checkpoint.head_hash.as_str(),
        checkpoint.to.micros(),
        signed
    ];
    Statement::new(text, values)
}

/// Runs a change that belongs to no act.
///
/// # Errors
/// The database's own.
pub async fn run(db: &CellDb, change: Statement) -> Result<()> {
    let mut transaction = db.begin().await?;
    change.run(&mut transaction).await?;
    Ok(transaction.commit().await?)
}

/// Whether a checkpoint covers more than the log's entries about checkpoints.
///
/// # Errors
/// The database's own.
pub async fn covers_news(db: &CellDb, checkpoint: &Checkpoint) -> Result<bool> {
    let text = "SELECT seq FROM log_entries WHERE workspace_id = $1 AND seq >= $2 AND seq <= $3 \
                AND COALESCE(event, '') <> 'log.checkpoint' LIMIT 1";
    let values = values![checkpoint.workspace_id.as_str(), checkpoint.first_seq, checkpoint.last_seq];
    Ok(!Select::new(text, values).all(&db.read).await?.is_empty())
}

/// Signed checkpoints before number `before`, the newest first.
///
/// # Errors
/// The database's own.
pub async fn page(
    db: &CellDb,
    workspace: &WorkspaceId,
    before: Option<i64>,
    limit: i64,
) -> Result<Vec<serde_json::Value>> {
    let select =
        Select::new("SELECT body FROM log_checkpoints WHERE workspace_id = $1", values![workspace.as_str()])
            .and("number < ?", before)
            .tail("ORDER BY number DESC")
            .limit(limit);
    select.all(&db.read).await?.iter().map(body).collect()
}

/// Signed checkpoints after number `after`, the oldest first.
///
/// # Errors
/// The database's own.
pub async fn following(
    db: &CellDb,
    workspace: &WorkspaceId,
    after: i64,
    limit: i64,
) -> Result<Vec<serde_json::Value>> {
    let text = "SELECT body FROM log_checkpoints WHERE workspace_id = $1 AND number > $2 ORDER BY number";
    let select = Select::new(text, values![workspace.as_str(), after]).limit(limit);
    select.all(&db.read).await?.iter().map(body).collect()
}

/// The last checkpoint that ends at or before `to`.
///
/// # Errors
/// The database's own.
pub async fn last(db: &CellDb, workspace: &WorkspaceId, to: Time) -> Result<Option<Checkpoint>> {
    let text = "SELECT body FROM log_checkpoints WHERE workspace_id = $1 AND to_us <= $2 ORDER BY number DESC LIMIT 1";
    let row = sqlx::query(text).bind(workspace.as_str()).bind(to.micros()).fetch_optional(&db.read).await?;
    let read = |row: AnyRow| {
        serde_json::from_value(body(&row)?).map_err(|error| internal("stored checkpoint", error))
    };
    row.map(read).transpose()
}

fn body(row: &AnyRow) -> Result<serde_json::Value> {
    let text: &str = row.try_get("body")?;
    serde_json::from_str(text).map_err(|error| internal("stored checkpoint", error))
}
