//! Spend out of the roll-up by day, for one agent, one model or all: by day, and by who used what.

use sqlx::Row;
use sqlx::any::AnyRow;

use crate::domain::ids::WorkspaceId;
use crate::domain::money::Usd;
use crate::domain::time::Time;
use crate::engine::error::Result;
use crate::engine::store::CellDb;
use crate::engine::store::sql::{Select, values};
use crate::engine::store::usage::DayOfAgent;

/// Whose spend, and by what each day is taken apart.
#[derive(Debug, Clone, Copy)]
pub enum Of<'a> {
    /// One agent's (`agent.NAME`), by model.
    Agent(&'a str),
    /// One model's, by agent.
    Model(&'a str),
}

/// Spend on each of the whole UTC days from `from` until before `to`, in order of time; `user_id` holds the part's name.
///
/// # Errors
/// The database's own.
pub async fn by_day(
    db: &CellDb,
    workspace: &WorkspaceId,
    of: Of<'_>,
    from: Time,
    to: Time,
) -> Result<Vec<DayOfAgent>> {
    let (part, own, name) = match of {
        Of::Agent(name) => ("model", "user_id", name),
        Of::Model(name) => ("user_id", "model", name),
    };
    let text = format!(
        "SELECT day_us, {part} AS part, CAST(SUM(cost) AS BIGINT) AS cost, \
         CAST(SUM(calls) AS BIGINT) AS calls FROM usage_days \
         WHERE workspace_id = $1 AND day_us >= $2 AND day_us < $3 AND {own} = $4 \
         GROUP BY day_us, {part} ORDER BY day_us, {part}"
    );
    let values = values![workspace.as_str(), from.micros(), to.micros(), name];
    Select::new(&text, values).all(&db.read).await?.iter().map(day).collect()
}

fn day(row: &AnyRow) -> Result<DayOfAgent> {
    Ok(DayOfAgent {
        day: Time(row.try_get("day_us")?),
        user_id: row.try_get("part")?,
        cost: Usd::from_micros(row.try_get("cost")?),
        calls: row.try_get("calls")?,
    })
}

/// What one agent did with one tool and model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// `agent.NAME`.
    pub user_id: String,
    /// The tool.
    pub tool: String,
    /// The model; empty where the tool has none.
    pub model: String,
    /// Successful calls.
    pub calls: i64,
    /// What was charged.
    pub cost: Usd,
}

/// Who used which tool and model, and for how much, over the whole UTC days from `from` until before `to`.
///
/// # Errors
/// The database's own.
pub async fn parts(
    db: &CellDb,
    workspace: &WorkspaceId,
    agent: Option<&str>,
    from: Time,
    to: Time,
) -> Result<Vec<Part>> {
    let text = "SELECT user_id, tool, model, CAST(SUM(calls) AS BIGINT) AS calls, CAST(SUM(cost) AS BIGINT) AS cost \
                FROM usage_days WHERE workspace_id = $1 AND day_us >= $2 AND day_us < $3";
    let select = Select::new(text, values![workspace.as_str(), from.micros(), to.micros()])
        .and("user_id = ?", agent)
        .tail("GROUP BY user_id, tool, model ORDER BY user_id, tool, model");
    select.all(&db.read).await?.iter().map(part).collect()
}

fn part(row: &AnyRow) -> Result<Part> {
    Ok(Part {
        user_id: row.try_get("user_id")?,
        tool: row.try_get("tool")?,
        model: row.try_get("model")?,
        calls: row.try_get("calls")?,
        cost: Usd::from_micros(row.try_get("cost")?),
    })
}

/// The calls of an agent since `from` that cost more than `limit` each, by tool and model. Reads the index of the kinds
/// that hold such costs, not the log.
///
/// # Errors
/// The database's own.
pub async fn dearer(
    db: &CellDb,
    workspace: &WorkspaceId,
    agent: &str,
    limit: Usd,
    from: Time,
) -> Result<Vec<Part>> {
    let text = "SELECT k.user_id, k.tool, k.model, COUNT(*) AS calls, CAST(SUM(e.cost) AS BIGINT) AS cost \
                FROM log_kinds k JOIN log_entries e ON e.kind = k.id \
                WHERE k.workspace_id = $1 AND k.user_id = $2 AND k.cost_most > $3 AND e.cost > $3 \
                AND e.seq >= (SELECT seq FROM log_entries WHERE workspace_id = $1 AND ts_us >= $4 ORDER BY ts_us, seq LIMIT 1) \
                GROUP BY k.user_id, k.tool, k.model ORDER BY k.tool, k.model";
    let values = values![workspace.as_str(), agent, limit.micros(), from.micros()];
    Select::new(text, values).all(&db.read).await?.iter().map(part).collect()
}
