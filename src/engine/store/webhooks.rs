//! Webhook endpoints: their rows, and the claim under which one node delivers.

use sqlx::Row;
use sqlx::any::AnyRow;

use crate::domain::field::FieldError;
use crate::domain::ids::{WebhookId, WorkspaceId};
use crate::domain::time::Time;
use crate::domain::webhooks::endpoint::Format;
use crate::domain::webhooks::progress::Progress;
use crate::engine::error::{Result, internal};
use crate::engine::store::CellDb;
use crate::engine::store::books::parse;
use crate::engine::store::sql::{Select, Statement, values};

/// Whether events go out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum EndpointState {
    /// They do.
    Active,
    /// A person, or the receiver's answer, stopped it; events wait.
    Paused,
    /// It failed for days, or is gone; events wait.
    Disabled,
}

impl EndpointState {
    /// The name in JSON and in the table.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Paused => "paused",
            Self::Disabled => "disabled",
        }
    }

    fn read(text: &str) -> Self {
        match text {
            "active" => Self::Active,
            "paused" => Self::Paused,
            _ => Self::Disabled,
        }
    }
}

/// An endpoint as it is stored.
#[derive(Debug, Clone, PartialEq)]
pub struct EndpointRow {
    /// Its id.
    pub id: WebhookId,
    /// Whose.
    pub workspace_id: WorkspaceId,
    /// Where to.
    pub url: String,
    /// How.
    pub format: Format,
    /// Names of events; empty for all.
    pub events: Vec<String>,
    /// The key that seals its secrets.
    pub key_id: String,
    /// Secrets, token and headers.
    pub sealed: Vec<u8>,
    /// When the secret before a rotation stops signing.
    pub old_secret_ends_at: Option<Time>,
    /// Whether events go out.
    pub state: EndpointState,
    /// Why they do not.
    pub reason: Option<String>,
    /// The last log row that is settled.
    pub cursor: i64,
    /// How it stands.
    pub progress: Progress,
    /// The last log row of the request that failed, which is sent again as it was.
    pub retry_to: Option<i64>,
    /// Counts the changes by Admins.
    pub revision: i64,
    /// Who made it.
    pub created_by: String,
    /// When.
    pub created_at: Time,
}

/// Adds an endpoint.
pub fn insert(row: &EndpointRow) -> Statement {
    let text = "INSERT INTO webhook_endpoints (id, workspace_id, url, format, events, key_id, sealed, state, cursor_seq, \
                batch, created_by, created_us) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, \
                (SELECT log_seq + 1 FROM accounts WHERE workspace_id = $2), $9, $10, $11)";
    let values = values![
        row.id.as_str(),
        row.workspace_id.as_str(),
        row.url.as_str(),
        row.format.as_str(),
        names(&row.events),
        row.key_id.as_str(),
        row.sealed.clone(),
        row.state.as_str(),
        row.progress.batch as i64,
        row.created_by.as_str(),
        row.created_at.micros()
    ];
    Statement::new(text, values)
}

/// Changes what an Admin may change, unless somebody else did since it was read. Its next attempt is now: what was wrong
/// may be right.
pub fn update(row: &EndpointRow) -> Statement {
    let text = "UPDATE webhook_endpoints SET url = $1, events = $2, key_id = $3, sealed = $4, old_secret_ends_us = $5, \
                state = $6, reason = $7, next_us = 0, failures = 0, failing_since_us = NULL, refused = 0, \
                revision = revision + 1 WHERE workspace_id = $8 AND id = $9 AND revision = $10 AND state <> 'deleted'";
    let values = values![
        row.url.as_str(),
        names(&row.events),
        row.key_id.as_str(),
        row.sealed.clone(),
        row.old_secret_ends_at.map(Time::micros),
        row.state.as_str(),
        row.reason.clone(),
        row.workspace_id.as_str(),
        row.id.as_str(),
        row.revision
    ];
    Statement::new(text, values)
}

/// Stops an endpoint, unless it is stopped or was changed since it was read.
pub fn stop(row: &EndpointRow, state: EndpointState, reason: &str) -> Statement {
    let text = "UPDATE webhook_endpoints SET state = $1, reason = $2, claimed_until_us = 0, revision = revision + 1 \
                WHERE workspace_id = $3 AND id = $4 AND state = 'active' AND revision = $5";
    let values = values![state.as_str(), reason, row.workspace_id.as_str(), row.id.as_str(), row.revision];
    Statement::new(text, values)
}

/// Deletes an endpoint: at once for everybody, with its address and secrets. The row is left until all that was sent to
/// it is removed, which can be millions of rows.
pub fn delete(workspace: &WorkspaceId, id: &WebhookId) -> Statement {
    let text = "UPDATE webhook_endpoints SET state = 'deleted', url = '', key_id = '', sealed = $1 \
                WHERE workspace_id = $2 AND id = $3 AND state <> 'deleted'";
    Statement::new(text, values![Vec::<u8>::new(), workspace.as_str(), id.as_str()])
}

