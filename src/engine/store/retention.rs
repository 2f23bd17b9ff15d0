//! What the purger reads and removes.

use std::collections::{BTreeSet, HashSet};

use sqlx::any::AnyRow;
use sqlx::{AnyConnection, Row};

use crate::domain::ids::{GenerationId, WorkspaceId};
use crate::domain::retention::Retention;
use crate::domain::time::{DAY, Time};
use crate::engine::error::Result;
use crate::engine::store::books::parse;
use crate::engine::store::generations::{self, NewGeneration};
use crate::engine::store::holds::{self, KEEPS_GENERATION};
use crate::engine::store::sql::{self, Select, Statement, values};
use crate::engine::store::{CellDb, erasure};

/// Where the next batch begins: after this time and id.
pub type Cursor = (i64, String);

/// Before every batch.
pub const START: (i64, &str) = (i64::MIN, "");

/// Generations whose files are due and that no hold keeps, the longest due first, after `cursor`.
///
/// # Errors
/// The database's own.
pub async fn due(db: &CellDb, now: Time, cursor: &Cursor, limit: i64) -> Result<Vec<NewGeneration>> {
    let text = format!(
        "SELECT g.* FROM generations g WHERE g.deleted_us IS NULL AND g.expires_us <= $1 AND g.expires_us >= $2 \
         AND (g.expires_us > $2 OR g.id > $3) AND NOT {KEEPS_GENERATION} ORDER BY g.expires_us, g.id"
    );
    let select = Select::new(&text, values![now.micros(), cursor.0, cursor.1.as_str()]);
    select.limit(limit).all(&db.read).await?.iter().map(generations::generation).collect()
}

/// How many generations of each workspace are due but kept by a hold.
///
/// # Errors
/// The database's own.
pub async fn due_but_held(db: &CellDb, now: Time) -> Result<Vec<(WorkspaceId, u64)>> {
    // From the holds on: what is due in workspaces without one is not read.
    let text = format!(
        "SELECT g.workspace_id, COUNT(*) AS held \
         FROM (SELECT DISTINCT workspace_id FROM legal_holds WHERE lifted_us IS NULL) w CROSS JOIN generations g \
         WHERE g.workspace_id = w.workspace_id AND g.deleted_us IS NULL AND g.expires_us <= $1 \
         AND {KEEPS_GENERATION} GROUP BY g.workspace_id"
    );
    let rows = Select::new(&text, values![now.micros()]).all(&db.read).await?;
    let one = |row: &AnyRow| {
        let held: i64 = row.try_get("held")?;
        Ok((parse(row.try_get::<String, _>("workspace_id")?)?, u64::try_from(held).unwrap_or_default()))
    };
    rows.iter().map(one).collect()
}

/// Whether a hold keeps this generation.
///
/// # Errors
/// The database's own.
pub async fn is_held(db: &CellDb, id: &GenerationId) -> Result<bool> {
    let text = format!("SELECT g.id FROM generations g WHERE g.id = $1 AND {KEEPS_GENERATION}");
    Ok(!Select::new(&text, values![id.as_str()]).all(&db.read).await?.is_empty())
}

/// Takes generations whose files go next out of reach: answers those that no hold keeps in one moment with noting it,
/// so that a hold that was placed before keeps what it names, and no copy is made of the others from then on.
///
/// # Errors
/// The database's own.
pub async fn claim(db: &CellDb, batch: Vec<NewGeneration>, now: Time) -> Result<Vec<NewGeneration>> {
    let workspaces: BTreeSet<String> = batch.iter().map(|made| made.workspace_id.to_string()).collect();
    let workspaces: Vec<String> = workspaces.into_iter().collect();
    let ids: Vec<String> = batch.iter().map(|made| made.id.to_string()).collect();
    let mut transaction = db.begin_unsynced().await?;
    // A hold is placed under its account's lock.
    let (head, tail) = ("SELECT workspace_id FROM accounts WHERE workspace_id IN", db.dialect.for_update());
    sql::select_in(&mut transaction, head, &workspaces, &format!(" ORDER BY workspace_id{tail}")).await?;
    let head = format!(
        "SELECT g.id FROM generations g WHERE g.deleted_us IS NULL AND NOT {KEEPS_GENERATION} AND g.id IN"
    );
    let rows = sql::select_in(&mut transaction, &head, &ids, "").await?;
    let free: Vec<String> = rows.iter().map(|row| Ok(row.try_get("id")?)).collect::<Result<_>>()?;
    let head = "UPDATE generations SET leaving_us = $1 WHERE id IN";
    sql::change_in(&mut transaction, head, values![now.micros()], &free).await?;
    transaction.commit().await?;
    let free: HashSet<&str> = free.iter().map(String::as_str).collect();
    Ok(batch.into_iter().filter(|made| free.contains(made.id.as_str())).collect())
}

