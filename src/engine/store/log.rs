//! The log's rows: written once, read newest first by keyset or oldest first in a stream.

use serde_json::Value;
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, Row};

use crate::domain::audit::{Entry, Linked};
use crate::domain::field::FieldError;
use crate::domain::ids::{RequestId, WorkspaceId};
use crate::domain::money::Usd;
use crate::domain::time::Time;
use crate::engine::error::{Result, internal};
use crate::engine::store::CellDb;
use crate::engine::store::books::parse;
use crate::engine::store::kinds;
use crate::engine::store::search::Between;
use crate::engine::store::sql::{self, Select, values};

/// What an entry is read from: each column costs an export time, so the workspace, which each reader names, is not among
/// them.
pub(super) const COLUMNS: &str = "seq, ts_us, request_id, user_id, tool, model, prompt_hash, cost, result_url, region, \
                                  retention_days, event, data, prev_hash, hash";

/// A row to write.
#[derive(Debug, Clone)]
pub struct LogRow {
    /// The entry in its place.
    pub linked: Linked,
    /// The balance after a call, for the event that webhooks deliver.
    pub balance_after: Option<Usd>,
}

/// Writes rows.
///
/// # Errors
/// The database's own; a place that is taken is refused by the primary key.
pub async fn insert(on: &mut AnyConnection, rows: Vec<LogRow>) -> Result<()> {
    let entries: Vec<&Entry> = rows.iter().map(|row| &row.linked.entry).collect();
    let kinds = kinds::of(on, &entries).await?;
    let rows = rows.into_iter().zip(kinds).map(|(LogRow { linked, balance_after }, kind)| {
        let Linked { entry, seq, prev_hash, hash } = linked;
        values![
            entry.workspace_id.as_str(),
            seq,
            entry.ts.micros(),
            entry.request_id.as_str(),
            entry.user_id,
            entry.tool,
            entry.model,
            entry.prompt_hash,
            entry.cost_usd.micros(),
            balance_after.map(Usd::micros),
            entry.result_url,
            entry.region.as_str(),
            i64::from(entry.retention_days),
            entry.event,
            entry.data.map(|data| data.to_string()),
            prev_hash,
            hash,
            kind
        ]
    });
    let head = "INSERT INTO log_entries (workspace_id, seq, ts_us, request_id, user_id, tool, model, prompt_hash, \
                cost, balance_after, result_url, region, retention_days, event, data, prev_hash, hash, kind)";
    sql::insert(on, head, rows.collect(), "").await
}

/// Every row between two places, the oldest first.
///
/// # Errors
/// The database's own.
pub async fn rows(db: &CellDb, workspace: &WorkspaceId, places: Between) -> Result<Vec<Linked>> {
    let text = format!(
        "SELECT {COLUMNS} FROM log_entries WHERE workspace_id = $1 AND seq > $2 AND seq < $3 ORDER BY seq"
    );
    let select = Select::new(&text, values![workspace.as_str(), places.after, places.before]);
    select.all(&db.read).await?.iter().map(|row| linked(workspace, row)).collect()
}

/// What the log says of a request, the oldest first.
///
/// # Errors
/// The database's own.
pub async fn of_request(db: &CellDb, workspace: &WorkspaceId, request: &str) -> Result<Vec<Linked>> {
    let text = format!(
        "SELECT {COLUMNS} FROM log_entries WHERE workspace_id = $1 AND request_id = $2 ORDER BY seq LIMIT 50"
    );
    let select = Select::new(&text, values![workspace.as_str(), request]);
    select.all(&db.read).await?.iter().map(|row| linked(workspace, row)).collect()
}

/// The data of a request's acts of one kind.
///
/// # Errors
/// The database's own.
pub async fn data_of_acts(
    db: &CellDb,
    workspace: &WorkspaceId,
    request: &str,
    event: &str,
) -> Result<Vec<Option<Value>>> {
    let text = "SELECT data FROM log_entries WHERE workspace_id = $1 AND request_id = $2 AND event = $3";
    let rows = Select::new(text, values![workspace.as_str(), request, event]).all(&db.read).await?;
    let data = |row: &AnyRow| {
        let text: Option<String> = row.try_get("data")?;
        Ok(text.and_then(|text| serde_json::from_str(&text).ok()))
    };
    rows.iter().map(data).collect()
}