/// Deletes the endpoints of workspaces that are gone, once they have every event, are stopped, or the workspace went before
/// `limit`.
///
/// # Errors
/// The database's own.
pub async fn delete_of_gone(db: &CellDb, limit: Time) -> Result<()> {
    let text = "UPDATE webhook_endpoints SET state = 'deleted', url = '', key_id = '', sealed = $1 \
                WHERE state <> 'deleted' AND EXISTS (SELECT 1 FROM accounts a \
                WHERE a.workspace_id = webhook_endpoints.workspace_id AND a.gone_us IS NOT NULL AND (a.gone_us < $2 \
                OR webhook_endpoints.state <> 'active' OR webhook_endpoints.cursor_seq >= a.log_seq))";
    let mut connection = db.write.acquire().await?;
    Statement::new(text, values![Vec::<u8>::new(), limit.micros()]).run(&mut connection).await?;
    Ok(())
}

/// Endpoints that were deleted and of which something is left.
///
/// # Errors
/// The database's own.
pub async fn deleted(db: &CellDb) -> Result<Vec<WebhookId>> {
    let text = "SELECT id FROM webhook_endpoints WHERE state = 'deleted'";
    let rows = Select::new(text, Vec::new()).all(&db.read).await?;
    rows.iter().map(|row| parse(row.try_get::<String, _>("id")?)).collect()
}

fn names(events: &[String]) -> String {
    serde_json::to_string(events).unwrap_or_default()
}

/// A workspace's endpoints, the oldest first.
///
/// # Errors
/// The database's own.
pub async fn list(db: &CellDb, workspace: &WorkspaceId) -> Result<Vec<EndpointRow>> {
    let text = "SELECT * FROM webhook_endpoints WHERE workspace_id = $1 AND state <> 'deleted' ORDER BY created_us, id";
    Select::new(text, values![workspace.as_str()]).all(&db.read).await?.iter().map(endpoint).collect()
}

/// One endpoint.
///
/// # Errors
/// The database's own.
pub async fn get(db: &CellDb, workspace: &WorkspaceId, id: &WebhookId) -> Result<Option<EndpointRow>> {
    let text = "SELECT * FROM webhook_endpoints WHERE workspace_id = $1 AND id = $2 AND state <> 'deleted'";
    let rows = Select::new(text, values![workspace.as_str(), id.as_str()]).all(&db.read).await?;
    rows.first().map(endpoint).transpose()
}

/// Endpoints with something to deliver that nobody delivers: those that wait longest first, at most `limit`.
///
/// # Errors
/// The database's own.
pub async fn due(db: &CellDb, now: Time, limit: i64) -> Result<Vec<(WorkspaceId, WebhookId)>> {
    let text = "SELECT e.workspace_id, e.id FROM webhook_endpoints e JOIN accounts a ON a.workspace_id = e.workspace_id \
                WHERE e.state = 'active' AND e.next_us <= $1 AND e.claimed_until_us <= $1 AND (e.cursor_seq < a.log_seq \
                OR EXISTS (SELECT 1 FROM webhook_replays r WHERE r.endpoint_id = e.id)) ORDER BY e.next_us";
    let rows = Select::new(text, values![now.micros()]).limit(limit).all(&db.read).await?;
    let ids = |row: &AnyRow| {
        Ok((parse(row.try_get::<String, _>("workspace_id")?)?, parse(row.try_get::<String, _>("id")?)?))
    };
    rows.iter().map(ids).collect()
}

/// Takes an endpoint that is due for one node; false where another was faster.
///
/// # Errors
/// The database's own.
pub async fn claim(db: &CellDb, id: &WebhookId, holder: &str, now: Time, until: Time) -> Result<bool> {
    let text = "UPDATE webhook_endpoints SET claimed_by = $1, claimed_until_us = $2 \
                WHERE id = $3 AND state = 'active' AND next_us <= $4 AND claimed_until_us <= $4";
    run(db, text, values![holder, until.micros(), id.as_str(), now.micros()]).await
}

/// How an endpoint is now, while `holder` has the claim and it is active.
///
/// # Errors
/// The database's own.
pub async fn claimed(db: &CellDb, id: &WebhookId, holder: &str) -> Result<Option<EndpointRow>> {
    let text = "SELECT * FROM webhook_endpoints WHERE id = $1 AND claimed_by = $2 AND state = 'active'";
    let rows = Select::new(text, values![id.as_str(), holder]).all(&db.read).await?;
    rows.first().map(endpoint).transpose()
}

