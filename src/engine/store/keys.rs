//! REST keys.

use sqlx::Row;
use sqlx::any::AnyRow;

use crate::domain::access::Role;
use crate::domain::ids::{KeyId, UserId, WorkspaceId};
use crate::domain::time::Time;
use crate::engine::error::{Result, internal};
use crate::engine::store::CellDb;
use crate::engine::store::books::parse;
use crate::engine::store::sql::{Statement, values};

/// A key without its secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyRow {
    /// Its id.
    pub id: KeyId,
    /// Its workspace.
    pub workspace_id: WorkspaceId,
    /// What it is for.
    pub name: String,
    /// What it may do; never above its maker's role.
    pub role: Role,
    /// Its last four letters.
    pub last4: String,
    /// Who made it.
    pub made_by: UserId,
    /// When it was made.
    pub created_at: Time,
    /// When it ends by itself.
    pub expires_at: Option<Time>,
    /// When it was ended.
    pub ended_at: Option<Time>,
    /// Its last request, to the minute.
    pub last_used_at: Option<Time>,
}

impl KeyRow {
    /// Whether it opens anything.
    pub fn is_live(&self, now: Time) -> bool {
        self.ended_at.is_none() && self.expires_at.is_none_or(|end| now < end)
    }
}

/// Makes a key from its secret's fingerprint.
pub fn insert(key: &KeyRow, fingerprint: &str) -> Statement {
    Statement::new(
        "INSERT INTO api_keys (id, workspace_id, name, role, secret_hash, last4, made_by, created_us, expires_us) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        values![
            key.id.as_str(),
            key.workspace_id.as_str(),
            key.name.as_str(),
            key.role.as_str(),
            fingerprint,
            key.last4.as_str(),
            key.made_by.as_str(),
            key.created_at.micros(),
            key.expires_at.map(Time::micros)
        ],
    )
}

/// Ends a key.
pub fn end(workspace: &WorkspaceId, id: &KeyId, at: Time) -> Statement {
    Statement::new(
        "UPDATE api_keys SET ended_us = $1 WHERE workspace_id = $2 AND id = $3 AND ended_us IS NULL",
        values![at.micros(), workspace.as_str(), id.as_str()],
    )
}

/// Ends the keys that a person made in a workspace; there may be none.
pub fn end_of(workspace: &WorkspaceId, user: &str, at: Time) -> Statement {
    let text =
        "UPDATE api_keys SET ended_us = $1 WHERE workspace_id = $2 AND made_by = $3 AND ended_us IS NULL";
    Statement::new(text, values![at.micros(), workspace.as_str(), user]).or_nothing()
}

/// Ends every key of a cell that this person made.
///
/// # Errors
/// The database's own.
pub async fn end_all_of(db: &CellDb, user: &UserId, at: Time) -> Result<()> {
    let mut transaction = db.begin().await?;
    let text = "UPDATE api_keys SET ended_us = $1 WHERE made_by = $2 AND ended_us IS NULL";
    Statement::new(text, values![at.micros(), user.as_str()]).run(&mut transaction).await?;
    Ok(transaction.commit().await?)
}

/// Lets a key end at `at`, unless it ends before.
pub fn end_by(workspace: &WorkspaceId, id: &KeyId, at: Time) -> Statement {
    let text = "UPDATE api_keys SET expires_us = $1 WHERE workspace_id = $2 AND id = $3 \
                AND (expires_us IS NULL OR expires_us > $1)";
    Statement::new(text, values![at.micros(), workspace.as_str(), id.as_str()])
}

/// Notes a key's use.
///
/// # Errors
/// The database's own.
pub async fn note_use(db: &CellDb, id: &KeyId, at: Time) -> Result<()> {
    let mut transaction = db.begin().await?;
    let text = "UPDATE api_keys SET last_used_us = $1 WHERE id = $2";
    Statement::new(text, values![at.micros(), id.as_str()]).run(&mut transaction).await?;
    Ok(transaction.commit().await?)
}

/// The key whose secret has this fingerprint.
///
/// # Errors
/// The database's own.
pub async fn by_secret(db: &CellDb, fingerprint: &str) -> Result<Option<KeyRow>> {
    let text = "SELECT * FROM api_keys WHERE secret_hash = $1";
    let row = sqlx::query(text).bind(fingerprint).fetch_optional(&db.read).await?;
    row.as_ref().map(key).transpose()
}

/// All keys of a workspace, newest first.
///
/// # Errors
/// The database's own.
pub async fn list(db: &CellDb, workspace: &WorkspaceId) -> Result<Vec<KeyRow>> {
    let text = "SELECT * FROM api_keys WHERE workspace_id = $1 ORDER BY created_us DESC, id DESC";
    let rows = sqlx::query(text).bind(workspace.as_str()).fetch_all(&db.read).await?;
    rows.iter().map(key).collect()
}

fn key(row: &AnyRow) -> Result<KeyRow> {
    Ok(KeyRow {
        id: parse(row.try_get::<String, _>("id")?)?,
        workspace_id: parse(row.try_get::<String, _>("workspace_id")?)?,
        name: row.try_get("name")?,
        role: row.try_get::<&str, _>("role")?.parse().map_err(|error| internal("stored role", error))?,
        last4: row.try_get("last4")?,
        made_by: parse(row.try_get::<String, _>("made_by")?)?,
        created_at: Time(row.try_get("created_us")?),
        expires_at: row.try_get::<Option<i64>, _>("expires_us")?.map(Time),
        ended_at: row.try_get::<Option<i64>, _>("ended_us")?.map(Time),
        last_used_at: row.try_get::<Option<i64>, _>("last_used_us")?.map(Time),
    })
}