/// When the first entry that is left was written; `None` for an empty log.
///
/// # Errors
/// The database's own.
pub async fn first_time(db: &CellDb, workspace: &WorkspaceId) -> Result<Option<Time>> {
    let text = "SELECT ts_us FROM log_entries WHERE workspace_id = $1 ORDER BY seq LIMIT 1";
    Ok(sqlx::query_scalar(text).bind(workspace.as_str()).fetch_optional(&db.read).await?.map(Time))
}

/// Where a log ends, by its account: place and hash; and where retention cut it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogEnd {
    /// The last row.
    pub seq: i64,
    /// Its hash.
    pub head: String,
    /// The last row that retention took; 0 where it took none.
    pub floor: i64,
    /// Its hash.
    pub floor_head: String,
}

/// Where a log ends; `None` for a workspace without an account here.
///
/// # Errors
/// The database's own.
pub async fn end(db: &CellDb, workspace: &WorkspaceId) -> Result<Option<LogEnd>> {
    let text =
        "SELECT log_seq, log_head, log_floor_seq, log_floor_hash FROM accounts WHERE workspace_id = $1";
    let found = sqlx::query(text).bind(workspace.as_str()).fetch_optional(&db.read).await?;
    let read = |row: AnyRow| {
        Ok(LogEnd {
            seq: row.try_get("log_seq")?,
            head: row.try_get("log_head")?,
            floor: row.try_get("log_floor_seq")?,
            floor_head: row.try_get("log_floor_hash")?,
        })
    };
    found.map(read).transpose()
}

/// Entries behind `after` up to `to`, oldest first, each with the balance after it: one piece of a webhook's way.
///
/// # Errors
/// The database's own.
pub async fn between(
    db: &CellDb,
    workspace: &WorkspaceId,
    after: i64,
    to: i64,
    limit: i64,
) -> Result<Vec<(Linked, Option<Usd>)>> {
    let text = format!(
        "SELECT {COLUMNS}, balance_after FROM log_entries WHERE workspace_id = $1 AND seq > $2 AND seq <= $3 ORDER BY seq"
    );
    let rows = Select::new(&text, values![workspace.as_str(), after, to]).limit(limit).all(&db.read).await?;
    let balance = |row: &AnyRow| row.try_get::<Option<i64>, _>("balance_after");
    rows.iter().map(|row| Ok((linked(workspace, row)?, balance(row)?.map(Usd::from_micros)))).collect()
}

/// The entry in a row of [`COLUMNS`].
pub(super) fn linked(workspace: &WorkspaceId, row: &AnyRow) -> Result<Linked> {
    let broken = |error: FieldError| internal("stored log entry", error);
    let data: Option<String> = row.try_get("data")?;
    let entry = Entry {
        ts: Time(row.try_get("ts_us")?),
        request_id: parse::<RequestId>(row.try_get("request_id")?)?,
        workspace_id: workspace.clone(),
        user_id: row.try_get("user_id")?,
        tool: row.try_get("tool")?,
        model: row.try_get("model")?,
        prompt_hash: row.try_get("prompt_hash")?,
        cost_usd: Usd::from_micros(row.try_get("cost")?),
        result_url: row.try_get("result_url")?,
        region: row.try_get::<&str, _>("region")?.parse().map_err(broken)?,
        retention_days: row.try_get::<i64, _>("retention_days")?.unsigned_abs() as u32,
        event: row.try_get("event")?,
        data: data.and_then(|json| serde_json::from_str(&json).ok()),
    };
    Ok(Linked {
        entry,
        seq: row.try_get("seq")?,
        prev_hash: row.try_get("prev_hash")?,
        hash: row.try_get("hash")?,
    })
}