/// Lets an endpoint wait that could not be served, and says why.
///
/// # Errors
/// The database's own.
pub async fn put_off(db: &CellDb, id: &WebhookId, holder: &str, until: Time, why: &str) -> Result<bool> {
    let text = "UPDATE webhook_endpoints SET next_us = $1, reason = $2 WHERE id = $3 AND claimed_by = $4 AND state = 'active'";
    run(db, text, values![until.micros(), why, id.as_str(), holder]).await
}

/// Gives an endpoint back.
///
/// # Errors
/// The database's own.
pub async fn unclaim(db: &CellDb, id: &WebhookId, holder: &str) -> Result<bool> {
    let text = "UPDATE webhook_endpoints SET claimed_by = NULL, claimed_until_us = 0 WHERE id = $1 AND claimed_by = $2";
    run(db, text, values![id.as_str(), holder]).await
}

async fn run(db: &CellDb, text: &'static str, values: Vec<crate::engine::store::sql::Value>) -> Result<bool> {
    let mut connection = db.write.acquire().await?;
    Ok(Statement::new(text, values).run(&mut connection).await? == 1)
}

/// Where an endpoint is in the log after an attempt, kept only while `holder` has the claim, which goes on until `until`.
pub fn settle(row: &EndpointRow, holder: &str, until: Time) -> Statement {
    let text = "UPDATE webhook_endpoints SET cursor_seq = $1, retry_to_seq = $2, claimed_until_us = $3 \
                WHERE id = $4 AND claimed_by = $5";
    Statement::new(text, values![row.cursor, row.retry_to, until.micros(), row.id.as_str(), holder])
}

/// How an endpoint stands after an attempt, kept unless an Admin changed it meanwhile: then all begins anew.
pub fn progress(row: &EndpointRow, holder: &str) -> Statement {
    let text = "UPDATE webhook_endpoints SET failures = $1, failing_since_us = $2, refused = $3, batch = $4, \
                next_us = $5, delivered_us = $6, reason = NULL WHERE id = $7 AND claimed_by = $8 AND revision = $9";
    let progress = &row.progress;
    let values = values![
        i64::from(progress.failures),
        progress.failing_since.map(Time::micros),
        i64::from(progress.refused),
        progress.batch as i64,
        progress.next_at.micros(),
        progress.delivered_at.map(Time::micros),
        row.id.as_str(),
        holder,
        row.revision
    ];
    Statement::new(text, values)
}

/// The log's last place, and when the entry after `cursor` was written.
///
/// # Errors
/// The database's own.
pub async fn lag(db: &CellDb, workspace: &WorkspaceId, cursor: i64) -> Result<(i64, Option<Time>)> {
    let text = "SELECT a.log_seq, (SELECT l.ts_us FROM log_entries l WHERE l.workspace_id = a.workspace_id AND l.seq > $2 \
                ORDER BY l.seq LIMIT 1) AS waiting FROM accounts a WHERE a.workspace_id = $1";
    let rows = Select::new(text, values![workspace.as_str(), cursor]).all(&db.read).await?;
    let Some(row) = rows.first() else { return Ok((0, None)) };
    let waiting: Option<i64> = row.try_get("waiting")?;
    Ok(((row.try_get::<i64, _>("log_seq")? - cursor).max(0), waiting.map(Time)))
}

fn endpoint(row: &AnyRow) -> Result<EndpointRow> {
    let broken = |error: FieldError| internal("stored endpoint", error);
    let time = |column| Ok::<_, sqlx::Error>(row.try_get::<Option<i64>, _>(column)?.map(Time));
    let count = |column| Ok::<_, sqlx::Error>(row.try_get::<i64, _>(column)?.unsigned_abs());
    Ok(EndpointRow {
        id: parse(row.try_get::<String, _>("id")?)?,
        workspace_id: parse(row.try_get::<String, _>("workspace_id")?)?,
        url: row.try_get("url")?,
        format: row.try_get::<&str, _>("format")?.parse().map_err(broken)?,
        events: serde_json::from_str(row.try_get("events")?).unwrap_or_default(),
        key_id: row.try_get("key_id")?,
        sealed: row.try_get("sealed")?,
        old_secret_ends_at: time("old_secret_ends_us")?,
        state: EndpointState::read(row.try_get("state")?),
        reason: row.try_get("reason")?,
        cursor: row.try_get("cursor_seq")?,
        progress: Progress {
            failures: count("failures")? as u32,
            failing_since: time("failing_since_us")?,
            refused: count("refused")? as u32,
            batch: count("batch")? as usize,
            next_at: Time(row.try_get("next_us")?),
            delivered_at: time("delivered_us")?,
        },
        retry_to: row.try_get("retry_to_seq")?,
        revision: row.try_get("revision")?,
        created_by: row.try_get("created_by")?,
        created_at: Time(row.try_get("created_us")?),
    })
}
