//! Refused and failed calls: kept 90 days, repeats within a minute folded into a count (design §2).

use std::collections::BTreeMap;

use sqlx::any::AnyRow;
use sqlx::{AnyConnection, Row};

use crate::domain::ids::{RequestId, WorkspaceId, made_at};
use crate::domain::money::Usd;
use crate::domain::time::Time;
use crate::engine::error::Result;
use crate::engine::store::CellDb;
use crate::engine::store::books::parse;
use crate::engine::store::sql::{self, values};
use crate::engine::store::usage::Usage;

/// A refused or failed call.
#[derive(Debug, Clone)]
pub struct Attempt {
    /// Whose.
    pub workspace_id: WorkspaceId,
    /// `agent.NAME`.
    pub user_id: String,
    /// The tool.
    pub tool: String,
    /// The model, where one was named.
    pub model: Option<String>,
    /// The answer's code, such as `insufficient_credits`.
    pub code: String,
    /// The answer's sentence.
    pub message: String,
    /// Hash of the prompt, where there was one.
    pub prompt_hash: Option<String>,
    /// The last such call.
    pub request_id: RequestId,
    /// Whether the provider failed; otherwise the rules refused.
    pub failed: bool,
    /// When.
    pub at: Time,
}

impl Attempt {
    fn id(&self) -> String {
        let prompt = self.prompt_hash.as_deref().unwrap_or_default();
        let minute = self.at.minute().micros();
        format!("{}/{}/{}/{}/{prompt}/{minute}", self.workspace_id, self.user_id, self.tool, self.code)
    }

    /// When the call came in.
    fn began_at(&self) -> Time {
        made_at(self.request_id.as_str()).unwrap_or(self.at)
    }

    /// What it counts in the roll-up.
    pub fn usage(&self) -> Usage {
        Usage {
            workspace_id: self.workspace_id.clone(),
            user_id: self.user_id.clone(),
            tool: self.tool.clone(),
            model: self.model.clone().unwrap_or_default(),
            at: self.at,
            calls: 0,
            cost: Usd::ZERO,
            images: 0,
            video_ms: 0,
            refused: i64::from(!self.failed),
            failed: i64::from(self.failed),
        }
    }
}

/// Writes attempts; repeats of one minute raise the count of its row. Those that began after the last counted one was
/// answered count as a series: an agent that goes on although it was told, not one that asked many times at once. A
/// series begins anew when somebody resumes the agent.
///
/// # Errors
/// The database's own.
pub async fn fold(on: &mut AnyConnection, attempts: Vec<Attempt>) -> Result<()> {
    let mut folded: BTreeMap<String, (Attempt, i64, Time)> = BTreeMap::new();
    for attempt in attempts {
        let first = attempt.at;
        let (last, count, _) = folded.entry(attempt.id()).or_insert_with(|| (attempt.clone(), 0, first));
        *last = attempt;
        *count += 1;
    }
    let rows = folded.into_iter().map(|(id, (attempt, count, first))| {
        let began = attempt.began_at().micros();
        values![
            id,
            attempt.workspace_id.as_str(),
            attempt.user_id,
            attempt.tool,
            attempt.model,
            attempt.code,
            attempt.message,
            attempt.prompt_hash,
            attempt.request_id.as_str(),
            i64::from(attempt.failed),
            first.micros(),
            attempt.at.micros(),
            count,
            began,
            attempt.at.micros()
        ]
    });
    let head = "INSERT INTO attempts (id, workspace_id, user_id, tool, model, code, message, prompt_hash, request_id, \
                failed, first_us, last_us, repeats, began_us, counted_us)";
    let tail = "ON CONFLICT (id) DO UPDATE SET repeats = attempts.repeats + excluded.repeats, \
                last_us = excluded.last_us, request_id = excluded.request_id, message = excluded.message, \
                series = CASE WHEN excluded.began_us < attempts.counted_us THEN attempts.series \
                WHEN attempts.counted_us <= (SELECT g.resumed_us FROM agents g WHERE g.workspace_id = attempts.workspace_id \
                AND g.name = attempts.user_id) THEN 1 ELSE attempts.series + 1 END, \
                counted_us = CASE WHEN excluded.began_us >= attempts.counted_us THEN excluded.counted_us \
                ELSE attempts.counted_us END";
    sql::insert(on, head, rows.collect(), tail).await
}

/// A row of the table.
#[derive(Debug, Clone)]
pub struct AttemptRow {
    /// Its id, for the next page.
    pub id: String,
    /// The last call of its minute.
    pub attempt: Attempt,
    /// The first call of its minute.
    pub first_at: Time,
    /// How many calls it stands for.
    pub count: i64,
}

pub(super) fn row(row: &AnyRow) -> Result<AttemptRow> {
    let attempt = Attempt {
        workspace_id: parse(row.try_get::<String, _>("workspace_id")?)?,
        user_id: row.try_get("user_id")?,
        tool: row.try_get("tool")?,
        model: row.try_get("model")?,
        code: row.try_get("code")?,
        message: row.try_get("message")?,
        prompt_hash: row.try_get("prompt_hash")?,
        request_id: parse(row.try_get::<String, _>("request_id")?)?,
        failed: row.try_get::<i64, _>("failed")? != 0,
        at: Time(row.try_get("last_us")?),
    };
    Ok(AttemptRow {
        id: row.try_get("id")?,
        attempt,
        first_at: Time(row.try_get("first_us")?),
        count: row.try_get("repeats")?,
    })
}

/// The attempt whose last call is this one. A call that was folded into a later one has none of its own.
///
/// # Errors
/// The database's own.
pub async fn of_request(
    db: &CellDb,
    workspace: &WorkspaceId,
    request: &RequestId,
) -> Result<Option<AttemptRow>> {
    let text = "SELECT * FROM attempts WHERE workspace_id = $1 AND request_id = $2";
    let found =
        sqlx::query(text).bind(workspace.as_str()).bind(request.as_str()).fetch_optional(&db.read).await?;
    found.as_ref().map(row).transpose()
}