/// Marks the files as gone and removes their prompts; call it when the objects are deleted.
///
/// # Errors
/// The database's own.
pub async fn remove_content(db: &CellDb, gone: &[NewGeneration], now: Time) -> Result<()> {
    let ids: Vec<String> = gone.iter().map(|made| made.id.to_string()).collect();
    let requests: Vec<String> = gone.iter().map(|made| made.request_id.to_string()).collect();
    let mut transaction = db.begin_unsynced().await?;
    let head = "UPDATE generations SET deleted_us = $1 WHERE deleted_us IS NULL AND id IN";
    sql::change_in(&mut transaction, head, values![now.micros()], &ids).await?;
    erasure::note_retired_keys(&mut transaction, &requests).await?;
    sql::change_in(&mut transaction, "DELETE FROM prompts WHERE request_id IN", Vec::new(), &requests)
        .await?;
    Ok(transaction.commit().await?)
}

/// As [`remove_content`] for one generation, to run with the log entry that tells of it.
pub fn remove_one(gone: &NewGeneration, now: Time) -> Vec<Statement> {
    let mark = "UPDATE generations SET deleted_us = $1 WHERE deleted_us IS NULL AND id = $2";
    let forget = "DELETE FROM prompts WHERE request_id = $1";
    vec![
        Statement::new(mark, values![now.micros(), gone.id.as_str()]),
        erasure::note_retired_key(&gone.request_id),
        // The prompt may be gone before its files.
        Statement::new(forget, values![gone.request_id.as_str()]).or_nothing(),
    ]
}

/// Workspaces of which rows may still follow an older retention: their media days, and when those were changed.
///
/// # Errors
/// The database's own.
pub async fn changed(db: &CellDb) -> Result<Vec<(WorkspaceId, i64, Time)>> {
    let text = "SELECT workspace_id, media_retention_days, retention_changed_us FROM accounts \
                WHERE retention_changed_us IS NOT NULL";
    let rows = sqlx::query(text).fetch_all(&db.read).await?;
    rows.iter()
        .map(|row| {
            let workspace = parse(row.try_get::<String, _>("workspace_id")?)?;
            Ok((workspace, row.try_get("media_retention_days")?, Time(row.try_get("retention_changed_us")?)))
        })
        .collect()
}

/// Lets one batch of a workspace's generations and prompts end `days` after their making; answers where the next
/// batch begins, or `None` after the last.
///
/// # Errors
/// The database's own.
pub async fn follow(
    db: &CellDb,
    workspace: &WorkspaceId,
    days: i64,
    cursor: &Cursor,
    limit: i64,
) -> Result<Option<Cursor>> {
    let text = "SELECT id, request_id, created_us, expires_us FROM generations WHERE workspace_id = $1 \
                AND deleted_us IS NULL AND created_us >= $2 AND (created_us > $2 OR id > $3) ORDER BY created_us, id";
    let select = Select::new(text, values![workspace.as_str(), cursor.0, cursor.1.as_str()]);
    let rows = select.limit(limit).all(&db.read).await?;
    let (mut ids, mut requests) = (Vec::new(), Vec::new());
    for row in &rows {
        let (made, end): (i64, i64) = (row.try_get("created_us")?, row.try_get("expires_us")?);
        // What ends with its making goes at once, whatever the retention.
        if end != made && end != made + days * DAY {
            ids.push(row.try_get::<String, _>("id")?);
            requests.push(row.try_get::<String, _>("request_id")?);
        }
    }
    let mut transaction = db.begin().await?;
    let head = "UPDATE generations SET expires_us = created_us + $1 WHERE id IN";
    sql::change_in(&mut transaction, head, values![days * DAY], &ids).await?;
    let head = "UPDATE prompts SET expires_us = created_us + $1 WHERE request_id IN";
    sql::change_in(&mut transaction, head, values![days * DAY], &requests).await?;
    transaction.commit().await?;
    rows.last().map(|row| Ok((row.try_get("created_us")?, row.try_get("id")?))).transpose()
}

