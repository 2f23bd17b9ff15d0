//! The log's rows: written once, read newest first by keyset or oldest first in a stream.

use sqlx::any::AnyRow;
use sqlx::{AnyConnection, Row};

use super::super::error::{Result, internal};
use super::Db;
use super::books::parse;
use super::sql::{self, Select, values};
use crate::domain::audit::{Entry, Linked};
use crate::domain::field::FieldError;
use crate::domain::ids::{RequestId, WorkspaceId};
use crate::domain::money::Usd;
use crate::domain::time::Time;

/// A row to write.
#[derive(Debug, Clone)]
pub struct LogRow {
    /// The entry in its place.
    pub linked: Linked,
    /// The balance after a call, for the event that webhooks deliver.
    pub balance_after: Option<Usd>,
}

/// Calls or administrative acts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EntryKind {
    /// Successful calls.
    Calls,
    /// Administrative acts.
    Administration,
}

/// Which entries; each given field must match.
#[derive(Debug, Clone, Default)]
pub struct AuditFilter {
    /// At or after.
    pub from: Option<Time>,
    /// Before.
    pub to: Option<Time>,
    /// `agent.NAME`, or a person's or key's id.
    pub user_id: Option<String>,
    /// The tool.
    pub tool: Option<String>,
    /// The model.
    pub model: Option<String>,
    /// The call or act.
    pub request_id: Option<String>,
    /// `sha256:…`.
    pub prompt_hash: Option<String>,
    /// At least this cost.
    pub min_cost: Option<Usd>,
    /// At most this cost.
    pub max_cost: Option<Usd>,
    /// Calls or acts only.
    pub kind: Option<EntryKind>,
}

/// Writes rows.
///
/// # Errors
/// The database's own; a place that is taken is refused by the primary key.
pub async fn insert(on: &mut AnyConnection, rows: Vec<LogRow>) -> Result<()> {
    let rows = rows.into_iter().map(|LogRow { linked, balance_after }| {
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
            hash
        ]
    });
    let head = "INSERT INTO log_entries (workspace_id, seq, ts_us, request_id, user_id, tool, model, prompt_hash, \
                cost, balance_after, result_url, region, retention_days, event, data, prev_hash, hash)";
    sql::insert(on, head, rows.collect(), "").await
}

fn select(workspace: &WorkspaceId, filter: &AuditFilter) -> Select {
    let select =
        Select::new("SELECT * FROM log_entries WHERE workspace_id = $1", values![workspace.as_str()])
            .and("ts_us >= ?", filter.from.map(Time::micros))
            .and("ts_us < ?", filter.to.map(Time::micros))
            .and("user_id = ?", filter.user_id.clone().map(sql::Value::Text))
            .and("tool = ?", filter.tool.clone().map(sql::Value::Text))
            .and("model = ?", filter.model.clone().map(sql::Value::Text))
            .and("request_id = ?", filter.request_id.clone().map(sql::Value::Text))
            .and("prompt_hash = ?", filter.prompt_hash.clone().map(sql::Value::Text))
            .and("cost >= ?", filter.min_cost.map(Usd::micros))
            .and("cost <= ?", filter.max_cost.map(Usd::micros));
    match filter.kind {
        Some(EntryKind::Calls) => select.tail("AND event IS NULL"),
        Some(EntryKind::Administration) => select.tail("AND event IS NOT NULL"),
        None => select,
    }
}

/// Matching rows, newest first, before the place `before`.
///
/// # Errors
/// The database's own.
pub async fn page(
    db: &Db,
    workspace: &WorkspaceId,
    filter: &AuditFilter,
    before: Option<i64>,
    limit: i64,
) -> Result<Vec<Linked>> {
    let select = select(workspace, filter).and("seq < ?", before).tail("ORDER BY seq DESC").limit(limit);
    select.all(&db.read).await?.iter().map(linked).collect()
}

/// Matching rows, oldest first, after the place `after`: one piece of a stream.
///
/// # Errors
/// The database's own.
pub async fn piece(
    db: &Db,
    workspace: &WorkspaceId,
    filter: &AuditFilter,
    after: i64,
    limit: i64,
) -> Result<Vec<Linked>> {
    let select = select(workspace, filter).and("seq > ?", Some(after)).tail("ORDER BY seq").limit(limit);
    select.all(&db.read).await?.iter().map(linked).collect()
}

/// Entries behind `after` up to `to`, oldest first, each with the balance after it: one piece of a webhook's way.
///
/// # Errors
/// The database's own.
pub async fn between(
    db: &Db,
    workspace: &WorkspaceId,
    after: i64,
    to: i64,
    limit: i64,
) -> Result<Vec<(Linked, Option<Usd>)>> {
    let text = "SELECT * FROM log_entries WHERE workspace_id = $1 AND seq > $2 AND seq <= $3 ORDER BY seq";
    let rows = Select::new(text, values![workspace.as_str(), after, to]).limit(limit).all(&db.read).await?;
    let balance = |row: &AnyRow| row.try_get::<Option<i64>, _>("balance_after");
    rows.iter().map(|row| Ok((linked(row)?, balance(row)?.map(Usd::from_micros)))).collect()
}

fn linked(row: &AnyRow) -> Result<Linked> {
    let broken = |error: FieldError| internal("stored log entry", error);
    let data: Option<String> = row.try_get("data")?;
    let entry = Entry {
        ts: Time(row.try_get("ts_us")?),
        request_id: parse::<RequestId>(row.try_get("request_id")?)?,
        workspace_id: parse(row.try_get::<String, _>("workspace_id")?)?,
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
