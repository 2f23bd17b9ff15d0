//! What an erasure does to data keys, and what it counts.

use std::collections::{BTreeMap, HashSet};

use sqlx::{AnyConnection, Row};

use crate::domain::ids::{DataRequestId, RequestId, WorkspaceId};
use crate::domain::time::{DAY, Time};
use crate::engine::error::Result;
use crate::engine::store::CellDb;
use crate::engine::store::TELL_NODES;
use crate::engine::store::data_keys::{self, OUT_OF_USE, WrappedKey};
use crate::engine::store::data_requests;
use crate::engine::store::sql::{self, Select, Statement, values};

/// How long it is known of a key that its subject was erased; a call that uses it ends long before.
const REMEMBERED: i64 = 2 * DAY;

/// The scope that a key had before an erasure took it out of use.
pub fn scope_before(key: &WrappedKey) -> &str {
    key.scope
        .strip_prefix("retired:")
        .and_then(|rest| rest.split_once(':'))
        .map_or(&key.scope, |(_, scope)| scope)
}

/// Takes the keys of a request's calls out of use, those too under which their prompts lay before: what is sealed from
/// now on gets new ones, also for a subject who comes back.
///
/// # Errors
/// The database's own.
pub async fn retire_keys(db: &CellDb, id: &DataRequestId, now: Time) -> Result<()> {
    let text = format!(
        "SELECT k.id FROM data_keys k WHERE k.retired_us IS NULL AND k.id IN \
         (SELECT p.key_id FROM prompts p JOIN data_request_items i ON i.request_id = p.request_id \
         WHERE i.data_request_id = $1 AND i.state = 'pending' \
         UNION ALL SELECT f.key_id FROM former_keys f JOIN data_request_items i ON i.request_id = f.request_id \
         WHERE i.data_request_id = $1 AND i.state = 'pending') ORDER BY k.id{}",
        db.dialect.for_update()
    );
    let mut transaction = db.begin().await?;
    let rows = Select::new(&text, values![id.as_str()]).all(&mut *transaction).await?;
    let keys: Vec<String> = rows.iter().map(|row| Ok(row.try_get("id")?)).collect::<Result<_>>()?;
    let head = format!("UPDATE data_keys SET retired_us = $1, scope = {OUT_OF_USE} WHERE id IN");
    sql::change_in(&mut transaction, &head, values![now.micros()], &keys).await?;
    Statement::new(TELL_NODES, Vec::new()).run(&mut transaction).await?;
    Ok(transaction.commit().await?)
}

/// The keys that still are of those under which prompts lay that a request has erased, whoever took them out of use, by
/// their ids; and when each was taken out of use.
///
/// # Errors
/// The database's own.
pub async fn keys_of_erased(db: &CellDb, id: &DataRequestId) -> Result<Vec<(WrappedKey, Time)>> {
    let text = "SELECT k.* FROM data_keys k WHERE k.id IN (SELECT f.key_id FROM former_keys f \
                JOIN data_request_items i ON i.request_id = f.request_id \
                WHERE i.data_request_id = $1 AND i.state = 'done') ORDER BY k.id";
    let rows = Select::new(text, values![id.as_str()]).all(&db.read).await?;
    rows.iter()
        .map(|row| {
            let retired_at: Option<i64> = row.try_get("retired_us")?;
            Ok((data_keys::key(row)?, Time(retired_at.unwrap_or_default())))
        })
        .collect()
}

/// In SQL: notes under which keys prompts `p` lie, before they go from there.
macro_rules! note {
    () => {
        "INSERT INTO former_keys (request_id, key_id, workspace_id) SELECT p.request_id, p.key_id, p.workspace_id \
         FROM prompts p JOIN data_keys k ON k.id = p.key_id WHERE NOT EXISTS \
         (SELECT 1 FROM former_keys f WHERE f.request_id = p.request_id AND f.key_id = p.key_id)"
    };
}

/// Notes the keys of these calls' prompts: an older backup is read with them while they are.
///
/// # Errors
/// The database's own.
pub(super) async fn note_keys(on: &mut AnyConnection, requests: &[String]) -> Result<()> {
    sql::change_in(on, concat!(note!(), " AND p.request_id IN"), Vec::new(), requests).await
}