/// Notes that every row follows the retention that was changed at `changed_at`.
///
/// # Errors
/// The database's own.
pub async fn followed(db: &CellDb, workspace: &WorkspaceId, changed_at: Time) -> Result<()> {
    let text = "UPDATE accounts SET retention_changed_us = NULL WHERE workspace_id = $1 AND retention_changed_us = $2";
    let mut transaction = db.begin().await?;
    Statement::new(text, values![workspace.as_str(), changed_at.micros()]).run(&mut transaction).await?;
    Ok(transaction.commit().await?)
}

/// Changes a workspace's periods.
pub fn set(workspace: &WorkspaceId, retention: Retention, now: Time) -> Statement {
    let text = "UPDATE accounts SET media_retention_days = $1, log_retention_days = $2, retention_changed_us = $3 \
                WHERE workspace_id = $4";
    let values = values![
        i64::from(retention.media_retention_days),
        i64::from(retention.log_retention_days),
        now.micros(),
        workspace.as_str()
    ];
    Statement::new(text, values)
}

/// Files that a media cut would delete.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct MediaCount {
    /// Generations, each with its prompt.
    pub generations: i64,
    /// Files.
    pub files: i64,
    /// Bytes.
    pub bytes: i64,
}

/// Files made before `cut` that are still there: those that may go, and those that a hold keeps.
///
/// # Errors
/// The database's own.
pub async fn media_before(
    db: &CellDb,
    workspace: &WorkspaceId,
    cut: Time,
) -> Result<(MediaCount, MediaCount)> {
    let count = async |held: &str| {
        let text = format!(
            "SELECT COUNT(*) AS generations, CAST(COALESCE(SUM(g.files), 0) AS BIGINT) AS files, \
             CAST(COALESCE(SUM(g.bytes), 0) AS BIGINT) AS bytes FROM generations g \
             WHERE g.workspace_id = $1 AND g.created_us < $2 AND g.deleted_us IS NULL AND {held} {KEEPS_GENERATION}"
        );
        let rows = Select::new(&text, values![workspace.as_str(), cut.micros()]).all(&db.read).await?;
        rows.first().map(media_count).transpose().map(Option::unwrap_or_default)
    };
    Ok((count("NOT").await?, count("").await?))
}

fn media_count(row: &AnyRow) -> Result<MediaCount> {
    Ok(MediaCount {
        generations: row.try_get("generations")?,
        files: row.try_get("files")?,
        bytes: row.try_get("bytes")?,
    })
}

/// Log rows written before `cut`.
///
/// # Errors
/// The database's own.
pub async fn log_before(db: &CellDb, workspace: &WorkspaceId, cut: Time) -> Result<i64> {
    let text = "SELECT COUNT(*) FROM log_entries WHERE workspace_id = $1 AND ts_us < $2";
    Ok(sqlx::query_scalar(text).bind(workspace.as_str()).bind(cut.micros()).fetch_one(&db.read).await?)
}

/// Workspaces whose log may be cut: no hold keeps anything of theirs. With the log's days and where it begins.
///
/// # Errors
/// The database's own.
pub async fn logs_without_hold(db: &CellDb) -> Result<Vec<(WorkspaceId, Retention, i64)>> {
    let text = "SELECT workspace_id, media_retention_days, log_retention_days, log_floor_seq FROM accounts a \
                WHERE NOT EXISTS (SELECT 1 FROM legal_holds h WHERE h.workspace_id = a.workspace_id AND h.lifted_us IS NULL)";
    let rows = sqlx::query(text).fetch_all(&db.read).await?;
    let days = |row: &AnyRow, column| row.try_get::<i64, _>(column).map(|days| days.unsigned_abs() as u32);
    rows.iter()
        .map(|row| {
            let retention = Retention {
                media_retention_days: days(row, "media_retention_days")?,
                log_retention_days: days(row, "log_retention_days")?,
            };
            let workspace = parse(row.try_get::<String, _>("workspace_id")?)?;
            Ok((workspace, retention, row.try_get("log_floor_seq")?))
        })
        .collect()
}

