//! The roll-ups by hour and by day: every chart and total reads it, and no page scans the log.

use std::collections::BTreeMap;

use sqlx::any::AnyRow;
use sqlx::{AnyConnection, Row};

use crate::domain::ids::WorkspaceId;
use crate::domain::money::Usd;
use crate::domain::time::Time;
use crate::domain::usage::{Grouping, Span, Sums};
use crate::engine::error::Result;
use crate::engine::store::CellDb;
use crate::engine::store::sql::{self, Select, Statement, values};

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
type Counts = [i64; 6];

/// A roll-up, by the length of what one row of it counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RollUp {
    /// `usage_hours`.
    Hours,
    /// `usage_days`: the same by day, for long spans.
    Days,
}

impl RollUp {
    const fn table(self) -> &'static str {
        match self {
            Self::Hours => "usage_hours",
            Self::Days => "usage_days",
        }
    }

    const fn time(self) -> &'static str {
        match self {
            Self::Hours => "hour_us",
            Self::Days => "day_us",
        }
    }

    fn start(self, at: i64) -> i64 {
        match self {
            Self::Hours => Time(at).hour().micros(),
            Self::Days => Time(at).day_start().micros(),
        }
    }
}

/// Adds `usages` to their hours and days; those of one hour, agent, tool and model become one row.
///
/// # Errors
/// The database's own.
pub async fn add(on: &mut AnyConnection, usages: Vec<Usage>) -> Result<()> {
    let counted = usages.into_iter().map(|usage| {
        let Usage { calls, cost, images, video_ms, refused, failed, .. } = usage;
        let key = (usage.workspace_id.to_string(), usage.at.micros(), usage.user_id, usage.tool, usage.model);
        (key, [calls, cost.micros(), images, video_ms, refused, failed])
    });
    let hours = summed(counted, RollUp::Hours);
    let days = summed(hours.clone(), RollUp::Days);
    write(on, RollUp::Hours, hours).await?;
    write(on, RollUp::Days, days).await
}

fn summed(counted: impl IntoIterator<Item = (Key, Counts)>, roll_up: RollUp) -> BTreeMap<Key, Counts> {
    let mut sums: BTreeMap<Key, Counts> = BTreeMap::new();
    for (mut key, counts) in counted {
        key.1 = roll_up.start(key.1);
        let sum = sums.entry(key).or_default();
        sum.iter_mut().zip(counts).for_each(|(total, more)| *total += more);
    }
    sums
}

async fn write(on: &mut AnyConnection, roll_up: RollUp, sums: BTreeMap<Key, Counts>) -> Result<()> {
    let rows = sums.into_iter().map(|((workspace, at, user, tool, model), sum)| {
        values![workspace, at, user, tool, model, sum[0], sum[1], sum[2], sum[3], sum[4], sum[5]]
    });
    let (table, time) = (roll_up.table(), roll_up.time());
    let head = format!(
        "INSERT INTO {table} \
         (workspace_id, {time}, user_id, tool, model, calls, cost, images, video_ms, refused, failed)"
    );
    let more = COUNTS.map(|count| format!("{count} = {table}.{count} + excluded.{count}")).join(", ");
    let tail = format!("ON CONFLICT (workspace_id, {time}, user_id, tool, model) DO UPDATE SET {more}");
    sql::insert(on, &head, rows.collect(), &tail).await
}

/// Makes the roll-up by day anew from the one by hour, as migration 0006 does.
///
/// # Errors
/// The database's own.
pub async fn rebuild_days(on: &mut AnyConnection) -> Result<()> {
    Statement::new("DELETE FROM usage_days", Vec::new()).run(on).await?;
    let text = "INSERT INTO usage_days (workspace_id, day_us, user_id, tool, model, calls, cost, images, video_ms, refused, failed) \
                SELECT workspace_id, hour_us / 86400000000 * 86400000000, user_id, tool, model, SUM(calls), SUM(cost), \
                SUM(images), SUM(video_ms), SUM(refused), SUM(failed) FROM usage_hours \
                GROUP BY workspace_id, hour_us / 86400000000 * 86400000000, user_id, tool, model";
    Statement::new(text, Vec::new()).run(on).await?;
    Ok(())
}

/// What every roll-up counts.
const COUNTS: [&str; 6] = ["calls", "cost", "images", "video_ms", "refused", "failed"];

/// Sums of a group in one row's time of a roll-up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// The hour's or day's first moment.
    pub at: Time,
    /// The group; empty where there is none.
    pub group: String,
    /// What was counted.
    pub sums: Sums,
}

