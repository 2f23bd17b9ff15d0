//! What the reconciler asks of a cell.

use sqlx::Row;

use crate::domain::ids::{GenerationId, WorkspaceId};
use crate::domain::time::Time;
use crate::engine::error::Result;
use crate::engine::store::CellDb;
use crate::engine::store::generations::{self, NewGeneration};
use crate::engine::store::retention::Cursor;
use crate::engine::store::sql::{self, Select, values};

/// Generations made before `settled` whose files should be there, the oldest first, after `cursor`.
///
/// # Errors
/// The database's own.
pub async fn live(
    db: &CellDb,
    workspace: &WorkspaceId,
    settled: Time,
    cursor: &Cursor,
    limit: i64,
) -> Result<Vec<NewGeneration>> {
    let text = "SELECT * FROM generations WHERE workspace_id = $1 AND deleted_us IS NULL AND created_us < $4 \
                AND created_us >= $2 AND (created_us > $2 OR id > $3) ORDER BY created_us, id";
    let values = values![workspace.as_str(), cursor.0, cursor.1.as_str(), settled.micros()];
    let select = Select::new(text, values);
    select.limit(limit).all(&db.read).await?.iter().map(generations::generation).collect()
}

/// Those of `ids` whose files should be there.
///
/// # Errors
/// The database's own.
pub async fn live_among(db: &CellDb, ids: &[String]) -> Result<Vec<String>> {
    let mut connection = db.read.acquire().await?;
    let head = "SELECT id FROM generations WHERE deleted_us IS NULL AND id IN";
    let rows = sql::select_in(&mut connection, head, ids, "").await?;
    rows.iter().map(|row| Ok(row.try_get("id")?)).collect()
}

/// Whether a generation's files are there and nobody is about to delete them.
///
/// # Errors
/// The database's own.
pub async fn stays(db: &CellDb, id: &GenerationId) -> Result<bool> {
    let text = "SELECT id FROM generations WHERE id = $1 AND deleted_us IS NULL AND leaving_us IS NULL";
    Ok(sqlx::query(text).bind(id.as_str()).fetch_optional(&db.read).await?.is_some())
}

/// True in SQL for a prompt that nobody can read or whose result is gone.
const IS_ALONE: &str = "(NOT EXISTS (SELECT 1 FROM data_keys k WHERE k.id = prompts.key_id) OR NOT EXISTS \
                        (SELECT 1 FROM generations g WHERE g.request_id = prompts.request_id AND g.deleted_us IS NULL))";

/// Calls made before `settled` whose prompt nobody can read or whose result is gone.
///
/// # Errors
/// The database's own.
pub async fn prompts_alone(db: &CellDb, settled: Time, limit: i64) -> Result<Vec<String>> {
    let text = format!("SELECT request_id FROM prompts WHERE created_us < $1 AND {IS_ALONE}");
    let rows = Select::new(&text, values![settled.micros()]).limit(limit).all(&db.read).await?;
    rows.iter().map(|row| Ok(row.try_get("request_id")?)).collect()
}

/// Removes those of the prompts that still are alone; tells how many.
///
/// # Errors
/// The database's own.
pub async fn remove_prompts(db: &CellDb, alone: &[String]) -> Result<u64> {
    let mut transaction = db.begin().await?;
    let head = format!("DELETE FROM prompts WHERE {IS_ALONE} AND request_id IN");
    let rows = sql::count_changed_in(&mut transaction, &head, alone).await?;
    transaction.commit().await?;
    Ok(rows)
}