/// Whether files made before `cut` are still there: then their log rows stay too.
///
/// # Errors
/// The database's own.
pub async fn has_media_before(db: &CellDb, workspace: &WorkspaceId, cut: Time) -> Result<bool> {
    let text = "SELECT id FROM generations WHERE workspace_id = $1 AND created_us < $2 AND deleted_us IS NULL LIMIT 1";
    let found = sqlx::query(text).bind(workspace.as_str()).bind(cut.micros()).fetch_optional(&db.read);
    Ok(found.await?.is_some())
}

/// Removes the oldest rows of a log up to the place `last`, at most `limit`, with the calls that they tell of; notes
/// where the log begins now. Tells how many rows went; `None` where a hold keeps them, also one that was placed since the
/// batch before.
///
/// # Errors
/// The database's own.
pub async fn cut_log(db: &CellDb, workspace: &WorkspaceId, last: i64, limit: i64) -> Result<Option<usize>> {
    let mut transaction = db.begin().await?;
    if holds::any_under_lock(&mut transaction, db.dialect, workspace).await? {
        return Ok(None);
    }
    let text = "SELECT seq, hash, request_id, event FROM log_entries WHERE workspace_id = $1 AND seq <= $2 ORDER BY seq";
    let select = Select::new(text, values![workspace.as_str(), last]);
    let rows = select.limit(limit).all(&mut *transaction).await?;
    let Some(end) = rows.last() else { return Ok(Some(0)) };
    let (seq, hash): (i64, String) = (end.try_get("seq")?, end.try_get("hash")?);
    let mut requests = Vec::with_capacity(rows.len());
    for row in &rows {
        if row.try_get::<Option<&str>, _>("event")?.is_none() {
            requests.push(row.try_get::<String, _>("request_id")?);
        }
    }
    let calls = requests.len() as i64;
    remove_calls(&mut transaction, &requests).await?;
    let text = "DELETE FROM log_entries WHERE workspace_id = $1 AND seq <= $2";
    Statement::new(text, values![workspace.as_str(), seq]).run(&mut transaction).await?;
    let text = "UPDATE accounts SET log_floor_seq = $1, log_floor_hash = $2, log_floor_calls = log_floor_calls + $3 \
                WHERE workspace_id = $4";
    Statement::new(text, values![seq, hash, calls, workspace.as_str()]).run(&mut transaction).await?;
    transaction.commit().await?;
    Ok(Some(rows.len()))
}

async fn remove_calls(on: &mut AnyConnection, requests: &[String]) -> Result<()> {
    for head in [
        "DELETE FROM generations WHERE request_id IN",
        "DELETE FROM reservations WHERE request_id IN",
        "DELETE FROM data_request_items WHERE request_id IN",
    ] {
        sql::change_in(on, head, Vec::new(), requests).await?;
    }
    Ok(())
}

/// Removes checkpoints before number `first`: the last one before the log's beginning stays.
///
/// # Errors
/// The database's own.
pub async fn cut_checkpoints(db: &CellDb, workspace: &WorkspaceId, first: i64) -> Result<()> {
    let text = "DELETE FROM log_checkpoints WHERE workspace_id = $1 AND number < $2";
    let mut transaction = db.begin().await?;
    Statement::new(text, values![workspace.as_str(), first]).run(&mut transaction).await?;
    Ok(transaction.commit().await?)
}

/// Removes a batch of refused and failed calls older than `cut`, and of the reservations that failed calls gave back.
/// Tells how many rows went.
///
/// # Errors
/// The database's own.
pub async fn remove_attempts(db: &CellDb, cut: Time, limit: i64) -> Result<u64> {
    const TEXTS: [&str; 2] = [
        "DELETE FROM attempts WHERE id IN (SELECT a.id FROM attempts a WHERE a.last_us < $1 AND NOT EXISTS \
         (SELECT 1 FROM legal_holds h WHERE h.workspace_id = a.workspace_id AND h.lifted_us IS NULL) LIMIT $2)",
        "DELETE FROM reservations WHERE request_id IN (SELECT r.request_id FROM reservations r \
         WHERE r.state = 'released' AND r.made_us < $1 AND NOT EXISTS \
         (SELECT 1 FROM legal_holds h WHERE h.workspace_id = r.workspace_id AND h.lifted_us IS NULL) LIMIT $2)",
    ];
    let mut transaction = db.begin().await?;
    let mut rows = 0;
    for text in TEXTS {
        rows += Statement::new(text, values![cut.micros(), limit]).run(&mut transaction).await?;
    }
    transaction.commit().await?;
    Ok(rows)
}
