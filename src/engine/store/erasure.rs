//! What an erasure does to data keys, and what it counts.

use std::collections::BTreeMap;

use sqlx::Row;

use crate::domain::ids::{DataRequestId, WorkspaceId};
use crate::engine::error::Result;
use crate::engine::store::CellDb;
use crate::engine::store::TELL_NODES;
use crate::engine::store::data_keys::{self, WrappedKey};
use crate::engine::store::data_requests;
use crate::engine::store::sql::{Select, Statement, values};

/// Where the bucket says what was erased.
pub const MARKS: &str = "erased";

/// What stands before the scope of a key that an erasure took out of use.
fn retired_prefix(id: &DataRequestId) -> String {
    format!("retired:{id}:")
}

/// The scope that a key had before an erasure took it out of use.
pub fn scope_before(key: &WrappedKey) -> &str {
    key.scope
        .strip_prefix("retired:")
        .and_then(|rest| rest.split_once(':'))
        .map_or(&key.scope, |(_, scope)| scope)
}

/// Takes the keys of a request's calls out of use: what is sealed from now on gets new ones, also for a subject who
/// comes back.
///
/// # Errors
/// The database's own.
pub async fn retire_keys(db: &CellDb, id: &DataRequestId) -> Result<()> {
    let text = "UPDATE data_keys SET scope = CAST($2 AS TEXT) || scope WHERE scope NOT LIKE 'retired:%' AND id IN \
                (SELECT p.key_id FROM prompts p JOIN data_request_items i ON i.request_id = p.request_id \
                WHERE i.data_request_id = $1 AND i.state = 'pending')";
    let mut transaction = db.begin().await?;
    Statement::new(text, values![id.as_str(), retired_prefix(id)]).run(&mut transaction).await?;
    Statement::new(TELL_NODES, Vec::new()).run(&mut transaction).await?;
    Ok(transaction.commit().await?)
}

/// The keys that a request took out of use.
///
/// # Errors
/// The database's own.
pub async fn retired_keys(db: &CellDb, id: &DataRequestId) -> Result<Vec<WrappedKey>> {
    let select =
        Select::new("SELECT * FROM data_keys WHERE scope LIKE $1", values![retired_prefix(id) + "%"]);
    select.all(&db.read).await?.iter().map(data_keys::key).collect()
}

/// Destroys the keys that a request took out of use, and notes it: a kill right after loses no count.
///
/// # Errors
/// The database's own.
pub async fn destroy_keys(db: &CellDb, id: &DataRequestId, keys: &[String], progress: &str) -> Result<()> {
    let mut transaction = db.begin().await?;
    data_keys::destroy_in(&mut transaction, keys).await?;
    data_requests::keep_progress(id, progress).run(&mut transaction).await?;
    Ok(transaction.commit().await?)
}

/// Prompts under a key: their calls and sealed bytes.
///
/// # Errors
/// The database's own.
pub async fn prompts_of(db: &CellDb, key_id: &str, limit: i64) -> Result<Vec<(String, Vec<u8>)>> {
    let select = Select::new("SELECT request_id, sealed FROM prompts WHERE key_id = $1", values![key_id]);
    let rows = select.limit(limit).all(&db.read).await?;
    rows.iter().map(|row| Ok((row.try_get("request_id")?, row.try_get("sealed")?))).collect()
}

/// Puts prompts under another key.
///
/// # Errors
/// The database's own.
pub async fn reseal(db: &CellDb, key_id: &str, prompts: Vec<(String, Vec<u8>)>) -> Result<()> {
    let mut transaction = db.begin().await?;
    for (request, sealed) in prompts {
        let text = "UPDATE prompts SET key_id = $1, sealed = $2 WHERE request_id = $3";
        Statement::new(text, values![key_id, sealed, request]).run(&mut transaction).await?;
    }
    Ok(transaction.commit().await?)
}

/// Removes a prompt that its key does not open.
///
/// # Errors
/// The database's own.
pub async fn remove_prompt(db: &CellDb, request: &str) -> Result<()> {
    let mut transaction = db.begin().await?;
    Statement::new("DELETE FROM prompts WHERE request_id = $1", values![request])
        .run(&mut transaction)
        .await?;
    Ok(transaction.commit().await?)
}

/// The copies of a request's calls: the cells that hold some, and how many.
///
/// # Errors
/// The database's own.
pub async fn copies(db: &CellDb, id: &DataRequestId) -> Result<BTreeMap<String, i64>> {
    let text = "SELECT r.cell, COUNT(*) AS copies FROM replicas r JOIN generations g ON g.id = r.generation_id \
                JOIN data_request_items i ON i.request_id = g.request_id WHERE i.data_request_id = $1 GROUP BY r.cell";
    let rows = sqlx::query(text).bind(id.as_str()).fetch_all(&db.read).await?;
    rows.iter().map(|row| Ok((row.try_get("cell")?, row.try_get("copies")?))).collect()
}

/// Removes everything that was erased since a backup was taken from what it brought back: content of these calls.
///
/// # Errors
/// The database's own.
pub async fn forget_again(
    db: &CellDb,
    workspace: &WorkspaceId,
    requests: &[String],
    keys: &[String],
    now_us: i64,
) -> Result<()> {
    use crate::engine::store::sql::{change_in, select_in_after};
    let mut transaction = db.begin().await?;
    let first = || values![workspace.as_str()];
    change_in(
        &mut transaction,
        "DELETE FROM prompts WHERE workspace_id = $1 AND request_id IN",
        first(),
        requests,
    )
    .await?;
    data_requests::remove_attempts(&mut transaction, workspace, requests).await?;
    let head = "DELETE FROM idempotency_keys WHERE workspace_id = $1 AND request_id IN";
    change_in(&mut transaction, head, first(), requests).await?;
    // The copies themselves went with the erasure.
    let head = "SELECT id FROM generations WHERE workspace_id = $1 AND request_id IN";
    let made = select_in_after(&mut transaction, head, first(), requests).await?;
    let made: Vec<String> = made.iter().map(|row| Ok(row.try_get("id")?)).collect::<Result<_>>()?;
    let head = "DELETE FROM replicas WHERE workspace_id = $1 AND generation_id IN";
    change_in(&mut transaction, head, first(), &made).await?;
    let head = "UPDATE generations SET deleted_us = $2 WHERE deleted_us IS NULL AND workspace_id = $1 AND request_id IN";
    change_in(&mut transaction, head, values![workspace.as_str(), now_us], requests).await?;
    change_in(&mut transaction, "DELETE FROM data_keys WHERE workspace_id = $1 AND id IN", first(), keys)
        .await?;
    Ok(transaction.commit().await?)
}