/// The same where an erasure has taken them out of use: what a purge removes meanwhile was of that erasure too.
///
/// # Errors
/// The database's own.
pub(super) async fn note_retired_keys(on: &mut AnyConnection, requests: &[String]) -> Result<()> {
    let head = concat!(note!(), " AND k.scope LIKE 'retired:%' AND p.request_id IN");
    sql::change_in(on, head, Vec::new(), requests).await
}

/// As [`note_retired_keys`] for one call.
pub(super) fn note_retired_key(request: &RequestId) -> Statement {
    let text = concat!(note!(), " AND k.scope LIKE 'retired:%' AND p.request_id = $1");
    Statement::new(text, values![request.as_str()]).or_nothing()
}

/// Notes of keys that their subject was erased, with the agent where only one's calls were. A result that comes under
/// one of them later goes.
///
/// # Errors
/// The database's own.
pub async fn note_erased(
    on: &mut AnyConnection,
    workspace: &WorkspaceId,
    user_id: Option<&str>,
    keys: &[String],
    now: Time,
) -> Result<()> {
    let text = "DELETE FROM erased_keys WHERE erased_us < $1";
    Statement::new(text, values![now.plus(-REMEMBERED).micros()]).run(on).await?;
    let row =
        |key: &String| values![key.as_str(), workspace.as_str(), user_id.map(str::to_owned), now.micros()];
    let head = "INSERT INTO erased_keys (key_id, workspace_id, user_id, erased_us)";
    sql::insert(on, head, keys.iter().map(row).collect(), "ON CONFLICT DO NOTHING").await
}

/// Those of these calls of which a prompt or a file is there, and those of these keys that are.
///
/// # Errors
/// The database's own.
pub async fn not_erased(db: &CellDb, requests: &[String], keys: &[String]) -> Result<HashSet<String>> {
    let mut connection = db.read.acquire().await?;
    let mut rows = Vec::new();
    for (head, ids) in [
        ("SELECT request_id AS id FROM prompts WHERE request_id IN", requests),
        ("SELECT request_id AS id FROM generations WHERE deleted_us IS NULL AND request_id IN", requests),
        ("SELECT id FROM data_keys WHERE id IN", keys),
    ] {
        rows.extend(sql::select_in(&mut connection, head, ids, "").await?);
    }
    rows.iter().map(|row| Ok(row.try_get("id")?)).collect()
}

/// Whether no prompt lies under any of these keys.
///
/// # Errors
/// The database's own.
pub async fn seal_nothing(on: &mut AnyConnection, keys: &[String]) -> Result<bool> {
    let head = "SELECT request_id FROM prompts WHERE key_id IN";
    Ok(sql::select_in(on, head, keys, " LIMIT 1").await?.is_empty())
}

/// Prompts under a key: their calls and sealed bytes.
///
/// # Errors
/// The database's own.
pub async fn prompts_of(on: &mut AnyConnection, key_id: &str, limit: i64) -> Result<Vec<(String, Vec<u8>)>> {
    let select = Select::new("SELECT request_id, sealed FROM prompts WHERE key_id = $1", values![key_id]);
    let rows = select.limit(limit).all(on).await?;
    rows.iter().map(|row| Ok((row.try_get("request_id")?, row.try_get("sealed")?))).collect()
}

/// Puts prompts under another key.
///
/// # Errors
/// The database's own.
pub async fn reseal(on: &mut AnyConnection, key_id: &str, prompts: Vec<(String, Vec<u8>)>) -> Result<()> {
    let requests: Vec<String> = prompts.iter().map(|(request, _)| request.clone()).collect();
    note_keys(on, &requests).await?;
    for (request, sealed) in prompts {
        let text = "UPDATE prompts SET key_id = $1, sealed = $2 WHERE request_id = $3";
        Statement::new(text, values![key_id, sealed, request]).run(on).await?;
    }
    Ok(())
}

/// Removes a prompt that its key does not open.
///
/// # Errors
/// The database's own.
pub async fn remove_prompt(on: &mut AnyConnection, request: &str) -> Result<()> {
    let text = "DELETE FROM prompts WHERE request_id = $1";
    Ok(Statement::new(text, values![request]).run(on).await.map(drop)?)
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
    // A key that still is opens what is erased here in the backup that it was brought back from.
    note_keys(&mut transaction, requests).await?;
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
    for head in [
        "DELETE FROM former_keys WHERE workspace_id = $1 AND key_id IN",
        "DELETE FROM data_keys WHERE workspace_id = $1 AND id IN",
    ] {
        change_in(&mut transaction, head, first(), keys).await?;
    }
    Ok(transaction.commit().await?)
}
