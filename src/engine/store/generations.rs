//! Generations and their sealed prompts.

use std::collections::BTreeSet;

use sqlx::any::AnyRow;
use sqlx::{AnyConnection, Row};

use crate::domain::ids::{GenerationId, RequestId, WorkspaceId};
use crate::domain::money::Usd;
use crate::domain::time::Time;
use crate::engine::error::Result;
use crate::engine::store::books::parse;
use crate::engine::store::sql::{self, Select, values};
use crate::engine::store::{CellDb, Dialect, data_keys};

/// One call's result files.
#[derive(Debug, Clone)]
pub struct NewGeneration {
    /// Its id.
    pub id: GenerationId,
    /// Whose.
    pub workspace_id: WorkspaceId,
    /// The call.
    pub request_id: RequestId,
    /// `agent.NAME`.
    pub user_id: String,
    /// The tool.
    pub tool: String,
    /// The model.
    pub model: String,
    /// What was charged.
    pub cost: Usd,
    /// The first file's key in the bucket; further files carry `-2`, `-3` … before the dot.
    pub object_key: String,
    /// How many files.
    pub files: u32,
    /// The files' media type.
    pub content_type: String,
    /// The files' bytes together.
    pub bytes: i64,
    /// Pixels across.
    pub width: u32,
    /// Pixels down.
    pub height: u32,
    /// Seconds, for a video.
    pub duration_s: Option<u32>,
    /// Whether it came after its reservation had been given back.
    pub late: bool,
    /// When it was settled.
    pub created_at: Time,
    /// When its files go.
    pub expires_at: Time,
    /// When its files went.
    pub deleted_at: Option<Time>,
}

/// A prompt that only its key can read.
#[derive(Debug, Clone)]
pub struct SealedPrompt {
    /// The call.
    pub request_id: RequestId,
    /// Whose.
    pub workspace_id: WorkspaceId,
    /// The data key.
    pub key_id: String,
    /// Nonce and ciphertext.
    pub sealed: Vec<u8>,
    /// When it was written.
    pub created_at: Time,
    /// When it goes.
    pub expires_at: Time,
}

/// Writes generations.
///
/// # Errors
/// The database's own.
pub async fn insert(on: &mut AnyConnection, generations: Vec<NewGeneration>) -> Result<()> {
    let rows = generations.into_iter().map(|made| {
        values![
            made.id.as_str(),
            made.workspace_id.as_str(),
            made.request_id.as_str(),
            made.user_id,
            made.tool,
            made.model,
            made.cost.micros(),
            made.object_key,
            i64::from(made.files),
            made.content_type,
            made.bytes,
            i64::from(made.width),
            i64::from(made.height),
            made.duration_s.map(i64::from),
            i64::from(made.late),
            made.created_at.micros(),
            made.expires_at.micros()
        ]
    });
    let head = "INSERT INTO generations (id, workspace_id, request_id, user_id, tool, model, cost, object_key, files, \
                content_type, bytes, width, height, duration_s, late, created_us, expires_us)";
    sql::insert(on, head, rows.collect(), "").await
}

/// Writes prompts, after their generations. One whose key was destroyed while its call ran is not kept. The result stays,
/// unless the key's subject was erased: nobody could find it by the subject any more, so it goes with the next purge.
///
/// # Errors
/// The database's own.
pub async fn insert_prompts(
    on: &mut AnyConnection,
    dialect: Dialect,
    prompts: Vec<SealedPrompt>,
) -> Result<()> {
    let requests: Vec<String> = prompts.iter().map(|prompt| prompt.request_id.to_string()).collect();
    let keys: BTreeSet<String> = prompts.iter().map(|prompt| prompt.key_id.clone()).collect();
    let keys: Vec<String> = keys.into_iter().collect();
    let rows = prompts.into_iter().map(|prompt| {
        values![
            prompt.request_id.as_str(),
            prompt.workspace_id.as_str(),
            prompt.key_id,
            prompt.sealed,
            prompt.created_at.micros(),
            prompt.expires_at.micros()
        ]
    });
    let head = "INSERT INTO prompts (request_id, workspace_id, key_id, sealed, created_us, expires_us)";
    sql::insert(on, head, rows.collect(), "").await?;
    if requests.is_empty() {
        return Ok(());
    }
    // Who destroys one of these keys waits, and then finds the prompt.
    if data_keys::lock(on, &keys, dialect.for_share()).await? {
        return Ok(());
    }
    for head in [
        "UPDATE generations SET expires_us = created_us WHERE EXISTS (SELECT 1 FROM prompts p JOIN erased_keys e \
         ON e.key_id = p.key_id WHERE p.request_id = generations.request_id \
         AND (e.user_id IS NULL OR e.user_id = generations.user_id)) AND request_id IN",
        "DELETE FROM prompts WHERE NOT EXISTS (SELECT 1 FROM data_keys k WHERE k.id = prompts.key_id) \
         AND request_id IN",
    ] {
        sql::change_in(on, head, Vec::new(), &requests).await?;
    }
    Ok(())
}

