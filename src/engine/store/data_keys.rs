//! Data keys, wrapped by the master key. The table holds nothing else, so that it can be backed up apart.

use sqlx::any::AnyRow;
use sqlx::{AnyConnection, Row};

use crate::domain::ids::WorkspaceId;
use crate::domain::time::Time;
use crate::engine::error::Result;
use crate::engine::store::sql::{self, Select, Statement, values};
use crate::engine::store::{CellDb, TELL_NODES, generations};

/// A key as it is stored.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct WrappedKey {
    /// `dk_…`.
    pub id: String,
    /// Whose.
    pub workspace_id: String,
    /// A subject's hash, a day, or a data request.
    pub scope: String,
    /// Nonce and ciphertext.
    pub wrapped: Vec<u8>,
    /// The check value of the master key that wraps it.
    pub wrapped_by: String,
    /// When it was made.
    pub created_at: Time,
}

/// A workspace's key for `scope`.
///
/// # Errors
/// The database's own.
pub async fn of_scope(db: &CellDb, workspace: &WorkspaceId, scope: &str) -> Result<Option<WrappedKey>> {
    let text = "SELECT * FROM data_keys WHERE workspace_id = $1 AND scope = $2";
    let row = sqlx::query(text).bind(workspace.as_str()).bind(scope).fetch_optional(&db.read).await?;
    row.as_ref().map(key).transpose()
}

/// A key by its id.
///
/// # Errors
/// The database's own.
pub async fn by_id(db: &CellDb, workspace: &WorkspaceId, id: &str) -> Result<Option<WrappedKey>> {
    let text = "SELECT * FROM data_keys WHERE workspace_id = $1 AND id = $2";
    let row = sqlx::query(text).bind(workspace.as_str()).bind(id).fetch_optional(&db.read).await?;
    row.as_ref().map(key).transpose()
}

/// The ids of a workspace's keys.
///
/// # Errors
/// The database's own.
pub async fn of_workspace(db: &CellDb, workspace: &WorkspaceId) -> Result<Vec<String>> {
    let text = "SELECT id FROM data_keys WHERE workspace_id = $1";
    Ok(sqlx::query_scalar(text).bind(workspace.as_str()).fetch_all(&db.read).await?)
}

/// Every key of the cell after `id`, in the order of ids.
///
/// # Errors
/// The database's own.
pub async fn after(db: &CellDb, id: &str, limit: i64) -> Result<Vec<WrappedKey>> {
    let select = Select::new("SELECT * FROM data_keys WHERE id > $1", values![id]).tail("ORDER BY id");
    select.limit(limit).all(&db.read).await?.iter().map(key).collect()
}

/// Keys that another master key than `own` wraps.
///
/// # Errors
/// The database's own.
pub async fn wrapped_by_another(db: &CellDb, own: &str, limit: i64) -> Result<Vec<WrappedKey>> {
    let select = Select::new("SELECT * FROM data_keys WHERE wrapped_by <> $1", values![own]);
    select.limit(limit).all(&db.read).await?.iter().map(key).collect()
}

/// How many keys there are, and the oldest one's making.
///
/// # Errors
/// The database's own.
pub async fn ages(db: &CellDb, workspace: &WorkspaceId) -> Result<(i64, Option<Time>)> {
    let text = "SELECT COUNT(*) AS held, MIN(created_us) AS oldest FROM data_keys WHERE workspace_id = $1";
    let row = sqlx::query(text).bind(workspace.as_str()).fetch_one(&db.read).await?;
    Ok((row.try_get("held")?, row.try_get::<Option<i64>, _>("oldest")?.map(Time)))
}

/// Keeps new keys, unless another node was first.
///
/// # Errors
/// The database's own.
pub async fn insert(db: &CellDb, keys: Vec<WrappedKey>) -> Result<()> {
    let rows = keys.into_iter().map(|key| {
        values![key.id, key.workspace_id, key.scope, key.wrapped, key.wrapped_by, key.created_at.micros()]
    });
    let mut transaction = db.begin().await?;
    let head = "INSERT INTO data_keys (id, workspace_id, scope, wrapped, wrapped_by, created_us)";
    sql::insert(&mut transaction, head, rows.collect(), "ON CONFLICT DO NOTHING").await?;
    Ok(transaction.commit().await?)
}

/// Puts keys back wrapped anew: nothing that they seal is touched.
///
/// # Errors
/// The database's own.
pub async fn rewrap(db: &CellDb, keys: Vec<WrappedKey>) -> Result<()> {
    let mut transaction = db.begin().await?;
    for key in keys {
        let text = "UPDATE data_keys SET wrapped = $1, wrapped_by = $2 WHERE id = $3";
        Statement::new(text, values![key.wrapped, key.wrapped_by, key.id]).run(&mut transaction).await?;
    }
    Ok(transaction.commit().await?)
}

/// Destroys keys: what they sealed can never be read again. Nodes forget what they hold of them.
///
/// # Errors
/// The database's own.
pub async fn destroy(db: &CellDb, ids: &[String]) -> Result<()> {
    let mut transaction = db.begin().await?;
    destroy_in(&mut transaction, ids).await?;
    Ok(transaction.commit().await?)
}

/// As [`destroy`], inside somebody's transaction. A call that settled meanwhile loses what it sealed with them.
pub(super) async fn destroy_in(on: &mut AnyConnection, ids: &[String]) -> Result<()> {
    sql::change_in(on, "DELETE FROM data_keys WHERE id IN", Vec::new(), ids).await?;
    generations::end_with_keys(on, ids).await?;
    Ok(Statement::new(TELL_NODES, Vec::new()).run(on).await.map(drop)?)
}

/// Keys made before `limit` that seal nothing any more: no prompt, secret of a webhook, Slack address or data request.
///
/// # Errors
/// The database's own.
pub async fn unused(db: &CellDb, limit: Time) -> Result<Vec<String>> {
    let text = "SELECT k.id FROM data_keys k WHERE k.created_us < $1 \
                AND NOT EXISTS (SELECT 1 FROM prompts p WHERE p.key_id = k.id) \
                AND NOT EXISTS (SELECT 1 FROM webhook_endpoints w WHERE w.key_id = k.id) \
                AND NOT EXISTS (SELECT 1 FROM alert_settings s WHERE s.key_id = k.id) \
                AND NOT EXISTS (SELECT 1 FROM data_requests r WHERE r.key_id = k.id)";
    Ok(sqlx::query_scalar(text).bind(limit.micros()).fetch_all(&db.read).await?)
}

pub(super) fn key(row: &AnyRow) -> Result<WrappedKey> {
    Ok(WrappedKey {
        id: row.try_get("id")?,
        workspace_id: row.try_get("workspace_id")?,
        scope: row.try_get("scope")?,
        wrapped: row.try_get("wrapped")?,
        wrapped_by: row.try_get("wrapped_by")?,
        created_at: Time(row.try_get("created_us")?),
    })
}