/// The sums of a workspace by time and group from `span.from` until before `span.to`, in order.
///
/// # Errors
/// The database's own.
pub async fn parts(
    db: &CellDb,
    workspace: &WorkspaceId,
    roll_up: RollUp,
    grouping: Option<Grouping>,
    span: Span,
) -> Result<Vec<Part>> {
    let (table, time) = (roll_up.table(), roll_up.time());
    let group = grouping.map_or("''", group_column);
    let sums = COUNTS.map(|count| format!("CAST(SUM({count}) AS BIGINT) AS {count}")).join(", ");
    let text = format!(
        "SELECT {time} AS at_us, {group} AS name, {sums} FROM {table} \
         WHERE workspace_id = $1 AND {time} >= $2 AND {time} < $3"
    );
    let bound = values![workspace.as_str(), span.from.micros(), span.to.micros()];
    let select = Select::new(&text, bound).tail("GROUP BY 1, 2 ORDER BY 1, 2");
    select.all(&db.read).await?.iter().map(part).collect()
}

const fn group_column(grouping: Grouping) -> &'static str {
    match grouping {
        Grouping::User => "user_id",
        Grouping::Tool => "tool",
        Grouping::Model => "model",
        Grouping::Workspace => "workspace_id",
        Grouping::Kind => {
            "CASE tool WHEN 'generate_image' THEN 'image' WHEN 'generate_video' THEN 'video' ELSE 'other' END"
        }
    }
}

fn part(row: &AnyRow) -> Result<Part> {
    Ok(Part { at: Time(row.try_get("at_us")?), group: row.try_get("name")?, sums: sums(row)? })
}

fn sums(row: &AnyRow) -> Result<Sums> {
    Ok(Sums {
        calls: row.try_get("calls")?,
        cost: Usd::from_micros(row.try_get("cost")?),
        images: row.try_get("images")?,
        video_ms: row.try_get("video_ms")?,
        refused: row.try_get("refused")?,
        failed: row.try_get("failed")?,
    })
}

/// What one agent did on one day with one tool and model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DayLine {
    /// The day's first moment in UTC.
    pub day: Time,
    /// `agent.NAME`.
    pub user_id: String,
    /// The tool.
    pub tool: String,
    /// The model; empty where the tool has none.
    pub model: String,
    /// What was counted.
    pub sums: Sums,
}

/// Every charged line of the days from `span.from` until before `span.to`, in order.
///
/// # Errors
/// The database's own.
pub async fn charged_days(db: &CellDb, workspace: &WorkspaceId, span: Span) -> Result<Vec<DayLine>> {
    let text = "SELECT day_us, user_id, tool, model, calls, cost, images, video_ms, refused, failed FROM usage_days \
                WHERE workspace_id = $1 AND day_us >= $2 AND day_us < $3 AND cost > 0 \
                ORDER BY day_us, user_id, tool, model";
    let query = sqlx::query(text).bind(workspace.as_str()).bind(span.from.micros()).bind(span.to.micros());
    let line = |row: &AnyRow| {
        Ok(DayLine {
            day: Time(row.try_get("day_us")?),
            user_id: row.try_get("user_id")?,
            tool: row.try_get("tool")?,
            model: row.try_get("model")?,
            sums: sums(row)?,
        })
    };
    query.fetch_all(&db.read).await?.iter().map(line).collect()
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

/// The sums of a workspace over the whole UTC days from `from` until before `to`.
///
/// # Errors
/// The database's own.
pub async fn totals(db: &CellDb, workspace: &WorkspaceId, from: Time, to: Time) -> Result<Totals> {
    let text = "SELECT CAST(COALESCE(SUM(calls), 0) AS BIGINT) AS calls, CAST(COALESCE(SUM(cost), 0) AS BIGINT) AS cost, \
                CAST(COALESCE(SUM(refused), 0) AS BIGINT) AS refused, CAST(COALESCE(SUM(failed), 0) AS BIGINT) AS failed \
                FROM usage_days WHERE workspace_id = $1 AND day_us >= $2 AND day_us < $3";
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

/// Spend by agent on each of the whole UTC days from `from` until before `to`, in order of time.
///
/// # Errors
/// The database's own.
pub async fn by_day(db: &CellDb, workspace: &WorkspaceId, from: Time, to: Time) -> Result<Vec<DayOfAgent>> {
    let text = "SELECT day_us, user_id, CAST(SUM(cost) AS BIGINT) AS cost, \
                CAST(SUM(calls) AS BIGINT) AS calls FROM usage_days \
                WHERE workspace_id = $1 AND day_us >= $2 AND day_us < $3 \
                GROUP BY day_us, user_id ORDER BY day_us, user_id";
    let query = sqlx::query(text).bind(workspace.as_str()).bind(from.micros()).bind(to.micros());
    let rows = query.fetch_all(&db.read).await?;
    rows.iter()
        .map(|row| {
            Ok(DayOfAgent {
                day: Time(row.try_get("day_us")?),
                user_id: row.try_get("user_id")?,
                cost: Usd::from_micros(row.try_get("cost")?),
                calls: row.try_get("calls")?,
            })
        })
        .collect()
}
