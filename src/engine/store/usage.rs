//! The roll-up by hour: every chart and total reads it, and no page scans the log.

use std::collections::BTreeMap;

use sqlx::{AnyConnection, Row};

use super::super::error::Result;
use super::Db;
use super::sql::{self, values};
use crate::domain::ids::WorkspaceId;
use crate::domain::money::Usd;
use crate::domain::time::Time;

/// What one call adds to its hour.
#[derive(Debug, Clone)]
pub struct Usage {
    /// Whose.
    pub workspace_id: WorkspaceId,
    /// `agent.NAME`.
    pub user_id: String,
    /// The tool.
    pub tool: String,
    /// The model; empty where the tool has none.
    pub model: String,
    /// When.
    pub at: Time,
    /// Successful calls.
    pub calls: i64,
    /// What was charged.
    pub cost: Usd,
    /// Images made.
    pub images: i64,
    /// Milliseconds of video made.
    pub video_ms: i64,
    /// Calls refused by the rules.
    pub refused: i64,
    /// Calls that failed at the provider.
    pub failed: i64,
}

type Key = (String, i64, String, String, String);

/// Adds `usages` to their hours; those of one hour, agent, tool and model become one row.
///
/// # Errors
/// The database's own.
pub async fn add(on: &mut AnyConnection, usages: Vec<Usage>) -> Result<()> {
    let mut sums: BTreeMap<Key, [i64; 6]> = BTreeMap::new();
    for usage in usages {
        let key = (
            usage.workspace_id.to_string(),
            usage.at.hour().micros(),
            usage.user_id,
            usage.tool,
            usage.model,
        );
        let added =
            [usage.calls, usage.cost.micros(), usage.images, usage.video_ms, usage.refused, usage.failed];
        let sum = sums.entry(key).or_default();
        sum.iter_mut().zip(added).for_each(|(total, more)| *total += more);
    }
    let rows = sums.into_iter().map(|((workspace, hour, user, tool, model), sum)| {
        values![workspace, hour, user, tool, model, sum[0], sum[1], sum[2], sum[3], sum[4], sum[5]]
    });
    let head = "INSERT INTO usage_hours \
                (workspace_id, hour_us, user_id, tool, model, calls, cost, images, video_ms, refused, failed)";
    let tail = "ON CONFLICT (workspace_id, hour_us, user_id, tool, model) DO UPDATE SET \
                calls = usage_hours.calls + excluded.calls, cost = usage_hours.cost + excluded.cost, \
                images = usage_hours.images + excluded.images, video_ms = usage_hours.video_ms + excluded.video_ms, \
                refused = usage_hours.refused + excluded.refused, failed = usage_hours.failed + excluded.failed";
    sql::insert(on, head, rows.collect(), tail).await
}

/// Sums over a span.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Totals {
    /// Successful calls.
    pub calls: i64,
    /// What was charged.
    pub cost: Usd,
    /// Refused calls.
    pub refused: i64,
    /// Failed calls.
    pub failed: i64,
}

/// The sums of a workspace from `from` until before `to`.
///
/// # Errors
/// The database's own.
pub async fn totals(db: &Db, workspace: &WorkspaceId, from: Time, to: Time) -> Result<Totals> {
    let text = "SELECT CAST(COALESCE(SUM(calls), 0) AS BIGINT) AS calls, CAST(COALESCE(SUM(cost), 0) AS BIGINT) AS cost, \
                CAST(COALESCE(SUM(refused), 0) AS BIGINT) AS refused, CAST(COALESCE(SUM(failed), 0) AS BIGINT) AS failed \
                FROM usage_hours WHERE workspace_id = $1 AND hour_us >= $2 AND hour_us < $3";
    let query = sqlx::query(text).bind(workspace.as_str()).bind(from.micros()).bind(to.micros());
    let row = query.fetch_one(&db.read).await?;
    Ok(Totals {
        calls: row.try_get("calls")?,
        cost: Usd::from_micros(row.try_get("cost")?),
        refused: row.try_get("refused")?,
        failed: row.try_get("failed")?,
    })
}

/// Spend and calls of one agent on one UTC day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DayOfAgent {
    /// The day's first moment.
    pub day: Time,
    /// `agent.NAME`.
    pub user_id: String,
    /// What was charged.
    pub cost: Usd,
    /// Successful calls.
    pub calls: i64,
}

/// Spend by UTC day and agent from `from` until before `to`, in order of time.
///
/// # Errors
/// The database's own.
pub async fn by_day(db: &Db, workspace: &WorkspaceId, from: Time, to: Time) -> Result<Vec<DayOfAgent>> {
    let text = "SELECT hour_us / 86400000000 AS day, user_id, CAST(SUM(cost) AS BIGINT) AS cost, \
                CAST(SUM(calls) AS BIGINT) AS calls FROM usage_hours \
                WHERE workspace_id = $1 AND hour_us >= $2 AND hour_us < $3 \
                GROUP BY hour_us / 86400000000, user_id ORDER BY hour_us / 86400000000, user_id";
    let query = sqlx::query(text).bind(workspace.as_str()).bind(from.micros()).bind(to.micros());
    let rows = query.fetch_all(&db.read).await?;
    rows.iter()
        .map(|row| {
            Ok(DayOfAgent {
                day: Time(row.try_get::<i64, _>("day")? * crate::domain::time::DAY),
                user_id: row.try_get("user_id")?,
                cost: Usd::from_micros(row.try_get("cost")?),
                calls: row.try_get("calls")?,
            })
        })
        .collect()
}