/// Which generations; each given field must match.
#[derive(Debug, Clone, Default)]
pub struct GenerationFilter {
    /// `agent.NAME`.
    pub agent: Option<String>,
    /// The tool.
    pub tool: Option<String>,
    /// The model.
    pub model: Option<String>,
    /// The call.
    pub request_id: Option<String>,
}

/// Generations of a workspace, newest first, after the one at `last` (its time and id).
///
/// # Errors
/// The database's own.
pub async fn page(
    db: &CellDb,
    workspace: &WorkspaceId,
    filter: &GenerationFilter,
    last: Option<(i64, String)>,
    limit: i64,
) -> Result<Vec<NewGeneration>> {
    let select =
        Select::new("SELECT * FROM generations WHERE workspace_id = $1", values![workspace.as_str()])
            .and("user_id = ?", filter.agent.clone().map(sql::Value::Text))
            .and("tool = ?", filter.tool.clone().map(sql::Value::Text))
            .and("model = ?", filter.model.clone().map(sql::Value::Text))
            .and("request_id = ?", filter.request_id.clone().map(sql::Value::Text))
            .after("created_us", "id", last)
            .tail("ORDER BY created_us DESC, id DESC")
            .limit(limit);
    select.all(&db.read).await?.iter().map(generation).collect()
}

/// One generation of a workspace.
///
/// # Errors
/// The database's own.
pub async fn get(db: &CellDb, workspace: &WorkspaceId, id: &GenerationId) -> Result<Option<NewGeneration>> {
    let text = "SELECT * FROM generations WHERE workspace_id = $1 AND id = $2";
    let row = sqlx::query(text).bind(workspace.as_str()).bind(id.as_str()).fetch_optional(&db.read).await?;
    row.as_ref().map(generation).transpose()
}

/// The sealed prompt of a call: its key's id and its bytes.
///
/// # Errors
/// The database's own.
pub async fn prompt(
    db: &CellDb,
    workspace: &WorkspaceId,
    request: &RequestId,
) -> Result<Option<(String, Vec<u8>)>> {
    let text = "SELECT key_id, sealed FROM prompts WHERE workspace_id = $1 AND request_id = $2";
    let row =
        sqlx::query(text).bind(workspace.as_str()).bind(request.as_str()).fetch_optional(&db.read).await?;
    row.map(|row| Ok((row.try_get("key_id")?, row.try_get("sealed")?))).transpose()
}

/// Reads a row of the table.
///
/// # Errors
/// Where a column does not hold what it should.
pub(super) fn generation(row: &AnyRow) -> Result<NewGeneration> {
    let number = |column: &str| row.try_get::<i64, _>(column).map(|value| value.unsigned_abs() as u32);
    Ok(NewGeneration {
        id: parse(row.try_get::<String, _>("id")?)?,
        workspace_id: parse(row.try_get::<String, _>("workspace_id")?)?,
        request_id: parse(row.try_get::<String, _>("request_id")?)?,
        user_id: row.try_get("user_id")?,
        tool: row.try_get("tool")?,
        model: row.try_get("model")?,
        cost: Usd::from_micros(row.try_get("cost")?),
        object_key: row.try_get("object_key")?,
        files: number("files")?,
        content_type: row.try_get("content_type")?,
        bytes: row.try_get("bytes")?,
        width: number("width")?,
        height: number("height")?,
        duration_s: row.try_get::<Option<i64>, _>("duration_s")?.map(|seconds| seconds.unsigned_abs() as u32),
        late: number("late")? != 0,
        created_at: Time(row.try_get("created_us")?),
        expires_at: Time(row.try_get("expires_us")?),
        deleted_at: row.try_get::<Option<i64>, _>("deleted_us")?.map(Time),
    })
}

/// Removes a workspace's prompts and keys, but for those of its webhooks, and marks its files as gone. What calls that still
/// run make goes with the next purge.
///
/// # Errors
/// The database's own.
pub async fn delete_content(db: &CellDb, workspace: &WorkspaceId, now: Time) -> Result<()> {
    let mut transaction = db.begin().await?;
    let text = "INSERT INTO erased_keys (key_id, workspace_id, erased_us) SELECT id, workspace_id, CAST($2 AS BIGINT) \
                FROM data_keys WHERE workspace_id = $1 ON CONFLICT DO NOTHING";
    sql::Statement::new(text, values![workspace.as_str(), now.micros()]).run(&mut transaction).await?;
    for text in [
        "DELETE FROM prompts WHERE workspace_id = $1",
        "DELETE FROM former_keys WHERE workspace_id = $1",
        "DELETE FROM data_keys WHERE workspace_id = $1 \
         AND NOT EXISTS (SELECT 1 FROM webhook_endpoints w WHERE w.key_id = data_keys.id)",
    ] {
        sql::Statement::new(text, values![workspace.as_str()]).run(&mut transaction).await?;
    }
    let text = "UPDATE generations SET deleted_us = $2 WHERE workspace_id = $1 AND deleted_us IS NULL";
    sql::Statement::new(text, values![workspace.as_str(), now.micros()]).run(&mut transaction).await?;
    Ok(transaction.commit().await?)
}
